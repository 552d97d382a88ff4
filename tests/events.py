"""Change events without a broker: what legacy's own log says, in the words of the connector.

`Tap` reads a logical slot through pgoutput, the plugin and the publication that Debezium uses, and words each change as
Debezium's JSON. So commit order, log positions, rolled back transactions, columns that are not published, keys that
change and values that PostgreSQL does not log again are what they are in real life, and not what a test imagines.
`Log` is the broker: partitions by key, each a list that only grows.
"""

from __future__ import annotations

import json
import struct
import time
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from shopferry.cdc.envelope import Message
from shopferry.control.offsets import Partition
from shopferry.db import Connection

UNCHANGED = "__debezium_unavailable_value"
_NUMBERS = {20, 21, 23, 26, 700, 701}  # int8, int2, int4, oid, float4, float8
_EPOCH_MS = 946_684_800_000  # PostgreSQL counts from 2000
_BOOL, _BYTEA, _TIMESTAMP, _NUMERIC = 16, 17, 1114, 1700
# Years that there are none of, as the connector words them: docs/reference/hard-cases.md.
_ENDLESS = {"infinity": "+294247-01-10T04:00:25.2Z", "-infinity": "-290308-12-21T19:59:27.6Z"}


@dataclass(frozen=True)
class _Relation:
    schema: str
    table: str
    columns: list[tuple[str, int, bool]]  # name, type, part of the key


@dataclass
class _Reader:
    """A cursor over one pgoutput message."""

    data: bytes
    at: int = 0

    def take(self, shape: str) -> int:
        (value,) = struct.unpack_from(f">{shape}", self.data, self.at)
        self.at += struct.calcsize(f">{shape}")
        return int(value)

    def text(self) -> str:
        end = self.data.index(b"\0", self.at)
        found = self.data[self.at : end].decode()
        self.at = end + 1
        return found

    def letter(self) -> str:
        self.at += 1
        return chr(self.data[self.at - 1])

    def row(self, relation: _Relation) -> dict[str, object]:
        """A tuple as Debezium words it: an unlogged value becomes its placeholder."""
        found: dict[str, object] = {}
        self.take("H")
        for name, kind, _ in relation.columns:
            mark = self.letter()
            if mark == "n":
                found[name] = None
            elif mark == "u":
                found[name] = UNCHANGED.encode().hex() if kind == _BYTEA else UNCHANGED
            else:
                size = self.take("I")
                found[name] = _worded(kind, self.data[self.at : self.at + size].decode())
                self.at += size
        return found


def _worded(kind: int, text: str) -> object:
    if kind in _NUMBERS:
        return json.loads(text)
    if kind == _BOOL:
        return text == "t"
    if kind == _BYTEA:
        return text.removeprefix("\\x")
    if kind == _NUMERIC and text == "NaN":
        return "NAN"
    if kind == _TIMESTAMP:
        return _ENDLESS.get(text) or _moment(text)
    return text


def _moment(text: str) -> str:
    """A timestamp in ISO 8601, years outside 1 to 9999 with a sign."""
    year, rest = text.removesuffix(" BC").split("-", 1)
    if text.endswith(" BC"):
        year = f"-{int(year) - 1:04d}" if int(year) > 1 else "0000"
    elif len(year) > 4:
        year = f"+{year}"
    return f"{year}-{rest.replace(' ', 'T')}Z"


