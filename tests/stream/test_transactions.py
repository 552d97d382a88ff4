"""Transactions as they come: interleaved, cut by savepoints, very large, very long."""

from __future__ import annotations

import pytest
from live import Flow, order
from shopferry import db

pytestmark = pytest.mark.stack


def test_the_first_to_begin_may_be_the_last_to_commit(flow: Flow) -> None:
    with db.connect(flow.settings.legacy_dsn, "a") as first, db.connect(flow.settings.legacy_dsn, "b") as second:
        first.execute("BEGIN")
        first.execute(order(1_000_001).encode())
        second.execute("BEGIN")
        second.execute(order(1_000_002).encode())
        first.execute("UPDATE orders SET status_code = 'PAID' WHERE id = 1000001")
        second.execute("COMMIT")
        flow.write("UPDATE orders SET status_code = 'SENT' WHERE id = 1000002")
        flow.applied()
        assert flow.ask("SELECT id, status::text FROM shop.customer_order WHERE id > 1000000") == [(1_000_002, "shipped")]
        first.execute("COMMIT")
    flow.clean()
    assert flow.ask("SELECT id, status::text FROM shop.customer_order WHERE id > 1000000 ORDER BY id") == [
        (1_000_001, "paid"),
        (1_000_002, "shipped"),
    ]
