"""What was held when the shop was cut over: it is entered where it may, or given up by name; all else stays as it is."""

from __future__ import annotations

import pytest
from pair import Pair
from shopferry.control import phases, quarantine
from shopferry.control.phases import State
from shopferry.engine.release import drop, release
from shopferry.errors import PhaseError
from shopferry.stores import origin

ITEM = "INSERT INTO order_items (id, order_id, name, quantity, unit_price) VALUES ({}, {}, 'Kawa', {}, 5)"


def write_order(key: int, *items: tuple[int, int]) -> list[str]:
    """An order of a guest with lines (id, pieces)."""
    return [
        "INSERT INTO orders (id, number, email, status_code, total, currency, created_at) "
        f"VALUES ({key}, 'N{key}', 'guest@example.com', 'NEW', 10, 'PLN', '2024-03-01')",
        *(ITEM.format(item, key, pieces) for item, pieces in items),
    ]


def cut_over(pair: Pair) -> None:
    """All phases as they are after a cutover."""
    with pair.shop.transaction():
        for phase in pair.route.phases:
            phases.move(pair.shop, pair.route.name, phase, State.CUT_OVER)


def apply(pair: Pair, statement: str) -> None:
    """What the shop's application writes. The fence lets it in as it does us: nothing opened it here."""
    with pair.shop.transaction():
        pair.shop.execute(f"SELECT {origin.WRITER}".encode())
        pair.shop.execute(statement.encode())


def lines(pair: Pair) -> list[tuple[int, int]]:
    return pair.ask("SELECT id, quantity FROM shop.order_line ORDER BY id")


@pytest.fixture
def held(pair: Pair) -> Pair:
    """An order of two lines, of which the second is held; the shop is cut over, and its application works on the first."""
    pair.write(*write_order(1, (1, 2), (2, -1)))
    pair.pass_phases()
    for phase in pair.route.phases:
        assert pair.verify(phase).clean
    cut_over(pair)
    assert pair.quarantine("shop.order_line") == {"2": ["quantity_not_positive"]}
    apply(pair, "UPDATE shop.order_line SET quantity = 7 WHERE id = 1")
    return pair


def test_a_held_row_enters_and_what_the_application_has_changed_stays(held: Pair) -> None:
    held.write("UPDATE order_items SET quantity = 1, name = 'Herbata' WHERE id = 2")
    held.sync()
    assert lines(held) == [(1, 7)]  # the stream merges nothing any more
    assert release(held.stores, entity="shop.order_line") == (1, 0)
    assert lines(held) == [(1, 7), (2, 1)]
    assert held.one("SELECT name FROM shop.order_line WHERE id = 2") == "Herbata"
    assert held.quarantine("shop.order_line") == {}


def test_what_the_application_has_deleted_does_not_come_back(held: Pair) -> None:
    apply(held, "DELETE FROM shop.order_line WHERE id = 1")
    held.write("UPDATE order_items SET quantity = 1 WHERE id = 2")
    held.sync()
    release(held.stores, entity="shop.order_line")
    assert lines(held) == [(2, 1)]


def test_what_the_mapping_refuses_stays_held(held: Pair) -> None:
    assert release(held.stores, entity="shop.order_line") == (1, 1)
    assert lines(held) == [(1, 7)]
    assert held.quarantine("shop.order_line") == {"2": ["quantity_not_positive"]}


def test_a_row_that_legacy_has_no_more_is_held_no_more(held: Pair) -> None:
    held.write("DELETE FROM order_items WHERE id = 2")
    held.sync()
    assert release(held.stores, entity="shop.order_line") == (1, 0)
    assert lines(held) == [(1, 7)]


@pytest.mark.fresh
def test_what_the_database_refuses_stays_held_with_its_reason_and_others_enter(pair: Pair) -> None:
    pair.write(*write_order(1, (1, -1)), *write_order(2, (2, -1)))
    pair.pass_phases()
    pair.shop.execute("ALTER TABLE shop.order_line ADD CONSTRAINT line_is_small CHECK (quantity < 100)")
    cut_over(pair)
    pair.write("UPDATE order_items SET quantity = 100 WHERE id = 1", "UPDATE order_items SET quantity = 3 WHERE id = 2")
    pair.sync()
    assert release(pair.stores, entity="shop.order_line") == (2, 1)
    assert lines(pair) == [(2, 3)]
    [entry] = quarantine.load(pair.shop, entity="shop.order_line")
    assert (entry.row_key, entry.reasons, entry.constraint_name) == ("1", ["refused_by_constraint"], "line_is_small")


def test_an_order_that_enters_takes_its_lines_along(pair: Pair) -> None:
    pair.write(*write_order(1, (1, 2)), "UPDATE orders SET status_code = '??'")
    pair.pass_phases()
    cut_over(pair)
    pair.write("UPDATE orders SET status_code = 'PAID'")
    pair.sync()
    assert release(pair.stores)[1] == 0
    assert lines(pair) == [(1, 2)]


def test_dropped_by_name_a_row_counts_as_left_out(held: Pair) -> None:
    assert drop(held.stores, "a test order", "Ada", entity="shop.order_line", reason=None, row="9") == 0
    assert drop(held.stores, "a test order", "Ada", entity="shop.order_line", reason=None, row="2") == 1
    assert held.quarantine("shop.order_line") == {}
    assert held.ask("SELECT row_key, reason FROM ferry.left_out WHERE entity = 'shop.order_line'") == [("2", "dropped")]
    assert held.ask("SELECT entity, row_key, reasons, why, who FROM ferry.decision") == [
        ("shop.order_line", "2", ["quantity_not_positive"], "a test order", "Ada")
    ]
    assert release(held.stores, entity="shop.order_line") == (0, 0)


def test_before_the_cutover_nothing_is_dropped(pair: Pair) -> None:
    pair.write(*write_order(1, (1, -1)))
    pair.pass_phases()
    with pytest.raises(PhaseError, match="shopferry quarantine release"):
        drop(pair.stores, "a test order", "Ada", entity=None, reason=None, row=None)
    assert pair.quarantine("shop.order_line") == {"1": ["quantity_not_positive"]}
