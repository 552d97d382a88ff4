"""Layer 1: mirror = legacy on the captured columns, by checksums per key range, then by rows, then once more.

Both servers hash the same text of the same columns under the same session settings, so that null and empty, scale,
padding and time zones neither hide nor invent a difference. What differs while the shop is open is looked at again
once the stream has passed it; a row counts as different only if it stands still and still differs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from psycopg.sql import SQL, Composed, Identifier, Literal

from shopferry import mirror
from shopferry.db import Connection
from shopferry.mirror import MirrorTable

RANGE = 10_000  # keys per checksum
_ROUNDS = 20
_SESSION = (
    "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; "
    "SET bytea_output = 'hex'; SET extra_float_digits = 1; SET max_parallel_workers_per_gather = 0"
)


@dataclass(frozen=True)
class Difference:
    """One key that is not the same on both sides: `kind` is missing, extra or differs."""

    target: str
    key: str
    kind: str


def compare(
    legacy: Connection, shop: Connection, table: MirrorTable, await_applied: Callable[[], object]
) -> tuple[int, list[Difference]]:
    """Compare one table; returns (rows compared, differences). `await_applied` returns when the stream has caught up."""
    legacy.execute(_SESSION)
    shop.execute(_SESSION)
    text = SQL("ROW({})::text").format(mirror.values(table))
    here, there = Identifier("legacy", table.name), Identifier("public", table.name)
    compared, suspects = 0, set()
    for low, high in mirror.ranges(legacy, there, table.key, RANGE):
        within = mirror.key_range(table.key, low, high)
        theirs, ours = _sum(legacy, there, text, within), _sum(shop, here, text, within)
        compared += theirs[0]
        if theirs != ours:
            suspects |= _differing(_rows(legacy, there, table, text, within), _rows(shop, here, table, text, within))
    for _ in range(_ROUNDS):
        if not suspects:
            break
        before = _rows_of(legacy, there, table, text, suspects)
        await_applied()
        ours_now = _rows_of(shop, here, table, text, suspects)
        after = _rows_of(legacy, there, table, text, suspects)
        moving = _differing(before, after)
        standing = _differing(after, ours_now) - moving
        if standing and not moving:
            return compared, [_difference(table, key, after, ours_now) for key in sorted(standing)]
        suspects = standing | moving
    return compared, [Difference(table.name, key, "differs") for key in sorted(suspects)]


def _sum(conn: Connection, relation: Identifier, text: Composed, within: Composed) -> tuple[int, int]:
    row = conn.execute(
        SQL("SELECT count(*), coalesce(sum(hashtextextended({}, 0)), 0) FROM {} WHERE {}").format(text, relation, within)
    ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def _rows(
    conn: Connection, relation: Identifier, table: MirrorTable, text: Composed, within: Composed
) -> dict[str, int]:
    rows = conn.execute(
        SQL("SELECT {}, hashtextextended({}, 0) FROM {} WHERE {}").format(_key_text(table), text, relation, within)
    ).fetchall()
    return dict(rows)


def _rows_of(
    conn: Connection, relation: Identifier, table: MirrorTable, text: Composed, keys: set[str]
) -> dict[str, int]:
    """The hashes of named keys; a single-column key is looked up by its index."""
    if len(table.key) == 1:
        kind = next(c.type for c in table.columns if c.name == table.key[0])
        within = SQL("{} = ANY({}::{}[])").format(Identifier(table.key[0]), Literal(sorted(keys)), SQL(kind))
    else:
        within = SQL("{} = ANY({})").format(_key_text(table), Literal(sorted(keys)))
    return _rows(conn, relation, table, text, within)


def _key_text(table: MirrorTable) -> Composed:
    return SQL("concat_ws('/', {})").format(SQL(", ").join(SQL("{}::text").format(Identifier(k)) for k in table.key))


def _differing(left: dict[str, int], right: dict[str, int]) -> set[str]:
    return {k for k in left.keys() | right.keys() if left.get(k) != right.get(k)}


def _difference(table: MirrorTable, key: str, legacy: dict[str, int], ours: dict[str, int]) -> Difference:
    kind = "missing" if key not in ours else "extra" if key not in legacy else "differs"
    return Difference(table.name, key, kind)


def compare_hot(legacy: Connection, shop: Connection, table: MirrorTable, since: str) -> set[str]:
    """The keys whose mirror row was written by an event after position `since` and differs from legacy.

    Meant for the moment when legacy is locked: whatever differs then, differs.
    """
    legacy.execute(_SESSION)
    shop.execute(_SESSION)
    text = SQL("ROW({})::text").format(mirror.values(table))
    hot = shop.execute(
        SQL("SELECT {} FROM {} WHERE _lsn > {}::pg_lsn").format(_key_text(table), table.base, Literal(since))
    ).fetchall()
    keys = {r[0] for r in hot}
    if not keys:
        return set()
    return _differing(
        _rows_of(legacy, Identifier("public", table.name), table, text, keys),
        _rows_of(shop, Identifier("legacy", table.name), table, text, keys),
    )
