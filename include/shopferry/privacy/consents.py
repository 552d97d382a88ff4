"""One person's consents: the state now, and the chain of acts that led to it.

The route says in `consents.sql` how the new shop is asked: the grammar is in docs/howto/consents.md. Nothing is written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Composed, Literal

from shopferry import db, shapes
from shopferry.control import identity
from shopferry.db import Connection
from shopferry.errors import ConfigError, MappingError
from shopferry.route import headed
from shopferry.route.entities import IdentityMapping
from shopferry.route.route import Route, find_folder

FILE = "consents.sql"
LEGACY = "legacy:"  # before a key: the number of a legacy account
ACTS = ("asked", "granted", "confirmed", "withdrawn", "objected", "expired", "moved")
STATES = ("granted", "withdrawn", "unproven", "pending", "expired")
BASES = ("consent", "soft_opt_in")
_QUERIES = ("person", "state", "chain", "texts")
_MARK = 8  # letters of a mark that are shown
_WORDS = {"act": ACTS, "state": STATES, "basis": BASES}
_TIMES = ("happened_at", "known_at")
_UNKNOWN = (
    "no such person: the new shop has neither a customer nor an act of consent under this key "
    f"(the new shop's number, or {LEGACY}N for account N of legacy)"
)


@dataclass(frozen=True)
class State:
    """What holds now for one purpose and channel; `why` is a reason code, `address_mark` the mark it was given for."""

    purpose: str
    channel: str
    state: str  # one of STATES
    why: str | None
    basis: str  # one of BASES
    address_mark: str | None


@dataclass(frozen=True)
class Act:
    """One act: when it happened as declared, and by when it was known; `channel` None is one that could not be read."""

    happened_at: datetime | None
    known_at: datetime | None
    purpose: str
    channel: str | None
    act: str  # one of ACTS
    text_version: str | None
    address_mark: str | None
    ip: str | None
    source: str  # where it was told
    overwritten: bool  # legacy says so no more


@dataclass(frozen=True)
class Text:
    """One wording that people agreed to."""

    text_version: str
    language: str | None
    valid_from: date | None
    valid_to: date | None
    controller: str | None
    body: str


YIELDS: Mapping[str, type] = {"state": State, "chain": Act, "texts": Text}  # what each query yields, as fields


@dataclass(frozen=True)
class Consents:
    """All of one person; `chain` is oldest first, acts of unknown time last, and `texts` are those that it names."""

    route: str
    person: str
    state: tuple[State, ...]
    chain: tuple[Act, ...]
    texts: tuple[Text, ...]


@dataclass(frozen=True)
class Questions:
    """What the route's file says: its queries by name, and of which identity a legacy key is, if it names one."""

    where: Path
    identity: str | None
    queries: Mapping[str, str]


def load(route: Route) -> Questions:
    """Read `<route>/consents.sql`. Raises ConfigError when the route has none, MappingError for what is wrong in it."""
    file, where = find_folder(route.name) / FILE, Path(route.name, FILE)
    if not file.exists():
        raise ConfigError(
            f"route {route.name} has no {FILE}: write the queries {', '.join(_QUERIES)} "
            "as docs/howto/consents.md says; nothing else knows where the new shop keeps consents"
        )
    text = headed.read(file, where, ("identity", "name"), divider="name")
    queries = {section.name: section.text for section in text.sections[1:]}
    if missing := [name for name in _QUERIES if not queries.get(name)]:
        raise text.error(1, f"there is no query `-- name: {missing[0]}`")
    named = text.all("identity")
    known = [unit.identity for unit in route.units if isinstance(unit, IdentityMapping)]
    if named and named[0].value not in known:
        raise text.error(
            named[0].line, f"identity {named[0].value!r} is none of this route's: {', '.join(known) or 'none'}"
        )
    return Questions(where, named[0].value if named else None, queries)


def read(shop: Connection, route: Route, key: str) -> Consents:
    """Read what the new shop knows of one person, within the caller's transaction, which is read-only from then on.

    `key` is the new shop's number, or `legacy:N`. Raises ConfigError for a person who is not there, MappingError for a query
    that does not run or yields something else.
    """
    found = find(shop, route, key)
    if found is None:
        raise ConfigError(_UNKNOWN)
    return found


def find(shop: Connection, route: Route, key: str) -> Consents | None:
    """Find what `read` reads; None for a person who is not there."""
    asked = load(route)
    number = _find_number(shop, asked, key)
    person = None if number is None else _choose(shop, asked, number)
    if person is None:
        return None
    state = tuple(State(**row) for row in _ask(shop, asked, "state"))
    chain = sorted((Act(**row) for row in _ask(shop, asked, "chain")), key=_order)
    named = {act.text_version for act in chain} - {None}
    texts = [Text(**row) for row in _ask(shop, asked, "texts") if row["text_version"] in named]
    return Consents(route.name, person, state, tuple(chain), tuple(sorted(texts, key=lambda t: t.text_version)))


