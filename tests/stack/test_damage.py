"""Damage at random, in mirror and shop, while the shop is written to: all of it is found, nothing else is, all is mended."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from live import RATE, Flow
from psycopg.sql import SQL, Composable, Identifier, Literal
from shopferry import db, phase_steps
from shopferry.cdc import proof
from shopferry.control.differences import Difference
from shopferry.demo import ledger, shop
from shopferry.demo.writer import run_beside
from shopferry.engine import mirror, pair
from shopferry.engine.statements import select_keys_between
from shopferry.route.entities import EntityMapping
from shopferry.route.route import Route
from shopferry.settings import Settings

pytestmark = pytest.mark.stack
SEED = int(os.environ.get("SHOPFERRY_SEED") or 20261124)
MANY = 100  # in the mirror, and as many in the shop
_FLIPS = {
    "text": "reverse({0}) || 'x'",
    "integer": "{0} + 1000",  # not what the writer may add meanwhile
    "bigint": "{0} + 1",
    "smallint": "{0} + 1",
    "boolean": "NOT {0}",
    "numeric": "{0} + 0.01",
    "timestamp": "{0} + interval '1 day'",
    "date": "{0} + 1",
    "character": "reverse({0}) || 'x'",
}


@dataclass(frozen=True)
class Place:
    """A table that may be damaged: its key, and the columns that somebody compares, each with its type."""

    layer: str
    target: str  # as verification calls it
    table: Identifier
    key: tuple[str, ...]
    columns: dict[str, str]
    live: Composable  # which of its rows count

    @property
    def key_text(self) -> Composable:
        return SQL("concat_ws('/', {})").format(SQL(", ").join(SQL("{}::text").format(Identifier(k)) for k in self.key))

    @property
    def row_text(self) -> Composable:
        return SQL("ROW({})::text").format(SQL(", ").join(map(Identifier, self.columns)))


@dataclass(frozen=True)
class Damage:
    """What was done to one row, and how it looked afterwards (None: gone)."""

    place: Place
    key: str
    what: str
    row: str | None


def mirrored(conn: db.Connection) -> list[Place]:
    """The captured tables."""
    return [
        Place("mirror", t.name, t.base, t.key, {c.name: c.type for c in t.columns}, SQL("NOT _gone"))
        for t in mirror.load(conn).values()
    ]


def entities(conn: db.Connection, route: Route) -> list[Place]:
    """The shop's tables."""
    return [
        Place("shop", m.entity, Identifier(*m.entity.split(".")), m.key, dict(_columns(conn, m)), SQL("true"))
        for m in route.mappings
        if m.entity.startswith(f"{route.shop_schema}.")  # what stands between mappings is nobody's to damage
    ]


def _columns(conn: db.Connection, unit: EntityMapping) -> Iterator[tuple[str, str]]:
    for name, kind, given in conn.execute(
        "SELECT attname, format_type(atttypid, -1), attgenerated = '' AND attidentity = '' FROM pg_attribute "
        "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        (unit.entity,),
    ).fetchall():
        if given and re.search(rf"\b{name}\b", unit.body):
            yield name, kind


def harm(conn: db.Connection, place: Place, dice: random.Random) -> Damage | None:
    """Damage one row of a table in one way or another; None when the table has nothing for it, or forbids it."""
    what = dice.choice(["flip", "null", "truncate", "delete", "invent"])
    row = conn.execute(
        SQL("SELECT {} FROM {} WHERE {} ORDER BY md5({} || {}) LIMIT 1").format(
            place.key_text, place.table, place.live, place.key_text, Literal(str(dice.random()))
        )
    ).fetchone()
    if row is None:
        return None
    key, mine = str(row[0]), SQL("{} = {}").format(place.key_text, Literal(str(row[0])))
    column = dice.choice([c for c in place.columns if c not in place.key] or list(place.key))
    if what == "invent" and place.columns.get(place.key[-1], "bigint") not in {"text", "bigint", "integer"}:
        return None
    kind, name = place.columns[column].split("(")[0].split()[0], Identifier(column)
    try:
        with conn.transaction():
            conn.execute("SET LOCAL shopferry.writer = 'ferry'")
            before = _row(conn, place, key)
            if what == "delete":
                conn.execute(SQL("DELETE FROM {} WHERE {}").format(place.table, mine))
            elif what == "invent":
                key = _invent(conn, place, mine)
            else:
                value = {
                    "flip": _FLIPS.get(kind, "NULL"),
                    "null": "NULL",
                    "truncate": "left({0}::text, -1)",
                }[what]
                if what == "truncate" and kind not in {"text", "character"}:
                    return None
                conn.execute(
                    SQL("UPDATE {} SET {} = {} WHERE {}").format(place.table, name, SQL(value).format(name), mine)
                )
            conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
            after = _row(conn, place, key)
            if what != "invent" and after == before:
                return None
        return Damage(place, key, what, after)
    except (psycopg.errors.IntegrityError, psycopg.errors.DataError):
        return None  # the table does not let that happen


