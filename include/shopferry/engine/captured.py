"""The columns of the source that the route's SELECTs read, as PostgreSQL itself tells; the mirror captures no others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import psycopg
from psycopg.sql import SQL, Identifier

from shopferry.db import Connection
from shopferry.engine import changes, clean, mirror, standardize, witness
from shopferry.engine.mirror import MirrorTable, key_type_of
from shopferry.errors import MappingError
from shopferry.keys import name_or_expression
from shopferry.route.entities import EntityMapping, Unit, name_witness
from shopferry.route.route import Route


def cut_to_read(target: Connection, route: Route, full: Mapping[str, MirrorTable]) -> dict[str, MirrorTable]:
    """Cut the tables down to the columns that the route's SELECTs read, and check those SELECTs on the way.

    PostgreSQL itself tells which columns a view depends on; the probe's tables and views are rolled back. Raises
    MappingError with file and line for a SELECT that does not run.
    """
    used: dict[str, set[str]] = {name: set(table.key) for name, table in full.items()}
    with target.transaction(force_rollback=True):
        schema = Identifier(route.schema)
        target.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
        target.execute(SQL("ALTER SCHEMA {} RENAME TO {}").format(schema, Identifier(f"{route.schema}_while_probing")))
        target.execute(SQL("CREATE SCHEMA {}").format(schema))
        unknown = _find_unknown_types(target, full)
        for table in full.values():
            # A type of an extension that only columns have which nobody reads is in nobody's way.
            body = SQL(", ").join(
                SQL("{} {}").format(Identifier(c.name), SQL("text" if c.type in unknown else c.type))
                for c in table.columns
            )
            target.execute(SQL("CREATE TABLE {} ({})").format(table.view, body))
        witness.create(target, route, dict(full))
        clean.create_functions(target, route)
        clean.create_tables(target, route, full)
        for unit, select, line in _selects(route):
            for name, column in _probe(target, unit, full, select, line):
                used[name].add(column)
    return {
        name: MirrorTable(
            name, table.key, tuple(c for c in table.columns if c.name in used[name]), table.schema, table.within
        )
        for name, table in full.items()
    }


def create_relations(target: Connection, route: Route, tables: Mapping[str, MirrorTable]) -> None:
    """Make what the mappings read in the store that is written: functions, mirror, witnesses, entities of the route's own."""
    standardize.require_known(route)
    clean.create_functions(target, route)
    mirror.create(target, route, tables)
    witness.create(target, route, dict(tables))
    clean.create_tables(target, route, tables)


def _find_unknown_types(target: Connection, tables: Mapping[str, MirrorTable]) -> set[str]:
    types = sorted({c.type for table in tables.values() for c in table.columns})
    rows = target.execute("SELECT t FROM unnest(%s::text[]) t WHERE to_regtype(t) IS NULL", (types,)).fetchall()
    return {t for (t,) in rows}


def _selects(route: Route) -> Iterable[tuple[Unit, str, int]]:
    for unit in route.units:
        yield unit, unit.body, unit.line
        for source in unit.sources:
            if source.lineage:
                yield unit, source.lineage, source.line
            elif not source.is_identity:
                yield (
                    unit,
                    f"SELECT {name_or_expression(str(source.column)).as_string(None)} FROM {source.relation}",
                    source.line,
                )
        for wanted in unit.standardize:
            relation = f"ferry.{name_witness(wanted.table)}" if wanted.of_witness else f"{unit.schema}.{wanted.table}"
            yield unit, f"SELECT ({wanted.expression})::text FROM {relation}", wanted.line
        for table, columns in unit.indexes:
            yield unit, f"SELECT {columns} FROM {unit.schema}.{table}", 0
        for table, named in unit.witness:
            yield unit, f"SELECT {', '.join(named)} FROM {unit.schema}.{table}", 0
        if isinstance(unit, EntityMapping) and unit.counts:
            yield unit, f'SELECT "{unit.counts.column}" FROM {unit.schema}.{unit.counts.table}', 0


def _probe(
    target: Connection, unit: Unit, full: Mapping[str, MirrorTable], select: str, line: int
) -> list[tuple[str, str]]:
    """Make one SELECT a view and ask which (table, column) it depends on."""
    lineage = next((s for s in unit.sources if s.lineage == select), None)
    changed = "(legacy_key bigint, shop_key bigint, cluster text, shop_id text)"
    if lineage and not lineage.is_identity:  # an entity stands in the new shop as it is
        changed = f"(LIKE {lineage.relation})"
    prefix = "CREATE TEMP VIEW probe AS "
    try:
        with target.transaction():
            target.execute(f"CREATE TEMP TABLE affected (key {key_type_of(target, unit, full)})".encode())
            target.execute(f"CREATE TEMP TABLE changed {changed}".encode())
            target.execute((prefix + select).encode())
            read = changes.find_dependencies(target, "probe")
            target.execute("DROP VIEW probe; DROP TABLE affected, changed")
    except psycopg.Error as error:
        at = int(error.diag.statement_position or 0) - len(prefix) - 1
        where = line + select[: max(at, 0)].count("\n") if line else 1
        raise MappingError(f"{unit.file}:{where}: {error.diag.message_primary}") from None
    source = lineage.name if lineage and lineage.is_captured else ""
    found = [
        (source if name == "changed" else name, column)
        for schema, name, column, *_ in read
        if name == "changed" or schema == unit.schema
    ]
    return [(name, column) for name, column in found if name in full and column is not None]
