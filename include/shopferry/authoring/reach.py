"""Read from legacy what belongs to some keys of a mapping: the rows that its joins, and those of what it needs, lead to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from shopferry.authoring.joins import Column, Ways
from shopferry.db import Connection
from shopferry.engine.mirror import MirrorTable
from shopferry.errors import ConfigError
from shopferry.rehearsal import sample
from shopferry.route.entities import Unit

LIST_AT_MOST = 1_000  # rows read of a table that no join leads to: a list of codes, most likely
_FETCH_AT_MOST = 20_000  # rows that one step brings
_ROUNDS = 20
_MANY = 100_000  # rows of a table from which a sample is drawn by blocks, not by sorting it

Row = tuple[str | None, ...]


@dataclass
class Reached:
    """The rows read so far: by table, then by primary key; values as the mirror's types print them."""

    tables: Mapping[str, MirrorTable]
    rows: dict[str, dict[Row, Row]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def values(self, column: Column) -> set[str]:
        """Return the values of a column in the rows that are there."""
        table, name = column
        if name not in self.tables[table].names:
            return set()
        at = self.tables[table].names.index(name)
        return {value for row in self.rows.get(table, {}).values() if (value := row[at]) is not None}

    def add(self, table: str, rows: Iterable[Row]) -> None:
        """Add rows of a table."""
        own = self.tables[table]
        at = [own.names.index(k) for k in own.key]
        self.rows.setdefault(table, {}).update({tuple(row[i] for i in at): row for row in rows})


def choose_keys(legacy: Connection, tables: Mapping[str, MirrorTable], key: Iterable[Column], count: int) -> list[str]:
    """Choose keys at random from the first column of a unit's key that has some, as text."""
    for table, column in sorted(key, key=lambda c: (tables[c[0]].key != (c[1],), c)):
        size = max(sample.estimate_sizes(legacy, {table: tables[table]})[table], 1)
        some: Composable = SQL("")
        if size > _MANY:
            some = SQL("TABLESAMPLE SYSTEM ({})").format(Literal(min(100.0, 100.0 * max(50 * count, 2_000) / size)))
        found = legacy.execute(
            SQL(
                "SELECT k::text FROM (SELECT DISTINCT {0} AS k FROM {1} {2} WHERE {0} IS NOT NULL) d ORDER BY random() LIMIT {3}"
            ).format(Identifier(column), tables[table].captured, some, Literal(count))
        ).fetchall()
        if found:
            return [k for (k,) in found]
    return []


def read(
    legacy: Connection,
    ways: Ways,
    units: tuple[Unit, ...],
    tables: Mapping[str, MirrorTable],
    keys: Sequence[str],
    plan: sample.Plan | None,
) -> Reached:
    """Read what belongs to these keys of the last unit, to be called in a repeatable-read transaction.

    Raises ConfigError for a key that is none of its column's type.
    """
    reached = Reached(tables)
    edges = ways.find_edges(units)
    for table, column in ways.find_key(units[-1]):
        reached.add(table, _fetch(legacy, reached, (table, column), keys, given=True))
    _follow(legacy, reached, edges)
    if plan and (kin := _find_kin(legacy, reached, plan)):
        table, column, found = kin
        reached.add(table, _fetch(legacy, reached, (table, column), found))
        _follow(legacy, reached, edges)
    led_to = {to[0] for _, to in edges} | {table for table, _ in ways.find_key(units[-1])}
    for table in sorted({t for u in units for t in u.tables} - led_to):
        own = tables[table]
        rows = legacy.execute(
            SQL("SELECT {} FROM {} LIMIT {}").format(_list_values(own), own.captured, Literal(LIST_AT_MOST))
        ).fetchall()
        reached.add(table, rows)
        if len(rows) == LIST_AT_MOST:
            reached.notes.append(f"no join leads to legacy.{table}: only {LIST_AT_MOST:,} of its rows were read")
    return reached


def _list_values(table: MirrorTable) -> Composed:
    return SQL(", ").join(SQL("{}::{}::text").format(Identifier(c.name), SQL(c.type)) for c in table.columns)


def _fetch(
    legacy: Connection, reached: Reached, column: Column, values: Iterable[str], *, given: bool = False
) -> list[Row]:
    """Fetch the rows whose column has one of these values; `given` are those that a person has typed."""
    own = reached.tables[column[0]]
    kind = next((c.legacy_type for c in own.columns if c.name == column[1]), None)
    if kind is None:
        return []
    wanted = sorted(values)
    casts = [SQL("{} = ANY(%s::text[]::{}[])").format(Identifier(column[1]), SQL(kind))]
    if not given:  # a join of two types: what is no value of the other has no row there
        casts.append(SQL("{}::text = ANY(%s::text[])").format(Identifier(column[1])))
    for condition in casts:
        try:
            with legacy.transaction():
                rows = legacy.execute(
                    SQL("SELECT {} FROM {} WHERE {} LIMIT {}").format(
                        _list_values(own), own.captured, condition, Literal(_FETCH_AT_MOST)
                    ),
                    (wanted,),
                ).fetchall()
        except (psycopg.DataError, psycopg.errors.UndefinedFunction):
            if given:
                raise ConfigError(
                    f"--keys: one of them is no {kind}, which legacy's {'.'.join(column)} is; they are keys as legacy has them"
                ) from None
            continue
        if len(rows) == _FETCH_AT_MOST:
            reached.notes.append(f"legacy.{column[0]} by {column[1]}: only {_FETCH_AT_MOST:,} rows were read")
        return rows
    return []


def _follow(legacy: Connection, reached: Reached, edges: set[tuple[Column, Column]]) -> None:
    """Follow all edges until they lead to nothing new."""
    asked: dict[Column, set[str]] = {}
    for _ in range(_ROUNDS):
        moved = False
        for of, to in sorted(edges):
            if of[0] not in reached.tables or to[0] not in reached.tables:
                continue
            new = reached.values(of) - asked.setdefault(to, set())
            if new:
                asked[to] |= new
                reached.add(to[0], _fetch(legacy, reached, to, new))
                moved = True
        if not moved:
            return


def _find_kin(legacy: Connection, reached: Reached, plan: sample.Plan) -> tuple[str, str, list[str]] | None:
    """Find who belongs to the customers that were reached, as the route's sample.sql says it: (table, column, keys)."""
    everybody = plan.queries["everybody"]
    match = re.search(r"SELECT\s+(?:\w+\.)?(\w+)\s+FROM\s+(?:public\.)?(\w+)", everybody, re.IGNORECASE)
    if "kin" not in plan.queries or not match or match[2] not in reached.rows:
        return None
    column, table = match[1], match[2]
    ids = reached.values((table, column))
    try:
        with legacy.transaction():
            sample.make_chosen(legacy, plan)
            legacy.execute(
                SQL("INSERT INTO pg_temp.chosen SELECT {0} FROM {1} WHERE {0}::text = ANY(%s)").format(
                    Identifier(column), reached.tables[table].captured
                ),
                (sorted(ids),),
            )
            found = legacy.execute(
                SQL("SELECT DISTINCT id::text FROM ({}) k").format(SQL(plan.queries["kin"]))
            ).fetchall()
    except ConfigError:
        reached.notes.append("sample.sql's `kin` was not asked: the role may not make temporary tables in legacy")
        return None
    return table, column, [k for (k,) in found]
