"""The last look before a turn: the rows that changed last are compared once more, most of them before any writer waits.

While writers go on, all rows that changed lately are compared, and then those that changed meanwhile. Once nothing moves,
only those that changed since, and those that differed then, are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from shopferry.cdc.proof import await_applied
from shopferry.control.offsets import Partition
from shopferry.cutover import overflow
from shopferry.db import Connection
from shopferry.engine import mirror
from shopferry.engine.mirror import MirrorTable
from shopferry.engine.pair import Stores
from shopferry.verify import checksums

_HOT = 16 << 20  # bytes of the log: about a minute's worth of writes


@dataclass(frozen=True)
class Look:
    """What a look has found: mirror rows that events up to `lsn` wrote are equal to the source's, but for the `suspects`.

    Events up to `lsn` were all applied, whenever their transactions had begun. Suspects, by table, may be under way still:
    they count as wrong only once nothing moves.
    """

    tables: Sequence[MirrorTable]
    lsn: str
    suspects: Mapping[str, set[str]] = field(default_factory=dict)


def look_ahead(
    s: Stores, ends: Callable[[], Mapping[Partition, int]], timeout_s: float, before: Look | None = None
) -> Look:
    """Compare the rows that changed last, or since the look `before`, while writers go on.

    Raises TransientError when the stream does not catch up in time.
    """
    since = before.lsn if before else _hot_since(s.source)
    tables = before.tables if before else list(mirror.load(s.target).values())
    # An event has the position of its change, not of its commit: a transaction that is open now comes later, with positions
    # older than the one that is applied by then. Nothing that comes after this proof is older than the horizon.
    horizon = overflow.read_horizon(s.source, s.route)
    await_applied(s, ends, timeout_s)
    suspects = checksums.compare_hot(s.source, s.target, tables, since, before.suspects if before else None)
    return Look(tables, horizon, suspects)


def find_differing(s: Stores, ahead: Look) -> dict[str, set[str]]:
    """Find the keys that differ, by table, among the rows that changed since the look and its suspects."""
    return checksums.compare_hot(s.source, s.target, ahead.tables, ahead.lsn, ahead.suspects)


def _hot_since(legacy: Connection) -> str:
    """A log position so far back that rows changed since then count as hot."""
    row = legacy.execute("SELECT (pg_current_wal_lsn() - %s::numeric)::text", (_HOT,)).fetchone()
    return str(row[0]) if row else "0/0"
