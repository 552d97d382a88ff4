"""Children without parents: legacy has no foreign keys, and the shop has."""

from __future__ import annotations

import pytest
from live import Flow, order
from shopferry.cdc import proof
from waiting import until

pytestmark = pytest.mark.stack


def line(number: int, order_id: int) -> str:
    return (
        "INSERT INTO order_items (id, order_id, name, quantity, unit_price, line_total) "
        f"VALUES ({number}, {order_id}, 'Kubek', 1, 10, 10)"
    )


def reasons(flow: Flow, entity: str, number: int) -> list[str]:
    return (
        flow.one("SELECT reasons FROM ferry.quarantine WHERE entity = %s AND row_key = %s", entity, str(number)) or []
    )


def test_a_child_that_comes_before_its_parent(flow: Flow) -> None:
    flow.write(line(5_000_001, 5_000_001))
    flow.clean()
    assert reasons(flow, "shop.order_line", 5_000_001) == ["order_missing"]
    flow.write(order(5_000_001))
    flow.clean()
    assert reasons(flow, "shop.order_line", 5_000_001) == []
    assert flow.one("SELECT count(*) FROM shop.order_line WHERE id = 5000001") == 1


def test_a_child_whose_parent_never_comes_waits_in_quarantine(flow: Flow) -> None:
    entry = "INSERT INTO loyalty_log (id, account_id, kind, points) VALUES (5000011, 5000011, 'E', 1)"
    flow.write(line(5_000_011, 5_000_011), entry)
    flow.clean()
    assert reasons(flow, "shop.order_line", 5_000_011) == ["order_missing"]
    assert (
        flow.one("SELECT count(*) FROM ferry.quarantine WHERE entity = 'shop.loyalty_entry' AND row_key = '5000011'")
        == 1
    )


def test_a_parent_deleted_with_its_children_left_and_given_back(flow: Flow) -> None:
    flow.write(order(5_000_021), line(5_000_021, 5_000_021), line(5_000_022, 5_000_021))
    flow.applied()
    assert flow.one("SELECT count(*) FROM shop.order_line WHERE order_id = 5000021") == 2
    flow.write("DELETE FROM orders WHERE id = 5000021")
    flow.clean()
    assert flow.one("SELECT count(*) FROM shop.order_line WHERE order_id = 5000021") == 0
    assert (
        reasons(flow, "shop.order_line", 5_000_021) == reasons(flow, "shop.order_line", 5_000_022) == ["order_missing"]
    )
    flow.write("DELETE FROM order_items WHERE id = 5000022", order(5_000_021))
    flow.clean()
    assert flow.ask("SELECT id FROM shop.order_line WHERE order_id = 5000021") == [(5_000_021,)]


def test_a_grandparent_that_goes_takes_the_whole_line_into_quarantine(flow: Flow) -> None:
    flow.write(
        "INSERT INTO customers (id, email, full_name, created_at) VALUES (5000031, 'gp@example.com', 'Ala', '2020-01-01')",
        order(5_000_031, customer=5_000_031),
        line(5_000_031, 5_000_031),
    )
    flow.applied()
    flow.write("DELETE FROM customers WHERE id = 5000031")
    flow.clean()
    assert reasons(flow, "shop.customer_order", 5_000_031) == ["customer_missing"]
    assert reasons(flow, "shop.order_line", 5_000_031) == ["order_quarantined"]
    flow.like_from_scratch()


def test_in_a_backlog_children_do_not_run_ahead_of_their_parents(flow: Flow) -> None:
    orders, lines = range(5_100_000, 5_102_000), 10
    flow.applied()
    with flow.paused("sync"):
        before = in_broker(flow)
        for first in orders[::20]:
            flow.write(
                *(order(n) for n in range(first, first + 20)),
                "INSERT INTO order_items (id, order_id, name, quantity, unit_price, line_total) "
                "SELECT o * 10 + i, o, 'Kubek', 1, 1, 1 "
                f"FROM generate_series({first}, {first + 19}) o, generate_series(0, {lines - 1}) i",
            )
        until(lambda: in_broker(flow) >= before + len(orders) * (1 + lines))
    waiting, arrived = 0, 0
    while arrived < len(orders) * lines:
        waiting = max(waiting, flow.one("SELECT count(*) FROM ferry.quarantine WHERE reasons @> '{order_missing}'"))
        arrived = flow.one(
            "SELECT count(*) FROM shop.order_line WHERE order_id BETWEEN %s AND %s", orders[0], orders[-1]
        )
    assert waiting < 500  # of 20,000
    flow.clean()


def in_broker(flow: Flow) -> int:
    """How many messages the broker has of the route's topics."""
    with proof.broker_ends(flow.stores, flow.settings) as ends:
        return sum(ends().values())
