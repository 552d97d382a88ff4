"""What belongs to one person: the route's `person.sql`, and what its queries find in a store.

The queries are named `<store>.<table>` and yield primary keys; `<store>.person` finds accounts by what somebody typed,
`<store>.guests` the rows of who has none, and `<store>.obstacles` says what stands in the way of an erasure. A person's keys
are those of accounts (`7`), and of rows that belong to no account, with the table's name (`orders/17`).
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
PERSON, GUESTS, OBSTACLES = "person", "guests", "obstacles"


@dataclass(frozen=True)
class Questions:
    """What the file asks: its queries by store and table, in their order, and the identity that joins accounts to persons."""

    where: Path
    identity: str
    queries: Mapping[tuple[str, str], str]

    def tables(self, store: str) -> list[str]:
        """List the tables of a store that a query is about."""
        return [t for s, t in self.queries if s == store and t not in {PERSON, GUESTS, OBSTACLES}]

    def split(self, store: str, keys: Sequence[str]) -> dict[str, list[str]]:
        """Split a person's keys by table: those of accounts stand under `person`."""
        found: dict[str, list[str]] = {}
        for key in keys:
            table, _, row = key.partition("/")
            known = bool(row) and (store, table) in self.queries
            found.setdefault(table if known else PERSON, []).append(row if known else key)
        return found


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
    """Find the accounts of a store that an e-mail, a phone number or the like leads to, and the rows of guests.

    The connection is only read from.
    """
    email, phone = standardize("email", typed).value, standardize("phone", f"|{typed}").value
    with conn.transaction(force_rollback=True):
        conn.execute(
            "CREATE TEMP TABLE asked ON COMMIT DROP AS SELECT %s::text AS value, %s::text AS email, %s::text AS phone",
            (typed, email, phone),
        )
        accounts = _run(conn, asked, store, PERSON).fetchall()
        guests = _run(conn, asked, store, GUESTS).fetchall() if (store, GUESTS) in asked.queries else []
    rows = [(key, called) for key, called in accounts] + [(f"{table}/{key}", called) for table, key, called in guests]
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
        given = asked.split(store, keys)
        _add_keys(conn, PERSON, given.get(PERSON, []))
    for table in asked.tables(store):
        with _blaming(asked, store, table):
            conn.execute(
                SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS {}").format(
                    Identifier(f"their_{table}"), SQL(asked.queries[store, table])
                )
            )
            _add_keys(conn, f"their_{table}", given.get(table, []))


def find_missing(conn: Connection, asked: Questions, store: str, schema: str, keys: Sequence[str]) -> list[str]:
    """List those of these keys that the store does not have; accounts are the rows of the first table that a query is about."""
    missing = []
    for table, listed in asked.split(store, keys).items():
        name = Identifier(schema, asked.tables(store)[0] if table == PERSON else table)
        rows = conn.execute(
            SQL(
                "SELECT k FROM unnest(%s::text[]) k "
                "WHERE k NOT IN (SELECT id::text FROM {} WHERE id::text = ANY(%s)) ORDER BY 1"
            ).format(name),
            (listed, listed),
        ).fetchall()
        missing += [key if table == PERSON else f"{table}/{key}" for (key,) in rows]
    return missing


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


def _add_keys(conn: Connection, table: str, keys: Sequence[str]) -> None:
    """Add keys to a temp table of keys that has one column."""
    if not keys:
        return
    row = conn.execute(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum = 1",
        (f"pg_temp.{table}",),
    ).fetchone()
    assert row
    conn.execute(
        SQL("INSERT INTO {0} SELECT k::{1} FROM unnest(%s::text[]) k EXCEPT TABLE {0}").format(
            Identifier("pg_temp", table), SQL(row[0])
        ),
        (list(keys),),
    )


def _run(conn: Connection, asked: Questions, store: str, name: str) -> psycopg.Cursor[tuple[object, ...]]:
    with _blaming(asked, store, name):
        return conn.execute(asked.queries[store, name].encode())


@contextmanager
def _blaming(asked: Questions, store: str, name: str) -> Iterator[None]:
    """Name the query whose SQL PostgreSQL refuses within."""
    try:
        yield
    except (psycopg.errors.SyntaxErrorOrAccessRuleViolation, psycopg.errors.DataError) as error:
        raise MappingError(f"{asked.where}: query {store}.{name}: {error.diag.message_primary}") from None
