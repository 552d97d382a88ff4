"""Who may see what in the new shop: four roles of the database, to be granted to people. None of them may write.

    ferry_view_<route>    counts, states and reasons: columns of our own tables that hold nothing of people, and no keys
    ferry_care_<route>    rows of the new shop, masked, one person at a time: each look is booked
    ferry_market_<route>  those who may be written to, by the route's `market.sql`
    ferry_dpo_<route>     everything of ours, looks too, and of the tables that the route fills, unmasked

Roles are of the whole cluster, so they carry the route's name, and a comment by which they are known as ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from shopferry.control import locks
from shopferry.db import Connection
from shopferry.errors import ConfigError
from shopferry.privacy import columns, masked
from shopferry.route import personal
from shopferry.route.personal import Category
from shopferry.route.route import Route

KINDS = ("view", "care", "market", "dpo")
_OURS = "shopferry: "
_SAYS = {
    "view": "sees counts and reasons of a migration, nothing of people",
    "care": "sees the new shop's rows, masked, one person at a time",
    "market": "sees those who may be written to",
    "dpo": "sees everything of a migration",
}
_GIVEN = """
SELECT format('SCHEMA %%I', n.nspname) FROM pg_namespace n, aclexplode(n.nspacl) r
WHERE n.nspname = %(schema)s AND r.grantee = %(role)s::name::regrole
UNION
SELECT c.oid::regclass::text FROM pg_class c, aclexplode(c.relacl) r
WHERE c.relnamespace = to_regnamespace(%(schema)s) AND r.grantee = %(role)s::name::regrole
UNION
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid, aclexplode(a.attacl) r
WHERE c.relnamespace = to_regnamespace(%(schema)s) AND r.grantee = %(role)s::name::regrole
"""
_SECRET = ("ferry", "setting")  # secrets of the installation, which are nobody's to see


@dataclass
class Dropped:
    """What `drop` has dropped, and what it had to leave and why."""

    dropped: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def name_role(route: str, kind: str) -> str:
    """Return the name of one of the four roles of a route."""
    return f"ferry_{kind}_{re.sub(r'[^a-z0-9_]', '_', route.lower())}"


def create(shop: Connection, route: Route) -> list[tuple[str, str]]:
    """Make the roles that are missing, the masked views and all rights anew; returns (role, what it sees).

    Raises ConfigError for a role that is not ours, or that we may not make, or a schema whose use we may not grant; then
    nothing was changed.
    """
    names = {kind: name_role(route.name, kind) for kind in KINDS}
    with shop.transaction():
        locks.lock_schema(shop)
        _ensure_roles(shop, names)
        made = masked.create(shop, route, personal.load(route))
        for schema in ("ferry", "mirror", route.shop_schema):
            _revoke(shop, schema, names.values())
        _grant_view(shop, names["view"])
        _grant(shop, names["care"], masked.SCHEMA, made.views)
        for function in made.functions:
            shop.execute(SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(function, Identifier(names["care"])))
        _grant(shop, names["market"], masked.SCHEMA, made.market)
        shop_tables = [e.partition(".")[2] for e in route.entities if e.startswith(f"{route.shop_schema}.")]
        _grant(shop, names["dpo"], route.shop_schema, shop_tables)
        for schema in ("ferry", "mirror"):
            found = {table for _, table, _ in columns.read_columns(shop, [schema])}
            _grant(shop, names["dpo"], schema, sorted(t for t in found if (schema, t) != _SECRET))
    return [(names[kind], _SAYS[kind]) for kind in KINDS]


def ensure(shop: Connection, route: Route) -> list[str]:
    """Make the roles that are missing, without a right; returns their names. Raises ConfigError as `create` does."""
    names = {kind: name_role(route.name, kind) for kind in KINDS}
    with shop.transaction():
        locks.lock_schema(shop)
        _ensure_roles(shop, names)
    return list(names.values())


def let_read(scratch: Connection, route: Route) -> None:
    """Let the four roles, and no other, read the shop's tables in a database of pseudonyms, in the caller's transaction."""
    database = Identifier(scratch.info.dbname)
    scratch.execute(SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    for role in (Identifier(name_role(route.name, kind)) for kind in KINDS):
        schema = Identifier(route.shop_schema)
        scratch.execute(SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, role))
        scratch.execute(SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, role))
        scratch.execute(SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}").format(schema, role))


def drop(shop: Connection, route: Route) -> Dropped:
    """Drop masked views, rights and roles, in the caller's transaction; leave a role that others use or that we may not drop."""
    done = Dropped()
    if masked.drop(shop):
        done.dropped.append(f"schema {masked.SCHEMA}")
    names = [name for kind in KINDS if _is_ours(shop, name := name_role(route.name, kind))]
    for schema in ("ferry", "mirror", route.shop_schema):
        _revoke(shop, schema, names)
    for name in names:
        if used := _find_uses(shop, name):
            done.left.append(f"role {name} is left, for it is used elsewhere: {', '.join(used)}")
            continue
        try:
            with shop.transaction():
                shop.execute(SQL("DROP ROLE {}").format(Identifier(name)))
            done.dropped.append(f"role {name}")
        except psycopg.errors.InsufficientPrivilege:
            done.left.append(f"role {name} is left, for we may not drop it: an administrator can, by DROP ROLE {name}")
    return done


