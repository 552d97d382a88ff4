"""Repair: whatever is damaged, anywhere, is as it should be afterwards; and the stream is not overtaken."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pair import ROUTE, Pair
from shopferry.control import differences
from shopferry.errors import PhaseError
from shopferry.repair import Repair, repair
from test_verify import damage, moved_template  # noqa: F401


def mend(pair: Pair, phase: str) -> Repair:
    """Verify and repair one phase."""
    assert not pair.verify(phase).clean
    return repair(pair.stores, phase, pair.sync, "Anna")


@pytest.mark.parametrize(
    ("phase", "statements"),
    [
        ("orders", ["UPDATE mirror.orders SET total = 2, note = NULL WHERE id = 1"]),
        ("orders", ["UPDATE mirror.orders SET _gone = true WHERE id = 4"]),
        ("orders", ["DELETE FROM mirror.orders WHERE id IN (1, 4)"]),
        ("orders", ["INSERT INTO mirror.orders (id) VALUES (77)"]),
        ("orders", ["UPDATE shop.customer_order SET total = 2 WHERE id = 1"]),
        ("orders", ["DELETE FROM shop.order_line"]),
        ("orders", ["DELETE FROM shop.order_line", "DELETE FROM shop.payment", "DELETE FROM shop.delivery",
                    "DELETE FROM shop.order_event", "DELETE FROM shop.customer_order"]),
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
        ("contacts", ["INSERT INTO shop.customer_address (customer_id, source_key, city) "
                      "SELECT id, 'none', 'Nowhere' FROM shop.customer LIMIT 1"]),
        ("contacts", ["UPDATE shop.customer SET email = 'thief@example.com'", "DELETE FROM shop.customer_credential"]),
    ],
)  # fmt: skip
def test_what_is_damaged_is_mended(moved: Pair, phase: str, statements: Sequence[str]) -> None:
    damage(moved, *statements)
    done = mend(moved, phase)
    assert done.remaining == []
    for each in ROUTE.phases:
        assert moved.verify(each).clean
    moved.check()
    assert moved.ask("SELECT DISTINCT who FROM ferry.difference WHERE state = 'repaired'") == [("Anna",)]
    assert moved.ask("SELECT who, repaired FROM ferry.repair") == [("Anna", done.repaired)]


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
