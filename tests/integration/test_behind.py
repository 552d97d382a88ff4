"""Batches that run ahead note the keys that they affect; these are merged later, also after deaths and further batches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

import pytest
from own_shop import own_pair
from pair import ROUTE, KilledError, Pair, connect, read_dsn
from shopferry.cdc import behind as cdc_behind
from shopferry.cdc.applied import Noted
from shopferry.cdc.behind import MergeBehind, NotedKeys
from shopferry.cdc.replay import Replay
from shopferry.control import installed_settings, loads, locks
from shopferry.control.phases import State
from shopferry.engine import merge_chunks
from shopferry.engine.merge import Merger
from shopferry.engine.noted import find_waiting
from shopferry.errors import FencedError, TransientError
from shopferry.route.settings import INACTIVE_SINCE
from shopferry.verify import verification
from steps import dies
from waiting import until


def customer(key: int, name: str) -> str:
    return f"INSERT INTO customers (id, login, email, full_name) VALUES ({key}, '{name}', '{name.lower()}@example.com', '{name}')"


def order(key: int, customer: int) -> str:
    return (
        "INSERT INTO orders (id, number, customer_id, status_code, currency, total, created_at) "
        f"VALUES ({key}, 'N{key}', {customer}, 'NEW', 'PLN', '10.00', '2024-01-01')"
    )


def names(pair: Pair) -> list[str]:
    return [str(name) for (name,) in pair.ask("SELECT coalesce(given_name, family_name) FROM shop.customer ORDER BY 1")]


@pytest.fixture
def moved(pair: Pair) -> Pair:
    pair.write(customer(1, "Ada"), customer(2, "Eva"), order(1, 1))
    pair.pass_phases()
    return pair


def test_every_mapping_of_the_demo_can_run_ahead(pair: Pair) -> None:
    assert pair.consumer.can_run_ahead()


def test_a_batch_that_runs_ahead_notes_what_it_affects_and_is_booked_when_that_is_merged(moved: Pair) -> None:
    moved.write("UPDATE customers SET full_name = 'Ida' WHERE id = 1", order(2, 2))
    moved.capture()
    batches = moved.one("SELECT count(*) FROM ferry.replay_batch")
    applied = moved.replay(ahead=True)
    assert moved.pending() == {}
    assert moved.ask("SELECT full_name FROM legacy.customers WHERE id = 1") == [("Ida",)]
    assert names(moved) == ["Ada", "Eva"]
    assert "contacts/customer" in find_waiting(moved.shop, ROUTE)
    assert applied.noted
    assert applied.noted.events == 2
    assert moved.one("SELECT count(*) FROM ferry.replay_batch") == batches
    assert not moved.noted.merge([applied.noted])
    assert names(moved) == ["Eva", "Ida"]
    assert find_waiting(moved.shop, ROUTE) == []
    assert moved.one("SELECT count(*) FROM ferry.replay_batch") == batches + 1
    moved.check()


def test_what_was_noted_outlives_the_consumer_that_dies(moved: Pair) -> None:
    moved.write("UPDATE customers SET full_name = 'Ida' WHERE id = 1")
    moved.capture()
    moved.replay(ahead=True)
    assert moved.noted.target is moved.shop
    died = 0
    for statement in range(1, 12):
        died += dies(moved, statement, lambda: moved.noted.merge([]))
        assert find_waiting(moved.shop, ROUTE) or names(moved) == ["Eva", "Ida"]
    assert died > 3
    moved.merge_noted()
    assert names(moved) == ["Eva", "Ida"]
    moved.check()


def test_an_identity_that_moves_before_its_keys_are_merged(moved: Pair) -> None:
    moved.write("UPDATE customers SET full_name = 'Ida' WHERE id = 1", order(2, 2))
    moved.capture()
    moved.replay(ahead=True)
    moved.write("UPDATE customers SET email = 'ada@example.com', login = 'ada2' WHERE id = 2")  # is Ada, too
    moved.capture()
    moved.replay(ahead=True)
    moved.merge_noted()
    moved.check()
    moved.write("DELETE FROM customers WHERE id = 1", "UPDATE orders SET customer_id = 2")
    moved.capture()
    moved.replay(ahead=True)
    moved.merge_noted()
    moved.check()


@pytest.mark.fresh
def test_what_the_shop_refuses_is_quarantined_behind_the_batch(moved: Pair) -> None:
    moved.shop.execute("CREATE UNIQUE INDEX ON shop.customer_order (number)")
    moved.write(order(3, 1), "UPDATE orders SET number = 'N1' WHERE id = 3")  # taken
    moved.capture()
    moved.replay(ahead=True)
    assert moved.quarantine("shop.customer_order") == {}
    moved.merge_noted()
    assert set(moved.quarantine("shop.customer_order")) == {"3"}
    moved.write("UPDATE orders SET number = 'N4' WHERE id = 1")
    moved.capture()
    moved.replay(ahead=True)
    moved.merge_noted()
    assert moved.quarantine("shop.customer_order") == {}
    moved.check()


def test_no_batch_runs_ahead_while_a_session_keeps_mirror_and_shop_together(moved: Pair) -> None:
    moved.write("UPDATE customers SET full_name = 'Ida' WHERE id = 1")
    moved.capture()
    with connect(read_dsn(moved.shop)) as other, locks.keeping_together(other, ROUTE.name):
        assert moved.replay(ahead=True).noted is None
    assert names(moved) == ["Eva", "Ida"]
    assert find_waiting(moved.shop, ROUTE) == []


def test_a_verification_waits_for_what_was_noted(moved: Pair) -> None:
    moved.write("UPDATE customers SET full_name = 'Ida' WHERE id = 1")
    moved.capture()
    moved.replay(ahead=True)
    with ThreadPoolExecutor(1) as beside, connect(read_dsn(moved.shop)) as other:
        found = beside.submit(verification.verify, moved.legacy, other, ROUTE, "contacts", lambda: None)
        until(lambda: moved.ask("SELECT FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock' AND granted"))
        assert not wait([found], 0.5).done
        moved.merge_noted()
        assert found.result().clean
    assert names(moved) == ["Eva", "Ida"]


def test_who_signs_in_after_years_is_carried_by_a_batch_that_runs_ahead(pair: Pair) -> None:
    """Who is inactive is an entity, and an identity reads it: so it is not left to the merge behind the batch."""
    installed_settings.replace(pair.shop, INACTIVE_SINCE, "2020-01-01")
    pair.write(
        customer(1, "Ada"),
        customer(2, "Eva"),
        "UPDATE customers SET last_login = '2010-01-01', created_at = '2009-01-01'",
    )
    pair.pass_phases()
    assert names(pair) == []
    pair.write("UPDATE customers SET last_login = '2024-01-01' WHERE id = 1")
    pair.capture()
    assert pair.replay(ahead=True).noted
    pair.merge_noted()
    assert names(pair) == ["Ada"]
    pair.check()


def test_a_chunk_leaves_keys_alone_that_are_noted(moved: Pair) -> None:
    """If the chunk merged them, the later merge would find no change, and the rows that read them would stay old."""
    moved.write("UPDATE orders SET status_code = 'DONE', total = 99")
    moved.capture()
    moved.replay(ahead=True)
    merge_chunks.begin_merge(moved.stores, "orders")
    while not merge_chunks.is_merged(moved.stores, "orders"):
        merge_chunks.merge_next(moved.stores, "orders", "test")
    moved.merge_noted()
    moved.check()


def test_a_child_does_not_come_without_its_parent(make_db: Callable[..., str], tmp_path: Path) -> None:
    """Between the two the next batch has noted both."""
    with own_pair(make_db, tmp_path, LEGACY, SHOP, {"all/client.sql": CLIENT, "all/line.sql": CHILD}) as pair:
        pair.pass_phases()
        pair.write("UPDATE line SET name = 'L1'")
        pair.capture()
        pair.replay(ahead=True)
        with connect(read_dsn(pair.shop)) as other:
            more = Replay(other, pair.legacy, pair.route)

            def note_more(statement: str) -> None:
                if "ferry.touched" in statement and "all/line" in statement and "DELETE" in statement:
                    pair.shop.before = None
                    pair.write("INSERT INTO client VALUES (9, 'c9')", "INSERT INTO line VALUES (90, 9, 'l90')")
                    pair.capture()
                    more.apply(*pair.batch(pair.pending(other), other), ahead=True)

            pair.shop.before = note_more
            pair.noted.merge([])
        assert pair.quarantine("shop.line") == {}
        pair.merge_noted()
        assert pair.ask("SELECT id FROM shop.line ORDER BY 1") == [(1,), (90,)]


def test_a_batch_that_may_not_run_ahead_merges_along_what_waits(make_db: Callable[..., str], tmp_path: Path) -> None:
    """Its rows' parents may be among it, which no source names."""
    with own_pair(make_db, tmp_path, LEGACY, SHOP, {"all/client.sql": CLIENT, "all/line.sql": CHILD}) as pair:
        pair.pass_phases()
        pair.write("INSERT INTO client VALUES (9, 'c9')")
        pair.capture()
        pair.replay(ahead=True)
        pair.write("INSERT INTO line VALUES (90, 9, 'l90')")
        pair.capture()
        with connect(read_dsn(pair.shop)) as other, locks.keeping_together(other, pair.route.name):
            assert pair.replay(ahead=True).noted is None
        assert find_waiting(pair.shop, pair.route) == []
        assert pair.quarantine("shop.line") == {}
        assert pair.ask("SELECT id FROM shop.line ORDER BY 1") == [(1,), (90,)]
        pair.check()


