"""Verification must be able to fail: every kind of damage, in every layer, is found and named by key, and by key only."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pair import Pair
from test_backfill import order

BORN = "INSERT INTO customers (id, email, full_name) VALUES ({0}, 'c{0}@example.com', 'Jan Kowalski')"


@pytest.fixture(scope="module")
def moved_template(make_template: Callable[..., str], pair_template: Callable[[int], tuple[str, str]]) -> tuple[str, str]:
    """A small shop that has moved, with a row in quarantine and one left out."""
    legacy, shop = pair_template(0)
    dsns = make_template("moved_legacy", legacy), make_template("moved_shop", shop)
    pair = Pair.open(*dsns)
    pair.write(
        BORN.format(1), BORN.format(2), BORN.format(3),
        "UPDATE customers SET deleted = 'T' WHERE id = 2", "UPDATE customers SET email = 'nobody' WHERE id = 3",
        *[order(n) for n in range(1, 6)],
        "UPDATE orders SET status_code = '??' WHERE id = 5",
        "INSERT INTO order_items (id, order_id, name, quantity, unit_price) VALUES (1, 1, 'Kubek', 1, 1)",
    )  # fmt: skip
    pair.pass_phases()
    for phase in ("contacts", "orders", "loyalty"):
        assert pair.verify(phase).clean
    pair.shop.execute("DELETE FROM ferry.kafka_offset")  # the copies have a log of their own
    pair.close()
    return dsns


@pytest.fixture
def moved(make_db: Callable[..., str], moved_template: tuple[str, str]) -> Iterator[Pair]:
    """The small shop that has moved, for one test."""
    pair = Pair.open(make_db("legacy", moved_template[0]), make_db("shop", moved_template[1]))
    yield pair
    pair.close()


def damage(pair: Pair, *statements: str) -> None:
    """What no part of the ferry would do."""
    with pair.shop.transaction():
        pair.shop.execute("SET LOCAL shopferry.writer = 'ferry'")
        for statement in statements:
            pair.shop.execute(statement.encode())


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE mirror.orders SET total = 2 WHERE id = 1", {("mirror", "orders", "1", "differs")}),
        ("UPDATE mirror.orders SET note = '' WHERE id = 1", {("mirror", "orders", "1", "differs")}),
        ("UPDATE mirror.orders SET _gone = true WHERE id = 4", {("mirror", "orders", "4", "missing")}),
        ("DELETE FROM mirror.orders WHERE id = 4", {("mirror", "orders", "4", "missing")}),
        ("INSERT INTO mirror.orders (id) VALUES (77)", {("mirror", "orders", "77", "extra")}),
    ],
)
def test_a_damaged_mirror_is_found(moved: Pair, statement: str, found: set[tuple[str, ...]]) -> None:
    damage(moved, statement)
    outcome = moved.verify("orders")
    assert not outcome.clean
    assert found <= {(d.layer, d.target, d.key, d.kind) for d in outcome.differences}


@pytest.mark.parametrize(
    ("statement", "layer", "target", "key", "kind"),
    [
        ("UPDATE shop.customer_order SET total = 2 WHERE id = 1", "shop", "shop.customer_order", "1", "differs"),
        ("UPDATE shop.customer_order SET note = 'x' WHERE id = 1", "shop", "shop.customer_order", "1", "differs"),
        ("DELETE FROM shop.order_line", "shop", "shop.order_line", "1", "missing"),
        ("DELETE FROM shop.payment WHERE order_id = 2", "shop", "shop.payment", "2", "missing"),
        (
            "INSERT INTO shop.order_event (id, order_id, status, happened_at) VALUES (9, 1, 'paid', now())",
            "shop", "shop.order_event", "9", "extra",
        ),
        ("DELETE FROM ferry.quarantine WHERE row_key = '5'", "quarantine", "shop.customer_order", "5", "missing"),
        (
            "UPDATE ferry.quarantine SET reasons = '{email_invalid}' WHERE row_key = '5'",
            "quarantine", "shop.customer_order", "5", "differs",
        ),
        (
            "INSERT INTO ferry.quarantine VALUES ('shop.customer_order', '1', '1', '{status_unknown}')",
            "quarantine", "shop.customer_order", "1", "extra",
        ),
        ("DELETE FROM ferry.quarantine WHERE row_key = '5'", "accounting", "orders", "all rows", "unaccounted"),
        (
            "INSERT INTO ferry.quarantine VALUES ('shop.customer_order', '1', '1', '{x}', '23514')",
            "accounting", "orders", "all rows", "unaccounted",
        ),
    ],
)  # fmt: skip
def test_a_damaged_shop_or_quarantine_is_found(
    moved: Pair, statement: str, layer: str, target: str, key: str, kind: str
) -> None:
    damage(moved, statement)
    outcome = moved.verify("orders")
    assert (layer, target, key, kind) in {(d.layer, d.target, d.key, d.kind) for d in outcome.differences}


def test_a_row_that_is_left_out_without_a_word_is_found(moved: Pair) -> None:
    assert moved.verify("contacts").clean
    damage(moved, "DELETE FROM ferry.left_out WHERE entity = 'shop.customer'")
    outcome = moved.verify("contacts")
    assert ("accounting", "customers", "unaccounted") in {(d.layer, d.target, d.kind) for d in outcome.differences}


def test_findings_are_kept_until_they_are_gone_and_hold_no_values(moved: Pair) -> None:
    damage(moved, "UPDATE shop.customer SET email = 'thief@example.com'")
    outcome = moved.verify("contacts")
    assert "thief" not in str(outcome.differences)
    rows = moved.ask("SELECT layer, target, column_name, kind, expected, found, state FROM ferry.difference ORDER BY 3")
    assert rows == [
        ("shop", "shop.customer", "email", "differs", "x9@xxxxxxx.xxx", "xxxxx@xxxxxxx.xxx", "open"),
    ]
    assert moved.one("SELECT differences FROM ferry.verification ORDER BY at DESC LIMIT 1") == 1
    moved.write("UPDATE customers SET phone = '601234567' WHERE id = 1")
    moved.sync()  # the row is merged anew
    assert moved.verify("contacts").clean
    assert set(moved.ask("SELECT state FROM ferry.difference")) == {("gone",)}


def test_a_row_that_is_only_late_is_no_difference(moved: Pair) -> None:
    moved.write("UPDATE orders SET status_code = 'PAID' WHERE id = 1", order(9), "DELETE FROM orders WHERE id = 2")
    outcome = moved.verify("orders")  # which lets the stream catch up before it judges
    assert outcome.clean, outcome.differences


def test_null_and_empty_and_scale_are_told_apart(moved: Pair) -> None:
    moved.write("UPDATE orders SET email = NULL WHERE id = 1", "UPDATE orders SET email = '' WHERE id = 2")
    moved.sync()
    assert moved.verify("orders").clean
    damage(moved, "UPDATE mirror.orders SET email = '' WHERE id = 1")
    assert ("mirror", "1", "email") in {(d.layer, d.key, d.column) for d in moved.verify("orders").differences}
