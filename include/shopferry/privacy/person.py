"""What belongs to one person: the route's `person.sql`, and what its queries find in a store.

The queries are named `<store>.<table>` and yield primary keys; `<store>.person` finds accounts by what somebody typed, and
`<store>.obstacles` says what stands in the way of an erasure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from shopferry.db import Connection
from shopferry.engine.standardize import standardize
from shopferry.errors import ConfigError, MappingError
from shopferry.route import headed, personal
from shopferry.route.entities import IdentityMapping
from shopferry.route.route import Route, find_folder
from shopferry.route.settings import STORES

FILE = "person.sql"
PERSON, OBSTACLES = "person", "obstacles"


@dataclass(frozen=True)
class Questions:
    """What the file asks: its queries by store and table, in their order, and the identity that joins accounts to persons."""

    where: Path
    identity: str
    queries: Mapping[tuple[str, str], str]

    def tables(self, store: str) -> list[str]:
        """List the tables of a store that a query is about."""
        return [t for s, t in self.queries if s == store and t not in {PERSON, OBSTACLES}]


@dataclass(frozen=True)
class Account:
    """One account that was found, and what it is called there."""

    store: str
    key: str
    called: str | None


def load(route: Route) -> Questions:
    """Read `<route>/person.sql`. Raises ConfigError when the route has none, MappingError for what is wrong in it."""
    file, where = find_folder(route.base_name) / FILE, Path(route.base_name, FILE)
    if not file.exists():
        raise ConfigError(
            f"route {route.base_name} has no {FILE}: write what belongs to one person as docs/howto/requests.md says; "
            "nothing else knows it"
        )
    text = headed.read(file, where, ("identity", "name"), divider="name")
    queries: dict[tuple[str, str], str] = {}
    for section in text.sections[1:]:
        store, _, table = section.name.partition(".")
        if store not in STORES or not table:
            raise text.error(section.line, f"query {section.name!r} is named neither legacy.<table> nor shop.<table>")
        if (store, table) in queries:
            raise text.error(section.line, f"query {section.name} stands twice")
        queries[store, table] = section.text
    if missing := [s for s in STORES if (s, PERSON) not in queries]:
        raise text.error(1, f"there is no query `-- name: {missing[0]}.{PERSON}`")
    named = text.first("identity")
    known = [unit.identity for unit in route.units if isinstance(unit, IdentityMapping)]
    if named.value not in known:
        raise text.error(named.line, f"identity {named.value!r} is none of this route's: {', '.join(known) or 'none'}")
    asked = Questions(where, named.value, queries)
    if unasked := _find_unasked(asked, route):
        raise text.error(1, f"there is no query about {', '.join(unasked)}: what it holds of people would be forgotten")
    return asked


def _find_unasked(asked: Questions, route: Route) -> list[str]:
    """List the mapped tables of legacy with people's data that no query is about, as legacy.<table>."""
    of_people = [
        line
        for line in personal.load(route).lines
        if line.schema.covers("legacy") and line.category.of_people and line.people == "customers"
    ]
    left = set(route.tables) - set(asked.tables("legacy"))
    return sorted(f"legacy.{table}" for table in left if any(line.table.covers(table) for line in of_people))


def find(conn: Connection, asked: Questions, store: str, typed: str) -> list[Account]:
    """Find the accounts of a store that an e-mail, a phone number or the like leads to. The connection is only read from."""
    email, phone = standardize("email", typed).value, standardize("phone", f"|{typed}").value
    with conn.transaction(force_rollback=True):
        conn.execute(
            "CREATE TEMP TABLE asked ON COMMIT DROP AS SELECT %s::text AS value, %s::text AS email, %s::text AS phone",
            (typed, email, phone),
        )
        rows = _run(conn, asked, store, PERSON).fetchall()
    return sorted(
        (Account(store, str(key), None if called is None else str(called)) for key, called in rows), key=lambda a: a.key
    )


def stage(conn: Connection, asked: Questions, store: str, keys: Sequence[str]) -> None:
    """Make `person` of these keys and `their_<table>` of each table, temp tables of the caller's transaction."""
    conn.execute(
        "CREATE TEMP TABLE asked ON COMMIT DROP AS SELECT NULL::text AS value, NULL::text AS email, NULL::text AS phone"
    )
    with _blaming(asked, store, PERSON):
        conn.execute(
            SQL("CREATE TEMP TABLE person ON COMMIT DROP AS SELECT id FROM ({}) p LIMIT 0").format(
                SQL(asked.queries[store, PERSON])
            )
        )
        conn.execute(
            SQL("INSERT INTO person SELECT k::{} FROM unnest(%s::text[]) k").format(SQL(_type_of_person(conn))),
            (list(keys),),
        )
    for table in asked.tables(store):
        with _blaming(asked, store, table):
            conn.execute(
                SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS {}").format(
                    Identifier(f"their_{table}"), SQL(asked.queries[store, table])
                )
            )


def find_missing(conn: Connection, asked: Questions, store: str, schema: str, keys: Sequence[str]) -> list[str]:
    """List those of these keys that no account of the store has; its accounts are the first table that a query is about."""
    rows = conn.execute(
        SQL(
            "SELECT k FROM unnest(%s::text[]) k WHERE k NOT IN (SELECT id::text FROM {} WHERE id::text = ANY(%s)) ORDER BY 1"
        ).format(Identifier(schema, asked.tables(store)[0])),
        (list(keys), list(keys)),
    ).fetchall()
    return [str(row[0]) for row in rows]


def find_obstacles(conn: Connection, asked: Questions, store: str, keys: Sequence[str]) -> list[str]:
    """List what stands in the way of erasing these accounts: open orders, balances and the like."""
    if (store, OBSTACLES) not in asked.queries:
        return []
    with conn.transaction(force_rollback=True):
        stage(conn, asked, store, keys)
        return sorted(str(row[0]) for row in _run(conn, asked, store, OBSTACLES).fetchall())


def follow(shop: Connection, asked: Questions, persons: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Follow the identity from accounts to the new shop's persons and back: every key that is the same person's."""
    rows = shop.execute(
        "SELECT legacy_key::text, coalesce(shop_id, shop_key::text) FROM ferry.identity "
        "WHERE entity = %s AND shop_key IN (SELECT shop_key FROM ferry.identity WHERE entity = %s "
        "AND (legacy_key::text = ANY(%s) OR coalesce(shop_id, shop_key::text) = ANY(%s)))",
        (asked.identity, asked.identity, list(persons.get("legacy", ())), list(persons.get("shop", ()))),
    ).fetchall()
    return {
        "legacy": sorted({*persons.get("legacy", ()), *(r[0] for r in rows)}),
        "shop": sorted({*persons.get("shop", ()), *(r[1] for r in rows)}),
    }


def _type_of_person(conn: Connection) -> str:
    row = conn.execute("SELECT pg_typeof(id)::text FROM (SELECT (NULL::person).id) p").fetchone()
    assert row
    return str(row[0])


def _run(conn: Connection, asked: Questions, store: str, name: str) -> psycopg.Cursor[tuple[object, ...]]:
    with _blaming(asked, store, name):
        return conn.execute(asked.queries[store, name].encode())


@contextmanager
def _blaming(asked: Questions, store: str, name: str) -> Iterator[None]:
    """Name the query whose SQL PostgreSQL refuses within."""
    try:
        yield
    except (psycopg.ProgrammingError, psycopg.DataError) as error:
        raise MappingError(f"{asked.where}: query {store}.{name}: {error.diag.message_primary}") from None
