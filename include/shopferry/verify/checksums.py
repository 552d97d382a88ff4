"""Layer 1: mirror = legacy on the captured columns, by checksums per key range, then by rows, then once more.

Both servers hash the same text of the same columns under the same session settings, so that null and empty, scale,
padding and time zones neither hide nor invent a difference. What differs while the shop is open is looked at again
once the stream has passed it; a row counts as different only if it stands still and still differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from shopferry import db
from shopferry import keys as keys_
from shopferry.control.differences import Difference
from shopferry.db import Connection
from shopferry.engine import mirror
from shopferry.engine.mirror import MirrorTable
from shopferry.errors import TransientError
from shopferry.keys import key_range, key_ranges, key_text

RANGE = 10_000  # keys per checksum
STRETCH = 20  # ranges after which what differs is judged and booked: what a verification that dies has to do again
_ROUNDS = 20
_DRILL = 1_000  # rows whose columns are fetched at once
_HELD_S = 2  # seconds that a row may be locked in legacy: its writers wait
_SESSION = f"{db.TEXT_FORM}; SET max_parallel_workers_per_gather = 0"  # parallel sums were slower on two cores


@dataclass(frozen=True)
class Part:
    """A stretch of keys that is compared: rows, what differs, and its last key (None: the end)."""

    rows: int
    found: list[Difference]
    high: list[object] | None


def compare(
    source: Connection,
    target: Connection,
    table: MirrorTable,
    await_applied: Callable[[], object],
    after: Sequence[object] | None = None,
) -> Iterator[Part]:
    """Compare one table, from behind a key on. `await_applied` returns when the stream has caught up."""
    source.execute(_SESSION.encode())
    target.execute(_SESSION.encode())
    text = _compose_row_text(source, target, table)
    here, there = table.view, table.captured
    with ThreadPoolExecutor(1) as at_legacy:  # both servers work at the same time
        for stretch in _cut_stretches(source, table, after):
            compared, suspects = 0, set()
            for low, high in stretch:
                within = key_range(table.key, low, high)
                asked = at_legacy.submit(_read_sum, source, there, text, within)
                ours, theirs = _read_sum(target, here, text, within), asked.result()
                compared += theirs[0]
                if theirs != ours:
                    listed = at_legacy.submit(_read_hashes, source, there, table, text, within)
                    suspects |= _find_differing(_read_hashes(target, here, table, text, within), listed.result())
            standing = _find_standing(source, target, table, suspects, await_applied)
            yield Part(compared, list(_drill(source, target, table, standing)), stretch[-1][1])


def compare_keys(
    source: Connection, target: Connection, table: MirrorTable, keys: Iterable[str], await_applied: Callable[[], object]
) -> list[Difference]:
    """Compare these rows only, with their values."""
    source.execute(_SESSION.encode())
    target.execute(_SESSION.encode())
    return list(_drill(source, target, table, _find_standing(source, target, table, set(keys), await_applied)))


def _compose_row_text(source: Connection, target: Connection, table: MirrorTable) -> Composed:
    """A row as one text that both servers hash alike: they hash its bytes, which are others under another encoding."""
    text = SQL("ROW({})::text").format(mirror.select_values(table))
    if _find_encoding(source) != _find_encoding(target):
        text = SQL("encode(convert_to({}, 'UTF8'), 'hex')").format(text)
    return text


def _find_encoding(conn: Connection) -> str | None:
    return conn.info.parameter_status("server_encoding")


def match_keys(table: MirrorTable, keys: Iterable[str], *, in_source: bool) -> Composed:
    """The condition for rows with these keys, in legacy's table or in the mirror's, which the key's index can serve."""
    kinds = {c.name: c.legacy_type if in_source else c.type for c in table.columns}
    return keys_.match_keys(table.key, [kinds[name] for name in table.key], keys)


def _cut_stretches(
    source: Connection, table: MirrorTable, after: Sequence[object] | None
) -> Iterator[list[tuple[Sequence[object] | None, list[object] | None]]]:
    rest = SQL("(SELECT {} FROM {} WHERE {})").format(
        SQL(", ").join(map(Identifier, table.key)), table.captured, key_range(table.key, after, None)
    )
    ranges = [(low or after, high) for low, high in key_ranges(source, rest, table.key, RANGE)]
    for n in range(0, len(ranges), STRETCH):
        yield ranges[n : n + STRETCH]


def _find_standing(
    source: Connection, target: Connection, table: MirrorTable, suspects: set[str], await_applied: Callable[[], object]
) -> set[str]:
    """Find the keys that differ although the source's row stood still while the stream caught up."""
    text = _compose_row_text(source, target, table)
    here, there = table.view, table.captured
    standing: set[str] = set()
    for _ in range(_ROUNDS):
        if not suspects:
            return standing
        before = _read_hashes_of(source, there, table, text, suspects, in_source=True)
        await_applied()
        ours = _read_hashes_of(target, here, table, text, suspects, in_source=False)
        after = _read_hashes_of(source, there, table, text, suspects, in_source=True)
        moving = _find_differing(before, after)
        standing |= _find_differing(after, ours) - moving
        suspects = moving
    return standing | {key for key in suspects if _differs_while_held(source, target, table, text, key, await_applied)}


