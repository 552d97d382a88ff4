"""Accounting: every legacy row is in the shop, in quarantine with a reason, or left out by a named rule."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.sql import SQL, Composed, Identifier, Literal

from shopferry.db import Connection
from shopferry.engine.references import STILL_REFERENCED
from shopferry.engine.statements import counted_key
from shopferry.engine.writes import target_of
from shopferry.route.entities import Counts, EntityMapping
from shopferry.route.route import Route


@dataclass(frozen=True)
class Account:
    """One legacy table's rows by what became of them; `unaccounted` is what should not be."""

    table: str
    legacy_rows: int
    migrated: int
    quarantined: int
    left_out: dict[str, int]
    unaccounted: int


def list_counting(route: Route, phase: str) -> list[EntityMapping]:
    """List the phase's mappings that count legacy rows: each has an account."""
    return [unit for unit in route.of(phase) if isinstance(unit, EntityMapping) and unit.counts is not None]


def account(target: Connection, mapping: EntityMapping) -> Account:
    """Account for the legacy table that a mapping counts, by what really stands in the shop."""
    assert mapping.counts
    rows = target.execute(
        SQL(
            """SELECT CASE WHEN t.found AND q.row_key IS NULL AND l.row_key IS NULL THEN 'migrated'
                           WHEN (t.found IS NULL OR q.reasons @> {still}) AND q.row_key IS NOT NULL AND l.row_key IS NULL
                           THEN 'quarantined'
                           WHEN t.found IS NULL AND q.row_key IS NULL AND l.row_key IS NOT NULL THEN 'left_out'
                           ELSE 'unaccounted' END AS outcome, l.reason, count(*)
               FROM {table} m
               {found}
               LEFT JOIN ferry.quarantine q ON q.entity = {entity} AND q.row_key = m.{column}::text
               LEFT JOIN ferry.left_out l ON l.entity = {entity} AND l.row_key = m.{column}::text
               GROUP BY 1, 2"""
        ).format(
            table=Identifier(mapping.schema, mapping.counts.table),
            found=_find(mapping, mapping.counts),
            entity=Literal(mapping.entity),
            still=Literal([STILL_REFERENCED]),
            column=Identifier(mapping.counts.column),
        )
    ).fetchall()

    def total(outcome: str) -> int:
        return sum(int(n) for what, _, n in rows if what == outcome)

    left_out = {reason: int(n) for what, reason, n in rows if what == "left_out"}
    return Account(
        mapping.counts.table,
        sum(int(n) for _, _, n in rows),
        total("migrated"),
        total("quarantined"),
        dict(sorted(left_out.items())),
        total("unaccounted"),
    )


def _find(mapping: EntityMapping, counts: Counts) -> Composed:
    """Compose the join of legacy's rows `m` with the rows of the target that account for them.

    A column is looked up row by row, for it may have an index; an expression is computed once for each row.
    """
    column = SQL("m.{}").format(Identifier(counts.column))
    if counts.expression.isidentifier():
        select = SQL("LEFT JOIN LATERAL (SELECT true AS found FROM {} t WHERE {} = {}) t ON true")
        return select.format(target_of(mapping), counted_key(counts, "t"), column)
    return SQL("LEFT JOIN (SELECT {} AS key, true AS found FROM {} t) t ON t.key = {}").format(
        counted_key(counts, "t"), target_of(mapping), column
    )
