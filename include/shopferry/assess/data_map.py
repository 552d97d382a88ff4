"""The data map against the stores, and what belongs to one person: columns and tables that nobody has said anything of.

They keep a phase from starting, and so do lines and queries that do not fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from shopferry.assess.findings import Finding, Severity
from shopferry.db import Connection
from shopferry.engine.mirror import MirrorTable
from shopferry.errors import MappingError
from shopferry.privacy import columns, person
from shopferry.route.personal import FILE, DataMap
from shopferry.route.route import Route, find_folder

_DRAFT = f"`shopferry privacy draft` writes the lines: add them to the route's {FILE}, and confirm each"
_UNNAMED = "nobody has said whether they are people's data, for what they are held, and what an erasure does with them"


def find_gaps(
    legacy: Connection, shop: Connection, route: Route, kept: Mapping[str, MirrorTable], data_map: DataMap
) -> Iterator[Finding]:
    """Find the columns without a line, table by table, lines that name nothing or what another names, and what is never asked."""
    yield from _find_unasked(route)
    there = columns.read_all(legacy, shop, route)
    unnamed = columns.find_unnamed(data_map, list(columns.list_needed(kept, route, there)))
    if unnamed and not data_map.lines:
        yield Finding(
            FILE,
            Severity.BLOCKING,
            "columns without a line: the route has no such file",
            _UNNAMED,
            _DRAFT,
            len(unnamed),
        )
        return
    for (schema, table), of_table in groupby(unnamed, key=lambda name: name[:2]):
        yield Finding(
            f"legacy {table}" if schema == "legacy" else f"new shop {schema}.{table}",
            Severity.BLOCKING,
            f"columns that {FILE} does not name: {', '.join(column for *_, column in of_table)}",
            _UNNAMED,
            _DRAFT,
        )
    for where, fault in columns.find_faults(data_map, there):
        yield Finding(
            where.rpartition("/")[2],
            Severity.BLOCKING,
            fault,
            "what it says holds for no column, or two lines say it of one",
            "correct the name, or take the line out",
        )


def _find_unasked(route: Route) -> Iterator[Finding]:
    """Find a `person.sql` that is wrong, or names no query for a table of people's data; a route may have none."""
    if not (find_folder(route.base_name) / person.FILE).exists():
        return
    try:
        person.load(route)
    except MappingError as error:
        yield Finding(
            person.FILE,
            Severity.BLOCKING,
            str(error).partition(": ")[2] or str(error),
            "a person who asks is not told of what it leaves out, and it is not erased",
            "write the query, as docs/howto/requests.md says",
        )
