"""Replay of what legacy's own log says: redelivery, fences, keys that change, values that are not logged again."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from events import envelope, message, topic_of
from pair import ROUTE, Pair, other_flow, read_dsn
from shopferry.cdc.envelope import decode
from shopferry.cdc.replay import Replay
from shopferry.control import offsets, routes
from shopferry.engine import mirror
from shopferry.errors import EventError, FencedError, ReplayError
from test_backfill import order

LONG = " ".join(f"{(n * 7919) % 99991:x}" for n in range(1, 1400))
OTHER = " ".join(f"{(n * 104729) % 99991:x}" for n in range(1, 1400))


def notes(pair: Pair) -> dict[int, str | None]:
    """The notes of all orders as the mirror has them."""
    return dict(pair.ask("SELECT id, note FROM legacy.orders"))


def test_changes_arrive_in_the_shop(filled: Pair) -> None:
    filled.pass_phases()
    filled.write(
        order(900_001, "PAID"),
        "INSERT INTO order_items (id, order_id, name, quantity, unit_price, line_total) VALUES (900001, 900001, 'Żuk', 2, 1, 2)",
        "UPDATE order_items SET order_id = 900001 WHERE id = (SELECT min(id) FROM order_items)",
        "DELETE FROM order_items WHERE id = (SELECT max(id) FROM order_items WHERE id < 900001)",
        "DELETE FROM customers WHERE id = (SELECT min(id) FROM customers)",
    )
    filled.sync()
    assert filled.one("SELECT status::text FROM shop.customer_order WHERE id = 900001") == "paid"
    assert filled.one("SELECT count(*) FROM shop.order_line WHERE order_id = 900001") == 2
    filled.check()


def test_the_last_events_delivered_again_change_nothing(pair: Pair) -> None:
    pair.write(order(1))
    pair.pass_phases()
    for status in ("PAID", "SENT", "DONE"):
        pair.write(f"UPDATE orders SET status_code = '{status}' WHERE id = 1")
    pair.write("DELETE FROM orders WHERE id = 1")
    pair.sync()
    pair.log.again(4)
    for partition, count in pair.pending().items():
        for _ in range(count):
            pair.replay({partition: 1})
            assert pair.ask("SELECT id FROM shop.customer_order") == []
    pair.check()


def test_of_two_consumers_at_one_place_the_second_is_fenced_and_nothing_of_it_stays(pair: Pair) -> None:
    pair.write(order(1))
    pair.pass_phases()
    pair.write("UPDATE orders SET status_code = 'PAID' WHERE id = 1")
    pair.capture()
    stale = pair.batch(pair.pending())
    pair.replay()
    pair.write("UPDATE orders SET status_code = 'SENT' WHERE id = 1")
    pair.sync()
    stored, batches = offsets.load(pair.shop, "demo"), pair.one("SELECT count(*) FROM ferry.replay_batch")
    with pytest.raises(FencedError, match=r"demo\.public\.orders\[\d\] is not at offset"):
        Replay(pair.shop, pair.legacy, ROUTE).apply(*stale)
    assert offsets.load(pair.shop, "demo") == stored
    assert pair.one("SELECT count(*) FROM ferry.replay_batch") == batches
    assert pair.one("SELECT status_code FROM legacy.orders") == "SENT"


def test_nothing_is_merged_by_mappings_that_are_not_installed_any_more(pair: Pair) -> None:
    pair.write(order(1))
    pair.pass_phases()
    pair.write("UPDATE orders SET status_code = 'PAID' WHERE id = 1")
    pair.capture()
    routes.record_installed(pair.shop, "demo", "another")
    stored = offsets.load(pair.shop, "demo")
    try:
        with pytest.raises(FencedError, match="other mappings were installed"):
            pair.replay()
        assert offsets.load(pair.shop, "demo") == stored
        Replay(pair.shop, pair.legacy, ROUTE).apply(*pair.batch(pair.pending()))  # one that begins now
    finally:
        routes.record_installed(pair.shop, "demo", ROUTE.fingerprint)
    assert pair.one("SELECT status_code FROM legacy.orders") == "PAID"


def test_a_key_that_changes_is_a_row_that_goes_and_one_that_comes(pair: Pair) -> None:
    pair.write(order(1))
    pair.pass_phases()
    pair.write("UPDATE orders SET id = 9 WHERE id = 1")
    pair.sync()
    assert pair.ask("SELECT id FROM shop.customer_order") == [(9,)]
    pair.check()


@pytest.mark.fresh
def test_a_value_that_is_not_logged_again_is_kept_from_the_mirror(pair: Pair) -> None:
    pair.write(order(1), f"UPDATE orders SET note = '{LONG}'")
    pair.pass_phases()
    pair.write("UPDATE orders SET status_code = 'PAID' WHERE id = 1")
    pair.capture()
    changes, steps = pair.batch(pair.pending())
    assert [c.partial for c in changes] == [True]
    pair.legacy.execute("ALTER TABLE orders RENAME TO not_to_be_asked")
    Replay(pair.shop, pair.legacy, ROUTE).apply(changes, steps)
    pair.legacy.execute("ALTER TABLE not_to_be_asked RENAME TO orders")
    assert notes(pair) == {1: LONG}
    pair.check()


def test_what_comes_after_a_delete_is_completed_too(pair: Pair) -> None:
    pair.write(order(1), order(2), f"UPDATE orders SET note = '{LONG}'")
    pair.pass_phases()
    pair.write("DELETE FROM orders WHERE id = 2", "UPDATE orders SET status_code = 'PAID' WHERE id = 1")
    pair.sync()
    assert notes(pair) == {1: LONG}
    pair.check()


def test_a_value_that_nobody_here_has_is_read_again_from_legacy(pair: Pair) -> None:
    pair.write(order(1), f"UPDATE orders SET note = '{LONG}'")
    pair.tap.skip()
    pair.write("UPDATE orders SET status_code = 'PAID' WHERE id = 1")
    pair.sync()  # before any chunk was read
    assert notes(pair) == {1: LONG}
    pair.pass_phases()
    pair.check()


def test_a_value_logged_in_this_very_batch_is_not_taken_from_the_mirror(pair: Pair) -> None:
    pair.write(order(1), f"UPDATE orders SET note = '{LONG}'")
    pair.pass_phases()
    pair.write(f"UPDATE orders SET note = '{OTHER}'")
    pair.write("UPDATE orders SET status_code = 'PAID'")
    pair.capture()
    changes, steps = pair.batch(pair.pending())
    assert [c.partial for c in changes] == [False, True]
    pair.consumer.apply(changes, steps)
    assert notes(pair) == {1: OTHER}
    pair.check()


def test_a_value_of_a_row_that_is_gone_by_now_is_not_missed(pair: Pair) -> None:
    pair.write(order(1), f"UPDATE orders SET note = '{LONG}'")
    pair.tap.skip()
    pair.write("UPDATE orders SET status_code = 'PAID' WHERE id = 1")
    pair.write("DELETE FROM orders")
    pair.capture()
    while pending := pair.pending():
        pair.replay(dict.fromkeys(pending, 1))
    assert notes(pair) == {}


@pytest.mark.parametrize("size", [1, 100])
def test_exchanged_keys_keep_their_unlogged_values_apart(pair: Pair, size: int) -> None:
    pair.write(order(1), order(2), f"UPDATE orders SET note = CASE id WHEN 1 THEN '{LONG}' ELSE '{OTHER}' END")
    pair.pass_phases()
    pair.write(*[f"UPDATE orders SET id = {new} WHERE id = {old}" for old, new in ((1, 3), (2, 1), (3, 2))])
    pair.capture()
    while pending := pair.pending():
        pair.replay({p: min(n, size) for p, n in pending.items()})
    assert notes(pair) == {1: OTHER, 2: LONG}
    pair.check()


def test_a_key_deleted_and_born_again_in_one_transaction_and_in_two(pair: Pair) -> None:
    pair.write(order(1), order(2))
    pair.pass_phases()
    pair.write("DELETE FROM orders WHERE id = 1", order(1, "PAID"))
    pair.write("DELETE FROM orders WHERE id = 2")
    pair.write(order(2, "SENT"))
    pair.sync()
    assert pair.ask("SELECT id, status::text FROM shop.customer_order ORDER BY id") == [(1, "paid"), (2, "shipped")]
    pair.check()


def test_a_child_before_its_parent_waits_in_quarantine_and_an_orphan_goes_back_there(pair: Pair) -> None:
    pair.pass_phases()
    pair.write("INSERT INTO order_items (id, order_id, name, quantity, unit_price) VALUES (1, 7, 'Kubek', 1, 5)")
    pair.sync()
    assert pair.quarantine("shop.order_line") == {"1": ["order_missing"]}
    pair.write(order(7))
    pair.sync()
    assert pair.quarantine("shop.order_line") == {}
    assert pair.ask("SELECT id, order_id FROM shop.order_line") == [(1, 7)]
    pair.write("DELETE FROM orders")
    pair.sync()
    assert pair.quarantine("shop.order_line") == {"1": ["order_missing"]}
    pair.check()


def test_what_is_rolled_back_never_was(pair: Pair) -> None:
    pair.pass_phases()
    with pair.legacy.transaction():
        pair.legacy.execute(order(1).encode())
        with pair.legacy.transaction(force_rollback=True):
            pair.legacy.execute(order(2).encode())
    with pair.legacy.transaction(force_rollback=True):
        pair.legacy.execute(order(3).encode())
    pair.sync()
    assert pair.ask("SELECT id FROM shop.customer_order") == [(1,)]


def test_a_truncate_stops_replay(pair: Pair) -> None:
    pair.write(order(1))
    pair.pass_phases()
    pair.write("TRUNCATE orders")
    with pytest.raises(ReplayError, match="TRUNCATE of orders: decide"):
        pair.sync()
    assert pair.ask("SELECT id FROM shop.customer_order") == [(1,)]


@pytest.mark.fresh
def test_a_mapped_column_that_is_gone_stops_replay(pair: Pair) -> None:
    pair.pass_phases()
    stored = offsets.load(pair.shop, "demo")
    row: dict[str, object] = {"id": 1, "number": "A-1"}
    change = decode(
        message(topic_of("orders"), {"id": 1}, envelope("public", "orders", "c", 1, row)), frozenset({"orders"})
    )
    assert change
    with pytest.raises(
        ReplayError, match=r"demo\.public\.orders\[0\]@0: rows of orders have no column .*status_code.* mapped"
    ):
        Replay(pair.shop, pair.legacy, ROUTE).apply([change], {})
    assert offsets.load(pair.shop, "demo") == stored
    assert pair.ask("SELECT id FROM legacy.orders") == []


@pytest.mark.fresh
def test_a_column_that_nobody_maps_may_come_and_go(pair: Pair) -> None:
    pair.write("INSERT INTO customers (id, email, full_name) VALUES (1, 'jan@example.com', 'Jan Kowalski')")
    pair.pass_phases()
    pair.write("ALTER TABLE customers ADD COLUMN colour text", "ALTER TABLE customers DROP COLUMN last_ip")
    pair.write("UPDATE customers SET colour = 'red', full_name = 'Ala Nowak'")
    pair.sync()
    assert pair.one("SELECT given_name FROM shop.customer") == "Ala"
    pair.check()


def test_only_mapped_columns_leave_legacy(pair: Pair) -> None:
    pair.write("INSERT INTO customers (id, email, last_ip) VALUES (1, 'jan@example.com', '10.9.8.7')")
    ((_, _, event),) = pair.tap.read()
    tables = mirror.load(pair.shop)
    assert isinstance(event["after"], dict)
    assert set(event["after"]) == set(tables["customers"].names)
    assert "last_ip" not in event["after"]


def test_an_event_that_is_none_stops_and_nothing_is_skipped(pair: Pair) -> None:
    pair.pass_phases()
    pair.write(order(1))
    pair.capture()
    ((partition, held),) = [(p, m) for p, m in pair.log.partitions.items() if m]
    held.append(message(partition[0], {"id": 2}, b"{broken", partition=partition[1], offset=len(held)))
    with pytest.raises(EventError, match=r"@1: not a change event"):
        pair.replay()
    assert offsets.load(pair.shop, "demo").get(partition, 0) == 0


@pytest.mark.parametrize("orders", [range(1, 20), range(6, 8), range(7, 9), range(7, 8)])
def test_an_event_that_the_mirrors_type_refuses_is_quarantined_alone(pair: Pair, orders: range) -> None:
    pair.pass_phases()
    pair.write(*[order(n) for n in orders])
    changes = []
    for topic, key, event in pair.tap.read():
        after = event["after"]
        assert key and isinstance(after, dict)
        if key == {"id": 7}:
            after["total"] = "a lot"
        changes.append(decode(message(topic, key, event), frozenset({"orders"})))
    applied = Replay(pair.shop, pair.legacy, ROUTE).apply([c for c in changes if c], {})
    assert applied.rows == len(orders) - 1
    assert pair.ask("SELECT entity, row_key, reasons, sqlstate FROM ferry.quarantine") == [
        ("legacy.orders", "7", ["event_unreadable"], "22P02"),
    ]
    assert pair.one("SELECT count(*) FROM shop.customer_order") == len(orders) - 1
    assert not pair.verify("contacts").clean  # the mirror lacks the row, and the phase that copies it says so


def test_a_batch_says_how_late_it_was_and_how_long_it_took(pair: Pair) -> None:
    pair.pass_phases()
    pair.write(*[order(n) for n in range(1, 121)])
    pair.capture()
    changes, steps = pair.batch(pair.pending())
    now = time.time()
    late = [replace(c, committed_ms=int((now - 60) * 1000)) for c in changes]
    applied = pair.consumer.apply(late, steps)
    took = (time.time() - now) * 1000
    assert 30 <= len(applied.lag_ms) <= 50  # a sample
    assert all(60_000 <= lag <= 60_000 + took + 1 for lag in applied.lag_ms)
    assert pair.ask("SELECT events, lag_ms FROM ferry.replay_batch ORDER BY id DESC LIMIT 1") == [
        (120, list(applied.lag_ms))
    ]
    assert 1 <= pair.one("SELECT apply_ms FROM ferry.replay_batch ORDER BY id DESC LIMIT 1") <= took + 1
    booked = pair.ask("SELECT sum(events), sum(bytes), max(lsn)::text, max(committed) FROM ferry.kafka_offset")
    lsn = max(c.lsn for c in late)
    assert booked == [
        (
            120,
            sum(c.size for c in late),
            f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}",
            datetime.fromtimestamp(late[0].committed_ms / 1000, UTC),
        )
    ]
    ahead = [replace(c, committed_ms=int((time.time() + 60) * 1000)) for c in changes]  # by legacy's clock
    assert set(pair.consumer.apply(ahead, {}).lag_ms) == {0}
    month = [replace(c, committed_ms=int((time.time() - 30 * 86_400) * 1000)) for c in changes]
    assert set(pair.consumer.apply(month, {}).lag_ms) == {2**31 - 1}  # what the column holds


def test_positions_beyond_four_gigabytes_are_kept_and_compared_whole(pair: Pair) -> None:
    pair.pass_phases()
    pair.write(order(1))
    pair.capture()
    changes, steps = pair.batch(pair.pending())
    pair.consumer.apply([replace(c, lsn=(3 << 32) + 5) for c in changes], steps)
    assert pair.one("SELECT _lsn::text FROM mirror.orders") == "3/5"
    for lsn, status in (((3 << 32) + 4, "NEW"), ((2 << 32) + 9, "NEW"), ((3 << 32) + 6, "PAID")):
        row = (changes[0].row or b"").replace(b'"NEW"', b'"PAID"')
        pair.consumer.apply([replace(changes[0], lsn=lsn, row=row)], {})
        assert pair.one("SELECT status_code FROM legacy.orders") == status


def test_what_the_other_flow_has_written_is_mirrored_and_not_carried_back(pair: Pair) -> None:
    pair.write(
        order(1), order(2), "INSERT INTO customers (id, email, full_name) VALUES (1, 'jan@example.com', 'Jan Lis')"
    )
    pair.pass_phases()
    before = pair.one("SELECT shop_key FROM ferry.identity WHERE entity = 'customer' AND legacy_key = 1")
    with other_flow(read_dsn(pair.legacy)) as other:
        with other.transaction():
            other.execute("UPDATE orders SET status_code = 'PAID'")
            other.execute("UPDATE customers SET email = 'ala@example.com', full_name = 'Ala Lis'")
        pair.write("UPDATE orders SET note = 'x' WHERE id = 2")  # by the application, in the same batch
        pair.sync()
    assert pair.ask("SELECT id, status_code FROM legacy.orders ORDER BY id") == [(1, "PAID"), (2, "PAID")]
    assert pair.ask("SELECT id, status::text FROM shop.customer_order ORDER BY id") == [(1, "pending"), (2, "paid")]
    assert pair.ask("SELECT email, given_name FROM shop.customer") == [("jan@example.com", "Jan")]
    # Who is who follows at once: the next to come by the old address is somebody else.
    assert pair.ask("SELECT cluster, shop_key FROM ferry.identity WHERE entity = 'customer' AND legacy_key = 1") == [
        ("ala@example.com", before)
    ]
    pair.write("UPDATE orders SET note = 'y'", "UPDATE customers SET phone = '601 000 001'")
    pair.sync()
    assert pair.ask("SELECT id, status::text FROM shop.customer_order ORDER BY id") == [(1, "paid"), (2, "paid")]
    assert pair.ask("SELECT email, given_name FROM shop.customer") == [("ala@example.com", "Ala")]
    pair.check()


def test_who_takes_back_what_the_other_flow_has_written_is_heard_though_the_mirror_never_differs(pair: Pair) -> None:
    pair.write(order(1))
    pair.pass_phases()
    with pair.shop.transaction():  # what the other flow carries to legacy
        pair.shop.execute("SELECT set_config('shopferry.writer', 'ferry', true)")
        pair.shop.execute("UPDATE shop.customer_order SET status = 'paid'")
    with other_flow(read_dsn(pair.legacy)) as other:
        other.execute("UPDATE orders SET status_code = 'PAID'")
        pair.write("UPDATE orders SET status_code = 'NEW'")
        pair.sync()
    assert pair.ask("SELECT status::text FROM shop.customer_order") == [("pending",)]
    pair.check()


@pytest.mark.parametrize("passed", [3, 1], ids=["merged already", "not merged yet"])
def test_the_values_of_what_the_other_flow_has_written_are_judged_though_nothing_of_it_is_merged(
    pair: Pair, passed: int
) -> None:
    pair.pass_phases(ROUTE.phases[:passed])
    with other_flow(read_dsn(pair.legacy)) as other:
        other.execute(order(1).replace("PLN", "zł").encode())
        pair.sync()
    assert pair.ask("SELECT value FROM ferry.standardized WHERE kind = 'currency' AND raw = 'zł'") == [("PLN",)]
    pair.pass_phases(ROUTE.phases[passed:])
    # It is merged as a whole when only its lines change.
    pair.write("INSERT INTO order_items (order_id, sku, quantity, unit_price) VALUES (1, 'S', 1, 1)")
    pair.sync()
    assert pair.ask("SELECT id, currency FROM shop.customer_order") == [(1, "PLN")]
    pair.check()


def test_no_table_of_the_session_grows_with_what_went_through_it(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that were deleted from it are read again and again until it is cleared."""
    monkeypatch.setattr("shopferry.engine.staging._TIDY_AFTER", 0)
    pair.pass_phases()
    tables = "SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema() AND relkind = 'r'"
    grown = f"{tables} AND pg_relation_size(oid) > 8192"
    pair.write(
        "INSERT INTO orders (id, number, email, status_code, total, currency, payment_code, delivery_code, created_at) "
        "SELECT i, 'N' || i, i || '@example.com', 'NEW', 10, 'PLN', 'CARD', 'DPD', '2024-03-01' "
        "FROM generate_series(1, 500) i"
    )
    pair.sync()
    pair.write("UPDATE orders SET status_code = 'PAID'")
    pair.sync()
    assert {"affected_orders_payment", "before_orders_customer_order", "changed_orders"} <= {
        n for (n,) in pair.ask(grown)
    }
    for number in range(1, 21):  # a batch clears some of them
        pair.write(f"DELETE FROM orders WHERE id = {number}")
        pair.sync()
    assert pair.ask(grown) == []


