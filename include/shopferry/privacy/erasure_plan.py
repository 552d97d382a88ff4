"""What an erasure does with each table of a store: the data map says it column by column, here it becomes statements.

A row goes when the map says `delete` of one of its columns; otherwise each column gets nothing or its constant, and what the
map says to keep stays, with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

from psycopg.sql import SQL, Composed, Identifier, Literal

from shopferry.db import Connection
from shopferry.errors import MappingError
from shopferry.route.personal import Category, DataMap, Line

_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, NULL) IN ('text', 'character varying', 'character'), a.attnotnull,
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
        """The statement that erases a person's rows; None where nothing is erased."""
        if self.deletes:
            return SQL("DELETE FROM {} t USING {} p WHERE {}").format(self.name, self.theirs, self.matches)
        if not self.clears:
            return None
        assign = SQL(", ").join(SQL("{} = {}").format(Identifier(c), Literal(v)) for c, v in self.clears.items())
        return SQL("UPDATE {} t SET {} FROM {} p WHERE {}").format(self.name, assign, self.theirs, self.matches)


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
    key = tuple(name for name, _, _, at in sorted((r for r in rows if r[3] >= 0), key=lambda r: r[3]))
    lines = {
        name: line for name, *_ in rows if (line := data_map.find(named, table[1], name)) and line.people == "customers"
    }
    clears: dict[str, str | None] = {}
    for name, _, required, _ in rows:
        line = lines.get(name)
        if line and line.erase in {"null", "constant"}:
            clears[name] = line.constant or None
            if required and line.erase == "null":
                raise MappingError(
                    f"{line.where}: {line.written} must hold a value: say `erase constant VALUE` or delete"
                )
    return TableErasure(
        f"{store}.{table[1]}",
        table,
        key,
        tuple(name for name, text, _, _ in rows if text and name not in key),
        tuple(name for name, text, _, _ in rows if text and _is_contact(lines.get(name))),
        any(line.erase == "delete" for line in lines.values()),
        clears,
        tuple(
            Kept(name, line.kept_why, line.keep)
            for name, line in lines.items()
            if line.erase == "keep" and _tells(line)
        ),
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