def _differs_while_held(
    source: Connection,
    target: Connection,
    table: MirrorTable,
    text: Composed,
    key: str,
    await_applied: Callable[[], object],
) -> bool:
    """Whether a row that never stands still differs: its writers wait while the stream brings what there is of it.

    Raises TransientError when the stream does not come that far before they are let go.
    """
    here, there = table.view, table.captured
    with db.open_another(source, "verify") as held:
        held.execute(f"{_SESSION}; SET idle_in_transaction_session_timeout = '{_HELD_S}s'".encode())
        try:
            with held.transaction():
                held.execute(
                    SQL("SELECT FROM {} WHERE {} FOR SHARE").format(there, match_keys(table, [key], in_source=True))
                )
                theirs = _read_hashes_of(held, there, table, text, {key}, in_source=True)
                await_applied()
                ours = _read_hashes_of(target, here, table, text, {key}, in_source=False)
        except (psycopg.OperationalError, psycopg.errors.IdleInTransactionSessionTimeout):
            raise TransientError(
                f"row {key} of {table.name} is written without a pause, and the stream needs more than {_HELD_S} s to come "
                "as far as legacy: verify again when it lags less"
            ) from None
    return theirs != ours


def _drill(source: Connection, target: Connection, table: MirrorTable, keys: set[str]) -> Iterator[Difference]:
    """List each column that differs; of a row that only one side has, the row."""
    listed = sorted(keys)
    for n in range(0, len(listed), _DRILL):
        theirs = _find_columns(source, table.captured, table, listed[n : n + _DRILL], in_source=True)
        ours = _find_columns(target, table.view, table, listed[n : n + _DRILL], in_source=False)
        for key in listed[n : n + _DRILL]:
            if key not in ours and key in theirs:
                yield Difference("mirror", table.name, key, "missing", aggregate=key)
            elif key in ours and key not in theirs:
                yield Difference("mirror", table.name, key, "extra", aggregate=key)
            elif key in ours:
                for name, expected, found in zip(table.names, theirs[key], ours[key], strict=True):
                    if expected != found:
                        yield Difference("mirror", table.name, key, "differs", name, key, expected, found)


def _find_columns(
    conn: Connection, relation: Identifier, table: MirrorTable, keys: Sequence[str], *, in_source: bool
) -> dict[str, list[str | None]]:
    texts = SQL(", ").join(SQL("{}::{}::text").format(Identifier(c.name), SQL(c.type)) for c in table.columns)
    rows = conn.execute(
        SQL("SELECT {}, ARRAY[{}] FROM {} WHERE {}").format(
            key_text(table.key), texts, relation, match_keys(table, keys, in_source=in_source)
        )
    ).fetchall()
    return dict(rows)


def _read_sum(conn: Connection, relation: Identifier, text: Composed, within: Composed) -> tuple[int, int]:
    row = conn.execute(
        SQL("SELECT count(*), coalesce(sum(hashtextextended({}, 0)), 0) FROM {} WHERE {}").format(
            text, relation, within
        )
    ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _read_hashes(
    conn: Connection, relation: Identifier, table: MirrorTable, text: Composed, within: Composed
) -> dict[str, int]:
    return dict(conn.execute(_select_hashes(relation, table, text, within)).fetchall())


def _read_hashes_of(
    conn: Connection, relation: Identifier, table: MirrorTable, text: Composed, keys: set[str], *, in_source: bool
) -> dict[str, int]:
    """The hashes of named keys."""
    return _read_hashes(conn, relation, table, text, match_keys(table, keys, in_source=in_source))


def _select_hashes(relation: Identifier, table: MirrorTable, text: Composed, within: Composed) -> Composed:
    return SQL("SELECT {}, hashtextextended({}, 0) FROM {} WHERE {}").format(
        key_text(table.key), text, relation, within
    )


def _find_differing(left: dict[str, int], right: dict[str, int]) -> set[str]:
    return {k for k in left.keys() | right.keys() if left.get(k) != right.get(k)}


def compare_hot(
    source: Connection,
    target: Connection,
    tables: Sequence[MirrorTable],
    since: str,
    suspects: Mapping[str, set[str]] | None = None,
) -> dict[str, set[str]]:
    """The keys, by table, whose mirror row was written by an event after position `since`, or are suspects, and differ from
    legacy; only tables that have some.

    Meant for the moment when legacy is locked: what differs then, differs. Writers wait, so all tables are asked for at once.
    """
    for conn in (source, target):
        conn.execute(_SESSION.encode())
    with target.pipeline():
        sent = [
            target.execute(
                SQL("SELECT {} FROM {} WHERE _lsn > {}::pg_lsn").format(key_text(t.key), t.base, Literal(since))
            )
            for t in tables
        ]
    hot = [
        (t, keys)
        for t, moved in zip(tables, sent, strict=True)
        if (keys := {key for (key,) in moved.fetchall()} | (suspects or {}).get(t.name, set()))
    ]
    asked = []
    for conn, is_source in ((source, True), (target, False)):
        with conn.pipeline():
            asked.append(
                [
                    conn.execute(
                        _select_hashes(
                            t.captured if is_source else t.view,
                            t,
                            _compose_row_text(source, target, t),
                            match_keys(t, keys, in_source=is_source),
                        )
                    )
                    for t, keys in hot
                ]
            )
    compared = zip(hot, *asked, strict=True)
    return {
        t.name: keys
        for (t, _), theirs, ours in compared
        if (keys := _find_differing(dict(theirs.fetchall()), dict(ours.fetchall())))
    }
