"""The first load of a unit: whole ranges, beside the stream and beside other units, again where it was broken off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from pair import ROUTE, Pair, open_more
from shopferry.control import phases
from shopferry.control.chunks import Chunk
from shopferry.engine import backfill, merge_chunks
from shopferry.engine.merge import Merger
from test_backfill import dsns, order

CUSTOMER = "INSERT INTO customers (id, email, full_name) VALUES ({0}, 'c{0}@example.com', 'Jan Kowalski')"


def test_what_comes_while_units_wait_for_their_load_is_merged_with_it(pair: Pair) -> None:
    """Three accounts are one customer: none is merged alone, by an event of his consent, before the load knows that."""
    pair.write(
        *[
            f"INSERT INTO customers (id, email, full_name) VALUES ({key}, 'jan@example.com', 'Jan Nowak')"
            for key in (1, 2, 3)
        ]
    )
    pair.start("contacts")
    pair.copy("contacts")
    pair.sync()
    merge_chunks.begin_merge(pair.stores, "contacts")
    for key in (2, 3):
        pair.write(
            "INSERT INTO consents (id, customer_id, channel, granted, granted_at) "
            f"VALUES ({key}, {key}, 'email', 'T', '2024-05-01')"
        )
    pair.sync()
    assert (pair.quarantine("shop.customer"), pair.one("SELECT count(*) FROM shop.customer")) == ({}, 0)
    backfill.standardize(pair.stores, "contacts")
    while not merge_chunks.is_merged(pair.stores, "contacts"):
        merge_chunks.merge_next(pair.stores, "contacts", "test")
    assert pair.quarantine("shop.customer") == {}
    assert pair.one("SELECT count(*) FROM shop.customer") == 1
    pair.finish("contacts")
    pair.check()
    assert pair.verify("contacts").clean


def begin_load(pair: Pair) -> None:
    """Bring the phase orders to where its first range is loaded."""
    pair.pass_phases(["contacts"])
    pair.start("orders")
    pair.copy("orders")
    merge_chunks.begin_merge(pair.stores, "orders")
    backfill.standardize(pair.stores, "orders")


def test_a_first_load_and_the_stream_do_not_wait_for_each_other(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge_chunks, "LOAD_KEYS", 1)
    pair.write(order(1), order(2), order(3))
    begin_load(pair)
    assert merge_chunks.merge_next(pair.stores, "orders", "test")
    pair.shop.execute("SET lock_timeout = '50ms'")
    with ExitStack() as ending:
        slow = ending.enter_context(open_more(*dsns(pair)))
        slow.merger.stage(ROUTE.units)
        ending.enter_context(slow.target.transaction())
        assert merge_chunks.merge_next(slow, "orders", "slow")  # and does not commit yet
        pair.write(
            "UPDATE orders SET status_code = 'SENT' WHERE id IN (1, 2)", "DELETE FROM orders WHERE id = 3", order(4)
        )
        pair.sync()
        assert pair.ask("SELECT id, status::text FROM shop.customer_order ORDER BY 1") == [(1, "pending")]
        Merger(pair.shop, ROUTE).hold()  # a batch goes on while another chunk is loaded
    assert pair.ask("SELECT id, status::text FROM shop.customer_order ORDER BY 1") == [(1, "pending"), (2, "pending")]
    assert pair.ask("SELECT DISTINCT unit, key FROM ferry.touched ORDER BY 2") == [
        ("orders/customer_order", key) for key in "1234"
    ]
    while not merge_chunks.is_merged(pair.stores, "orders"):
        merge_chunks.merge_next(pair.stores, "orders", "test")
    assert pair.one("SELECT count(*) FROM ferry.touched") == 0
    assert pair.ask("SELECT id, status::text FROM shop.customer_order ORDER BY 1") == [
        (1, "shipped"),
        (2, "shipped"),
        (4, "pending"),
    ]
    pair.finish("orders")
    pair.check()


@contextmanager
def merging_beside(pair: Pair, part: str) -> Iterator[list[Chunk | None]]:
    """Let another worker merge while ours runs a statement with this part; yields the chunk that it got."""
    taken: list[Chunk | None] = []
    with open_more(*dsns(pair)) as other:
        other.merger.stage(ROUTE.of("orders"))
        other.target.execute("SET lock_timeout = '1s'")

        def beside(statement: str) -> None:
            if part in statement and not taken:
                taken.append(None)
                taken[0] = merge_chunks.merge_next(other, "orders", "other")

        pair.shop.before = beside
        yield taken
        pair.shop.before = None


def test_what_is_planned_is_there_for_others_while_its_first_range_is_loaded(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge_chunks, "LOAD_KEYS", 1)
    pair.write(order(1), order(2), order(3))
    begin_load(pair)
    with merging_beside(pair, "yielded_orders_customer_order") as taken:
        first = merge_chunks.merge_next(pair.stores, "orders", "test")
    assert first and (first.no, [c and c.no for c in taken]) == (0, [1])


@pytest.mark.fresh
@pytest.mark.parametrize(
    ("more", "unit"),
    [
        ("", "orders/order_event"),
        (
            "CREATE FUNCTION shop.look() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; "
            "CREATE TRIGGER look BEFORE INSERT ON shop.order_event FOR EACH ROW EXECUTE FUNCTION shop.look()",
            "",  # those behind it wait for what its trigger writes
        ),
        (
            "ALTER TABLE shop.order_event ADD delivered bigint REFERENCES shop.delivery (order_id)",
            "orders/order_invoice",
        ),
    ],
    ids=["alone", "a trigger may ask for it", "references it"],
)
def test_units_that_build_on_nothing_of_each_other_are_loaded_side_by_side(pair: Pair, more: str, unit: str) -> None:
    """While delivery is loaded the next unit is begun, but none that may need its rows."""
    pair.shop.execute(more.encode())
    pair.write(order(1), order(2), order(3))
    begin_load(pair)
    with merging_beside(pair, "yielded_orders_delivery") as taken:
        targets = [c.target for _ in range(2) if (c := merge_chunks.merge_next(pair.stores, "orders", "test"))]
    assert (targets, [c.target if c else "" for c in taken]) == (["orders/customer_order", "orders/delivery"], [unit])
    while not merge_chunks.is_merged(pair.stores, "orders"):
        merge_chunks.merge_next(pair.stores, "orders", "test")
    pair.finish("orders")
    pair.check()


@pytest.mark.fresh
def test_a_load_that_the_shop_refuses_in_part_brings_all_other_rows(pair: Pair) -> None:
    pair.shop.execute("ALTER TABLE shop.customer_order ADD CONSTRAINT order_is_not_dear CHECK (total < 14)")
    pair.write(order(1), order(2, total="15"), order(3), order(4, status="??"))
    pair.pass_phases(["contacts"])
    pair.start("orders")
    pair.copy("orders")
    pair.merge("orders")
    assert pair.ask("SELECT id FROM shop.customer_order ORDER BY 1") == [(1,), (3,)]
    assert pair.quarantine("shop.customer_order") == {"2": ["refused_by_constraint"], "4": ["status_unknown"]}
    pair.finish("orders")
    pair.check()


def test_a_load_that_is_broken_off_is_done_again_over_what_stands(pair: Pair) -> None:
    pair.write(order(1), order(2))
    begin_load(pair)
    merge_chunks.merge_next(pair.stores, "orders", "test")
    assert pair.one("SELECT count(*) FROM shop.customer_order") == 2
    pair.write("UPDATE orders SET status_code = 'SENT' WHERE id = 1", "DELETE FROM orders WHERE id = 2")
    pair.sync()
    assert pair.one("SELECT count(*) FROM shop.customer_order") == 2  # noted, not merged
    pair.merge("orders")
    assert pair.ask("SELECT id, status::text FROM shop.customer_order") == [(1, "shipped")]
    pair.finish("orders")
    pair.check()


def test_what_a_sample_has_left_and_nothing_yields_any_more_goes_with_the_load(pair: Pair) -> None:
    item = "INSERT INTO order_items (id, order_id, sku, name, quantity, unit_price) VALUES ({0}, 1, 'S', 'Kubek', 1, 1)"
    pair.write(order(1), item.format(1))
    pair.pass_phases(["contacts"])
    pair.start("orders")
    with pair.shop.transaction():
        phases.configure(pair.shop, ROUTE.name, "orders", chunk_size=10_000, rows_per_second=None, sample=1)
    pair.copy("orders")
    pair.merge("orders")
    assert pair.ask("SELECT id FROM shop.order_line") == [(1,)]
    pair.write("DELETE FROM order_items", item.format(2))
    pair.sync()
    pair.start("orders")
    pair.copy("orders")
    pair.merge("orders")
    assert pair.ask("SELECT id FROM shop.order_line") == [(2,)]
    pair.finish("orders")
    pair.check()