def test_a_session_without_the_statements_of_what_waits_tries_again(moved: Pair) -> None:
    """It had composed those of a few units when a batch ran ahead."""
    moved.write("UPDATE customers SET full_name = 'Ida' WHERE id = 1")
    moved.capture()
    moved.replay(ahead=True)
    unit = next(u for u in ROUTE.mappings if u.entity == "shop.customer_segment")
    with connect(read_dsn(moved.shop)) as other:
        few = Merger(other, ROUTE)
        few.stage([unit])
        with pytest.raises(TransientError, match="has not their statements yet"), other.transaction():
            few.propagate([unit], (), {unit.name: ["1"]})
        few.stage(ROUTE.units)
        with other.transaction():
            few.propagate([unit], (), {unit.name: ["1"]})
    assert find_waiting(moved.shop, ROUTE) == []
    moved.check()


def test_two_consumers_run_ahead_side_by_side(moved: Pair) -> None:
    """One writes the mirror while the other has not committed yet; neither is taken for a session that keeps both together."""
    moved.write("UPDATE customers SET full_name = 'Ida' WHERE id = 1", "UPDATE orders SET total = 11 WHERE id = 1")
    moved.capture()
    one, two = ({p: n} for p, n in moved.pending().items() if n)
    mirrored, go = threading.Event(), threading.Event()

    def pause(statement: str) -> None:
        if "hashtext" in statement and mirrored.is_set():  # the lock of propagation, behind those of tables
            go.wait(30)
        if "xact_lock_shared" in statement:
            mirrored.set()

    with connect(read_dsn(moved.shop)) as other, ThreadPoolExecutor(1) as beside:
        more = Replay(other, moved.legacy, ROUTE)
        assert more.can_run_ahead()
        other.before = pause
        first = beside.submit(more.apply, *moved.batch(one, other), ahead=True)
        assert mirrored.wait(30)
        assert moved.replay(two, ahead=True).noted
        go.set()
        assert first.result().noted
    moved.merge_noted()
    moved.check()


