"""Decode Debezium's change events (JSON without schemas) without parsing the rows they carry. Pure: no Kafka, no database.

A row's bytes are handed on as they came; PostgreSQL parses them once, in `mirror_rows.apply_events`.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

import msgspec

from shopferry.errors import EventError, ReplayError
from shopferry.stores import origin

PLACEHOLDER = b"__debezium_unavailable_value"
# As whole JSON values, since a text may speak of it; and in the shapes that other column types and settings give it:
# base64, hex, a JSON array of its bytes. Seen with ours: the plain string, also for bytea; arrays are read again anyway.
_PLACEHOLDERS = (
    b'"%s"' % PLACEHOLDER,
    b'["%s"]' % PLACEHOLDER,
    b'"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="',
    b'"%s"' % PLACEHOLDER.hex().encode(),
    b"[" + b",".join(str(b).encode() for b in PLACEHOLDER) + b"]",
)


class _Source(msgspec.Struct):
    schema: str
    table: str
    lsn: int | None = None
    ts_ms: int | None = None
    txId: int | None = None  # noqa: N815 (Debezium's name)
    origin: str | None = None


class _Envelope(msgspec.Struct):
    op: str
    source: _Source
    after: msgspec.Raw = msgspec.Raw(b"null")


_decode = msgspec.json.Decoder(_Envelope).decode


@dataclass(frozen=True)
class Message:
    """What the broker delivered, and from where."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True)
class Change:
    """One row's new state: `row` is its JSON object, None when the row is gone."""

    table: str
    key: bytes  # JSON object of the primary key
    row: bytes | None
    lsn: int
    committed_ms: int  # epoch milliseconds of the commit in the source
    topic: str
    partition: int
    offset: int
    born: bool  # came with no row before it: what the mirror holds under this key is another row's
    size: int  # bytes of the whole message
    xid: int  # the lower half of the number of the transaction in legacy
    torn: bool = False  # leaves out a value that may have come in this very batch: the mirror does not have it yet
    echo: bool = False  # written by the flow in the other direction: it came from where it would be carried to
    mixed: bool = False  # among what it stands for is an echo: the target is not what the mirror made of it

    @property
    def partial(self) -> bool:
        """Whether a column is missing because PostgreSQL did not log its unchanged, out-of-line value."""
        return self.row is not None and any(p in self.row for p in _PLACEHOLDERS)

    @property
    def position(self) -> str:
        """The log position as PostgreSQL writes it."""
        return f"{self.lsn >> 32:X}/{self.lsn & 0xFFFFFFFF:X}"

    @property
    def where(self) -> str:
        """Topic, partition and offset, as error texts name it."""
        return f"{self.topic}[{self.partition}]@{self.offset}"


def decode(message: Message, captured: frozenset[str], schema: str = "public") -> Change | None:
    """Decode one message as a change; None for what carries no row (markers, heartbeats, tombstones, snapshot reads).

    `captured` are the tables that may come, all of that schema.

    Raises EventError for what is no event we know, ReplayError for a TRUNCATE.
    """
    where = f"{message.topic}[{message.partition}]@{message.offset}"
    if message.value is None:
        return None
    try:
        event = _decode(message.value)
    except msgspec.MsgspecError as error:
        raise EventError(
            f"{where}: not a change event in JSON without schemas ({error}): "
            "check the connector's converters; replay stops here and skips nothing"
        ) from None
    if event.source.schema == "shopferry":
        return None
    table = event.source.table
    if event.source.schema != schema or table not in captured:
        raise EventError(
            f"{where}: an event of {event.source.schema}.{table}, which no mapping captures: "
            "check the publication; replay stops here and skips nothing"
        )
    if event.op == "r":
        return None  # a snapshot read is backfill, and backfill is ours
    if event.op == "t":
        raise ReplayError(
            f"{where}: TRUNCATE of {table}: decide whether the shop shall lose these rows too, then "
            f"`shopferry sync resync`; replay stops here"
        )
    after = bytes(event.after)
    if event.op not in {"c", "u", "d"} or message.key is None or (event.op != "d" and after == b"null"):
        raise EventError(f"{where}: op {event.op!r} without what it needs; replay stops here and skips nothing")
    row = None if event.op == "d" else after
    return Change(
        table,
        message.key,
        row,
        event.source.lsn or 0,
        event.source.ts_ms or int(time.time() * 1000),
        message.topic,
        message.partition,
        message.offset,
        event.op == "c",
        len(message.key) + len(message.value),
        event.source.txId or 0,
        echo=(event.source.origin or "").startswith(origin.PREFIX),
    )


def read_committed_ms(value: bytes | None) -> int | None:
    """Read when the source committed what a message carries, in epoch milliseconds; None if it does not say."""
    try:
        return _decode(value).source.ts_ms if value is not None else None
    except msgspec.MsgspecError:
        return None


def collapse(changes: Iterable[Change]) -> dict[str, dict[bytes, Change]]:
    """Keep the newest state per table and key, by log position: an old event may come again behind or between newer ones.

    For the same reason what a placeholder leaves out is not taken from the event before it: that one may have come again,
    and be older than what the mirror holds. Such a change is torn.
    """
    last: dict[str, dict[bytes, Change]] = {}
    for change in changes:
        table = last.setdefault(change.table, {})
        before = table.get(change.key)
        if before is not None:
            newer, older = (before, change) if change.lsn < before.lsn else (change, before)
            torn = newer.torn if newer is before else newer.partial
            mixed = newer.mixed or older.mixed or newer.echo != older.echo
            if torn != newer.torn or mixed != newer.mixed:
                # What anybody else has written among it must be carried on.
                newer = replace(newer, torn=torn, echo=newer.echo and older.echo, mixed=mixed)
            change = newer
        table[change.key] = change
    return last


def fill(row: bytes, older: bytes) -> bytes:
    """Replace every placeholder in the row by the older row's value, where that has one."""
    new = msgspec.json.decode(row, type=dict[str, msgspec.Raw])
    old = msgspec.json.decode(older, type=dict[str, msgspec.Raw])
    for column, value in new.items():
        if bytes(value) in _PLACEHOLDERS and column in old:
            new[column] = old[column]
    return msgspec.json.encode(new)


def cut(change: Change, columns: Collection[str]) -> bytes:
    """Cut a change's row down to these columns and its key, beside _lsn, _known and _gone; without what did not come."""
    row = msgspec.json.decode(change.key if change.row is None else change.row, type=dict[str, msgspec.Raw])
    keys = msgspec.json.decode(change.key, type=dict[str, msgspec.Raw])
    state: dict[str, object] = {
        name: value
        for name, value in row.items()
        if (name in columns or name in keys) and bytes(value) not in _PLACEHOLDERS
    }
    return msgspec.json.encode(
        state | {"_lsn": change.position, "_known": change.committed_ms, "_gone": change.row is None}
    )


def find_drift(row: bytes, columns: Iterable[str]) -> list[str]:
    """Find the columns that a row lacks. Inside a JSON string a quote is always escaped, so looking for `"name":` is exact."""
    return [c for c in columns if b'"%s":' % c.encode() not in row]
