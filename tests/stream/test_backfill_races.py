"""Chunks that are read now and loaded later, while the stream goes on: what the stream has touched, stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from live import Flow, order
from pair import Late, open_more
from shopferry.control import chunks, phases
from shopferry.control.chunks import Span
from shopferry.engine import backfill

pytestmark = pytest.mark.stack
ORDERS = "SELECT id, status::text FROM shop.customer_order WHERE id BETWEEN {0} AND {0} + 9 ORDER BY id"


@contextmanager
def read(flow: Flow) -> Iterator[Late]:
    """The last chunk of orders, read by a slow worker of a new copy; whoever uses it lets it load. The rest follows."""
    with flow.shop.transaction():
        phases.next_generation(flow.shop, "demo", "orders")
    backfill.plan_copy(flow.stores, "orders")
    total = next(p.total for p in chunks.load_progress(flow.shop, "demo") if (p.kind, p.target) == ("copy", "orders"))
    others = partial(open_more, flow.settings.source_dsn, flow.settings.target_dsn)
    late = Late(others, "orders", Span("orders", total - 1, total - 1))
    late.read()
    yield late
    while backfill.copy_next(flow.stores, "orders", "test"):
        pass
    flow.clean()


def meanwhile(flow: Flow, *statements: str) -> None:
    """Changes that are applied while the chunk is under way."""
    for statement in statements:
        flow.write(statement)


def test_a_chunk_read_before_a_delete_and_loaded_after_it(flow: Flow) -> None:
    flow.write(order(7_000_001), order(7_000_002))
    flow.applied()
    with read(flow) as late:
        flow.write("DELETE FROM orders WHERE id = 7000001")
        # The chunk holds the phases still while it is under way, so the event waits for it, or it for the event.
        late.load()
        flow.applied()
        assert flow.ask(ORDERS.format(7_000_000)) == [(7_000_002, "pending")]


def test_a_chunk_row_that_is_older_than_ten_replayed_events(flow: Flow) -> None:
    flow.write(order(7_000_011))
    flow.applied()
    with read(flow) as late:
        meanwhile(
            flow, *[f"UPDATE orders SET status_code = '{s}' WHERE id = 7000011" for s in ("PAID", "SENT", "DONE") * 3]
        )
        flow.write("UPDATE orders SET status_code = 'RET' WHERE id = 7000011")
        flow.applied()
        late.load()
    assert flow.ask(ORDERS.format(7_000_010)) == [(7_000_011, "returned")]


def test_a_chunk_tried_again_after_its_key_was_deleted_and_given_again(flow: Flow) -> None:
    flow.write(order(7_000_021))
    flow.applied()
    with read(flow) as late:
        flow.write("DELETE FROM orders WHERE id = 7000021")
        flow.write(order(7_000_021, "SENT"))
        flow.applied()
        late.load(die=True)
    assert flow.ask(ORDERS.format(7_000_020)) == [(7_000_021, "shipped")]


def test_a_row_deleted_before_the_first_copy_ever_saw_it(flow: Flow) -> None:
    with read(flow) as late:
        flow.write(order(7_000_031))
        flow.write("DELETE FROM orders WHERE id = 7000031")
        flow.applied()
        late.load()
    assert flow.ask(ORDERS.format(7_000_030)) == []
