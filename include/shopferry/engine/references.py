"""Rows that should leave the target while another row still references them: they stay, and wait in quarantine.

A foreign key that is checked at commit tells neither which row it is about nor whether the children go later in the same
transaction. So a merge runs to its end first; what then is missed was noted as it stood before, and the merge runs once more
without these keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from shopferry.db import Connection
from shopferry.engine import constraints
from shopferry.engine.writes import target_of
from shopferry.route.entities import EntityMapping
from shopferry.route.route import Route

_T = TypeVar("_T")
STILL_REFERENCED = (
    "still_referenced"  # the reason of a row that should leave the target, and stands there for others' sake
)
STATE = "23503"
_STATES = frozenset({STATE, "23001"})  # since PostgreSQL 18 ON DELETE RESTRICT has a state of its own
# The foreign keys over a table that let none of its rows go before those that reference it.
_REFERENCES = """
SELECT c.conname, c.condeferrable, n.nspname, t.relname,
       (SELECT array_agg(a.attname ORDER BY k.n) FROM unnest(c.conkey) WITH ORDINALITY k (attnum, n)
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum),
       (SELECT array_agg(a.attname ORDER BY k.n) FROM unnest(c.confkey) WITH ORDINALITY k (attnum, n)
        JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.attnum)
FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE c.contype = 'f' AND c.confdeltype IN ('a', 'r') AND c.conparentid = 0 AND c.confrelid = to_regclass(%s)
ORDER BY n.nspname, t.relname, c.conname
"""
# Which tables the rows of a table reference, and whether it has triggers. Those whose names begin with shopferry_ do nothing when
# we write.
_PARENTS = """
SELECT DISTINCT n.nspname || '.' || t.relname
FROM pg_constraint c JOIN pg_class t ON t.oid = c.confrelid JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE c.contype = 'f' AND c.conrelid = to_regclass(%s)
"""
_TRIGGERED = """
SELECT e FROM unnest(%s::text[]) e
WHERE EXISTS (SELECT FROM pg_trigger WHERE tgrelid = to_regclass(e) AND NOT tgisinternal AND tgname NOT LIKE 'shopferry\\_%%')
"""


@dataclass(frozen=True)
class Reference:
    """A foreign key over an entity: `table` by its `columns` references the entity's `referenced` ones."""

    constraint: str
    waits: bool  # for the end of the transaction
    table: Identifier
    entity: str
    columns: tuple[str, ...]
    referenced: tuple[str, ...]

    def compose_match(self, child: str, parent: str) -> Composed:
        """Compose the condition that a row of the table references a row of the entity."""
        return SQL(" AND ").join(
            SQL("{} = {}").format(Identifier(child, c), Identifier(parent, r))
            for c, r in zip(self.columns, self.referenced, strict=True)
        )


@dataclass
class Stays:
    """Which keys a merge leaves as they stand: by unit, each with the foreign key that holds it.

    With `noting` a merge notes how its rows stood before, so that `let_stay` can tell which of those that left are missed.
    """

    noting: bool = False
    noted: set[str] = field(default_factory=set)  # units whose rows were noted
    keys: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, unit: str, missed: dict[str, str]) -> bool:
        """Add keys of a unit; returns whether one of them is new."""
        held = self.keys.setdefault(unit, {})
        new = missed.keys() - held.keys()
        held.update(missed)
        return bool(new)


class _MissedError(Exception):
    """Rows that left are missed: the merge is to be undone, and run again without them."""


def let_stay(
    conn: Connection, run: Callable[[Stays], _T], units: Sequence[tuple[EntityMapping, Sequence[Reference]]]
) -> _T:
    """Run a merge of these units, and again without the rows that left and are missed, until none is.

    Raises what the database refuses at the end for any other reason.
    """
    stays = Stays()
    while True:
        try:
            with conn.transaction():
                done = run(stays)
                if stays.noting and _find_all_missed(conn, stays, units):
                    raise _MissedError
                constraints.check_deferred(conn)
            return done
        except _MissedError:
            continue
        except psycopg.Error as error:
            if stays.noting or not is_held(error):
                raise
            stays.noting = True


def _find_all_missed(
    conn: Connection, stays: Stays, units: Sequence[tuple[EntityMapping, Sequence[Reference]]]
) -> bool:
    """Find the rows of all units that left and are missed, and add them to those that stay; returns whether one is new."""
    found = False
    for unit, references in units:
        if unit.name in stays.noted:
            found |= stays.add(unit.name, _find_missed(conn, unit, references))
    stays.noted.clear()
    return found


