"""Masked views: the new shop's rows as care may see them, made of the data map, in schema `ferry_masked`.

Nobody reads the views of tables with people's data: care asks the functions of `one_person`, for one person at a time.
A column that holds people's data is shown as its shape where it is a text, and not at all where it is not. What somebody has
bought, earned and agreed to is shown: without it nobody can be helped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier

from shopferry.db import Connection
from shopferry.errors import ConfigError, MappingError
from shopferry.privacy import one_person
from shopferry.route.personal import PLAIN, Category, DataMap, Line
from shopferry.route.route import Route
from shopferry.settings import routes_dir

SCHEMA = "ferry_masked"
MARKET = "market.sql"  # the route's own SELECT of those who may be written to
_SQL = Path(__file__).with_name("masking.sql")
_SHOWN = (Category.PURCHASE, Category.LOYALTY, Category.CONSENT)
# Types whose values say no more than the category: not texts of addresses, nor what may hold anything.
_PLAIN = {"S", "N", "D", "B", "E", "T"}  # pg_type.typcategory: text, number, time, boolean, enum, interval


@dataclass(frozen=True)
class Made:
    """What stands in the schema: views that hold nothing of people, functions as GRANT names them, the market's view if any."""

    views: list[str]
    functions: list[Composed]
    market: list[str]


def create(shop: Connection, route: Route, data_map: DataMap) -> Made:
    """Make the schema anew, in the caller's transaction.

    Raises ConfigError for a schema of that name that is not ours, or views that others have built on; MappingError for a
    `market.sql` or `person.sql` that does not run.
    """
    drop(shop)
    shop.execute(_SQL.read_bytes())
    made, persons = Made([], [], []), one_person.load_persons(shop, route)
    for entity in route.entities:
        schema, _, table = entity.partition(".")
        if schema == route.shop_schema:
            shown, of_people = _make_view(shop, schema, table, data_map)
            if of_people:
                table_name = Identifier(schema, table)
                made.functions.extend(
                    one_person.make_functions(shop, SCHEMA, table_name, (schema, table), shown, persons)
                )
            else:
                made.views.append(table)
    if (file := routes_dir() / route.name / MARKET).exists():
        made.market.append(_make_market(shop, file, f"{route.name}/{MARKET}"))
    return made


def drop(shop: Connection) -> bool:
    """Drop the schema, if there is one; returns whether there was. Raises ConfigError as `create` does."""
    row = shop.execute(
        "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s", (SCHEMA,)
    ).fetchone()
    if row is None:
        return False
    if not (row[0] or "").startswith("Views of shopferry "):
        raise ConfigError(f"schema {SCHEMA} stands in {shop.info.dbname} and is not of shopferry: rename it")
    views = [SQL("{}.{}").format(Identifier(SCHEMA), Identifier(name)) for name in _list_views(shop)]
    try:
        one_person.drop_functions(shop, SCHEMA)
        if views:
            shop.execute(SQL("DROP VIEW {}").format(SQL(", ").join(views)))
        shop.execute(SQL("DROP FUNCTION IF EXISTS {}.mask(text)").format(Identifier(SCHEMA)))
        shop.execute(SQL("DROP SCHEMA {}").format(Identifier(SCHEMA)))
    except psycopg.errors.DependentObjectsStillExist as error:
        raise ConfigError(
            f"others have built on what shopferry made in schema {SCHEMA}; drop it first: {error.diag.message_detail}"
        ) from None
    return True


def _list_views(shop: Connection) -> list[str]:
    rows = shop.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(%s) AND relkind = 'v' ORDER BY 1", (SCHEMA,)
    ).fetchall()
    return [str(name) for (name,) in rows]


def _make_view(shop: Connection, schema: str, table: str, data_map: DataMap) -> tuple[list[Composable], bool]:
    """Make the view of one table; returns what it selects, and whether a column is of people, or nobody knows of what."""
    columns = shop.execute(
        """SELECT a.attname, format_type(a.atttypid, NULL), t.typcategory
           FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
           WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum""",
        (f"{Identifier(schema).as_string(shop)}.{Identifier(table).as_string(shop)}",),
    ).fetchall()
    lines = {name: data_map.find(schema, table, name) for name, _, _ in columns}
    shown = [_show(name, kind, family, lines[name]) for name, kind, family in columns]
    shop.execute(
        SQL("CREATE VIEW {}.{} WITH (security_barrier) AS SELECT {} FROM {}.{}").format(
            Identifier(SCHEMA), Identifier(table), SQL(", ").join(shown), Identifier(schema), Identifier(table)
        )
    )
    return shown, any(line is None or line.category.of_people for line in lines.values())


def _show(name: str, kind: str, family: str, line: Line | None) -> Composable:
    """Say how a column is shown; one that the data map does not name is not."""
    column = Identifier(name)
    if line is not None:
        shown = not line.category.of_people or (
            line.category in _SHOWN and family in _PLAIN and line.pseudonym in {PLAIN, None}
        )
        if shown:
            return column
        if family == "S" and line.category is not Category.CREDENTIAL:
            return SQL("{}.mask({}::text) AS {}").format(Identifier(SCHEMA), column, column)
    return SQL("NULL::{} AS {}").format(SQL(kind), column)


def _make_market(shop: Connection, file: Path, where: str) -> str:
    text = file.read_text().strip().rstrip(";")
    try:
        with shop.transaction():
            shop.execute(f"CREATE VIEW {SCHEMA}.market WITH (security_barrier) AS {text}".encode())
    except psycopg.Error as error:
        raise MappingError(f"{where}: {error.diag.message_primary}") from None
    return "market"