def _invent(conn: db.Connection, place: Place, like: Composable) -> str:
    """A row that nobody has written, like one that there is."""
    last, kinds = place.key[-1], {"text": "{0} || '-invented'", "bigint": "{0} + 50000000", "integer": "{0} + 50000000"}
    fresh = {last: SQL(kinds[place.columns.get(last, "bigint")]).format(Identifier(last))}
    columns = list(dict.fromkeys([*place.columns, *place.key]))
    values = SQL(", ").join(fresh.get(c, Identifier(c)) for c in columns)
    row = conn.execute(
        SQL("INSERT INTO {} ({}) SELECT {} FROM {} WHERE {} RETURNING {}").format(
            place.table, SQL(", ").join(map(Identifier, columns)), values, place.table, like, place.key_text
        )
    ).fetchone()
    assert row
    return str(row[0])


def _row(conn: db.Connection, place: Place, key: str) -> str | None:
    row = conn.execute(
        SQL("SELECT {} FROM {} WHERE {} AND {} = {}").format(
            place.row_text, place.table, place.live, place.key_text, Literal(key)
        )
    ).fetchone()
    return str(row[0]) if row else None


def nothing_is_missing(settings: Settings, book: Path) -> None:
    """Every write that the application was told was done is there, once the stream has brought the last of them."""
    with pair.open_stores(settings, "test") as s, proof.broker_ends(s, settings) as ends:
        proof.await_applied(s, ends, 120.0)
        report = ledger.check(book, s.source, s.target)
    assert report.acknowledged > 0
    assert report.missing == []


def harmed(conn: db.Connection, places: list[Place], dice: random.Random, many: int) -> list[Damage]:
    """So many rows damaged, each once."""
    done: dict[tuple[str, str], Damage] = {}
    while len(done) < many:
        place = dice.choice(places)
        damage = harm(conn, place, dice)
        if damage is not None:
            done.setdefault((place.target, damage.key), damage)
    return list(done.values())


def is_rightly_gone(settings: Settings, damage: Damage) -> bool:
    """Tell whether a row that was deleted is rightly gone: the application has removed what it was made of."""
    if damage.row is not None:
        return False
    with pair.open_stores(settings, "test") as s:
        if damage.place.layer == "mirror":
            named = replace(damage.place, table=Identifier("public", damage.place.target), live=SQL("true"))
            return _row(s.source, named, damage.key) is None
        s.merger.stage(s.route.units)
        unit = next(m for m in s.route.mappings if m.entity == damage.place.target)
        with s.target.transaction(force_rollback=True):
            s.merger.merge(unit, select_keys_between(unit, None, None), disjoint=False)
            return _row(s.target, damage.place, damage.key) is None


