"""Have every raw value judged once, and keep the verdict in ferry.standardized, where mappings join it."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg.sql import SQL, Composable, Identifier

from shopferry.db import Connection
from shopferry.mapping import Standardize
from shopferry.quality.standardize import standardize

_BATCH = 2_000  # raw values judged between two inserts: who needs one of them waits for no more than these


def ensure(conn: Connection, wanted: Iterable[Standardize], relation: Composable | None = None) -> int:
    """Judge every raw value of the wanted columns that has no verdict yet; returns how many were new.

    `relation` is where to look instead of the whole mirror view: the temp table of changed rows, when replaying.
    """
    judged = 0
    for column in sorted(set(wanted), key=lambda w: (w.kind, w.table, w.expression)):
        source = relation or SQL("legacy.{}").format(Identifier(column.table))
        missing = SQL(
            "SELECT DISTINCT v.raw FROM (SELECT ({})::text AS raw FROM {}) v WHERE v.raw IS NOT NULL "
            "AND NOT EXISTS (SELECT FROM ferry.standardized s WHERE s.kind = %s AND s.raw = v.raw) ORDER BY v.raw"
        ).format(SQL(column.expression.replace("%", "%%")), source)
        raws = [row[0] for row in conn.execute(missing, (column.kind,)).fetchall()]
        for start in range(0, len(raws), _BATCH):
            _judge(conn, column.kind, raws[start : start + _BATCH])
        judged += len(raws)
    return judged


def _judge(conn: Connection, kind: str, raws: list[str]) -> None:
    verdicts = [standardize(kind, raw) for raw in raws]
    with conn.transaction():
        # One writer of verdicts at a time: two that meet in the middle of their lists would deadlock.
        conn.execute("SELECT pg_advisory_xact_lock(hashtext('ferry.standardized'))")
        conn.execute(
            "INSERT INTO ferry.standardized (kind, raw, value, problem) "
            "SELECT %s, r, v, p FROM unnest(%s::text[], %s::text[], %s::text[]) AS u (r, v, p) ON CONFLICT DO NOTHING",
            (kind, raws, [v.value for v in verdicts], [v.problem for v in verdicts]),
        )
