"""Children without parents: by the mappings' own sources, by declared foreign keys, and by the names of columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from psycopg.sql import SQL, Identifier

from shopferry.assess.findings import EXAMPLES, Example, Finding, Severity
from shopferry.db import Connection
from shopferry.engine.mirror import MirrorTable
from shopferry.keys import key_text
from shopferry.route.route import Route

_NUMBERS = {"smallint", "integer", "bigint", "numeric"}


@dataclass(frozen=True)
class Kinship:
    """A column of one table that names a row of another; `zero` says whether 0 must name one as well."""

    table: str
    column: str
    parent: str
    parent_column: str
    zero: bool
    known_by: str


def find_kinships(legacy: Connection, route: Route, tables: Mapping[str, MirrorTable]) -> list[Kinship]:
    """Find every such column of the captured tables, each once; the mappings know best, names come last."""
    found: dict[tuple[str, str], Kinship] = {}
    for kin in (*_find_by_sources(route, tables), *_find_by_foreign_keys(legacy, tables), *_find_by_names(tables)):
        found.setdefault((kin.table, kin.column), kin)
    return list(found.values())


def find_orphans(legacy: Connection, route: Route, tables: Mapping[str, MirrorTable]) -> Iterator[Finding]:
    """Find rows whose parent does not exist."""
    for kin in find_kinships(legacy, route, tables):
        child = tables[kin.table]
        zero = (
            SQL("")
            if kin.zero or not _is_number(child, kin.column)
            else SQL("AND c.{} <> 0").format(Identifier(kin.column))
        )
        query = SQL(
            "FROM public.{} c WHERE c.{} IS NOT NULL {} AND NOT EXISTS (SELECT FROM public.{} p WHERE p.{} = c.{})"
        ).format(
            Identifier(kin.table),
            Identifier(kin.column),
            zero,
            Identifier(kin.parent),
            Identifier(kin.parent_column),
            Identifier(kin.column),
        )
        row = legacy.execute(SQL("SELECT count(*) {}").format(query)).fetchone()
        if not row or not row[0]:
            continue
        key = key_text(child.key, "c")
        some = legacy.execute(SQL("SELECT {} {} LIMIT {}").format(key, query, SQL(str(EXAMPLES)))).fetchall()
        yield Finding(
            f"legacy {kin.table}.{kin.column}",
            Severity.WARNING,
            f"rows whose parent is not in {kin.parent} ({kin.known_by})",
            "they go to quarantine, or arrive without their parent, as the mapping decides",
            f"give them their {kin.parent} row, or delete them",
            int(row[0]),
            examples=tuple(Example(str(k)) for (k,) in some),
        )


def _is_number(table: MirrorTable, column: str) -> bool:
    return any(c.name == column and c.legacy_base in _NUMBERS for c in table.columns)


def _find_by_sources(route: Route, tables: Mapping[str, MirrorTable]) -> Iterator[Kinship]:
    """Find two sources of one mapping with the same key, one of them as its own: the other names it."""
    for unit in route.units:
        columns = [(s.name, str(s.column)) for s in unit.simple_sources]
        columns = [(t, c) for t, c in columns if t in tables and c.isidentifier()]
        parents = [(t, c) for t, c in columns if tables[t].key == (c,)]
        for table, column in columns:
            if tables[table].key == (column,):
                continue
            for parent, key in parents[:1]:
                yield Kinship(table, column, parent, key, True, f"by the sources of {unit.name}")


def _find_by_foreign_keys(legacy: Connection, tables: Mapping[str, MirrorTable]) -> Iterator[Kinship]:
    """Foreign keys that are declared; one that was never validated may be broken."""
    rows = legacy.execute(
        """SELECT c.conname, r.relname, a.attname, p.relname, b.attname FROM pg_constraint c
           JOIN pg_class r ON r.oid = c.conrelid AND r.relname = ANY(%s) AND r.relnamespace = 'public'::regnamespace
           JOIN pg_class p ON p.oid = c.confrelid AND p.relnamespace = 'public'::regnamespace
           JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = c.conkey[1]
           JOIN pg_attribute b ON b.attrelid = p.oid AND b.attnum = c.confkey[1]
           WHERE c.contype = 'f' AND cardinality(c.conkey) = 1 ORDER BY 1""",
        (list(tables),),
    ).fetchall()
    for name, table, column, parent, key in rows:
        yield Kinship(table, column, parent, key, True, f"by foreign key {name}")


def _find_by_names(tables: Mapping[str, MirrorTable]) -> Iterator[Kinship]:
    """`customer_id` names a row of customers (or customer), where that table has a key of one column."""
    for table in tables.values():
        for column in table.names:
            if not column.endswith("_id") or column in table.key[:1]:
                continue
            stem = column.removesuffix("_id")
            for name in (f"{stem}s", stem, f"{stem}es", f"{stem.removesuffix('y')}ies"):
                parent = tables.get(name)
                if parent and len(parent.key) == 1 and _is_number(parent, parent.key[0]) == _is_number(table, column):
                    yield Kinship(table.name, column, name, parent.key[0], False, "by the name of the column")
                    break
