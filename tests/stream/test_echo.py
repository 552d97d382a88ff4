"""What our own flow has written in the other direction: the connector tells its origin, and it is not carried back."""

from __future__ import annotations

import pytest
from live import Flow, order
from pair import other_flow

pytestmark = pytest.mark.stack


def test_a_write_with_our_origin_reaches_the_mirror_and_nothing_else(flow: Flow) -> None:
    flow.write(order(7_700_001), order(7_700_002))
    flow.applied()
    with other_flow(flow.settings.source_dsn) as other:
        other.execute("UPDATE orders SET status_code = 'PAID' WHERE id IN (7700001, 7700002)")
        flow.write("UPDATE orders SET note = 'x' WHERE id = 7700002")
        flow.applied()
    ids = "id IN (7700001, 7700002) ORDER BY id"
    assert flow.ask(f"SELECT status_code FROM legacy.orders WHERE {ids}") == [("PAID",), ("PAID",)]
    assert flow.ask(f"SELECT status::text FROM shop.customer_order WHERE {ids}") == [("pending",), ("paid",)]
    flow.write("UPDATE orders SET note = 'y' WHERE id = 7700001")
    flow.clean()
