"""The installation: control tables, mirror, publication and fence of the new shop, in both stores."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg.sql import SQL, Composable, Identifier

from shopferry.control import installed_settings, loads, mark_key, phases, preexisting, routes, schema, target_shape
from shopferry.db import Connection
from shopferry.engine import captured, marks, mirror
from shopferry.engine.mirror import MirrorTable
from shopferry.errors import ConfigError
from shopferry.route import target_file
from shopferry.route.route import Route
from shopferry.stores import fence


def install(source: Connection, target: Connection, route: Route) -> None:
    """Make both stores ready for the route's first phase; idempotent, changes no row of either shop.

    What is installed for the same mappings is left alone, for its locks would stand in the stream's way; only a fence of the
    new shop that is missing is raised again.
    Raises MappingError with file and line for a mapping that does not run, ConfigError for a table that is missing or
    has no primary key; then nothing was changed.
    """
    if routes.is_current(target, route.name, route.fingerprint):
        _record_mark_key(target, route)
        with target.transaction():
            _store_settings(target, route)
        if (
            not route.reverse
            and routes.find_active(target, route.name) == "legacy"
            and fence.find_unfenced(target, route.entities)
        ):
            with target.transaction():
                routes.pause(target, route.name)
                _close(target, route)
        return
    with target.transaction(), source.transaction():
        routes.pause(target, route.name)
        schema.install_control(target)
        _record_mark_key(target, route)
        phases.register(target, route.name, route.phases)
        _store_settings(target, route)
        tables = captured.cut_to_read(
            target, route, mirror.reflect(source, route.tables, route.schema, route.captured_schema)
        )
        captured.create_relations(target, route, tables)
        if not route.reverse and routes.find_active(target, route.name) == "legacy":
            _close(target, route)
        schema.install_markers(source)
        publish(source, route, tables)
        _require_version(target, route)
        target_shape.record(target, route.name, route.entities)
        loads.forget_gone(target, route.name, [u.name for u in route.units])
        routes.record_installed(target, route.name, route.fingerprint)


def _record_mark_key(target: Connection, route: Route) -> None:
    if marks.is_used(route):
        mark_key.record(target, marks.require_same(target))


def _store_settings(target: Connection, route: Route) -> None:
    """Store what route.toml says of the installation. Raises ConfigError for a secret that is not there, or is another one."""
    known = installed_settings.load(target)
    values = {s.name: (s.read(), s.secret) for s in route.settings}
    begun = any(phases.State(p.state) is not phases.State.NEW for p in phases.load_all(target, route.name))
    for name, (value, secret) in values.items():
        if secret and begun and known.get(name, value) != value:
            raise ConfigError(
                f"setting {name} is another secret than the one that keys were made with: give back the old one, "
                "or every key would change under the shop's customers"
            )
    installed_settings.store(target, values)


def _require_version(target: Connection, route: Route) -> None:
    """Raise ConfigError where the target's tables are not those of the version for which the route was written."""
    if (written_for := target_file.load(route)) is None:
        return
    there = target_shape.load_columns(target, route.entities)
    filled = {m.entity for m in route.mappings}
    missing = [c for c in written_for.columns if c not in there and c.rpartition(".")[0] in filled]
    wanting = [c for c, required in there.items() if required and c not in written_for.columns]
    if missing or wanting:
        line = written_for.columns[missing[0]] if missing else 1
        told = [f"{c} is not there" for c in missing] + [f"{c} is new and wants a value" for c in sorted(wanting)]
        raise ConfigError(
            f"{route.name}/{target_file.FILE}:{line}: the route was written for {written_for.version}, and the tables of "
            f"{target.info.dbname} are of another version: {'; '.join(told)}. Take a route for that version, or mend this one"
        )


def _close(target: Connection, route: Route) -> None:
    """Fence the new shop's tables, and remember what stands in those that were open until now."""
    closed = set(fence.find_fenced(target))
    fence.raise_fence(target, route.entities, route.name)
    for unit in route.mappings:
        if unit.entity not in closed:
            preexisting.note(target, unit.entity, unit.key)


def publish(source: Connection, route: Route, tables: Mapping[str, MirrorTable]) -> None:
    """Create or replace the publication: mapped columns only, and the marker table."""
    name = route.publication
    parts: list[Composable] = [
        SQL("{} ({})").format(t.captured, SQL(", ").join(map(Identifier, t.names))) for t in tables.values()
    ]
    listed = SQL(", ").join([*parts, SQL("shopferry.marker"), SQL("shopferry.heartbeat")])
    standing = source.execute("SELECT 1 FROM pg_publication WHERE pubname = %s", (name,)).fetchone()
    # Changes of a partition are published as the table's: partitions come and go, and no mapping names them.
    root = SQL("publish_via_partition_root = true")
    if standing:
        source.execute(SQL("ALTER PUBLICATION {} SET ({})").format(Identifier(name), root))
        source.execute(SQL("ALTER PUBLICATION {} SET TABLE {}").format(Identifier(name), listed))
    else:
        source.execute(SQL("CREATE PUBLICATION {} FOR TABLE {} WITH ({})").format(Identifier(name), listed, root))
    source.execute("INSERT INTO shopferry.heartbeat (id, at) VALUES (1, now()) ON CONFLICT (id) DO NOTHING")