def test_two_hundred_random_damages_are_found_and_mended(empty: Flow, tmp_path: Path) -> None:
    settings = empty.settings
    print(f"seed {SEED}")
    dice = random.Random(SEED)
    route, book = Route.load(settings.route), tmp_path / "ledger.jsonl"
    shop.seed(settings, 1_500)
    empty.ferry()
    total = 0
    with run_beside(book, RATE), db.connect(settings.target_dsn, "test") as conn:
        for places in (mirrored(conn), entities(conn, route)):  # one after the other: the shop follows from the mirror
            missing = MANY
            while missing > 0:
                damages = harmed(conn, places, dice, missing)
                differing = empty.differences()
                layer = places[0].layer
                met = {(d.target, d.key) for d in differing if d.layer == layer}
                # The application may have written to a row meanwhile, and the stream has then put it right: it is made up for.
                standing = {(d.place.target, d.key) for d in damages if _row(conn, d.place, d.key) == d.row}
                unseen = [d for d in damages if (d.place.target, d.key) in standing - met]
                assert [d for d in unseen if not is_rightly_gone(settings, d)] == []
                harmed_rows = {(d.place.target, d.key) for d in damages}
                assert {row for row in met - harmed_rows if not follows(route, row, differing, harmed_rows)} == set()
                for phase in route.phases:
                    assert phase_steps.repair(settings, phase, "test").remaining == []
                assert empty.differences() == []
                missing -= len(standing & met)
                total += len(standing & met)
        assert total == 2 * MANY
        mended = conn.execute(
            "SELECT count(DISTINCT (layer, target, key)) FROM ferry.difference WHERE state = 'repaired'"
        )
        assert (mended.fetchone() or [0])[0] >= total
    nothing_is_missing(settings, book)


def confused(conn: db.Connection, dice: random.Random, many: int) -> int:
    """So many members of identities are gone, invented, in another cluster or another shop row; returns how many."""
    done = 0
    while done < many:
        one, other = conn.execute(
            "SELECT legacy_key, shop_key FROM ferry.identity WHERE entity = 'customer' ORDER BY md5(legacy_key || %s) LIMIT 2",
            (str(dice.random()),),
        ).fetchall()
        given = {"key": one[0], "other": other[1], "new": 60_000_000 + done}
        statement = dice.choice(
            [
                "DELETE FROM ferry.identity WHERE entity = 'customer' AND legacy_key = %(key)s",
                "UPDATE ferry.identity SET shop_key = %(other)s WHERE entity = 'customer' AND legacy_key = %(key)s",
                "UPDATE ferry.identity SET shop_key = nextval('shop.customer_id_seq') "
                "WHERE entity = 'customer' AND legacy_key = %(key)s",
                "UPDATE ferry.identity SET cluster = cluster || 'x' WHERE entity = 'customer' AND legacy_key = %(key)s",
                "INSERT INTO ferry.identity VALUES "
                "('customer', %(new)s, nextval('shop.customer_id_seq'), 'nobody' || %(new)s || '@example.com')",
            ]
        )
        done += conn.execute(statement.encode(), given).rowcount
    return done


def test_confused_identities_and_offsets_moved_back_are_mended(empty: Flow, tmp_path: Path) -> None:
    settings = empty.settings
    print(f"seed {SEED}")
    dice = random.Random(SEED)
    route, book = Route.load(settings.route), tmp_path / "ledger.jsonl"
    shop.seed(settings, 500)
    empty.ferry()
    with run_beside(book, RATE), db.connect(settings.target_dsn, "test") as conn:
        for _ in range(3):
            confused(conn, dice, 10)
            conn.execute("UPDATE ferry.kafka_offset SET next = greatest(0, next - 300)")  # and so they come once more
            assert any(d.layer == "identity" for d in empty.differences())
            # What follows from a wrong identity comes to light when it is right: so repair and look until nothing is left.
            for _ in range(3):
                for phase in route.phases:
                    phase_steps.repair(settings, phase, "test")
                if not empty.differences():
                    break
            assert empty.differences() == []
    nothing_is_missing(settings, book)


def follows(route: Route, row: tuple[str, str], differing: list[Difference], damaged: set[tuple[str, str]]) -> bool:
    """Whether a row of the shop differs because its mapping reads a damaged row of another entity of its aggregate."""
    unit = next((m for m in route.mappings if m.entity == row[0]), None)
    if unit is None:
        return False
    if row[0] == "shop.consent" and any(target == "shop.consent_text" for target, _ in damaged):
        return True  # a text is of no aggregate: the consents of many people hang on it
    read = {m.entity for m in route.mappings if re.search(rf"\b{re.escape(m.entity)}\b", unit.body)}
    if unit in route.derived and any(target in read for target, _ in damaged):
        return True  # counted together from rows of many aggregates: orders, payments, points
    parents = {key for target, key in damaged if target in read}
    parents |= {d.aggregate for d in differing if d.target in read and (d.target, d.key) in damaged and d.aggregate}
    return any(d.aggregate in parents for d in differing if (d.target, d.key) == row)