def find_references(conn: Connection, entity: str) -> tuple[Reference, ...]:
    """Find the foreign keys that hold rows of an entity."""
    return tuple(
        Reference(name, waits, Identifier(schema, table), f"{schema}.{table}", tuple(columns), tuple(referenced))
        for name, waits, schema, table, columns, referenced in conn.execute(_REFERENCES, (entity,)).fetchall()
    )


def find_parents(conn: Connection, entity: str) -> set[str]:
    """Find the tables whose rows an entity's rows reference."""
    return {name for (name,) in conn.execute(_PARENTS, (entity,)).fetchall()}


def find_triggered(conn: Connection, entities: Sequence[str]) -> set[str]:
    """Find those of these tables that have a trigger of the target's own."""
    return {name for (name,) in conn.execute(_TRIGGERED, (list(entities),)).fetchall()}


def is_held(error: psycopg.Error, entity: str | None = None) -> bool:
    """Whether the database refused that a row goes (of this entity) since another table's row references it."""
    if error.sqlstate not in _STATES:
        return False
    return entity is None or f"{error.diag.schema_name}.{error.diag.table_name}" != entity


def _name_stood(unit: EntityMapping) -> Identifier:
    """Return the temp table of a unit's rows as they stood before a merge that notes them."""
    return Identifier("pg_temp", f"stood_{unit.slug}")


def note_stood(conn: Connection, unit: EntityMapping, affected: Identifier) -> None:
    """Note the rows of the affected keys as they stand; the table goes with the caller's transaction."""
    conn.execute(
        SQL(
            "CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT a.key::text AS stood_key, t AS stood "
            "FROM {} t JOIN {} a ON t.{} = a.key"
        ).format(Identifier(f"stood_{unit.slug}"), target_of(unit), affected, Identifier(unit.scope))
    )


def _find_missed(conn: Connection, unit: EntityMapping, references: Sequence[Reference]) -> dict[str, str]:
    """Find the keys of noted rows that are gone and still referenced, each with the foreign key; forgets what was noted."""
    missed: dict[str, str] = {}
    for reference in references:
        rows = conn.execute(
            SQL(
                "SELECT DISTINCT s.stood_key FROM (SELECT stood_key, (stood).* FROM {stood}) s "
                "WHERE EXISTS (SELECT FROM {child} c WHERE {match}) AND NOT EXISTS (SELECT FROM {target} t WHERE {same})"
            ).format(
                stood=_name_stood(unit),
                child=reference.table,
                match=reference.compose_match("c", "s"),
                target=target_of(unit),
                same=SQL(" AND ").join(SQL("t.{0} = s.{0}").format(Identifier(r)) for r in reference.referenced),
            )
        ).fetchall()
        missed |= {key: reference.constraint for (key,) in rows}
    conn.execute(SQL("DROP TABLE {}").format(_name_stood(unit)))
    return missed


def compose_free(unit: EntityMapping, key_type: str, references: Sequence[Reference], route: Route) -> Composed | None:
    """Compose a SELECT of the keys that wait as still referenced and may go now; None where no foreign key holds any.

    Of a key with several rows it is enough that one is free: whether that one should go, the merge says. Rows of the route's
    own tables may go with it, so they hold it only while they wait themselves, or where the foreign key waits for nothing. On
    the way back a row that may not be written stays as it is, so there any row in quarantine holds it.
    """
    if not references:
        return None
    holding = []
    for r in references:
        child = next((u for u in route.mappings if u.entity == r.entity and r.waits), None)
        waits: Composable = SQL("")
        if child:
            waits = SQL("JOIN ferry.quarantine w ON w.entity = {} AND w.key = c.{}::text AND w.reasons @> {} ").format(
                Literal(child.entity), Identifier(child.scope), Literal([] if unit.reverse else [STILL_REFERENCED])
            )
        holding.append(
            SQL("NOT EXISTS (SELECT FROM {} c {}WHERE {})").format(r.table, waits, r.compose_match("c", "t"))
        )
    return SQL(
        "SELECT DISTINCT q.key FROM ferry.quarantine q LEFT JOIN {target} t ON t.{scope} = q.key::{type} "
        "WHERE q.entity = {entity} AND q.reasons @> '{{still_referenced}}' AND (t.{scope} IS NULL OR ({free}))"
    ).format(
        target=target_of(unit),
        scope=Identifier(unit.scope),
        type=SQL(key_type),
        entity=Literal(unit.entity),
        free=SQL(" AND ").join(holding),
    )
