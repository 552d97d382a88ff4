"""Functions by which care looks at one person at a time: `ferry_masked.<table>(person, why)`, `<table>_by_key(key, why)`.

Each runs as its owner, books the look in `ferry.looked`, and returns the masked rows. `<table>` asks the route's `person.sql`
which rows are the person's; `<table>_by_key` returns one row by its primary key. Their bodies are bound to what they name when
they are made, so no search path of a caller leads them elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from shopferry.db import Connection
from shopferry.errors import ConfigError, MappingError
from shopferry.keys import key_text
from shopferry.privacy import person
from shopferry.privacy.person import Questions
from shopferry.route.identifiers import shorten_name
from shopferry.route.route import Route

_KEYS = """
SELECT array_agg(a.attname ORDER BY array_position(i.indkey::int2[], a.attnum)),
       array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY array_position(i.indkey::int2[], a.attnum))
FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey::int2[])
WHERE i.indrelid = to_regclass(%s) AND i.indisprimary
"""


@dataclass(frozen=True)
class Persons:
    """What the route asks of a person in the new shop, and the type of their key there."""

    asked: Questions
    key_type: str


def load_persons(shop: Connection, route: Route) -> Persons | None:
    """Load the route's person.sql; None where it has none, and rows are then looked at by their own keys alone."""
    try:
        asked = person.load(route)
    except ConfigError:
        return None
    with shop.transaction(force_rollback=True):
        person.stage(shop, asked, "shop", [])
        [(kind,)] = shop.execute(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = to_regclass('pg_temp.person') AND attname = 'id'"
        ).fetchall()
    return Persons(asked, str(kind))


def make_functions(
    shop: Connection,
    within: str,
    table: Identifier,
    names: tuple[str, str],
    shown: Sequence[Composable],
    persons: Persons | None,
) -> list[Composed]:
    """Make the functions of one table in schema `within`, beside its view; returns them as GRANT names them.

    `names` are schema and table. Raises MappingError for a query of person.sql that does not run so.
    """
    schema, name = names
    [(key, types)] = shop.execute(_KEYS, (table.as_string(shop),)).fetchall()
    if not key:
        return []
    columns, relation = SQL(", ").join(shown), Literal(f"shop.{name}")
    one = SQL("{} = $1::{}").format(Identifier(key[0]), SQL(types[0]))
    by_key = one if len(key) == 1 else SQL("{} = $1").format(key_text(key))
    rows = SQL("SELECT {} FROM {} WHERE {}").format(columns, table, by_key)
    made = [_make(shop, within, shorten_name(f"{name}_by_key"), "key", name, relation, rows)]
    if persons and ("shop", name) in persons.asked.queries:
        theirs = SQL("({}) IN (SELECT {} FROM {})").format(
            SQL(", ").join(Identifier(schema, name, k) for k in key),
            SQL(", ").join(map(Identifier, key)),
            Identifier(f"their_{name}"),
        )
        rows = SQL("WITH {} SELECT {} FROM {} WHERE {}").format(_compose_theirs(persons, name), columns, table, theirs)
        try:
            made.append(_make(shop, within, name, "person", name, relation, rows))
        except psycopg.ProgrammingError as error:
            where = f"{persons.asked.where}: query shop.{name}"
            raise MappingError(f"{where}: {error.diag.message_primary}") from None
    return made


def drop_functions(shop: Connection, within: str) -> None:
    """Drop all functions of the schema that views do not need."""
    rows = shop.execute(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = to_regnamespace(%s) AND proname <> 'mask'",
        (within,),
    ).fetchall()
    if rows:
        shop.execute(SQL("DROP FUNCTION {}").format(SQL(", ").join(SQL(name) for (name,) in rows)))


def _compose_theirs(persons: Persons, name: str) -> Composed:
    """Compose the file's queries up to that of one table, as `person.stage` makes temp tables of them."""
    parts: Mapping[str, Composed] = {
        "asked": SQL("SELECT NULL::text AS value, NULL::text AS email, NULL::text AS phone").format(),
        "person": SQL("SELECT $1::{} AS id").format(SQL(persons.key_type)),
    }
    tables = persons.asked.tables("shop")
    for table in tables[: tables.index(name) + 1]:
        query = SQL("{}\n").format(SQL(persons.asked.queries["shop", table]))
        parts = {**parts, f"their_{table}": query}
    return SQL(", ").join(SQL("{} AS ({})").format(Identifier(n), query) for n, query in parts.items())


def _make(
    shop: Connection, within: str, name: str, argument: str, view: str, relation: Literal, rows: Composed
) -> Composed:
    signature = SQL("{}.{}(text, text)").format(Identifier(within), Identifier(name))
    shop.execute(
        SQL(
            "CREATE FUNCTION {}.{}({} text, why text) RETURNS SETOF {}.{} LANGUAGE sql VOLATILE SECURITY DEFINER "
            "SET search_path = pg_catalog, pg_temp BEGIN ATOMIC SELECT {}.note_look({}, {}, $1, $2); {}; END"
        ).format(
            Identifier(within),
            Identifier(name),
            Identifier(argument),
            Identifier(within),
            Identifier(view),
            Identifier(within),
            Literal(f"{within}.{name}"),
            relation,
            rows,
        )
    )
    shop.execute(SQL("REVOKE ALL ON FUNCTION {} FROM PUBLIC").format(signature))
    return signature
