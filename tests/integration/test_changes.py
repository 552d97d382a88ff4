"""What a change touches: it is merged where a mapping reads that, and nowhere else; what others make is a source like others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest
from pair import ROUTE, Pair, connect, read_dsn
from psycopg.sql import SQL, Identifier
from shopferry.engine import changes
from shopferry.engine.merge import Merger
from shopferry.route.entities import EntityMapping, Unit
from test_backfill import order

CUSTOMER = "INSERT INTO customers (id, email, full_name) VALUES ({0}, 'c{0}@example.com', 'Jan Kowalski')"
LINE = (
    "INSERT INTO order_items (id, order_id, name, quantity, unit_price, line_total) VALUES ({0}, {1}, 'Żuk', 1, 5, 5)"
)


@pytest.fixture
def shop(pair: Pair) -> Pair:
    """A customer with an order of two lines, all phases live."""
    pair.write(CUSTOMER.format(1), order(1, total="10"), LINE.format(1, 1), LINE.format(2, 1))
    pair.write("UPDATE orders SET customer_id = 1")
    pair.pass_phases()
    return pair


def merged(pair: Pair, *statements: str) -> set[str]:
    """The units that a transaction of legacy is merged in."""
    pair.write(*statements)
    pair.capture()
    done = set(pair.replay().merged)
    pair.check()
    return done


def test_a_change_that_changes_nothing_is_merged_nowhere(shop: Pair) -> None:
    assert merged(shop, "UPDATE customers SET email = email", "UPDATE orders SET total = total") == set()


def test_a_change_is_merged_where_its_columns_are_read(shop: Pair) -> None:
    assert merged(shop, "UPDATE customers SET last_login = '2024-05-05 10:00'") == {
        "contacts/customer",
        "contacts/inactive",
        "insight/customer_profile",
    }
    assert merged(shop, "UPDATE orders SET payment_code = 'BLIK'") == {"orders/payment", "insight/customer_profile"}
    assert merged(shop, "UPDATE order_items SET vat_rate = 8 WHERE id = 1") == {"orders/order_line"}


def test_what_a_merge_changes_is_merged_where_that_is_read(shop: Pair) -> None:
    """The payment shows the order's total and state, the delivery its state; lines and events ask whether it is there."""
    own = {"orders/customer_order"}
    assert merged(shop, "UPDATE orders SET note = 'Dzień dobry'") == own
    assert merged(shop, "UPDATE orders SET total = 11") == own | {
        "orders/payment",
        "insight/customer_profile",
        "insight/customer_segment",
    }
    assert merged(shop, "UPDATE orders SET status_code = 'SENT'") == own | {
        "orders/payment",
        "orders/delivery",
        "insight/customer_profile",
    }
    assert shop.one("SELECT state::text FROM shop.delivery") == "under_way"


@pytest.mark.parametrize(
    ("kind", "one", "other", "differs"),
    [
        ("integer", "1", "1", False),
        ("integer", "1", "NULL", True),
        ("integer", "NULL", "NULL", False),
        ("numeric", "1.10", "1.1", True),
        ("numeric(9,2)", "1.10", "1.1", False),
        ("text", "'a'", "'A'", True),
        ("double precision", "'-0'", "0", True),
        ("interval", "'1 month'", "'30 days'", True),
        ("character varying(9)", "'a'", "'a '", True),
        ("json", "'{}'", "'{ }'", True),
        ("integer[]", "'{1}'", "'{1}'", False),
    ],
)
def test_values_are_the_same_bit_by_bit(pair: Pair, kind: str, one: str, other: str, differs: bool) -> None:
    touched = changes.compose_touched({"x": kind}, "id", "a", "b")
    row = "(SELECT 1 AS id, {}::{} AS x) {}"
    query = SQL("SELECT {} FROM {}, {}").format(
        touched, SQL(row.format(one, kind, "a")), SQL(row.format(other, kind, "b"))
    )
    assert pair.shop.execute(query).fetchall() == [(["x"] if differs else [],)]


def test_who_stands_or_falls_with_a_parent_is_merged_when_it_comes_and_goes(shop: Pair) -> None:
    others = {"orders/order_line", "orders/payment", "orders/delivery"}
    assert others <= merged(shop, "UPDATE orders SET total = -1")
    assert shop.ask("SELECT id FROM shop.order_line") == []
    assert others <= merged(shop, "UPDATE orders SET total = 10")
    assert shop.one("SELECT count(*) FROM shop.order_line") == 2
    merged(shop, "DELETE FROM customers")
    assert shop.ask("SELECT customer_id FROM shop.customer_order") == []
    merged(shop, CUSTOMER.format(1))
    assert shop.one("SELECT customer_id FROM shop.customer_order") == shop.one("SELECT id FROM shop.customer")