@dataclass
class Tap:
    """A logical slot on the legacy store; `read` yields what was committed since, as messages without offsets."""

    legacy: Connection
    publication: str
    slot: str
    prefix: str = "demo"
    _origin: str | None = None
    _xid: int = 0
    _committed_ms: int = 0
    _relations: dict[int, _Relation] = field(default_factory=dict)

    def open(self) -> Tap:
        """Create the slot; from now on nothing is missed."""
        self.legacy.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (self.slot,))
        return self

    def skip(self) -> None:
        """Let go of everything up to now."""
        self.read()

    def read(self) -> list[tuple[str, dict[str, object] | None, dict[str, object]]]:
        """(topic, key, envelope) of every change committed since the last call, in commit order."""
        # A place to begin from next time: without it each call decodes all of the cluster's log again.
        new = self.legacy.info.server_version >= 16_00_00
        self.legacy.execute(b"SELECT pg_log_standby_snapshot()" if new else b"CHECKPOINT")
        rows = self.legacy.execute(
            "SELECT lsn - '0/0'::pg_lsn, data FROM pg_logical_slot_get_binary_changes(%s, NULL, NULL, "
            "'proto_version', '1', 'publication_names', %s)",
            (self.slot, self.publication),
        ).fetchall()
        return [event for lsn, data in rows for event in self._events(int(lsn), bytes(data))]

    def _events(self, lsn: int, data: bytes) -> Iterator[tuple[str, dict[str, object] | None, dict[str, object]]]:
        reader = _Reader(data)
        kind = reader.letter()
        if kind == "B":
            reader.at += 8  # the commit's position
            self._committed_ms = _EPOCH_MS + reader.take("q") // 1000
            self._origin, self._xid = None, reader.take("I")
        elif kind == "O":
            reader.take("Q")
            self._origin = reader.text()
        elif kind == "R":
            number, schema, table = reader.take("I"), reader.text(), reader.text()
            reader.letter()
            columns = []
            for _ in range(reader.take("H")):
                in_key = bool(reader.take("B"))
                columns.append((reader.text(), reader.take("I"), in_key))
                reader.take("i")
            self._relations[number] = _Relation(schema, table, columns)
        elif kind == "I":
            relation = self._relations[reader.take("I")]
            reader.letter()
            yield self._event(relation, "c", lsn, reader.row(relation))
        elif kind == "U":
            relation = self._relations[reader.take("I")]
            old = reader.row(relation) if (mark := reader.letter()) in "KO" else None
            if mark != "N":
                reader.letter()
            new = reader.row(relation)
            if old is not None and _key(relation, old) != _key(relation, new):
                yield self._event(relation, "d", lsn, old)  # a key that changes is a row that goes and one that comes
                yield self._event(relation, "c", lsn, new)
            else:
                yield self._event(relation, "u", lsn, new)
        elif kind == "D":
            relation = self._relations[reader.take("I")]
            reader.letter()
            yield self._event(relation, "d", lsn, reader.row(relation))
        elif kind == "T":
            count, _ = reader.take("I"), reader.take("B")
            for relation in [self._relations[reader.take("I")] for _ in range(count)]:
                yield self._topic(relation), None, self._envelope(relation, "t", lsn, None)

    def _event(
        self, relation: _Relation, op: str, lsn: int, row: dict[str, object]
    ) -> tuple[str, dict[str, object], dict[str, object]]:
        return self._topic(relation), _key(relation, row), self._envelope(relation, op, lsn, None if op == "d" else row)

    def _envelope(self, relation: _Relation, op: str, lsn: int, after: dict[str, object] | None) -> dict[str, object]:
        return envelope(
            relation.schema, relation.table, op, lsn, after, self._origin, self._xid, committed_ms=self._committed_ms
        )

    def _topic(self, relation: _Relation) -> str:
        return f"{self.prefix}.{relation.schema}.{relation.table}"


def _key(relation: _Relation, row: dict[str, object]) -> dict[str, object]:
    return {name: row[name] for name, _, in_key in relation.columns if in_key}


def topic_of(table: str) -> str:
    """The topic of a captured table of the demo route."""
    return f"demo.public.{table}"


def envelope(
    schema: str,
    table: str,
    op: str,
    lsn: int | None,
    after: dict[str, object] | None,
    origin: str | None = None,
    xid: int = 7,
    committed_ms: int | None = None,
) -> dict[str, object]:
    """One event as the connector writes it: JSON without schemas, the parts that nobody reads among them."""
    now = int(time.time() * 1000)
    return {
        "before": None,
        "after": after,
        "source": {
            "version": "3.6.3.Final",
            "connector": "postgresql",
            "name": "demo",
            "ts_ms": now if committed_ms is None else committed_ms,
            "snapshot": "false",
            "db": "legacy",
            "sequence": '[null,"0"]',
            "schema": schema,
            "table": table,
            "txId": xid,
            "lsn": lsn,
            "xmin": None,
            "origin": origin,
            "origin_lsn": None if origin is None else 0,
        },
        "transaction": None,
        "op": op,
        "ts_ms": now,
    }


def message(
    topic: str, key: dict[str, object] | None, value: object, *, partition: int = 0, offset: int = 0
) -> Message:
    """A message as it comes from the broker; a `value` of bytes is taken as it is."""
    return Message(
        topic,
        partition,
        offset,
        None if key is None else json.dumps(key, separators=(",", ":")).encode(),
        value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(),
    )


@dataclass
class Log:
    """The broker of a test: messages per partition, in the order of their offsets."""

    width: int = 2  # partitions of a topic
    partitions: dict[Partition, list[Message]] = field(default_factory=lambda: defaultdict(list))
    order: list[Message] = field(default_factory=list)  # as they were produced, over all partitions

    def append(self, events: Iterable[tuple[str, dict[str, object] | None, dict[str, object]]]) -> int:
        """Produce events, each to the partition of its key; returns how many."""
        count = 0
        for topic, key, value in events:
            number = zlib.crc32(json.dumps(key).encode()) % self.width
            made = message(topic, key, value, partition=number, offset=len(self.partitions[topic, number]))
            self.partitions[topic, number].append(made)
            self.order.append(made)
            count += 1
        return count

    def ends(self) -> dict[Partition, int]:
        """The offset that each partition's next message will have."""
        return {p: len(held) for p, held in self.partitions.items()}

    def again(self, count: int) -> None:
        """Produce the last messages once more, as a connector does that died before it could note its position."""
        for old in self.order[-count:] if count else []:
            held = self.partitions[old.topic, old.partition]
            made = Message(old.topic, old.partition, len(held), old.key, old.value)
            held.append(made)
            self.order.append(made)
