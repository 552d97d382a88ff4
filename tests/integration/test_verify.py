"""Verification must be able to fail: every kind of damage, in every layer, is found and named by key, and by key only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest
from pair import ROUTE, Pair
from shopferry import db
from shopferry.control import differences
from shopferry.errors import TransientError
from shopferry.route.entities import IdentityMapping
from shopferry.verify import checksums, differ, identities
from shopferry.verify.verification import verify
from test_backfill import order

BORN = "INSERT INTO customers (id, email, full_name) VALUES ({0}, 'c{0}@example.com', 'Jan Kowalski')"


@pytest.fixture(scope="module")
def moved_template(
    make_template: Callable[..., str], pair_template: Callable[[int], tuple[str, str]]
) -> tuple[str, str]:
    """A small shop that has moved, with a row in quarantine and one left out."""
    legacy, shop = pair_template(0)
    dsns = make_template("moved_legacy", legacy), make_template("moved_shop", shop)
    pair = Pair.open(*dsns)
    pair.write(
        BORN.format(1),
        BORN.format(2),
        BORN.format(3),
        "UPDATE customers SET deleted = 'T' WHERE id = 2",
        "UPDATE customers SET email = 'nobody' WHERE id = 3",
        *[order(n) for n in range(1, 6)],
        "UPDATE orders SET status_code = '??' WHERE id = 5",
        "INSERT INTO order_items (id, order_id, name, quantity, unit_price) VALUES (1, 1, 'Kubek', 1, 1)",
    )
    pair.pass_phases()
    for phase in ("contacts", "orders", "loyalty", "insight"):
        assert pair.verify(phase).clean
    pair.shop.execute("DELETE FROM ferry.kafka_offset")  # the copies have a log of their own
    pair.close()
    return dsns


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
    outcome = moved.verify("contacts")
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
            "shop",
            "shop.order_event",
            "9",
            "extra",
        ),
        ("DELETE FROM ferry.quarantine WHERE row_key = '5'", "quarantine", "shop.customer_order", "5", "missing"),
        (
            "UPDATE ferry.quarantine SET reasons = '{email_invalid}' WHERE row_key = '5'",
            "quarantine",
            "shop.customer_order",
            "5",
            "differs",
        ),
        (
            "INSERT INTO ferry.quarantine VALUES ('shop.customer_order', '1', '1', '{status_unknown}')",
            "quarantine",
            "shop.customer_order",
            "1",
            "extra",
        ),
        ("DELETE FROM ferry.quarantine WHERE row_key = '5'", "accounting", "orders", "all rows", "unaccounted"),
        (
            "INSERT INTO ferry.quarantine VALUES ('shop.customer_order', '1', '1', '{x}', '23514')",
            "accounting",
            "orders",
            "all rows",
            "unaccounted",
        ),
    ],
)
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


def test_what_was_settled_long_ago_is_forgotten_but_what_was_explained(moved: Pair) -> None:
    damage(moved, "UPDATE shop.customer_order SET note = 'x'")
    assert not moved.verify("orders").clean
    states = {"1": "gone", "2": "repaired", "3": "explained"}
    for key, state in states.items():
        moved.shop.execute(
            "UPDATE ferry.difference SET state = %s, explanation = 'e', who = 'Anna', settled = now() - interval '31 days' "
            "WHERE key = %s",
            (state, key),
        )
    damage(moved, "UPDATE shop.customer_order SET note = NULL WHERE id IN (1, 2)")
    moved.verify("orders")
    found = moved.ask("SELECT key, state FROM ferry.difference WHERE layer = 'shop' ORDER BY key")
    assert found == [("3", "explained"), ("4", "open")]


def test_of_many_differences_the_first_are_told_and_all_are_counted(
    moved: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(differences, "EXAMPLES", 2)
    damage(moved, "UPDATE shop.customer_order SET note = 'x'")
    outcome = moved.verify("orders")
    assert (outcome.open, [d.key for d in outcome.differences], outcome.clean) == (4, ["1", "2"], False)
    assert moved.one("SELECT count(*) FROM ferry.difference WHERE state = 'open'") == 4


def test_a_row_that_is_only_late_is_no_difference(moved: Pair) -> None:
    moved.write("UPDATE orders SET status_code = 'PAID' WHERE id = 1", order(9), "DELETE FROM orders WHERE id = 2")
    outcome = moved.verify("contacts")  # which lets the stream catch up before it judges
    assert outcome.clean, outcome.differences


@contextmanager
def written_without_a_pause(pair: Pair, statement: str) -> Iterator[None]:
    """Somebody runs the statement again and again, and has run it once before the caller goes on."""
    written, stop = threading.Event(), threading.Event()

    def write() -> None:
        try:
            with db.connect(pair.legacy.info.dsn, "test", password=pair.legacy.info.password) as conn:
                while not stop.is_set():
                    conn.execute(statement.encode())
                    written.set()
        finally:
            written.set()  # a writer that fails must not leave the caller waiting

    thread = threading.Thread(target=write)
    thread.start()
    try:
        written.wait()
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("rounds", [0, 1, 20])
def test_a_row_that_never_stands_still_is_no_difference(
    moved: Pair, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    monkeypatch.setattr(checksums, "_ROUNDS", rounds)
    with written_without_a_pause(moved, "UPDATE orders SET note = clock_timestamp()::text WHERE id = 1"):
        outcome = moved.verify("contacts")
    assert outcome.clean, outcome.differences


@pytest.mark.parametrize("rounds", [0, 1])
def test_and_it_is_one_if_the_stream_has_lost_it(moved: Pair, monkeypatch: pytest.MonkeyPatch, rounds: int) -> None:
    monkeypatch.setattr(checksums, "_ROUNDS", rounds)
    with written_without_a_pause(moved, "UPDATE orders SET note = clock_timestamp()::text WHERE id = 1"):
        outcome = verify(moved.legacy, moved.shop, ROUTE, "contacts", lambda: None)
    assert {(d.layer, d.target, d.key, d.column) for d in outcome.differences} == {("mirror", "orders", "1", "note")}


def test_a_stream_that_is_too_slow_for_it_is_said(moved: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksums, "_ROUNDS", 0)
    monkeypatch.setattr(checksums, "_HELD_S", 1)
    damage(moved, "UPDATE mirror.orders SET note = 'x' WHERE id = 1")
    with pytest.raises(TransientError, match="row 1 of orders is written without a pause"):
        verify(moved.legacy, moved.shop, ROUTE, "contacts", lambda: time.sleep(2))
    moved.write("UPDATE orders SET note = 'free' WHERE id = 1")  # whoever waited for the row may go on


def test_what_was_broken_off_goes_on_where_it_stopped(moved: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (checksums, differ):
        monkeypatch.setattr(module, "RANGE", 2)
    monkeypatch.setattr(checksums, "STRETCH", 1)
    whole = moved.verify("contacts").rows_compared
    damage(
        moved, "UPDATE mirror.orders SET note = 'x' WHERE id = 1", "UPDATE mirror.orders SET note = 'x' WHERE id = 5"
    )

    calls = count()

    def break_off() -> None:
        if next(calls):
            raise TransientError("gone")

    with pytest.raises(TransientError, match="gone"):
        verify(moved.legacy, moved.shop, ROUTE, "contacts", break_off)
    assert moved.ask("SELECT key FROM ferry.difference") == [("1",)]  # booked already
    damage(moved, "UPDATE mirror.orders SET note = 'y' WHERE id = 2")  # behind us: it is found the next time
    outcome = moved.verify("contacts")
    assert outcome.rows_compared == whole
    assert {d.key for d in outcome.differences if d.layer == "mirror"} == {"1", "5"}
    assert {d.key for d in moved.verify("contacts").differences if d.layer == "mirror"} == {"1", "2", "5"}


def test_what_was_broken_off_begins_anew_when_the_phase_has_been_at_work(moved: Pair) -> None:
    damage(moved, "UPDATE mirror.orders SET note = 'x' WHERE id = 5")

    def break_off() -> None:
        raise TransientError("gone")

    with pytest.raises(TransientError, match="gone"):
        verify(moved.legacy, moved.shop, ROUTE, "contacts", break_off)
    first = moved.one("SELECT max(at) FROM ferry.verification")
    moved.shop.execute("UPDATE ferry.phase SET updated = now()")
    moved.verify("contacts")
    assert moved.one("SELECT max(at) FROM ferry.verification WHERE finished IS NOT NULL") > first


def test_it_compares_no_more_rows_in_a_second_than_allowed(moved: Pair) -> None:
    started = time.monotonic()
    outcome = verify(moved.legacy, moved.shop, ROUTE, "orders", moved.sync, rows_per_second=50)
    assert time.monotonic() - started > outcome.rows_compared / 50


def test_keys_that_no_mapping_knows_are_found(moved: Pair) -> None:
    damage(
        moved,
        "INSERT INTO ferry.left_out VALUES ('shop.customer', '88', '88', 'inactive')",
        "INSERT INTO ferry.identity VALUES ('customer', 77, 77, 'nobody@example.com')",
        "UPDATE ferry.identity SET cluster = 'c3@example.com' WHERE legacy_key = 1",
    )
    found = {(d.layer, d.key, d.kind) for d in moved.verify("contacts").differences}
    assert {("quarantine", "88", "extra"), ("identity", "77", "extra"), ("identity", "1", "differs")} <= found


def test_of_a_torn_cluster_and_of_a_shared_shop_key_those_differingthat_are_not_where_most_or_the_first_are(
    moved: Pair,
) -> None:
    moved.write(
        *[BORN.format(n) for n in (4, 5, 6, 7)], "UPDATE customers SET email = 'c1@example.com' WHERE id IN (4, 5)"
    )
    moved.sync()
    damage(
        moved,
        "UPDATE ferry.identity SET shop_key = 999 WHERE legacy_key = 1",
        "UPDATE ferry.identity SET shop_key = (SELECT shop_key FROM ferry.identity WHERE entity = 'customer' AND legacy_key = 6) "
        "WHERE legacy_key = 7",
    )
    unit, given = (u for u in ROUTE.units if isinstance(u, IdentityMapping))
    for keys, differing in [(None, ["1", "7"]), (["4", "6"], []), (["1"], ["1"]), (["7", "5"], ["7"])]:
        assert sorted((d.key, d.column) for d in identities.compare(moved.shop, unit, keys)[1]) == [
            (key, "shop_key") for key in differing
        ]
    # Where the mapping says which key it is, there is no need to guess.
    damage(moved, "UPDATE ferry.identity SET shop_key = 998 WHERE entity = 'customer' AND legacy_key IN (4, 5)")
    found = identities.compare(moved.shop, given, ["1", "4", "5", "6"])[1]
    assert sorted((d.key, d.column, d.found) for d in found) == [("4", "shop_key", "998"), ("5", "shop_key", "998")]


def test_null_and_empty_and_scale_are_told_apart(moved: Pair) -> None:
    moved.write("UPDATE orders SET email = NULL WHERE id = 1", "UPDATE orders SET email = '' WHERE id = 2")
    moved.sync()
    assert moved.verify("contacts").clean
    damage(moved, "UPDATE mirror.orders SET email = '' WHERE id = 1")
    assert ("mirror", "1", "email") in {(d.layer, d.key, d.column) for d in moved.verify("contacts").differences}