@pytest.mark.fresh
def test_a_parent_that_the_shop_refuses_takes_its_children_along(shop: Pair) -> None:
    shop.shop.execute("ALTER TABLE shop.customer_order ADD CONSTRAINT order_is_not_unlucky CHECK (total <> 13)")
    merged(shop, "UPDATE orders SET total = 13")
    assert shop.ask("SELECT id FROM shop.order_line") == []
    merged(shop, "UPDATE orders SET total = 14")
    assert shop.one("SELECT count(*) FROM shop.order_line") == 2


def reads(pair: Pair, unit: Unit, body: str) -> Any:
    """What PostgreSQL says that a SELECT of this unit reads."""
    pair.stores.merger.stage(ROUTE.units)
    select = SQL("WITH affected AS (TABLE {}) {}").format(Identifier("pg_temp", f"affected_{unit.slug}"), SQL(body))
    return changes.find_columns_read(
        pair.shop, select, frozenset({"legacy.orders"}), frozenset(m.entity for m in ROUTE.mappings)
    )


@pytest.mark.fresh
@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("SELECT o.id FROM affected a JOIN legacy.orders o ON o.number = a.key::text", {"id", "number"}),
        (
            "SELECT x.* FROM affected a, LATERAL (SELECT o.total FROM legacy.orders o WHERE o.id = a.key) x",
            {"id", "total"},
        ),
        ("SELECT 1 FROM affected a WHERE EXISTS (SELECT FROM legacy.orders)", set()),
        ("SELECT upper(o.note) FROM legacy.orders o", {"note"}),
        ("SELECT to_jsonb(o) FROM affected a JOIN legacy.orders o ON o.id = a.key", None),
        ("SELECT count(o) FROM affected a LEFT JOIN legacy.orders o ON o.id = a.key", None),
        ("SELECT o.id FROM legacy.orders o JOIN legacy.order_items t ON t.order_id = o.id", None),
        ("SELECT o.id FROM legacy.orders o JOIN shop.customer_order co ON co.id = o.id", None),
        ("SELECT o.id FROM legacy.orders o JOIN ferry.identity i ON i.legacy_key = o.id", None),
        ("SELECT pg_temp.looked_up(o.id) FROM legacy.orders o", None),
        ("SELECT o.id FROM legacy.orders o JOIN shop.country c ON c.code = o.currency", {"id", "currency"}),
    ],
)
def test_what_a_select_reads_is_asked_of_postgresql(pair: Pair, body: str, found: set[str] | None) -> None:
    pair.shop.execute("CREATE FUNCTION pg_temp.looked_up(bigint) RETURNS bigint STABLE LANGUAGE sql AS 'SELECT $1'")
    pair.shop.execute("CREATE TABLE shop.country (code text)")
    columns = reads(pair, next(u for u in ROUTE.units if u.target == "shop.customer_order"), body)
    assert columns == (None if found is None else {"legacy.orders": columns["legacy.orders"]})
    assert found is None or set(columns["legacy.orders"]) == found


def test_a_mapping_that_reads_an_entity_without_saying_so_is_merged_for_every_change(shop: Pair) -> None:
    unit = next(u for u in ROUTE.mappings if u.entity == "shop.payment")
    silent = replace(unit, sources=tuple(s for s in unit.sources if not s.is_entity))
    route = replace(ROUTE, units=tuple(silent if u is unit else u for u in ROUTE.units))
    shop.__dict__["consumer"] = replace(shop.consumer, route=route)
    assert "orders/payment" in merged(shop, "UPDATE orders SET ship_city = 'Łódź'")
    assert isinstance(silent, EntityMapping) and Merger(shop.shop, route)


def test_commits_wait_for_the_disk_again_once_temp_tables_are_made_or_dropped(pair: Pair) -> None:
    with connect(read_dsn(pair.shop)) as shop:

        def setting() -> str:
            [(told,)] = shop.execute("SHOW synchronous_commit").fetchall()
            return str(told)

        assert setting() == "on"
        Merger(shop, ROUTE).stage(ROUTE.units)
        assert setting() == "on"
        with pytest.raises(psycopg.errors.DivisionByZero), changes.commit_unflushed(shop):
            assert setting() == "off"
            shop.execute("SELECT 1 / 0")
        assert setting() == "on"
        changes.drop_tables(shop)
        assert setting() == "on"