def test_nothing_of_a_batch_is_left_in_the_session(pair: Pair) -> None:
    pair.write(order(1))
    pair.pass_phases()
    pair.write(
        order(2),
        "UPDATE orders SET note = 'x' WHERE id = 1",
        "INSERT INTO customers (id, email) VALUES (9, 'a@example.com')",
    )
    pair.sync()
    session = pair.consumer.target
    tables = [
        r[0]
        for r in session.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema() AND relkind = 'r'"
        ).fetchall()
    ]
    assert {"changed_orders", "changed_identity_customer", "affected_orders_customer_order"} <= set(tables)
    assert [t for t in tables if session.execute(f"SELECT FROM pg_temp.{t}".encode()).fetchall()] == []


def test_batches_are_remembered_for_a_day(filled: Pair) -> None:
    filled.pass_phases(["contacts"])
    filled.write("UPDATE customers SET phone = '601 000 001' WHERE id = 1")
    filled.sync()
    newest = filled.one("SELECT max(id) FROM ferry.replay_batch")
    filled.shop.execute("UPDATE ferry.replay_batch SET at = now() - interval '25 hours' WHERE id < %s", (newest,))
    filled.shop.execute(
        "INSERT INTO ferry.replay_batch (route, at, events, lag_ms, apply_ms) "
        "SELECT route, now() - interval '25 hours', 1, '{1}', 1 FROM unnest('{demo,other}'::text[]) AS r (route)"
    )
    offsets.forget_batches(filled.shop, "demo")
    assert filled.one("SELECT array_agg(id) FROM ferry.replay_batch WHERE route = 'demo'") == [newest]
    assert filled.one("SELECT count(*) FROM ferry.replay_batch WHERE route = 'other'") == 1


def test_a_batch_tells_whether_a_phase_is_being_loaded(pair: Pair) -> None:
    """While one is, the consumer gathers more for each batch."""
    pair.write(order(1))
    pair.capture()
    assert not pair.replay().loading
    pair.start(ROUTE.phases[0])
    pair.write("UPDATE orders SET status_code = 'PAID' WHERE id = 1")
    pair.capture()
    assert pair.replay().loading
