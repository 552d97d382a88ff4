"""What a route has of its own in the store that it writes: functions, and tables between its mappings, in schema `clean`.

`functions.sql` makes the functions; only those that are IMMUTABLE may be, for the same row must always map the same way. The
table of an entity `clean.<name>` has the columns that its mapping yields: nobody else writes it, and other mappings read it.
"""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from shopferry.db import Connection
from shopferry.engine.mirror import MirrorTable, key_type_of
from shopferry.engine.statements import load_columns
from shopferry.engine.writes import RESERVED, target_of
from shopferry.errors import ConfigError, MappingError
from shopferry.route.entities import CLEAN
from shopferry.route.route import FUNCTIONS, Route

_OURS = "Functions and tables of a shopferry route; dropped at the end of the migration."
_MADE = "SELECT oid, xmin::text, oid::regprocedure::text, provolatile, pronamespace::regnamespace::text FROM pg_proc"


def create_functions(target: Connection, route: Route) -> None:
    """Make the route's schema and functions, in the caller's transaction; those that stand are replaced.

    Raises ConfigError where the schema stands and is somebody else's, MappingError with file and line for what does not run.
    """
    if not route.has_clean:
        return
    if _is_ours(target) is False:
        raise ConfigError(
            f"schema {CLEAN} stands in {target.info.dbname} already and is not of shopferry: "
            "rename it, for the route needs that name"
        )
    target.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(CLEAN)))
    target.execute(SQL("COMMENT ON SCHEMA {} IS {}").format(Identifier(CLEAN), Literal(_OURS)))
    where = f"{route.name}/{FUNCTIONS}"
    before = {tuple(row[:2]) for row in target.execute(_MADE).fetchall()}
    try:
        target.execute(route.functions.encode())
    except psycopg.Error as error:
        at = int(error.diag.statement_position or 1) - 1
        raise MappingError(f"{where}:{route.functions[:at].count(chr(10)) + 1}: {error.diag.message_primary}") from None
    for oid, xmin, signature, volatile, schema in target.execute(_MADE).fetchall():
        if (oid, xmin) in before:
            continue
        line = _find_line(route.functions, signature)
        if schema != CLEAN:
            raise MappingError(f"{where}:{line}: function {signature} is in schema {schema}: make it in schema {CLEAN}")
        if volatile != "i":
            raise MappingError(
                f"{where}:{line}: function {signature} is not IMMUTABLE: the same row must always map the same way"
            )


def _find_line(text: str, signature: str) -> int:
    name = signature.partition("(")[0].rpartition(".")[2]
    return text[: max(text.find(name), 0)].count("\n") + 1


def create_tables(target: Connection, route: Route, tables: Mapping[str, MirrorTable]) -> None:
    """Make the tables of the route's entities in its schema that are not there, in the caller's transaction.

    The views of the mirror must stand. One that stands and has other columns is refused by MappingError.
    """
    for unit in route.mappings:
        if not unit.entity.startswith(f"{CLEAN}."):
            continue
        table = target_of(unit)
        select = SQL("WITH affected AS (SELECT NULL::{} AS key WHERE false) SELECT * FROM ({}) y").format(
            SQL(key_type_of(target, unit, tables)), SQL(unit.body)
        )
        try:
            with target.transaction():
                wanted = _read_shape(target, select)
        except psycopg.Error as error:
            raise MappingError(f"{unit.file}:{unit.line}: {error.diag.message_primary}") from None
        for column in (unit.scope, *unit.key):
            if column not in wanted:
                raise MappingError(f"{unit.file}:{unit.line}: the SELECT yields no column {column!r}")
        standing = load_columns(target, unit.entity)
        if not standing:
            columns = SQL(", ").join(SQL("{} {}").format(Identifier(c), SQL(t)) for c, t in wanted.items())
            key = SQL(", ").join(map(Identifier, unit.key))
            target.execute(SQL("CREATE TABLE {} ({}, PRIMARY KEY ({}))").format(table, columns, key))
            if unit.scope != unit.key[0]:
                target.execute(SQL("CREATE INDEX ON {} ({})").format(table, Identifier(unit.scope)))
        elif standing != wanted:
            raise MappingError(
                f"{unit.file}:{unit.line}: {unit.entity} stands with other columns than the SELECT yields now: "
                f"DROP TABLE {unit.entity}, and run its phase again"
            )


def drop(target: Connection) -> None:
    """Drop the schema with all that is in it, where it is ours."""
    if _is_ours(target):
        target.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(CLEAN)))


def _is_ours(target: Connection) -> bool | None:
    """Tell whether the schema is shopferry's; None where there is none."""
    row = target.execute(
        "SELECT obj_description(oid, 'pg_namespace') IS NOT DISTINCT FROM %s FROM pg_namespace WHERE nspname = %s",
        (_OURS, CLEAN),
    ).fetchone()
    return bool(row[0]) if row else None


def _read_shape(target: Connection, select: Composed) -> dict[str, str]:
    """Read the columns that a SELECT yields, each with its type, without those that say why a row may not enter."""
    target.execute(SQL("CREATE TEMP VIEW shape AS {}").format(select))
    found = load_columns(target, "pg_temp.shape")
    target.execute("DROP VIEW pg_temp.shape")
    return {name: kind for name, kind in found.items() if name not in RESERVED}