def conceal(found: Consents, *, values: bool) -> Consents:
    """Return the same to be shown: marks shortened, and IP addresses as their shapes unless `values`."""
    return replace(
        found,
        state=tuple(replace(s, address_mark=_shorten(s.address_mark)) for s in found.state),
        chain=tuple(
            replace(a, address_mark=_shorten(a.address_mark), ip=a.ip if values else shapes.mask(a.ip))
            for a in found.chain
        ),
    )


def _shorten(mark: str | None) -> str | None:
    return f"{mark[:_MARK]}…" if mark and len(mark) > _MARK else mark


def _find_number(shop: Connection, asked: Questions, key: str) -> str | None:
    """Find the new shop's number, None where there is none; another key than a legacy one is taken as it is."""
    if not key.startswith(LEGACY):
        return key
    if asked.identity is None:
        raise ConfigError(
            f"{asked.where} has no line `-- identity:`, which says whose key {LEGACY}N is: add it, or give the new shop's number"
        )
    if not db.exists(shop, "ferry.identity"):
        raise ConfigError(
            f"who was account N of legacy is known from `shopferry phase init` until `shopferry finish`: "
            f"give the new shop's number instead of {LEGACY}N"
        )
    digits = re.fullmatch(r"-?[0-9]{1,18}", key.removeprefix(LEGACY))
    number = identity.find_shop_key(shop, asked.identity, int(digits[0])) if digits else None
    return None if number is None else str(number)


def _choose(shop: Connection, asked: Questions, key: str) -> str | None:
    """Put the person into the temp table that the queries read; returns the number as the shop writes it, None if unknown."""
    all_people, number = SQL(asked.queries["person"]), Literal(key)
    # Of the type that people have for keys in this shop.
    made = SQL("CREATE TEMP TABLE person ON COMMIT DROP AS SELECT id FROM ({}) p WITH NO DATA").format(all_people)
    _run(shop, asked, "person", made)
    try:
        shop.execute(SQL("INSERT INTO pg_temp.person VALUES ({})").format(number))
    except (psycopg.errors.InvalidTextRepresentation, psycopg.errors.NumericValueOutOfRange):
        return None
    shop.execute("SET TRANSACTION READ ONLY")
    known = SQL("SELECT id FROM ({}) p WHERE id = {} LIMIT 1").format(all_people, number)
    _, found = _run(shop, asked, "person", known)
    return str(found[0][0]) if found else None


def _run(
    shop: Connection, asked: Questions, name: str, statement: SQL | Composed
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Run one query of the file; returns its columns and rows. Raises MappingError where it does not run."""
    try:
        cursor = shop.execute(statement)
        return ([c.name for c in cursor.description], cursor.fetchall()) if cursor.description else ([], [])
    except (psycopg.ProgrammingError, psycopg.DataError, psycopg.errors.ReadOnlySqlTransaction) as error:
        raise MappingError(f"{asked.where}: query {name}: {db.describe_error(error)}") from None


def _ask(shop: Connection, asked: Questions, name: str) -> list[dict[str, Any]]:
    """Ask one query for the columns that it must yield; others are left out."""
    columns = [field.name for field in fields(YIELDS[name])]
    names, rows = _run(shop, asked, name, SQL(asked.queries[name]))
    if missing := [column for column in columns if column not in names]:
        raise MappingError(
            f"{asked.where}: query {name} lacks {', '.join(missing)}: it must yield {', '.join(columns)}"
        )
    found = [{column: row[names.index(column)] for column in columns} for row in rows]
    for row in found:
        _require_known(asked, name, row)
        if row.get("ip") is not None:
            row["ip"] = str(row["ip"])
    return found


def _require_known(asked: Questions, name: str, row: Mapping[str, Any]) -> None:
    """Raise MappingError for a word that is none of ours, and for a time without its offset."""
    for column, words in _WORDS.items():
        if column in row and row[column] not in words:
            raise MappingError(f"{asked.where}: query {name}: a value of {column} is none of {', '.join(words)}")
    for column in _TIMES:
        at = row.get(column)
        if at is not None and not (isinstance(at, datetime) and at.tzinfo):
            raise MappingError(f"{asked.where}: query {name}: {column} must be a timestamptz")


def _order(act: Act) -> tuple[bool, float, float]:
    """Order acts by when they happened, and where that is not known by when they were known."""
    at = act.happened_at or act.known_at
    known = act.known_at or at
    return at is None, at.timestamp() if at else 0, known.timestamp() if known else 0