def test_what_waits_in_a_phase_that_is_still_merged_is_known(moved: Pair) -> None:
    """Else the stream would pass for applied, and the phase for in sync."""
    merge_chunks.begin_merge(moved.stores, "orders")
    while not merge_chunks.is_merged(moved.stores, "orders"):
        merge_chunks.merge_next(moved.stores, "orders", "test")
    moved.write("UPDATE orders SET total = 11 WHERE id = 1")
    moved.capture()
    moved.replay(ahead=True)
    assert moved.state("orders") is State.MERGING
    assert "orders/customer_order" in find_waiting(moved.shop, ROUTE)
    moved.merge_noted()
    assert find_waiting(moved.shop, ROUTE) == []


def test_a_batch_is_booked_when_its_last_keys_are_merged(moved: Pair) -> None:
    batches = moved.one("SELECT count(*) FROM ferry.replay_batch")
    noted = []
    for name in ("Ida", "Oda"):
        moved.write(f"UPDATE customers SET full_name = '{name}' WHERE id = 1")
        moved.capture()
        noted += [moved.replay(ahead=True).noted]
    given = [n for n in noted if n]
    assert moved.noted.merge(given, about=1)
    assert moved.one("SELECT count(*) FROM ferry.replay_batch") == batches
    while moved.noted.merge(given, about=1):
        pass
    assert moved.one("SELECT count(*) FROM ferry.replay_batch") == batches + 2
    assert names(moved) == ["Eva", "Oda"]