def _ensure_roles(shop: Connection, names: dict[str, str]) -> None:
    missing: list[Composed] = []
    for kind, name in names.items():
        ours = _is_ours(shop, name)
        if ours is False:
            raise ConfigError(
                f"role {name} exists and is not of shopferry: rename it (ALTER ROLE {name} RENAME TO …), since its "
                "members would get rights"
            )
        if ours is None:
            missing += [
                SQL("CREATE ROLE {} NOLOGIN").format(Identifier(name)),
                SQL("COMMENT ON ROLE {} IS {}").format(Identifier(name), Literal(_OURS + _SAYS[kind])),
            ]
    try:
        for statement in missing:
            shop.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        wanted = "; ".join(s.as_string(shop) for s in missing)
        raise ConfigError(
            f"our role may not make roles, and need not: have an administrator run this once, then try again: {wanted}"
        ) from None


def _is_ours(shop: Connection, name: str) -> bool | None:
    """Tell whether the role is ours; None where there is none."""
    row = shop.execute(
        "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s", (name,)
    ).fetchone()
    return None if row is None else str(row[0]).startswith(_OURS)


def _grant_view(shop: Connection, role: str) -> None:
    """Grant the columns of our own tables that the data map says hold nothing of people."""
    ours = columns.load_ours()
    shown: dict[str, list[str]] = {}
    for schema, table, column in columns.read_columns(shop, ["ferry"]):
        line = ours.find(schema, table, column)
        if line and line.category is Category.NONE and (schema, table) != _SECRET:
            shown.setdefault(table, []).append(column)
    _grant(shop, role, "ferry", [])
    for table, names in shown.items():
        listed = SQL(", ").join(map(Identifier, names))
        shop.execute(SQL("GRANT SELECT ({}) ON ferry.{} TO {}").format(listed, Identifier(table), Identifier(role)))


def _grant(shop: Connection, role: str, schema: str, relations: list[str]) -> None:
    """Grant the use of the schema, and to read these relations of it."""
    shop.execute(SQL("GRANT USAGE ON SCHEMA {} TO {}").format(Identifier(schema), Identifier(role)))
    row = shop.execute("SELECT has_schema_privilege(%s, %s, 'USAGE')", (role, schema)).fetchone()
    if not row or not row[0]:  # PostgreSQL warns of a grant that has no effect, and goes on
        raise ConfigError(f"we may not grant the use of schema {schema}: GRANT USAGE ON SCHEMA {schema} TO {role}")
    if relations:
        listed = SQL(", ").join(SQL("{}.{}").format(Identifier(schema), Identifier(r)) for r in relations)
        shop.execute(SQL("GRANT SELECT ON {} TO {}").format(listed, Identifier(role)))


def _revoke(shop: Connection, schema: str, names: Iterable[str]) -> None:
    """Take back the rights on the schema and on what is in it; rights on columns go with their tables'."""
    for name in names:
        given = [SQL(text) for (text,) in shop.execute(_GIVEN, {"schema": schema, "role": name}).fetchall()]
        for what in given:
            shop.execute(SQL("REVOKE ALL ON {} FROM {}").format(what, Identifier(name)))


def _find_uses(shop: Connection, name: str) -> list[str]:
    """Find where in the cluster the role still owns something or has rights."""
    rows = shop.execute(
        """SELECT DISTINCT CASE d.deptype WHEN 'o' THEN 'owns something in ' ELSE 'has rights in ' END
                  || coalesce(b.datname, 'the cluster')
           FROM pg_shdepend d LEFT JOIN pg_database b ON b.oid = d.dbid
           WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = %s::regrole AND d.deptype IN ('o', 'a') ORDER BY 1""",
        (Identifier(name).as_string(shop),),
    ).fetchall()
    return [str(what) for (what,) in rows]
