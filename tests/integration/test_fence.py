"""Fences: a store that is not open says so with an SQLSTATE of its own, whatever the statement and the session."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from own_shop import own_pair
from pair import ROUTE, Pair, connect
from shopferry import installation
from shopferry.cutover import gates
from shopferry.stores import fence
from test_backfill import dsns, order


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO shop.customer (email) VALUES ('jan@example.com')",
        "UPDATE shop.customer SET email = 'x'",
        "DELETE FROM shop.customer WHERE false",
        "TRUNCATE shop.customer CASCADE",
        "COPY shop.customer (email) FROM STDIN",
        "WITH w AS (DELETE FROM shop.customer RETURNING 1) SELECT * FROM w",
    ],
)
def test_the_new_shop_refuses_whatever_is_not_the_ferrys(pair: Pair, statement: str) -> None:
    with pytest.raises(psycopg.DatabaseError) as caught, pair.shop.cursor() as cursor:
        if statement.startswith("COPY"):
            with cursor.copy(statement.encode()) as copy:
                copy.write("jan@example.com\n")
        else:
            cursor.execute(statement.encode())
    assert caught.value.sqlstate == fence.MOVED == "SF001"
    told = caught.value.diag
    assert (
        told.message_primary == "moved: shop.customer is not open for writes (route demo, version 1: write to legacy)"
    )
    assert json.loads(told.message_detail or "") == {"route": "demo", "store": "legacy", "version": 1}
    assert "Read ferry.route" in (told.message_hint or "")


def test_every_table_that_a_mapping_fills_is_fenced(pair: Pair) -> None:
    assert fence.find_fenced(pair.shop) == ROUTE.entities


def test_the_ferry_may_write_and_only_within_its_transaction(pair: Pair) -> None:
    with pair.shop.transaction():
        pair.shop.execute("SET LOCAL shopferry.writer = 'ferry'")
        pair.shop.execute("INSERT INTO shop.customer (email) VALUES ('jan@example.com')")
    with pytest.raises(psycopg.DatabaseError, match="moved"):
        pair.shop.execute("DELETE FROM shop.customer")


@pytest.mark.fresh
def test_partitions_are_closed_too_and_opened_with_the_whole(pair: Pair) -> None:
    pair.write(
        "CREATE TABLE visits (id bigint PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (id)",
        "CREATE TABLE visits_1_1 PARTITION OF visits_1 FOR VALUES FROM (0) TO (50)",
    )
    with pair.legacy.transaction():
        fence.raise_fence(pair.legacy, ["public.visits"], "demo", ("shop", 2))
    for table in ("visits", "visits_1", "visits_1_1"):
        with pytest.raises(psycopg.DatabaseError, match="moved"):
            pair.write(f"INSERT INTO {table} VALUES (1)")
    with pair.legacy.transaction():
        fence.lift_fence(pair.legacy, ["public.visits"])
    for number, table in enumerate(("visits", "visits_1", "visits_1_1"), 1):
        pair.write(f"INSERT INTO {table} VALUES ({number})")


PARTED = """
CREATE SCHEMA shop;
CREATE TABLE shop.visit (id bigint PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE shop.visit_1 PARTITION OF shop.visit FOR VALUES FROM (0) TO (100);
CREATE TABLE shop.apart (id bigint PRIMARY KEY);
"""
MAPPING = """-- entity: shop.visit
-- key: id
-- scope: id
-- source: legacy.visits(id)
SELECT v.id, '{}'::text[] AS problems FROM legacy.visits v JOIN affected a ON a.key = v.id
"""


@pytest.mark.parametrize(
    "later",
    [
        "CREATE TABLE shop.visit_2 PARTITION OF shop.visit FOR VALUES FROM (100) TO (200)",
        "ALTER TABLE shop.apart RENAME TO visit_2; "
        "ALTER TABLE shop.visit ATTACH PARTITION shop.visit_2 FOR VALUES FROM (100) TO (200)",
    ],
    ids=["made", "attached"],
)
def test_a_partition_that_comes_later_is_named_as_open_and_closed_by_init(
    make_db: Callable[..., str], tmp_path: Path, later: str
) -> None:
    legacy = "CREATE TABLE visits (id bigint PRIMARY KEY)"
    with own_pair(make_db, tmp_path, legacy, PARTED, {"all/visit.sql": MAPPING}) as pair:
        assert gates._reach(pair.stores).met
        pair.shop.execute(later.encode())
        gate = gates._reach(pair.stores)
        assert (gate.met, gate.evidence) == (False, "no fence on shop.visit_2")
        installation.install(pair.legacy, pair.shop, pair.route)
        assert gates._reach(pair.stores).met
        with pytest.raises(psycopg.DatabaseError, match="moved"):
            pair.shop.execute("INSERT INTO shop.visit_2 VALUES (101)")


def test_reading_goes_on_behind_the_fence(pair: Pair) -> None:
    assert pair.ask("SELECT count(*) FROM shop.customer") == [(0,)]


@pytest.mark.fresh
def test_legacy_is_fenced_by_the_same_means_and_opened_again(pair: Pair) -> None:
    tables = [f"public.{t}" for t in ROUTE.tables]
    pair.write(order(1))
    with pair.legacy.transaction():
        fence.raise_fence(pair.legacy, tables, "demo", ("shop", 2))
    with pytest.raises(psycopg.DatabaseError) as caught:
        pair.write(order(2))
    assert caught.value.sqlstate == "SF001"
    assert json.loads(caught.value.diag.message_detail or "") == {"route": "demo", "store": "shop", "version": 2}
    with pair.legacy.transaction():
        fence.raise_fence(pair.legacy, tables, "demo")  # again is no harm
        fence.lift_fence(pair.legacy, tables)
        fence.lift_fence(pair.legacy, tables)
    pair.write(order(2))
    assert fence.find_fenced(pair.legacy) == []


def test_it_stands_whatever_role_a_session_replicates_in(pair: Pair) -> None:
    pair.shop.execute("SET session_replication_role = replica")
    with pytest.raises(psycopg.DatabaseError, match="moved"):
        pair.shop.execute("INSERT INTO shop.customer (email) VALUES ('jan@example.com')")


@pytest.mark.fresh
@pytest.mark.parametrize("how", ["DISABLE TRIGGER USER", "ENABLE TRIGGER shopferry_fence", "DISABLE TRIGGER ALL"])
def test_one_that_somebody_has_switched_off_does_not_stand_and_is_raised_again(pair: Pair, how: str) -> None:
    pair.shop.execute(f"ALTER TABLE shop.payment {how}".encode())
    assert set(ROUTE.entities) - set(fence.find_fenced(pair.shop)) == {"shop.payment"}
    with pair.shop.transaction():
        fence.raise_fence(pair.shop, ROUTE.entities, "demo")
    assert fence.find_fenced(pair.shop) == ROUTE.entities
    with pytest.raises(psycopg.DatabaseError, match="moved"):
        pair.shop.execute("DELETE FROM shop.payment")


@pytest.mark.fresh
def test_readers_are_in_nobodys_way(pair: Pair) -> None:
    with connect(dsns(pair)[1]) as reader, reader.transaction():
        reader.execute("SELECT FROM shop.customer")
        with pair.shop.transaction():
            pair.shop.execute("SET LOCAL lock_timeout = '1s'")
            fence.lift_fence(pair.shop, ROUTE.entities)
        pair.shop.execute("INSERT INTO shop.customer (email) VALUES ('jan@example.com')")
        with pair.shop.transaction():
            pair.shop.execute("SET LOCAL lock_timeout = '1s'")
            fence.raise_fence(pair.shop, ROUTE.entities, "demo", ("legacy", 3))
        with pytest.raises(psycopg.DatabaseError, match="version 3: write to legacy"):
            pair.shop.execute("DELETE FROM shop.customer")
    for entity in ROUTE.entities:
        fence.drop_fence(pair.shop, entity)
        fence.drop_fence(pair.shop, entity)
    assert pair.ask("SELECT FROM pg_trigger WHERE tgname = 'shopferry_fence'") == []


def test_a_fence_that_is_rolled_back_never_stood(pair: Pair) -> None:
    with pair.legacy.transaction(force_rollback=True):
        fence.raise_fence(pair.legacy, ["public.orders"], "demo")
    pair.write(order(1))


@pytest.mark.fresh
def test_a_session_that_was_there_before_the_fence_meets_it_at_its_next_statement(pair: Pair) -> None:
    with connect(dsns(pair)[0]) as early:
        early.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        early.execute("SELECT count(*) FROM customers")
        with pair.legacy.transaction():
            fence.raise_fence(pair.legacy, ["public.orders"], "demo")
        with pytest.raises(psycopg.DatabaseError) as caught:
            early.execute(order(1).encode())
        assert caught.value.sqlstate == "SF001"
        # Raised without a word where to go, as legacy does not know it.
        assert caught.value.diag.message_primary == "moved: public.orders is not open for writes (route demo)"


@pytest.mark.fresh
def test_installing_again_changes_nothing(filled: Pair) -> None:
    filled.pass_phases(["contacts"])
    held = filled.exported(["contacts"])
    installation.install(filled.legacy, filled.shop, ROUTE)
    assert filled.exported(["contacts"]) == held
    assert fence.find_fenced(filled.shop) == ROUTE.entities
    filled.check()
