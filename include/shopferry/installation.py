"""Install what the migration needs in both stores: control tables, mirror, publication, fence of the new shop."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg.sql import SQL, Composable, Identifier

from shopferry.control import phases, preexisting, routes, schema
from shopferry.db import Connection
from shopferry.engine import captured, mirror
from shopferry.engine.mirror import MirrorTable
from shopferry.route.route import Route
from shopferry.stores import fence


def install(legacy: Connection, shop: Connection, route: Route) -> None:
    """Make both stores ready for the route's first phase; idempotent, changes no row of either shop.

    `legacy` is the store that the route reads, `shop` the one it writes: of the way back they are exchanged.

    What is installed already for the same mappings is left alone, but for a fence that does not stand: its locks would stand
    in the stream's way.
    Raises MappingError with file and line for a mapping that does not run, ConfigError for a table that is missing or
    has no primary key; then nothing was changed.
    """
    if routes.is_current(shop, route.name, route.fingerprint):
        if (
            not route.reverse
            and routes.active_store(shop, route.name) == "legacy"
            and fence.unfenced(shop, route.entities)
        ):
            with shop.transaction():
                routes.pause(shop, route.name)
                _close(shop, route)
        return
    with shop.transaction(), legacy.transaction():
        routes.pause(shop, route.name)
        schema.install_control(shop)
        phases.register(shop, route.name, route.phases)
        tables = captured.captured(shop, route, mirror.reflect(legacy, route.tables, route.schema))
        mirror.create(shop, route, tables)
        if not route.reverse and routes.active_store(shop, route.name) == "legacy":
            _close(shop, route)
        schema.install_markers(legacy)
        publish(legacy, route, tables)
        shop.execute("UPDATE ferry.route SET installed = %s WHERE route = %s", (route.fingerprint, route.name))


def _close(shop: Connection, route: Route) -> None:
    """Fence the new shop's tables, and remember what stands in those that were open until now."""
    closed = set(fence.fenced(shop))
    fence.raise_fence(shop, route.entities, route.name)
    for unit in route.mappings:
        if unit.entity not in closed:
            preexisting.note(shop, unit.entity, unit.key)


def publish(legacy: Connection, route: Route, tables: Mapping[str, MirrorTable]) -> None:
    """Create or replace the publication: mapped columns only, and the marker table."""
    name = route.publication
    parts: list[Composable] = [
        SQL("{} ({})").format(t.captured, SQL(", ").join(map(Identifier, t.names))) for t in tables.values()
    ]
    listed = SQL(", ").join([*parts, SQL("shopferry.marker"), SQL("shopferry.heartbeat")])
    standing = legacy.execute("SELECT 1 FROM pg_publication WHERE pubname = %s", (name,)).fetchone()
    # A partitioned table's changes are the table's: its partitions come and go, and no mapping knows them.
    root = SQL("publish_via_partition_root = true")
    if standing:
        legacy.execute(SQL("ALTER PUBLICATION {} SET ({})").format(Identifier(name), root))
        legacy.execute(SQL("ALTER PUBLICATION {} SET TABLE {}").format(Identifier(name), listed))
    else:
        legacy.execute(SQL("CREATE PUBLICATION {} FOR TABLE {} WITH ({})").format(Identifier(name), listed, root))
    legacy.execute("INSERT INTO shopferry.heartbeat (id, at) VALUES (1, now()) ON CONFLICT (id) DO NOTHING")
