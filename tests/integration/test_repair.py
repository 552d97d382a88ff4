"""Repair: whatever is damaged, anywhere, is as it should be afterwards; and the stream is not overtaken."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pair import ROUTE, Pair
from psycopg.sql import SQL
from shopferry.control import differences
from shopferry.engine import merge
from shopferry.errors import PhaseError
from shopferry.verify import differ
from shopferry.verify.repair import Repair, repair
from test_verify import BORN, damage, moved_template  # noqa: F401


def mend(pair: Pair, phase: str) -> Repair:
    """Verify and repair one phase."""
    assert not pair.verify(phase).clean
    return repair(pair.stores, phase, pair.sync, "Anna")


@pytest.mark.parametrize(
    ("phase", "statements"),
    [
        ("contacts", ["UPDATE mirror.orders SET total = 2, note = NULL WHERE id = 1"]),
        ("contacts", ["UPDATE mirror.orders SET _gone = true WHERE id = 4"]),
        ("contacts", ["DELETE FROM mirror.orders WHERE id IN (1, 4)"]),
        ("contacts", ["INSERT INTO mirror.orders (id) VALUES (77)"]),
        ("orders", ["UPDATE shop.customer_order SET total = 2 WHERE id = 1"]),
        ("orders", ["DELETE FROM shop.order_line"]),
        (
            "orders",
            [
                "DELETE FROM shop.order_line",
                "DELETE FROM shop.payment",
                "DELETE FROM shop.delivery",
                "DELETE FROM shop.order_event",
                "DELETE FROM shop.customer_order",
            ],
        ),
        ("orders", ["INSERT INTO shop.order_event (id, order_id, status, happened_at) VALUES (9, 1, 'paid', now())"]),
        ("orders", ["DELETE FROM ferry.quarantine WHERE row_key = '5'"]),
        ("orders", ["INSERT INTO ferry.quarantine VALUES ('shop.customer_order', '1', '1', '{status_unknown}')"]),
        ("orders", ["INSERT INTO ferry.quarantine VALUES ('shop.customer_order', '99', '99', '{status_unknown}')"]),
        ("contacts", ["DELETE FROM ferry.left_out WHERE entity = 'shop.customer'"]),
        ("contacts", ["INSERT INTO ferry.left_out VALUES ('shop.customer', '1', '1', 'inactive')"]),
        ("contacts", ["DELETE FROM ferry.identity WHERE legacy_key = 1"]),
        ("contacts", ["UPDATE ferry.identity SET cluster = '#1 unusable' WHERE legacy_key = 1"]),
        ("contacts", ["UPDATE ferry.identity SET shop_key = (SELECT max(shop_key) FROM ferry.identity)"]),
        ("contacts", ["INSERT INTO ferry.identity VALUES ('customer', 500, 500, 'x@example.com')"]),
        ("contacts", ["INSERT INTO shop.customer (id, email) VALUES (500, 'x@example.com')"]),
        (
            "contacts",
            [
                "INSERT INTO shop.customer_address (customer_id, source_key, city) "
                "SELECT id, 'none', 'Nowhere' FROM shop.customer LIMIT 1"
            ],
        ),
        ("contacts", ["UPDATE shop.customer SET email = 'thief@example.com'", "DELETE FROM shop.customer_credential"]),
    ],
)
def test_what_is_damaged_is_mended(moved: Pair, phase: str, statements: Sequence[str]) -> None:
    damage(moved, *statements)
    done = mend(moved, phase)
    assert done.remaining == []
    for each in ROUTE.phases:
        assert moved.verify(each).clean
    moved.check()
    assert moved.ask("SELECT DISTINCT who FROM ferry.difference WHERE state = 'repaired'") == [("Anna",)]
    assert moved.ask("SELECT who, repaired FROM ferry.repair") == [("Anna", done.repaired)]


def test_it_goes_slice_by_slice(moved: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "SLICE", 1)
    monkeypatch.setattr(differ, "KEYS", 1)
    damage(
        moved,
        "DELETE FROM shop.order_line",
        "UPDATE shop.customer_order SET total = 2",
        "INSERT INTO ferry.quarantine VALUES ('shop.customer_order', '99', '99', '{status_unknown}')",
    )
    assert mend(moved, "orders").remaining == []
    assert (
        moved.one("SELECT count(DISTINCT xmin::text) FROM shop.customer_order") == 4
    )  # each in a transaction of its own
    moved.check()


@pytest.mark.fresh
def test_a_slice_that_another_stands_in_the_way_of_comes_again(moved: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "SLICE", 1)
    moved.shop.execute("ALTER TABLE shop.customer_order ADD CONSTRAINT number_once UNIQUE (number)")
    exchanged = [("x", 1), ("A-1", 2), ("A-2", 1)]
    damage(
        moved, *[f"UPDATE shop.customer_order SET number = '{number}' WHERE id = {key}" for number, key in exchanged]
    )
    done = mend(moved, "orders")
    assert (done.remaining, done.repaired) == ([], 2)
    assert moved.ask("SELECT id, number FROM shop.customer_order WHERE id < 3 ORDER BY id") == [(1, "A-1"), (2, "A-2")]
    moved.check()


def test_who_gets_another_shop_key_takes_all_along_and_children_leave_with_their_parents(
    moved: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "SLICE", 1)
    moved.write(
        "UPDATE orders SET customer_id = 1 WHERE id IN (1, 2)",
        "INSERT INTO addresses (id, customer_id, street, city, postcode) VALUES (1, 1, 'D', 'Lodz', '90-001')",
    )
    moved.sync()
    before = moved.one("SELECT shop_key FROM ferry.identity WHERE entity = 'customer' AND legacy_key = 1")
    damage(
        moved,
        "DELETE FROM ferry.identity WHERE legacy_key = 1",
        "INSERT INTO shop.customer (id, email) VALUES (500, 'x@example.com')",
        "INSERT INTO shop.customer_address (customer_id, source_key, city) VALUES (500, 'none', 'Nowhere')",
        f"INSERT INTO shop.customer_credential (customer_id, scheme, hash) VALUES (500, 'md5', '{'a' * 32}')",
    )
    assert mend(moved, "contacts").remaining == []
    moved.check()
    ((after, orders),) = moved.ask("SELECT customer_id, count(*) FROM shop.customer_order WHERE id < 3 GROUP BY 1")
    assert after != before and orders == 2


def test_a_slice_does_not_cut_a_cluster(moved: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "SLICE", 1)
    moved.write(
        "UPDATE customers SET email = 'c4@example.com' WHERE id IN (2, 3)", "UPDATE customers SET deleted = 'N'"
    )
    moved.sync()
    damage(moved, "UPDATE ferry.identity SET shop_key = (SELECT min(shop_key) FROM ferry.identity)")
    assert mend(moved, "contacts").remaining == []
    moved.check()
    assert (
        moved.one(
            "SELECT count(DISTINCT shop_key) FROM ferry.identity WHERE entity = 'customer' AND legacy_key IN (1, 2, 3)"
        )
        == 2
    )


def test_the_stream_is_not_overtaken(moved: Pair) -> None:
    damage(moved, "UPDATE mirror.orders SET total = 2 WHERE id = 1", "DELETE FROM mirror.orders WHERE id = 2")
    assert not moved.verify("orders").clean
    moved.write("UPDATE orders SET status_code = 'PAID' WHERE id = 1", "DELETE FROM orders WHERE id = 2")
    moved.capture()  # these wait in the log while the row is read again
    moved.write("UPDATE orders SET status_code = 'SENT' WHERE id = 1")
    repair(moved.stores, "orders", lambda: None, "Anna")
    moved.write("UPDATE orders SET status_code = 'DONE' WHERE id = 1")
    moved.sync()
    moved.check()
    assert moved.one("SELECT status::text FROM shop.customer_order WHERE id = 1") == "delivered"


def test_old_events_do_not_undo_it(moved: Pair) -> None:
    moved.write("UPDATE orders SET status_code = 'PAID' WHERE id = 1")
    moved.sync()
    moved.write("UPDATE orders SET status_code = 'DONE' WHERE id = 1")
    moved.sync()
    damage(moved, "UPDATE mirror.orders SET status_code = 'NEW' WHERE id = 1")
    mend(moved, "orders")
    moved.shop.execute("UPDATE ferry.kafka_offset SET next = 0")  # and so they are delivered once more
    moved.sync()
    moved.check()


def test_what_is_explained_is_left_alone(moved: Pair) -> None:
    damage(moved, "UPDATE shop.customer_order SET note = 'agreed with accounting' WHERE id = 1")
    assert not moved.verify("orders").clean
    assert differences.explain(moved.shop, ROUTE.name, "shop.customer_order", "1", "ticket 12", "Anna") == 1
    assert moved.verify("orders").clean
    done = repair(moved.stores, "orders", moved.sync, "Anna")
    assert done.differences == 0
    assert moved.one("SELECT note FROM shop.customer_order WHERE id = 1") == "agreed with accounting"
    damage(moved, "UPDATE shop.customer_order SET total = 3 WHERE id = 1")
    found = moved.verify("orders").differences  # an explanation covers what it was given for
    assert [d.column for d in found if (d.layer, d.target) == ("shop", "shop.customer_order")] == ["total"]


def test_after_the_cutover_there_is_nothing_to_go_by(moved: Pair) -> None:
    damage(moved, "DELETE FROM shop.order_line")
    assert not moved.verify("orders").clean
    moved.shop.execute("UPDATE ferry.phase SET state = 'cut_over'")
    with pytest.raises(PhaseError, match="not kept by the stream"):
        repair(moved.stores, "orders", moved.sync, "Anna")
    assert moved.ask("SELECT 1 FROM ferry.repair") == []


def test_a_parent_that_goes_unseen_takes_its_children_along_and_both_come_back(moved: Pair) -> None:
    moved.write(
        "INSERT INTO customers (id, email, full_name) VALUES (8, 'c8@example.com', 'Anna Nowak')",
        "UPDATE orders SET customer_id = 8 WHERE id = 1",
        "INSERT INTO order_status_log (id, order_id, status_code, changed_at) VALUES (1, 1, 'PAID', '2020-01-02')",
    )
    moved.sync()
    assert moved.one("SELECT count(*) FROM shop.order_event WHERE order_id = 1") == 1
    damage(moved, "DELETE FROM ferry.identity WHERE legacy_key = 8")
    # Of this the order is told, and that its customer is unknown now; its events are not.
    moved.write("UPDATE order_items SET quantity = 2 WHERE order_id = 1")
    moved.sync()
    assert moved.quarantine("shop.customer_order")["1"] == ["customer_missing"]
    mend(moved, "contacts")
    moved.check()
    assert moved.one("SELECT count(*) FROM shop.order_event WHERE order_id = 1") == 1


@pytest.mark.fresh
@pytest.mark.parametrize("swapped", [False, True])
def test_who_had_a_row_wrongly_is_counted_again(moved: Pair, swapped: bool) -> None:
    """A merge that takes a row from another aggregate tells those, too, who read it there; also where unique values swap."""
    for n in (11, 12):
        moved.write(
            BORN.format(n),
            f"INSERT INTO loyalty_accounts (id, customer_id, card_number, points) VALUES ({n}, {n}, 'K{n}', 5)",
            f"INSERT INTO loyalty_log (id, account_id, kind, points, created_at) VALUES ({n}, {n}, 'E', 5, '2020-01-{n}')",
        )
    moved.write(
        "INSERT INTO loyalty_log (id, account_id, kind, points, created_at) VALUES (13, 11, 'E', 7, '2020-01-13')"
    )
    moved.sync()
    damage(
        moved, "UPDATE shop.loyalty_entry SET account_id = 12, happened_at = '2024-01-01' WHERE source_key = 'log:11'"
    )
    if swapped:
        damage(moved, "UPDATE shop.loyalty_entry SET points = 12 - points WHERE source_key IN ('log:11', 'log:13')")
        moved.shop.execute(
            "CREATE UNIQUE INDEX ON shop.loyalty_entry (points, kind, reason) NULLS NOT DISTINCT "
            "WHERE account_id > 0 AND source_key IN ('log:11', 'log:13')"
        )
    profile = next(u for u in ROUTE.mappings if u.entity == "shop.customer_profile")
    moved.stores.merger.stage(ROUTE.units)
    with moved.shop.transaction():  # a change of theirs came by meanwhile, so they are counted with the wrong row
        moved.stores.merger.merge(profile, SQL("SELECT id AS key FROM shop.customer"), disjoint=True)
    assert moved.verify("insight").clean
    assert mend(moved, "loyalty").remaining == []
    for each in ROUTE.phases:
        assert moved.verify(each).clean
