"""What our role must be allowed to do in both stores, there and on the way back; each remedy is SQL that can be run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import psycopg

from shopferry.assess.findings import Finding, Severity, read_value
from shopferry.db import Connection
from shopferry.route.route import Route
from shopferry.stores import origin

LEGACY, SHOP = "legacy store", "new shop"
_TRIED = "shopferry_may_it_replicate"
_KEYED = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_index i ON i.indrelid = c.oid
WHERE n.nspname = %s AND c.relname = ANY(%s) AND c.relkind IN ('r', 'p') AND i.indisprimary
"""


def check_legacy_rights(legacy: Connection, route: Route) -> Iterator[Finding]:
    """Check what is done in legacy: replicate, publish, close its tables; for the way back also merge rows."""
    role, name = read_names(legacy)
    if read_value(legacy, "SELECT pg_is_in_recovery()"):
        yield Finding(
            LEGACY,
            Severity.BLOCKING,
            "this is a standby",
            "nothing can be installed there, and nothing be closed at the cutover",
            "give the address of the primary, or one that follows it",
        )
        return
    yield from _check_excess(legacy, LEGACY)
    yield from _check_replication(legacy, LEGACY, "no slot can be made, so no change be followed")
    if not _may_create(legacy):
        yield Finding(
            LEGACY,
            Severity.BLOCKING,
            f"role {role} may not create schema shopferry",
            "neither publication nor markers can be made",
            f"GRANT CREATE ON DATABASE {name} TO {role}",
        )
    rows = legacy.execute(
        """SELECT c.relname FROM pg_class c WHERE c.oid = ANY(SELECT to_regclass(t) FROM unnest(%s::text[]) AS t)
           AND NOT pg_has_role(c.relowner, 'USAGE') ORDER BY 1""",
        (route.legacy_tables,),
    ).fetchall()
    if rows:
        yield Finding(
            LEGACY,
            Severity.BLOCKING,
            f"role {role} does not own {', '.join(r[0] for r in rows)}",
            "only an owner can publish a table, and close it at the cutover",
            f"grant the owner's role to {role}",
        )
    if route.has_way_back:
        yield from _check_marking(legacy, LEGACY, "the way back's writes could not be told from the application's")


def check_shop_rights(shop: Connection, route: Route) -> Iterator[Finding]:
    """Check what is done in the new shop: control tables and mirror, merged rows; for the way back also replicate."""
    role, name = read_names(shop)
    if read_value(shop, "SELECT pg_is_in_recovery()"):
        yield Finding(
            SHOP,
            Severity.BLOCKING,
            "this is a standby",
            "nothing can be written there",
            "give the address of the primary, or one that follows it",
        )
        return
    yield from _check_excess(shop, SHOP)
    if not _may_create(shop):
        yield Finding(
            SHOP,
            Severity.BLOCKING,
            f"role {role} may not create schemas ferry, mirror and legacy",
            "there is no place for mirror and control tables",
            f"GRANT CREATE ON DATABASE {name} TO {role}",
        )
    yield from _check_marking(
        shop,
        SHOP,
        "they could not be told from the application's, and would be carried back to legacy after the cutover",
    )
    if route.back:
        yield from _check_way_back(shop, route.back)


def _check_way_back(shop: Connection, back: Route) -> Iterator[Finding]:
    """Check what only the way back needs of the new shop; without it that is known at `arm` only, when all has moved."""
    yield from _check_replication(shop, SHOP, "the way back can follow no change of the new shop")
    if (level := read_value(shop, "SHOW wal_level")) != "logical":
        yield Finding(
            SHOP,
            Severity.BLOCKING,
            f"wal_level is {level}, not logical",
            "the way back cannot read the new shop's changes from its log",
            "ALTER SYSTEM SET wal_level = logical, then restart; or take away the route's folder reverse/",
        )
    keyed = shop.execute(_KEYED, (back.captured_schema, list(back.tables))).fetchall()
    if missing := sorted(set(back.tables) - {name for (name,) in keyed}):
        yield Finding(
            SHOP,
            Severity.BLOCKING,
            f"the way back reads tables that are not there or have no primary key: {', '.join(missing)}",
            "they cannot be followed, so there would be no rollback",
            "mend the mappings in the route's folder reverse/, or take the folder away",
        )