WHO = """-- identity: person
-- source: legacy.line(id), shop.line(id)
-- after: all/line
SELECT l.id AS legacy_key, l.id::text AS cluster FROM affected a JOIN shop.line l ON l.id = a.key
"""


def test_what_an_identity_reads_is_not_left_behind_nor_what_that_references(
    make_db: Callable[..., str], tmp_path: Path
) -> None:
    mappings = {"all/client.sql": CLIENT, "all/line.sql": CHILD, "all/person.identity.sql": WHO}
    with own_pair(make_db, tmp_path, LEGACY, SHOP, mappings) as pair:
        assert pair.consumer.merger.list_behind(pair.route.units) == []


def test_keys_of_a_unit_that_is_being_loaded_stay_noted(moved: Pair) -> None:
    unit = "contacts/customer_account"
    moved.write("UPDATE customers SET full_name = 'Ida' WHERE id = 1")
    moved.capture()
    with moved.shop.transaction():
        loads.plan(moved.shop, ROUTE.name, unit, noted=True)
    moved.replay(ahead=True)
    moved.merge_noted()
    assert {u for (u,) in moved.ask("SELECT unit FROM ferry.touched")} <= {unit}
    with moved.shop.transaction():
        loads.finish(moved.shop, ROUTE.name, unit)
    moved.merge_noted()
    assert moved.ask("SELECT FROM ferry.touched") == []
    moved.check()


def test_what_is_merged_behind_a_batch_is_noted_for_units_that_are_being_loaded(moved: Pair) -> None:
    """They read entities alone, so that nothing but this merge tells whom it affects."""
    unit = "insight/customer_profile"
    with moved.shop.transaction():
        loads.plan(moved.shop, ROUTE.name, unit, noted=True)
    moved.write("UPDATE customers SET phone = '601222333' WHERE id = 1")
    moved.capture()
    moved.replay(ahead=True)
    moved.merge_noted()
    assert moved.ask("SELECT DISTINCT unit FROM ferry.touched") == [(unit,)]
    with moved.shop.transaction():
        loads.finish(moved.shop, ROUTE.name, unit)
    moved.merge_noted()
    moved.check()


def test_nothing_noted_is_merged_by_mappings_that_are_not_installed_any_more(moved: Pair) -> None:
    moved.write("UPDATE customers SET full_name = 'Ida' WHERE id = 1")
    moved.capture()
    moved.replay(ahead=True)
    with pytest.raises(FencedError):
        NotedKeys(moved.shop, ROUTE, "another").merge([])
    assert names(moved) == ["Ada", "Eva"]
    moved.merge_noted()


def behind(pair: Pair) -> MergeBehind:
    return MergeBehind(
        lambda: connect(read_dsn(pair.shop)), ROUTE, pair.consumer.installed, threading.Event(), lambda: None
    )


