"""One event that the shop refuses among thousands: its key is quarantined, the others go through together."""

from __future__ import annotations

import pytest
from live import Flow

pytestmark = pytest.mark.stack
FIRST, ROWS, POISON = 8_000_000, 5_000, 8_002_500
OURS = (FIRST + 1, FIRST + ROWS)


def test_a_poison_event_in_the_middle_of_thousands(flow: Flow) -> None:
    flow.shop.execute(f"ALTER TABLE shop.customer_order ADD CONSTRAINT poison CHECK (id <> {POISON})".encode())
    try:
        flow.applied()
        with flow.paused("sync"):
            before = flow.batches()
            flow.write(
                "INSERT INTO orders (id, number, email, status_code, total, currency, payment_code, delivery_code, created_at) "
                f"SELECT i, 'P-' || i, 'g' || i || '@example.com', 'NEW', 10, 'PLN', 'CARD', 'DPD', '2024-03-01' "
                f"FROM generate_series({FIRST + 1}, {FIRST + ROWS}) i"
            )
        flow.applied()
        assert flow.one("SELECT count(*) FROM shop.customer_order WHERE id BETWEEN %s AND %s", *OURS) == ROWS - 1
        assert flow.ask(
            "SELECT entity, row_key, reasons, sqlstate, constraint_name FROM ferry.quarantine WHERE row_key = %s",
            str(POISON),
        ) == [("shop.customer_order", str(POISON), ["refused_by_constraint"], "23514", "poison")]
        # In the batches that brought them, and not key by key.
        sizes = [n for (n,) in flow.ask("SELECT events FROM ferry.replay_batch WHERE id > %s ORDER BY id", before)]
        assert sum(n for n in sizes if n > 1) >= ROWS
        assert len([n for n in sizes if n > 1]) <= 20
        assert flow.one("SELECT count(*) FROM shop.payment WHERE order_id BETWEEN %s AND %s", *OURS) == ROWS - 1
        flow.clean()
    finally:
        flow.shop.execute("ALTER TABLE shop.customer_order DROP CONSTRAINT poison")
    flow.write(
        f"UPDATE orders SET status_code = 'PAID' WHERE id = {POISON}"
    )  # its cause is gone: the next event brings it
    flow.clean()
    assert flow.one("SELECT count(*) FROM shop.payment WHERE order_id = %s", POISON) == 1
