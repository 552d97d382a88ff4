"""What is derived from the new shop: a tick touches who crosses a line, also after a cutover, and a file goes on alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from datetime import date, timedelta

import pytest
import turns
from pair import ROUTE, Pair, connect, read_dsn
from shopferry.control import installed_settings, segments
from shopferry.engine import changed_settings, clock
from shopferry.errors import MappingError, PhaseError
from shopferry.insight import derived, picture, sql_file
from shopferry.insight.derived import Ticked
from shopferry.stores import fence
from steps import dies

FIRST = date(2030, 1, 1)
PEOPLE = (
    "INSERT INTO customers (id, email, full_name, created_at) SELECT n, 'k' || n || '@example.org', 'Jan Lis', '2020-01-01' "
    "FROM generate_series(1, 6) n",
    # The first three ordered a day apart, the fourth never, the fifth long ago; the sixth in three currencies.
    "INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, "
    "delivery_cost, created_at) SELECT n, 'A' || n, n, 'k' || n || '@example.org', 'DONE', 400, 'PLN', 'BLIK', 'INPOST', 0, "
    "TIMESTAMP '2029-12-10 12:00' + n * interval '1 day' FROM generate_series(1, 3) n",
    "INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, "
    "delivery_cost, created_at) VALUES (5, 'A5', 5, 'k5@example.org', 'DONE', 400, 'PLN', 'BLIK', 'INPOST', 0, '2021-01-01'), "
    "(6, 'A6', 6, 'k6@example.org', 'DONE', 400, 'PLN', 'BLIK', 'INPOST', 0, '2029-12-01'), "
    "(7, 'A7', 6, 'k6@example.org', 'DONE', 90, 'EUR', 'BLIK', 'INPOST', 0, '2029-12-01'), "
    "(8, 'A8', 6, 'k6@example.org', 'CANC', 900, 'RON', 'BLIK', 'INPOST', 0, '2029-12-01')",
    "INSERT INTO order_items (id, order_id, sku, name, quantity, unit_price, vat_rate, line_total) "
    "SELECT id, id, 'S', 'Rzecz', 1, total, 23, total FROM orders",
)


def move(pair: Pair) -> None:
    pair.write(*PEOPLE)
    pair.sync()
    clock.put(pair.shop, FIRST)
    pair.pass_phases()


@pytest.fixture
def apart(copy_databases: Callable[[], AbstractContextManager[tuple[str, str]]]) -> Iterator[Pair]:
    """The same in databases of its own."""
    with copy_databases() as dsns, closing(Pair.open(*dsns)) as pair:
        move(pair)
        yield pair


@pytest.fixture
def moved(pair: Pair) -> Iterator[Pair]:
    move(pair)
    yield pair
    clock.put(pair.shop, date(2026, 1, 1))
    pair.shop.execute("DELETE FROM ferry.segment_count")


def segment(pair: Pair, scheme: str) -> dict[int, str]:
    """The segment of each customer, by legacy's number."""
    return dict(
        pair.ask(
            "SELECT c.legacy_customer_id, g.segment FROM shop.customer_segment g JOIN shop.customer c ON c.id = g.customer_id "
            "WHERE g.scheme = %s",
            scheme,
        )
    )


def versions(pair: Pair) -> dict[int, str]:
    """What tells of each profile whether it was written again."""
    return dict(
        pair.ask(
            "SELECT c.legacy_customer_id, p.xmin::text FROM shop.customer_profile p JOIN shop.customer c ON c.id = p.customer_id"
        )
    )


def tick(pair: Pair, day: date) -> Ticked:
    return derived.tick(pair.stores, day)


def test_a_tick_merges_those_alone_who_cross_a_line(moved: Pair) -> None:
    assert segment(moved, "lifecycle") == {1: "new", 2: "new", 3: "new", 4: "never_bought", 5: "one_time", 6: "new"}
    before = versions(moved)
    done = tick(moved, FIRST + timedelta(days=9))  # thirty days behind the order of the first
    assert done.merged == 1 and {k for k, v in versions(moved).items() if v != before[k]} == {1}
    done = tick(moved, FIRST + timedelta(days=10))
    assert done.merged == 1 and {k for k, v in versions(moved).items() if v != before[k]} == {1, 2}
    tick(moved, FIRST + timedelta(days=40))
    assert segment(moved, "lifecycle")[2] == "active" and segment(moved, "lifecycle")[3] == "new"
    moved.check()
    before = versions(moved)
    assert tick(moved, FIRST + timedelta(days=40)).merged == 0
    assert versions(moved) == before
    with pytest.raises(PhaseError, match="never goes back to 2030-01-01"):
        tick(moved, FIRST)


def test_a_tick_that_dies_is_made_up_for_by_the_next_and_nothing_differs(moved: Pair) -> None:
    for statement in range(1, 60, 7):
        day = clock.load(moved.shop) + timedelta(days=15)
        if not dies(moved, statement, lambda day=day: tick(moved, day)):  # type: ignore[misc]
            break
        tick(moved, day)
        moved.check()
    else:
        pytest.fail("it died each time")