def test_a_thread_that_begins_merges_what_a_consumer_before_it_has_noted(moved: Pair) -> None:
    moved.write("UPDATE customers SET full_name = 'Ida' WHERE id = 1")
    moved.capture()
    moved.replay(ahead=True)
    with behind(moved) as merging:
        merging.begin()
        assert merging.is_behind
        merging.finish()
    assert names(moved) == ["Eva", "Ida"]


@pytest.mark.fresh
def test_a_thread_merges_while_the_next_batch_is_applied(moved: Pair) -> None:
    with behind(moved) as merging:
        for number in range(10, 20):
            moved.write(order(number, 1), f"UPDATE customers SET full_name = 'A{number}' WHERE id = 1")
            moved.capture()
            applied = moved.replay(ahead=True)
            assert applied.noted
            merging.take(applied.noted)
        merging.finish()
        assert not merging.is_behind
        assert find_waiting(moved.shop, ROUTE) == []
        assert names(moved) == ["A19", "Eva"]
        assert moved.one("SELECT sum(events) FROM ferry.replay_batch WHERE events = 2") == 20
    moved.check()


def test_what_the_thread_raises_is_raised_where_the_next_batch_is_given(
    moved: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: NotedKeys, batches: object, about: int) -> bool:
        raise KilledError

    monkeypatch.setattr(NotedKeys, "merge", fail)
    with behind(moved) as merging:
        with pytest.raises(KilledError):
            for _ in range(10_000):  # at the latest when too many wait
                merging.take(Noted(0, [], 0.0))
        with suppress(KilledError):
            merging.finish()


