"""Install what the migration needs in both stores: control tables, mirror, publication, fence of the new shop."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg.sql import SQL, Composable, Identifier, Literal

from shopferry import fence, mirror, probe
from shopferry.control import phases, prior, schema
from shopferry.db import Connection, exists
from shopferry.mapping import Route
from shopferry.mirror import MirrorTable
from shopferry.settings import REVERSE


def install(legacy: Connection, shop: Connection, route: Route) -> None:
    """Make both stores ready for the route's first phase; idempotent, changes no row of either shop.

    `legacy` is the store that the route reads, `shop` the one it writes: of the way back they are exchanged.

    What is installed already for the same mappings is left alone, but for a fence that does not stand: its locks would stand
    in the stream's way.
    Raises MappingError with file and line for a mapping that does not run, ConfigError for a table that is missing or
    has no primary key; then nothing was changed.
    """
    if is_current(shop, route):
        if not route.reverse and active(shop, route.name) == "legacy" and fence.unfenced(shop, entities(route)):
            with shop.transaction():
                pause(shop, route)
                _close(shop, route)
        return
    with shop.transaction(), legacy.transaction():
        pause(shop, route)
        schema.install_control(shop)
        phases.register(shop, route.name, route.phases)
        tables = probe.captured(shop, route, mirror.reflect(legacy, route.tables, route.schema))
        mirror.create(shop, route, tables)
        if not route.reverse and active(shop, route.name) == "legacy":
            _close(shop, route)
        schema.install_markers(legacy)
        publish(legacy, route, tables)
        shop.execute("UPDATE ferry.route SET installed = %s WHERE route = %s", (route.fingerprint, route.name))


def _close(shop: Connection, route: Route) -> None:
    """Fence the new shop's tables, and remember what stands in those that were open until now."""
    closed = set(fence.fenced(shop))
    fence.raise_fence(shop, entities(route), route.name)
    for unit in route.mappings:
        if unit.entity not in closed:
            prior.note(shop, unit.entity, unit.key)


def pause(shop: Connection, route: Route) -> None:
    """Keep replay and backfill out until this transaction ends: they lock the phases first, as we do, so none deadlocks."""
    if exists(shop, "ferry.phase"):
        shop.execute("SELECT FROM ferry.phase WHERE route = %s ORDER BY position FOR UPDATE", (route.name,))


def is_current(shop: Connection, route: Route) -> bool:
    """Whether this version of shopferry and of the route's mappings is what is installed."""
    if not exists(shop, "ferry.meta"):
        return False
    row = shop.execute(
        "SELECT m.version = %s AND r.installed = %s FROM ferry.meta m, ferry.route r WHERE r.route = %s",
        (schema.VERSION, route.fingerprint, route.name),
    ).fetchone()
    return bool(row and row[0])


def is_installed(shop: Connection) -> bool:
    """Whether there are control tables, of whatever version."""
    return exists(shop, "ferry.route")


def is_finished(shop: Connection, route: str) -> bool:
    """Whether the route's migration was finished, and nothing was installed since."""
    if is_installed(shop) or not exists(shop, "shopferry_audit.entry"):
        return False
    return bool(
        shop.execute("SELECT FROM shopferry_audit.entry WHERE route = %s AND what = 'finish'", (route,)).fetchall()
    )


def publication(route: Route) -> str:
    """The name of the route's publication, which is also its replication slot's."""
    return f"shopferry_{route.name}"


def reverse(name: str) -> str:
    """The name of the route that leads back."""
    return f"{name}{REVERSE}"


def publish(legacy: Connection, route: Route, tables: Mapping[str, MirrorTable]) -> None:
    """Create or replace the publication: mapped columns only, and the marker table."""
    name = publication(route)
    parts: list[Composable] = [
        SQL("{} ({})").format(t.captured, SQL(", ").join(map(Identifier, t.names)))
        for t in tables.values()
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


def back_of(route: Route) -> Route | None:
    """The route that leads back; None where there are no mappings for it."""
    return Route.load(reverse(route.name)) if route.has_way_back else None


def legacy_tables(route: Route) -> list[str]:
    """Legacy's tables that a switch closes or opens: all that is read there, and all that the way back fills."""
    back = back_of(route)
    return sorted({f"public.{t}" for t in route.tables} | set(entities(back) if back else ()))


def shop_tables(route: Route) -> list[str]:
    """The new shop's tables that a switch closes or opens: all that the route fills, and all that the way back reads."""
    back = back_of(route)
    return sorted(set(entities(route)) | {f"shop.{t}" for t in (back.tables if back else ())})


def entities(route: Route) -> list[str]:
    """The new shop's tables that the route fills, schema-qualified, each once."""
    return sorted({m.entity for m in route.mappings})


def active(shop: Connection, route: str) -> str:
    """The store that the application writes to now: 'legacy' or 'shop'."""
    row = shop.execute(SQL("SELECT active FROM ferry.route WHERE route = {}").format(Literal(route))).fetchone()
    return str(row[0]) if row else "legacy"
