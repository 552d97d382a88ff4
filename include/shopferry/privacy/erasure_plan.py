"""What an erasure does with each table of a store: the data map says it column by column, here it becomes statements.

A row goes when the map says `delete` of one of its columns; otherwise each column gets nothing or its constant, and what the
map says to keep stays, with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any

from psycopg.sql import SQL, Composed, Identifier, Literal

from shopferry.control.erasures import Erased
from shopferry.db import Connection
from shopferry.errors import MappingError
from shopferry.route.personal import Category, DataMap, Line

_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, NULL) IN ('text', 'character varying', 'character'), a.attnotnull,
       format_type(a.atttypid, NULL),
       coalesce(array_position(i.indkey::int2[], a.attnum), -1)
FROM pg_attribute a
LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_REFERENCES = """
SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint
WHERE contype = 'f' AND conrelid <> confrelid AND conrelid = ANY(%(tables)s::regclass[])
  AND confrelid = ANY(%(tables)s::regclass[])
"""


@dataclass(frozen=True)
class Kept:
    """A column that an erasure leaves, and why and for how long."""

    column: str
    why: str
    keep: str


@dataclass(frozen=True)
class TableErasure:
    """What becomes of one table's rows: they go, or their columns are cleared; `relation` is the ledger's name of it."""

    relation: str
    table: tuple[str, str]  # schema, name
    key: tuple[str, ...]
    texts: tuple[str, ...]  # columns of texts, the key aside
    contacts: tuple[str, ...]  # columns of e-mails, numbers and the like
    deletes: bool
    clears: Mapping[str, str | None]
    kept: tuple[Kept, ...]
    leaves: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of columns of JSON the paths that stay

    @property
    def name(self) -> Identifier:
        """The table as an identifier."""
        return Identifier(*self.table)

    @property
    def theirs(self) -> Identifier:
        """The temp table of a person's keys in it; see `person.stage`."""
        return Identifier(f"their_{self.table[1]}")

    @property
    def matches(self) -> Composed:
        """The condition that joins a row `t` to a person's key `p`."""
        return SQL(" AND ").join(SQL("t.{0} = p.{0}").format(Identifier(k)) for k in self.key)

    @property
    def statement(self) -> Composed | None:
        """The statement that erases those of a person's rows that are not erased yet; None where nothing is erased."""
        if self.deletes:
            return SQL("DELETE FROM {} t USING {} p WHERE {}").format(self.name, self.theirs, self.matches)
        if not self.clears and not self.leaves:
            return None
        assign = SQL(", ").join(SQL("{} = {}").format(Identifier(c), v) for c, v in self._compose_values())
        return SQL("UPDATE {} t SET {} FROM {} p WHERE {} AND {}").format(
            self.name, assign, self.theirs, self.matches, self.is_open
        )

    @property
    def is_open(self) -> Composed:
        """The condition that a row `t` of theirs is not erased yet."""
        if self.deletes:
            return Composed([SQL("true")])
        differ = [
            SQL("{}::text IS DISTINCT FROM ({})::text").format(Identifier("t", c), v) for c, v in self._compose_values()
        ]
        return SQL("({})").format(SQL(" OR ").join([SQL("false"), *differ]))

    def _compose_values(self) -> list[tuple[str, Composed]]:
        """Compose what is put into each column that is cleared."""
        values = [(c, SQL("{}").format(Literal(v))) for c, v in self.clears.items()]
        return values + [(c, _compose_left(c, paths)) for c, paths in self.leaves.items()]

    def is_of_another(self, noted: Erased) -> bool:
        """Tell whether the ledger notes a row as somebody else's: it loses the value that was theirs once, and stays."""
        return noted.clears is not None and (self.deletes or noted.clears.keys() < {*self.clears, *self.leaves})

    def clear(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return by column what an erasure leaves in this row; None where the row goes."""
        if self.deletes:
            return None
        left = {c: None if row[c] is None else _pick(row[c], _nest(paths)) for c, paths in self.leaves.items()}
        return {**self.clears, **left}


def _compose_left(column: str, paths: Sequence[str]) -> Composed:
    """Compose the JSON value of a column of `t` that has these paths alone."""
    value, left = Identifier("t", column), _nest(paths)
    return SQL("CASE WHEN {} IS NOT NULL THEN jsonb_strip_nulls({}) END").format(
        value, _compose_object(value, left, ())
    )


def _compose_object(value: Identifier, left: Mapping[str, Any], at: tuple[str, ...]) -> Composed:
    parts = [
        SQL("{}, {}").format(
            Literal(name),
            _compose_object(value, below, (*at, name))
            if below
            else SQL("{} #> {}").format(value, Literal([*at, name])),
        )
        for name, below in left.items()
    ]
    return SQL("jsonb_build_object({})").format(SQL(", ").join(parts))


def _pick(value: Any, left: Mapping[str, Any]) -> dict[str, Any]:
    """Pick the same of a value."""
    held = value if isinstance(value, dict) else {}
    found = {name: _pick(held.get(name), below) if below else held.get(name) for name, below in left.items()}
    return {name: part for name, part in found.items() if part is not None}


def _nest(paths: Sequence[str]) -> dict[str, Any]:
    """Make one object of the names in paths, each with those below it."""
    tree: dict[str, Any] = {}
    for path in paths:
        within = tree
        for name in path.split("."):
            within = within.setdefault(name, {})
    return tree


def draw(conn: Connection, data_map: DataMap, store: str, schema: str, tables: Sequence[str]) -> list[TableErasure]:
    """Draw the plan of one store's tables, in the order in which their statements run.

    Raises MappingError with file and line where the map is silent, or wants emptied what must hold a value.
    """
    # The data map calls legacy's tables by the mirror's name.
    named = "legacy" if store == "legacy" else schema
    plans = {table: _plan_table(conn, data_map, store, named, (schema, table)) for table in tables}
    cleared = [p for p in plans.values() if not p.deletes]
    return cleared + [plans[t] for t in _order(conn, schema, [t for t, p in plans.items() if p.deletes])]


def _plan_table(conn: Connection, data_map: DataMap, store: str, named: str, table: tuple[str, str]) -> TableErasure:
    rows = conn.execute(_COLUMNS, (".".join(f'"{part}"' for part in table),)).fetchall()
    if not rows:
        raise MappingError(f"person.sql: there is no table {'.'.join(table)}")
    key = tuple(name for name, *_ in sorted((r for r in rows if r[4] >= 0), key=lambda r: r[4]))
    lines = {
        name: line for name, *_ in rows if (line := data_map.find(named, table[1], name)) and line.people == "customers"
    }
    clears: dict[str, str | None] = {}
    leaves: dict[str, tuple[str, ...]] = {}
    for name, _, required, kind, _ in rows:
        line = lines.get(name)
        if line and line.erase in {"null", "constant"}:
            clears[name] = None if line.erase == "null" else line.constant
            if required and line.erase == "null":
                raise MappingError(
                    f"{line.where}: {line.written} must hold a value: say `erase constant VALUE` or delete"
                )
        if line and line.erase == "all":
            leaves[name] = line.but
            if kind != "jsonb":
                raise MappingError(f"{line.where}: {line.written} is {kind}: `erase all but` is for jsonb")
    return TableErasure(
        f"{store}.{table[1]}",
        table,
        key,
        tuple(name for name, text, *_ in rows if text and name not in key),
        tuple(name for name, text, *_ in rows if text and _is_contact(lines.get(name))),
        any(line.erase == "delete" for line in lines.values()),
        clears,
        tuple(
            Kept(name, line.kept_why, line.keep)
            for name, line in lines.items()
            if line.erase == "keep" and _tells(line)
        ),
        leaves,
    )


def _is_contact(line: Line | None) -> bool:
    return line is not None and line.category is Category.CONTACT


def _tells(line: Line) -> bool:
    """Tell whether what is kept names a person, and must stand on the certificate."""
    return line.category in {Category.IDENTITY, Category.CONTACT, Category.ADDRESS, Category.FREE_TEXT}


def _order(conn: Connection, schema: str, tables: Sequence[str]) -> list[str]:
    """Order tables so that what refers to another goes before it."""
    names = {str(r[0]): t for t in tables for r in conn.execute("SELECT %s::regclass::text", (f'"{schema}"."{t}"',))}
    sorter: TopologicalSorter[str] = TopologicalSorter({t: set() for t in tables})
    for child, parent in conn.execute(_REFERENCES, {"tables": list(names)}).fetchall():
        sorter.add(names[parent], names[child])
    return list(sorter.static_order())
