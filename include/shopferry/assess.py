"""Assess both stores, the broker and the route before anything moves; changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Identifier

from shopferry import db, mirror, probe
from shopferry.cdc.consumer import EndOffsets
from shopferry.control import schema
from shopferry.db import Connection
from shopferry.errors import ShopferryError
from shopferry.installation import entities, is_current, pause
from shopferry.mapping import Route
from shopferry.settings import Settings

OLDEST = 150000  # the first with column lists in publications: mapped columns only


@dataclass(frozen=True)
class Finding:
    """One thing found: `blocking` ones must be mended before a phase can start."""

    subject: str
    blocking: bool
    text: str
    remedy: str

    def __str__(self) -> str:
        return f"{'BLOCKING' if self.blocking else 'note'} {self.subject}: {self.text} → {self.remedy}"


def findings(settings: Settings) -> list[Finding]:
    """Everything that stands in the way, or is worth knowing, blocking findings first."""
    found = list(_find(settings))
    return sorted(found, key=lambda f: not f.blocking)


def _find(settings: Settings) -> Iterator[Finding]:
    try:
        route = Route.load(settings.route)
    except ShopferryError as error:
        yield Finding("mappings", True, str(error), "mend the file")
        return
    legacy, shop = None, None
    try:
        legacy, finding = _reach(settings.legacy_dsn, "legacy store", "SHOPFERRY_LEGACY_DSN or connection legacy_db")
        if finding:
            yield finding
        shop, finding = _reach(settings.shop_dsn, "new shop", "SHOPFERRY_SHOP_DSN or connection shop_db")
        if finding:
            yield finding
        yield from _broker(settings)
        if legacy:
            yield from _legacy(legacy)
        if shop:
            yield from _shop(shop, route)
        if legacy and shop:
            yield from _route(legacy, shop, route)
    finally:
        for conn in (legacy, shop):
            if conn:
                conn.close()


def _reach(dsn: str, subject: str, setting: str) -> tuple[Connection | None, Finding | None]:
    try:
        return db.connect(dsn, "assess"), None
    except (psycopg.OperationalError, ShopferryError) as error:
        text = str(error).strip().splitlines()[-1]
        return None, Finding(subject, True, f"cannot be reached: {text}", f"check {setting} and that the server is up")


def _broker(settings: Settings) -> Iterator[Finding]:
    ends = EndOffsets(settings.kafka, ())
    try:
        ends.warm()
    except ShopferryError as error:
        yield Finding("broker", True, str(error), "check SHOPFERRY_KAFKA or connection kafka, and that the broker is up")
    finally:
        ends.close()


def _value(conn: Connection, query: str) -> str:
    row = conn.execute(query.encode()).fetchone()
    return str(row[0]) if row else ""


def _legacy(legacy: Connection) -> Iterator[Finding]:
    subject = "legacy store"
    version = int(_value(legacy, "SHOW server_version_num"))
    if version < OLDEST:
        yield Finding(subject, True, f"PostgreSQL {version // 10000} is too old", "upgrade to 15 or newer")
    level = _value(legacy, "SHOW wal_level")
    if level != "logical":
        yield Finding(
            subject, True, f"wal_level is {level}, not logical", "ALTER SYSTEM SET wal_level = logical, then restart"
        )
    role = _value(legacy, "SELECT current_user")
    may = _value(legacy, "SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user")
    if may != "True":
        yield Finding(subject, True, f"role {role} may not replicate", f"ALTER ROLE {role} REPLICATION")
    if _value(legacy, "SELECT has_database_privilege(current_database(), 'CREATE')") != "True":
        yield Finding(
            subject, True, f"role {role} may not create schema shopferry",
            f"GRANT CREATE ON DATABASE {_value(legacy, 'SELECT current_database()')} TO {role}",
        )  # fmt: skip
    used = int(_value(legacy, "SELECT count(*) FROM pg_replication_slots"))
    slots = int(_value(legacy, "SHOW max_replication_slots"))
    if used >= slots:
        yield Finding(subject, True, f"all {slots} replication slots are in use", "raise max_replication_slots, restart")
    senders = int(_value(legacy, "SHOW max_wal_senders"))
    if int(_value(legacy, "SELECT count(*) FROM pg_stat_replication")) >= senders:
        yield Finding(subject, True, f"all {senders} wal senders are in use", "raise max_wal_senders, restart")
    if _value(legacy, "SHOW max_slot_wal_keep_size") == "-1":
        yield Finding(
            subject, False, "max_slot_wal_keep_size is unlimited: a stopped connector fills the disk",
            "set it to what the disk can spare, and watch the slot",
        )  # fmt: skip


def _shop(shop: Connection, route: Route) -> Iterator[Finding]:
    role = _value(shop, "SELECT current_user")
    if _value(shop, "SELECT has_database_privilege(current_database(), 'CREATE')") != "True":
        yield Finding(
            "new shop", True, f"role {role} may not create schemas ferry, mirror and legacy",
            f"GRANT CREATE ON DATABASE {_value(shop, 'SELECT current_database()')} TO {role}",
        )  # fmt: skip
    for entity in entities(route):
        row = shop.execute("SELECT to_regclass(%s) IS NOT NULL", (entity,)).fetchone()
        if row and not row[0]:
            yield Finding("new shop", True, f"table {entity} does not exist", "create the new shop's tables first")
            continue
        owner = shop.execute(
            "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass(%s)", (entity,)
        ).fetchone()
        if owner and not owner[0]:
            yield Finding(
                "new shop", True, f"role {role} does not own {entity}, so it cannot fence it",
                f"ALTER TABLE {entity} OWNER TO {role}, or grant the owner's role",
            )  # fmt: skip


def _route(legacy: Connection, shop: Connection, route: Route) -> Iterator[Finding]:
    full: dict[str, mirror.MirrorTable] = {}
    for wanted in route.tables:
        try:
            full |= mirror.reflect(legacy, [wanted])
        except ShopferryError as error:
            yield Finding("legacy store", True, str(error), "see the words before")
    if len(full) < len(route.tables):
        return
    try:
        if is_current(shop, route):
            captured = mirror.load(shop)
        else:
            with shop.transaction(force_rollback=True):
                pause(shop, route)
                schema.install_shop(shop)
                captured = probe.captured(shop, route, full)
    except ShopferryError as error:
        yield Finding("mappings", True, str(error), "mend the file")
        return
    except psycopg.errors.InsufficientPrivilege:
        return  # said already
    for name, table in full.items():
        left = [c for c in table.names if c not in captured[name].names]
        holding = [c for c in left if _holds_data(legacy, name, c)]
        if holding:
            yield Finding(
                f"legacy table {name}", False, f"columns with data that no mapping reads: {', '.join(holding)}",
                "map them, or be content that they stay behind",
            )  # fmt: skip
    for name, kept in captured.items():
        for column in kept.columns:
            if not column.carried:
                yield Finding(
                    f"legacy table {name}", False,
                    f"column {column.name} is {column.legacy}, which change events do not carry exactly",
                    "nothing to do: replay reads such rows again from legacy, one query per batch",
                )  # fmt: skip


def _holds_data(legacy: Connection, table: str, column: str) -> bool:
    row = legacy.execute(
        SQL(
            "SELECT EXISTS (SELECT FROM (SELECT {0} FROM public.{1} LIMIT 10000) s WHERE nullif({0}::text, '') IS NOT NULL)"
        ).format(Identifier(column), Identifier(table))
    ).fetchone()
    return bool(row and row[0])
