"""Tables of the new shop that no mapping fills: what a mapping reads there, or what its rows must point at, comes along."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

from psycopg.sql import SQL, Identifier

from shopferry.db import Connection
from shopferry.engine import changes
from shopferry.route.route import Route

AT_MOST = 10_000  # rows of each

Table = tuple[str, str]
_OURS = {"ferry", "mirror", "legacy", "clean", "pg_catalog", "information_schema"}
_POINTS = """
SELECT n.nspname, c.relname, m.nspname, p.relname FROM pg_constraint f
JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class p ON p.oid = f.confrelid JOIN pg_namespace m ON m.oid = p.relnamespace
WHERE f.contype = 'f' AND f.conparentid = 0 AND f.conrelid <> f.confrelid
"""


def copy(shop: Connection, scratch: Connection, route: Route) -> list[str]:
    """Copy the rows of those tables into a scratch database, parents first; returns a note for each that has too many.

    The mirror of the route stands in `scratch`.
    """
    filled: set[Table] = {(schema, name) for schema, _, name in (e.partition(".") for e in route.entities)}
    points: dict[Table, set[Table]] = {}
    for schema, table, to_schema, to in scratch.execute(_POINTS).fetchall():
        points.setdefault((schema, table), set()).add((to_schema, to))
    wanted, open_ = set[Table](), [*filled, *_find_read(scratch, route)]
    while open_:
        table = open_.pop()
        open_ += points.get(table, set()) - wanted - filled
        if table not in filled:
            wanted.add(table)
    graph = {t: points.get(t, set()) & wanted for t in sorted(wanted)}
    try:
        ordered = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return [f"tables of the new shop point at one another, and none of their rows is there: {error.args[1]}"]
    return [note for table in ordered if (note := _copy_table(shop, scratch, table))]


def _find_read(scratch: Connection, route: Route) -> set[Table]:
    """Find the tables of the new shop that the route's SELECTs read."""
    found = set()
    for unit in route.units:
        with scratch.transaction(force_rollback=True):
            scratch.execute(
                SQL("CREATE TEMP VIEW reading AS WITH affected AS (TABLE {}) SELECT * FROM ({}) y").format(
                    Identifier("pg_temp", f"affected_{unit.slug}"), SQL(unit.body)
                )
            )
            for schema, name, _, plain, temporary in changes.find_dependencies(scratch, "reading"):
                if plain and not temporary and schema not in _OURS:
                    found.add((schema, name))
    return found


def _copy_table(shop: Connection, scratch: Connection, table: Table) -> str | None:
    columns = [
        name
        for (name,) in scratch.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped "
            "AND attgenerated = ''",
            (Identifier(*table).as_string(scratch),),
        ).fetchall()
    ]
    listed = SQL(", ").join(map(Identifier, columns))
    read = SQL("COPY (SELECT {} FROM {} LIMIT {}) TO STDOUT").format(listed, Identifier(*table), SQL(str(AT_MOST + 1)))
    with (
        shop.cursor() as out,
        scratch.cursor() as into,
        out.copy(read) as source,
        into.copy(SQL("COPY {} ({}) FROM STDIN").format(Identifier(*table), listed)) as target,
    ):
        for data in source:
            target.write(data)
    if into.rowcount > AT_MOST:
        return f"{'.'.join(table)} has more than {AT_MOST:,} rows: only so many are there"
    return None
