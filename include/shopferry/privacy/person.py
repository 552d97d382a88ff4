"""What belongs to one person: the route's `person.sql`, and what its queries find in a store.

The queries are named `<store>.<table>` and yield primary keys; `<store>.person` finds accounts by what somebody typed,
`<store>.guests` the rows of who has none, `<store>.obstacles` says what stands in the way of an erasure, and
`<store>.derived` what the shop has concluded about them. A person's keys are those of accounts (`7`), and of rows that belong
to no account, with the table's name (`orders/17`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from shopferry.db import Connection
from shopferry.engine.mirror import MirrorTable
from shopferry.engine.standardize import standardize
from shopferry.errors import ConfigError, MappingError
from shopferry.route import headed, personal
from shopferry.route.entities import IdentityMapping
from shopferry.route.route import Route, find_folder
from shopferry.route.settings import STORES

FILE = "person.sql"
PERSON, GUESTS, OBSTACLES, DERIVED = "person", "guests", "obstacles", "derived"


@dataclass(frozen=True)
class Questions:
    """What the file asks: its queries by store and table, in their order, and the identity that joins accounts to persons."""

    where: Path
    identity: str
    queries: Mapping[tuple[str, str], str]

    def tables(self, store: str) -> list[str]:
        """List the tables of a store that a query is about."""
        return [t for s, t in self.queries if s == store and t not in {PERSON, GUESTS, OBSTACLES, DERIVED}]

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
    """List the tables with people's data that no query is about, of those that the route reads or fills."""
    filled = [e.partition(".")[2] for e in route.entities if e.startswith(f"{route.shop_schema}.")]
    of_people = [line for line in personal.load(route).lines if line.category.of_people and line.people == "customers"]
    unasked = []
    for store, named, tables in (("legacy", "legacy", route.tables), ("shop", route.shop_schema, filled)):
        lines = [line for line in of_people if line.schema.covers(named)]
        left = set(tables) - set(asked.tables(store))
        unasked += [f"{store}.{t}" for t in sorted(left) if any(line.table.covers(t) for line in lines)]
    return unasked


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


def stage(
    conn: Connection,
    asked: Questions,
    store: str,
    keys: Sequence[str],
    mirrored: Mapping[str, MirrorTable] | None = None,
) -> None:
    """Make `person` of these keys and `their_<table>` of each table, temp tables of the caller's transaction.

    `mirrored` are the tables of the store's mirror, where the queries are asked of that: it has captured columns alone.
    """
    conn.execute(
        "CREATE TEMP TABLE asked ON COMMIT DROP AS SELECT NULL::text AS value, NULL::text AS email, NULL::text AS phone"
    )
    if mirrored is None:
        kind = _read_key_type(conn, asked, store)
    else:
        accounts = mirrored[asked.tables(store)[0]]
        kind = next(c.type for c in accounts.columns if c.name == accounts.key[0])
    given = asked.split(store, keys)
    conn.execute(SQL("CREATE TEMP TABLE person (id {}) ON COMMIT DROP").format(SQL(kind)))
    _add_keys(conn, PERSON, given.get(PERSON, []))
    conn.execute(
        "ANALYZE pg_temp.person"
    )  # a table without statistics is taken for a big one, and all others are read whole
    for table in asked.tables(store):
        if mirrored is not None and table not in mirrored:
            continue
        with _blaming(asked, store, table):
            conn.execute(
                SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS {}").format(
                    Identifier(f"their_{table}"), SQL(asked.queries[store, table])
                )
            )
            _add_keys(conn, f"their_{table}", given.get(table, []))
        conn.execute(SQL("ANALYZE {}").format(Identifier("pg_temp", f"their_{table}")))


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


def find_derived(conn: Connection, asked: Questions, store: str) -> list[str]:
    """List what the shop has concluded about the staged person."""
    if (store, DERIVED) not in asked.queries:
        return []
    return sorted(str(row[0]) for row in _run(conn, asked, store, DERIVED).fetchall())


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


def _read_key_type(conn: Connection, asked: Questions, store: str) -> str:
    """Read the type that the store's persons have for keys."""
    with _blaming(asked, store, PERSON):
        cursor = conn.execute(SQL("SELECT id FROM ({}) p LIMIT 0").format(SQL(asked.queries[store, PERSON])))
    assert cursor.description
    row = conn.execute("SELECT format_type(%s, NULL)", (cursor.description[0].type_code,)).fetchone()
    assert row
    return str(row[0])


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
    except (psycopg.ProgrammingError, psycopg.DataError) as error:
        raise MappingError(f"{asked.where}: query {store}.{name}: {error.diag.message_primary}") from None
