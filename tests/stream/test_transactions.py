"""Transactions as they come: interleaved, cut by savepoints, very large, very long."""

from __future__ import annotations

import pytest
from live import Flow, order
from shopferry import db
from waiting import until

pytestmark = pytest.mark.stack


def test_the_first_to_begin_may_be_the_last_to_commit(flow: Flow) -> None:
    with db.connect(flow.settings.source_dsn, "a") as first, db.connect(flow.settings.source_dsn, "b") as second:
        first.execute("BEGIN")
        first.execute(order(1_000_001).encode())
        second.execute("BEGIN")
        second.execute(order(1_000_002).encode())
        first.execute("UPDATE orders SET status_code = 'PAID' WHERE id = 1000001")
        second.execute("COMMIT")
        flow.write("UPDATE orders SET status_code = 'SENT' WHERE id = 1000002")
        flow.applied()
        found = "SELECT id, status::text FROM shop.customer_order WHERE id IN (1000001, 1000002) ORDER BY id"
        assert flow.ask(found) == [(1_000_002, "shipped")]
        first.execute("COMMIT")
    flow.clean()
    assert flow.ask(found) == [(1_000_001, "paid"), (1_000_002, "shipped")]


def test_what_is_rolled_back_never_arrives(flow: Flow) -> None:
    legacy = flow.legacy
    with legacy.transaction():
        legacy.execute(order(1_000_010).encode())
        with legacy.transaction(force_rollback=True):
            legacy.execute(order(1_000_011).encode())
            legacy.execute("UPDATE orders SET status_code = 'SENT' WHERE id = 1000010")
            with legacy.transaction():
                legacy.execute("DELETE FROM orders WHERE id = 1000010")
        with legacy.transaction():
            legacy.execute("UPDATE orders SET status_code = 'PAID' WHERE id = 1000010")
            with legacy.transaction(force_rollback=True):
                legacy.execute("UPDATE orders SET id = 1000012 WHERE id = 1000010")
    with legacy.transaction(force_rollback=True):
        legacy.execute(order(1_000_013).encode())
    flow.clean()
    assert flow.ask("SELECT id, status::text FROM shop.customer_order WHERE id BETWEEN 1000010 AND 1000013") == [
        (1_000_010, "paid")
    ]


@pytest.mark.deep
def test_a_transaction_longer_than_every_time_out(flow: Flow) -> None:
    """Open for longer than the slot's and the broker's patience, lowered: what counts is that they end before it does."""
    legacy = flow.legacy
    legacy.execute("ALTER SYSTEM SET wal_sender_timeout = '2s'")
    legacy.execute("SELECT pg_reload_conf()")
    try:
        with db.connect(flow.settings.source_dsn, "slow") as slow:
            slow.execute("BEGIN")
            slow.execute(order(1_000_020).encode())
            # The producer gives up after 16 s, the watch calls 30 s of silence too long.
            slow.execute("SELECT pg_sleep(35)")
            flow.write(order(1_000_021))
            flow.applied()
            assert flow.ask("SELECT id FROM shop.customer_order WHERE id BETWEEN 1000020 AND 1000021") == [(1_000_021,)]
            assert flow.find_problems() == []
            slow.execute("UPDATE orders SET status_code = 'PAID' WHERE id = 1000020")
            slow.execute("COMMIT")
    finally:
        legacy.execute("ALTER SYSTEM RESET wal_sender_timeout")
        legacy.execute("SELECT pg_reload_conf()")
    flow.clean()
    assert flow.one("SELECT status::text FROM shop.customer_order WHERE id = 1000020") == "paid"


def test_a_transaction_of_200_000_rows(flow: Flow) -> None:
    flow.write(
        "INSERT INTO order_status_log (id, order_id, status_code, changed_at) "
        "SELECT 1000000 + i, -i, 'NEW', '2024-01-01' FROM generate_series(1, 200000) i"
    )
    flow.applied()
    assert flow.one("SELECT count(*) FROM legacy.order_status_log WHERE id > 1000000") == 200_000
    flow.write("DELETE FROM order_status_log WHERE id > 1000000")
    flow.clean()
    assert flow.one("SELECT count(*) FROM legacy.order_status_log WHERE id > 1000000") == 0


def test_a_copy_into_legacy_cut_by_the_connectors_death(flow: Flow) -> None:
    """Many rows of a COPY share one log position; the connector is killed when some of them are through."""
    before, copied = flow.batches(), "loyalty_log WHERE id BETWEEN 2000000 AND 2029999"
    with (
        flow.legacy.cursor() as cursor,
        cursor.copy("COPY loyalty_log (id, account_id, kind, points) FROM STDIN") as copy,
    ):
        for number in range(30_000):
            copy.write_row((2_000_000 + number, -number, "E", 1))
    until(lambda: flow.one(f"SELECT count(*) FROM legacy.{copied}") > 0 or flow.batches() > before + 5)
    flow.kill("connector")
    flow.clean()
    assert flow.one(f"SELECT count(*) FROM legacy.{copied}") == 30_000
    flow.write(f"DELETE FROM {copied}")
    flow.clean()
