"""The columns that the data map must name: what the mirror captures, and the tables that the route fills."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from shopferry.db import Connection
from shopferry.engine.mirror import MirrorTable
from shopferry.route import personal
from shopferry.route.personal import DataMap, Name
from shopferry.route.route import Route

_OURS = Path(__file__).with_name("ours.txt")


def load_ours() -> DataMap:
    """Read the data map of our own relations, which is the same for every route."""
    return personal.read(_OURS, f"shopferry/privacy/{_OURS.name}")


def read_columns(conn: Connection, schemas: Collection[str]) -> list[Name]:
    """Read the columns of all tables of these schemas, in the order of their tables."""
    rows = conn.execute(
        """SELECT n.nspname, c.relname, a.attname
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
           WHERE n.nspname = ANY(%s) AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1, 2, a.attnum""",
        (list(schemas),),
    ).fetchall()
    return [(schema, table, column) for schema, table, column in rows]


def read_all(legacy: Connection, shop: Connection, route: Route) -> list[Name]:
    """Read all columns that a line may be about: legacy's, under the mirror's name `legacy`, and those of the new shop."""
    schemas = {entity.partition(".")[0] for entity in route.entities}
    return [("legacy", table, column) for _, table, column in read_columns(legacy, ["public"])] + read_columns(
        shop, schemas
    )


def list_needed(kept: Mapping[str, MirrorTable], route: Route, columns: Collection[Name]) -> Iterator[Name]:
    """Yield the columns that must have a line: what is captured of legacy, and all of the tables that the route fills."""
    filled = set(route.entities)
    for schema, table, column in columns:
        captured = schema == "legacy" and table in kept and column in kept[table].names
        if captured or f"{schema}.{table}" in filled:
            yield schema, table, column


def find_faults(data_map: DataMap, columns: Collection[Name]) -> list[tuple[str, str]]:
    """Find the lines that do not fit these columns, which are all there are; as (file and line, fault)."""
    return data_map.find_faults(columns, {(schema, table) for schema, table, _ in columns})


def find_unnamed(data_map: DataMap, needed: Collection[Name]) -> list[Name]:
    """Find the columns that no line is about."""
    return [name for name in needed if not data_map.find(*name)]
