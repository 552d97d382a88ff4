"""A backlog: batches run ahead of the merge, and what they note is merged behind them."""

from __future__ import annotations

import pytest
from live import Flow, order
from shopferry import db
from shopferry.control import locks
from test_orphans import in_broker
from waiting import until

pytestmark = pytest.mark.stack


def test_the_last_batch_of_a_backlog_does_not_wait_for_the_merge_behind_it(flow: Flow) -> None:
    """What it brings is in the mirror while the orders before it are still merged."""
    orders = range(5_200_000, 5_202_600)  # 1,000, 1,000 and the rest

    def count(table: str) -> int:  # of these: other tests of the same shop have written orders with higher numbers
        query = f"SELECT count(*) FROM {table} WHERE id BETWEEN %s AND %s"
        return int(flow.one(query, orders[0], orders[-1]))

    flow.applied()
    with db.connect(flow.settings.target_dsn, "test") as other, other.transaction():
        with flow.paused("sync"):
            before = in_broker(flow)
            for first in orders[::100]:
                flow.write(*(order(n) for n in range(first, first + 100)))
            until(lambda: in_broker(flow) >= before + len(orders))
            locks.lock_merging(other, flow.route.name)
        until(lambda: count("legacy.orders") > 2_000)
        assert count("shop.customer_order") == 0
    flow.clean()
    assert count("shop.customer_order") == len(orders)
