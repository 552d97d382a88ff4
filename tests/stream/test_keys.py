"""Primary keys that change, change places, go and come back."""

from __future__ import annotations

import pytest
from live import LONG, OTHER, Flow, order
from waiting import until

pytestmark = pytest.mark.stack


def line(number: int, order_id: int) -> str:
    return (
        "INSERT INTO order_items (id, order_id, name, quantity, unit_price, line_total) "
        f"VALUES ({number}, {order_id}, 'Kubek', 1, 10, 10)"
    )


def test_a_primary_key_that_changes_takes_its_unlogged_value_along(flow: Flow) -> None:
    flow.write(order(3_000_001), f"UPDATE orders SET note = '{LONG}' WHERE id = 3000001", line(3_000_001, 3_000_001))
    flow.applied()
    flow.write("UPDATE orders SET id = 3000002 WHERE id = 3000001")
    flow.clean()
    assert flow.one("SELECT note FROM legacy.orders WHERE id = 3000002") == LONG
    # Its line has lost its order, and says so.
    assert flow.ask("SELECT reasons FROM ferry.quarantine WHERE row_key = '3000001'") == [(["order_missing"],)]
    flow.write("UPDATE order_items SET order_id = 3000002 WHERE id = 3000001")
    flow.clean()
    assert flow.ask("SELECT order_id FROM shop.order_line WHERE id = 3000001") == [(3_000_002,)]


def test_a_key_that_changes_in_the_transaction_that_wrote_the_row(flow: Flow) -> None:
    flow.write(
        order(3_000_010),
        f"UPDATE orders SET note = '{LONG}' WHERE id = 3000010",
        "UPDATE orders SET id = 3000011 WHERE id = 3000010",
        "UPDATE orders SET status_code = 'PAID' WHERE id = 3000011",
        "UPDATE orders SET id = 3000012 WHERE id = 3000011",
    )
    flow.clean()
    assert flow.ask("SELECT id, status_code, note FROM legacy.orders WHERE id BETWEEN 3000010 AND 3000012") == [
        (3_000_012, "PAID", LONG)
    ]


def test_two_keys_that_change_places_in_one_transaction(flow: Flow) -> None:
    flow.write(
        order(3_000_021, "PAID"),
        order(3_000_022, "SENT"),
        f"UPDATE orders SET note = CASE id WHEN 3000021 THEN '{LONG}' ELSE '{OTHER}' END WHERE id IN (3000021, 3000022)",
    )
    flow.applied()
    moves = ((3_000_021, -1), (3_000_022, 3_000_021), (-1, 3_000_022))
    flow.write(*[f"UPDATE orders SET id = {new} WHERE id = {old}" for old, new in moves])
    flow.clean()
    assert flow.ask("SELECT id, status_code, note FROM legacy.orders WHERE id IN (3000021, 3000022) ORDER BY id") == [
        (3_000_021, "SENT", OTHER),
        (3_000_022, "PAID", LONG),
    ]


def test_a_key_deleted_and_given_again(flow: Flow) -> None:
    flow.write(order(3_000_031), order(3_000_032), line(3_000_031, 3_000_031))
    flow.applied()
    flow.write("DELETE FROM orders WHERE id = 3000031", order(3_000_031, "PAID"))  # in one transaction
    flow.write("DELETE FROM orders WHERE id = 3000032")  # and in two
    flow.write(order(3_000_032, "SENT"))
    flow.clean()
    assert flow.ask("SELECT id, status::text FROM shop.customer_order WHERE id IN (3000031, 3000032) ORDER BY id") == [
        (3_000_031, "paid"),
        (3_000_032, "shipped"),
    ]
    assert flow.one("SELECT count(*) FROM shop.order_line WHERE order_id = 3000031") == 1
    flow.like_from_scratch()


def test_a_key_of_two_columns_with_values_that_events_word_in_their_own_way(values: Flow) -> None:
    values.write(
        "INSERT INTO keyed VALUES ('żółw \"1\"', '2020-01-31', 'a', 'so so'), ('b', '2020-02-01', NULL, NULL)",
        "UPDATE keyed SET day = '2021-01-31' WHERE code <> 'b'",
        "DELETE FROM keyed WHERE code = 'b'",
    )
    values.write("UPDATE keyed SET code = 'c', note = 'z', _seen = true WHERE day = '2021-01-31'")
    values.clean()
    assert values.ask("SELECT code, day::text, note, feeling, seen FROM shop.keyed") == [
        ("c", "2021-01-31", "z", "so so", True)
    ]


def test_a_key_that_events_cannot_word_stops_replay_and_is_named(values: Flow) -> None:
    values.write("INSERT INTO keyed VALUES ('for ever', 'infinity', 'x', NULL)")
    until(lambda: "key of keyed" in (values.stopped() or ""))
    values.write("DELETE FROM keyed WHERE code = 'for ever'")
    values.resync()
    values.clean()