def _check_excess(conn: Connection, subject: str) -> Iterator[Finding]:
    """Find rights of our role that nothing of ours needs: with them it could read and change what is not the move's."""
    role, _ = read_names(conn)
    [held] = conn.execute(
        "SELECT rolsuper, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = current_user"
    ).fetchall()
    words = ("SUPERUSER", "CREATEROLE", "BYPASSRLS")
    if too_many := ["SUPERUSER"] if held[0] else [word for word, has in zip(words, held, strict=True) if has]:
        yield Finding(
            f"role {role}",
            Severity.WARNING,
            f"role {role} has too many rights in the {subject}: {', '.join(too_many)}",
            "with its password, or by a fault of ours, more can be read and changed there than the move's tables",
            f"ALTER ROLE {role} {' '.join(f'NO{word}' for word in too_many)}; what it needs instead is listed in "
            "docs/howto/secured-wire.md",
        )


def read_names(conn: Connection) -> tuple[str, str]:
    """Read role and database, each in quotes where SQL wants them."""
    [(role, name)] = conn.execute("SELECT quote_ident(current_user), quote_ident(current_database())").fetchall()
    return role, name


def find_closed_schemas(conn: Connection, tables: Iterable[str]) -> Iterator[Finding]:
    """Find schemas of these tables that the role may not even look into; nothing else can be asked about what is in them."""
    role, _ = read_names(conn)
    rows = conn.execute(
        "SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname = ANY(%s) AND NOT has_schema_privilege(oid, 'USAGE')",
        (sorted({t.partition(".")[0] for t in tables}),),
    ).fetchall()
    for (schema,) in rows:
        yield Finding(
            f"schema {schema}",
            Severity.BLOCKING,
            f"role {role} may not use schema {schema}",
            "its tables can be neither read nor written",
            f"GRANT USAGE ON SCHEMA {schema} TO {role}, and rights on its tables",
        )


def _may_create(conn: Connection) -> bool:
    return bool(read_value(conn, "SELECT has_database_privilege(current_database(), 'CREATE')"))


def _check_marking(conn: Connection, subject: str, consequence: str) -> Iterator[Finding]:
    role, name = read_names(conn)
    missing = [f for f in origin.FUNCTIONS if not read_value(conn, "SELECT has_function_privilege(%s, 'EXECUTE')", f)]
    if missing:
        yield Finding(
            subject,
            Severity.BLOCKING,
            f"role {role} may not mark its writes by a replication origin",
            consequence,
            f"GRANT EXECUTE ON FUNCTION {', '.join(missing)} TO {role} in database {name}",
        )


def _check_replication(conn: Connection, subject: str, consequence: str) -> Iterator[Finding]:
    if not _may_replicate(conn):
        role, _ = read_names(conn)
        yield Finding(
            subject,
            Severity.BLOCKING,
            f"role {role} may not replicate",
            consequence,
            f"ALTER ROLE {role} REPLICATION; where the provider does not allow that, its own way: "
            f"GRANT rds_replication TO {role} on Amazon's",
        )


def _may_replicate(conn: Connection) -> bool:
    """Tell whether the role may make a slot, by trying it: a managed PostgreSQL gives the right without the attribute."""
    if read_value(conn, "SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user"):
        return True
    try:
        # Rights are judged first; that others' transactions would have to be waited for is an answer too.
        with conn.transaction():
            conn.execute("SET LOCAL statement_timeout = '2s'")
            conn.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput', true)", (_TRIED,))
        conn.execute("SELECT pg_drop_replication_slot(%s)", (_TRIED,))
    except psycopg.errors.InsufficientPrivilege:
        return False
    except psycopg.Error:
        return True  # what else is in the way is said by its own finding
    return True
