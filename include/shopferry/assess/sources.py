"""Sources that give the keys of another table: by them a change would merge rows that it has nothing to do with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from shopferry.assess.findings import Finding, Severity
from shopferry.assess.orphans import find_kinships
from shopferry.db import Connection
from shopferry.engine.mirror import MirrorTable
from shopferry.route.entities import EntityMapping, Source
from shopferry.route.route import Route


def find_misleading(
    legacy: Connection, shop: Connection, route: Route, tables: Mapping[str, MirrorTable]
) -> Iterator[Finding]:
    """Find sources that name their own table's key where the mapping's key is that of a child of this table."""
    children: dict[tuple[str, str], set[str]] = {}  # a table and its child → the child's columns that name the parent
    for kin in find_kinships(legacy, route, tables):
        children.setdefault((kin.parent, kin.table), set()).add(kin.column)
    for unit in route.units:
        own = [s for s in unit.simple_sources if s.is_captured and tables[s.name].key == (s.column,)]
        for source in own:
            for child in own:
                columns = children.get((source.name, child.name), set())
                if columns and child.column not in columns:
                    yield _blame(unit.name, source, child.relation, columns)
        if isinstance(unit, EntityMapping):
            for source in (s for s in unit.sources if s.is_entity and s.column):
                columns = _find_foreign_keys(shop, unit.entity, source)
                if columns and unit.scope not in columns:
                    yield _blame(unit.name, source, unit.entity, columns)


def _find_foreign_keys(shop: Connection, entity: str, source: Source) -> set[str]:
    """Find the columns of an entity that name a row of the source by the column that the source gives, which is its key."""
    rows = shop.execute(
        """SELECT a.attname FROM pg_constraint c
           JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
           JOIN pg_attribute b ON b.attrelid = c.confrelid AND b.attnum = c.confkey[1] AND b.attname = %s
           WHERE c.conrelid = to_regclass(%s) AND c.confrelid = to_regclass(%s)
           AND c.contype = 'f' AND cardinality(c.conkey) = 1""",
        (source.column, entity, source.relation),
    ).fetchall()
    return {name for (name,) in rows}


def _blame(mapping: str, source: Source, child: str, columns: set[str]) -> Finding:
    named = " or ".join(f"{child}.{c}" for c in sorted(columns))
    return Finding(
        f"mapping {mapping}",
        Severity.WARNING,
        f"its source {source.relation}({source.column}) gives the keys of {source.relation}, and the mapping's key is that of "
        f"{child}, which names them in {named}",
        f"when a row of {source.relation} changes, rows with another key are merged, those that hang on it stay as "
        "they were, and one that is deleted stops the stream",
        f"write `source: {source.relation}` with a section `lineage: {source.relation}` that SELECTs the keys "
        "of the rows that hang on it",
    )