def test_a_batch_waits_while_too_many_wait_to_be_merged(moved: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go, rounds = threading.Event(), threading.Event(), list[int]()

    def merge(self: NotedKeys, batches: list[Noted], about: int) -> bool:
        begun.set()
        go.wait(30)
        rounds.append(len(batches))
        return False

    monkeypatch.setattr(NotedKeys, "merge", merge)
    given = list[int]()
    with behind(moved) as merging:

        def give() -> None:
            for number in range(cdc_behind._WAITING + 2):
                merging.take(Noted(0, [], 0.0))
                given.append(number)
                begun.wait(30)

        thread = threading.Thread(target=give)
        thread.start()
        until(lambda: len(given) >= cdc_behind._WAITING + 1)
        thread.join(0.3)
        assert len(given) == cdc_behind._WAITING + 1  # one is merged, the others wait
        go.set()
        thread.join()
        merging.finish()
    assert sum(rounds) == 6


def test_who_waits_to_give_a_batch_is_woken_at_the_end(moved: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = threading.Event(), threading.Event()

    def merge(self: NotedKeys, batches: list[Noted], about: int) -> bool:
        begun.set()
        return not go.wait(30)

    monkeypatch.setattr(NotedKeys, "merge", merge)
    reported = list[None]()
    with behind(moved) as merging:
        merging.report = lambda: reported.append(None)
        merging.take(Noted(0, [], 0.0))
        assert begun.wait(30)
        for _ in range(cdc_behind._WAITING):
            merging.take(Noted(0, [], 0.0))
        thread = threading.Thread(target=lambda: merging.take(Noted(0, [], 0.0)))
        thread.start()
        until(lambda: reported)  # a sign of life meanwhile
        merging.stop.set()
        go.set()
        thread.join(30)
        assert not thread.is_alive()


LEGACY = """
CREATE TABLE client (id integer PRIMARY KEY, name text NOT NULL);
CREATE TABLE line (id integer PRIMARY KEY, client_id integer NOT NULL, name text);
INSERT INTO client VALUES (1, 'c1');
INSERT INTO line VALUES (1, 1, 'l1');
"""
SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop.client (id integer PRIMARY KEY, name text NOT NULL);
CREATE TABLE shop.line (id integer PRIMARY KEY, client_id integer NOT NULL REFERENCES shop.client, name text);
"""
CLIENT = """-- entity: shop.client
-- key: id
-- scope: id
-- counts: legacy.client(id) as id
-- source: legacy.client(id)
SELECT c.id, c.name, '{}'::text[] AS problems FROM affected a JOIN legacy.client c ON c.id = a.key
"""
LINE = """-- entity: shop.line
-- key: id
-- scope: id
-- counts: legacy.line(id) as id
-- source: legacy.line(id), legacy.client
-- after: all/client
SELECT l.id, l.client_id, l.name || c.name AS name, '{{}}'::text[] AS problems
FROM affected a JOIN legacy.line l ON l.id = a.key JOIN legacy.client c ON c.id = l.client_id
-- lineage: legacy.client
SELECT l.id FROM changed c JOIN {lines} l ON l.client_id = c.id
"""


CHILD = """-- entity: shop.line
-- key: id
-- scope: id
-- counts: legacy.line(id) as id
-- source: legacy.line(id)
-- after: all/client
SELECT l.id, l.client_id, l.name, '{}'::text[] AS problems FROM affected a JOIN legacy.line l ON l.id = a.key
"""


@pytest.mark.parametrize(("lines", "can"), [("legacy.line", True), ("shop.line", False)])
def test_a_route_whose_lineage_reads_an_entity_that_is_no_source_does_not_run_ahead(
    make_db: Callable[..., str], tmp_path: Path, lines: str, can: bool
) -> None:
    """Rows that are still to be merged would be missed."""
    mappings = {"all/client.sql": CLIENT, "all/line.sql": LINE.format(lines=lines)}
    with own_pair(make_db, tmp_path, LEGACY, SHOP, mappings) as pair:
        pair.pass_phases()
        assert pair.consumer.can_run_ahead() == can
        pair.write("UPDATE client SET name = 'c2'")
        pair.capture()
        pair.replay(ahead=can)
        pair.merge_noted()
        assert pair.ask("SELECT name FROM shop.line") == [("l1c2",)]


REMARK = """-- entity: shop.remark
-- key: line_id
-- scope: line_id
-- source: legacy.line(id), shop.line(id), legacy.client
-- after: all/line
SELECT l.id AS line_id, l.name || ' of ' || c.name AS said, '{}'::text[] AS problems
FROM affected a JOIN shop.line l ON l.id = a.key JOIN legacy.client c ON c.id = l.client_id
-- lineage: legacy.client
SELECT l.id FROM changed c JOIN shop.line l ON l.client_id = c.id
"""


def test_a_lineage_that_reads_an_entity_waits_for_the_merge_under_way(
    make_db: Callable[..., str], tmp_path: Path
) -> None:
    """A line goes to another client while that client's name changes: either sees the other."""
    mappings = {
        "all/client.sql": CLIENT,
        "all/line.sql": CHILD,  # which does not change with the client's name
        "all/remark.sql": REMARK,
    }
    shop = SHOP + "CREATE TABLE shop.remark (line_id integer PRIMARY KEY REFERENCES shop.line, said text);"
    with own_pair(make_db, tmp_path, LEGACY, shop, mappings) as pair, connect(read_dsn(pair.shop)) as other:
        pair.pass_phases()
        assert pair.consumer.can_run_ahead()
        pair.write("INSERT INTO client VALUES (2, 'c2')", "UPDATE line SET client_id = 2")
        pair.capture()
        pair.replay(ahead=True)
        merging, ahead = threading.Event(), threading.Event()

        def pause(statement: str) -> None:
            if 'INSERT INTO "shop"."remark"' in statement and not merging.is_set():  # by the name that client 2 has now
                merging.set()
                assert not ahead.wait(1.0)

        other.before = pause
        noted = NotedKeys(other, pair.route, pair.consumer.installed)
        with ThreadPoolExecutor(1) as beside:
            merged = beside.submit(noted.merge, [])
            assert merging.wait(30)
            pair.write("UPDATE client SET name = 'C2' WHERE id = 2")
            pair.capture()
            pair.replay(ahead=True)
            ahead.set()
            merged.result()
        pair.merge_noted()
        assert pair.ask("SELECT said FROM shop.remark") == [("l1 of C2",)]