def test_every_customer_is_in_one_segment_of_each_scheme_and_currencies_are_not_added(moved: Pair) -> None:
    schemes = {scheme for (scheme,) in moved.ask("SELECT DISTINCT scheme FROM shop.customer_segment")}
    assert schemes == {"lifecycle", "rfm", "tier", "reachability", "value"}
    for scheme in schemes:
        assert set(segment(moved, scheme)) == {1, 2, 3, 4, 5, 6}
    [(value, orders)] = moved.ask(
        "SELECT p.value_by_currency, p.orders FROM shop.customer_profile p JOIN shop.customer c ON c.id = p.customer_id "
        "WHERE c.legacy_customer_id = 6"
    )
    assert value == {"PLN": 400.0, "EUR": 90.0} and orders == 2


def test_another_line_between_segments_is_merged_where_it_matters(moved: Pair) -> None:
    assert segment(moved, "value")[1] == "low"
    lines = {s.name: (s.value, False) for s in ROUTE.settings} | {"segment_value": ("PLN 500 600 700 800", False)}
    installed_settings.store(moved.shop, lines)
    assert changed_settings.merge_readers(moved.stores) == ["segment_value"]
    assert segment(moved, "value")[1] == "very_low"
    installed_settings.store(moved.shop, {s.name: (s.value, False) for s in ROUTE.settings})
    changed_settings.merge_readers(moved.stores)
    assert derived.propose_breaks(moved.shop, ROUTE)["segment_orders"] == "1 1 1 1"


def test_after_the_cutover_a_tick_brings_everybody_up_to_date_and_a_rollback_finds_all_right(apart: Pair) -> None:
    with turns.armed(apart) as back:
        turns.cut_over(apart, back)
        with connect(read_dsn(apart.shop)) as shop:
            shop.execute(
                "WITH c AS (INSERT INTO shop.customer (email, given_name, family_name, registered_at) "
                "VALUES ('nowa@example.org', 'Nowa', 'Nowak', now()) RETURNING id) "
                "INSERT INTO shop.customer_order (number, customer_id, status, currency, total, placed_at) "
                "SELECT 'N1', id, 'paid', 'PLN', 700, '2030-01-02' FROM c"
            )
            shop.execute("UPDATE shop.customer_order SET status = 'refunded' WHERE id = 5")
        back.sync()
        assert tick(apart, FIRST + timedelta(days=2)).merged > 0
        born = apart.ask(
            "SELECT p.orders, g.segment FROM shop.customer c JOIN shop.customer_profile p ON p.customer_id = c.id "
            "JOIN shop.customer_segment g ON g.customer_id = c.id AND g.scheme = 'lifecycle' WHERE c.email = 'nowa@example.org'"
        )
        assert born == [(1, "new")]
        assert segment(apart, "lifecycle")[5] == "never_bought"
        assert tick(apart, FIRST + timedelta(days=2)).merged == 0
        turns.roll_back(apart, back)
        apart.sync()
        apart.check()


def test_the_file_that_is_handed_over_does_the_same_without_shopferry(apart: Pair) -> None:
    today = apart.one("SELECT current_date")
    tick(apart, max(today, FIRST))
    apart.stores.merger.stage(ROUTE.derived)
    text = sql_file.write(apart.shop, ROUTE).replace("SELECT current_date AS as_of", f"SELECT DATE '{FIRST}' AS as_of")
    assert "ferry." not in text and "'segment_value'" in text

    def everything() -> list[object]:
        return [apart.ask(f"SELECT to_jsonb(t) FROM {m.entity} t ORDER BY to_jsonb(t)::text") for m in ROUTE.derived]

    before, stood = everything(), versions(apart)
    fence.lift_fence(apart.shop, ROUTE.shop_tables)
    with connect(read_dsn(apart.shop)) as theirs:
        theirs.execute("ALTER SCHEMA ferry RENAME TO away")
        theirs.execute(text.encode())
        assert versions(apart) == stood
        theirs.execute("DELETE FROM shop.customer_segment WHERE scheme = 'rfm'")
        theirs.execute("UPDATE shop.customer_profile SET points = 99, orders = 99")
        theirs.execute(text.encode())
        assert everything() == before


def test_a_lineage_that_never_ends_is_named(moved: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    unit, source = next(clock._find_readers(moved.stores))
    endless = replace(source, lineage="SELECT p.customer_id FROM changed c CROSS JOIN shop.customer_profile p")
    monkeypatch.setattr(clock, "_find_readers", lambda _: [(unit, endless)])
    with pytest.raises(
        MappingError, match=r"insight/customer_profile.sql:\d+: 6 keys, .* are affected by the day still"
    ):
        clock.move(moved.stores, FIRST + timedelta(days=1))


def test_the_picture_shows_how_segments_move(moved: Pair) -> None:
    for days in (0, 8, 40):
        tick(moved, FIRST + timedelta(days=days))
    drawn = picture.draw(segments.load_since(moved.shop, "demo", FIRST))
    assert drawn and drawn.day == FIRST + timedelta(days=40)
    [lifecycle] = [s for s in drawn.schemes if s.scheme == "lifecycle"]
    told = {x.segment: (x.customers, x.change) for x in lifecycle.lines}
    assert told == {"active": (3, 3), "new": (1, -3), "never_bought": (1, 0), "one_time": (1, 0)}
    assert all(len(x.points.split()) == 3 for x in lifecycle.lines)
    assert sum(x.share for x in lifecycle.lines) == pytest.approx(100)
