"""Sources that give another table's keys are found by assess, and those that give the mapping's own are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from own_shop import own_pair
from shopferry.assess import sources
from shopferry.engine import mirror

LEGACY = """
CREATE TABLE customers (id bigint PRIMARY KEY);
CREATE TABLE profiles (id bigint PRIMARY KEY REFERENCES customers, nick text);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint);
"""
SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop.customer (id bigint PRIMARY KEY, nick text);
CREATE TABLE shop.customer_order (id bigint PRIMARY KEY, customer_id bigint REFERENCES shop.customer);
CREATE TABLE shop.card (customer_id bigint PRIMARY KEY REFERENCES shop.customer);
"""
CUSTOMER = """-- entity: shop.customer
-- key: id
-- scope: id
-- source: legacy.customers(id), legacy.profiles(id)
SELECT c.id, p.nick, '{}'::text[] AS problems
FROM affected a JOIN legacy.customers c ON c.id = a.key LEFT JOIN legacy.profiles p ON p.id = c.id
"""
CARD = """-- entity: shop.card
-- key: customer_id
-- scope: customer_id
-- source: legacy.customers(id), shop.customer(id)
-- after: all/customer
SELECT c.id AS customer_id, '{}'::text[] AS problems FROM affected a JOIN legacy.customers c ON c.id = a.key
"""
ORDER = """-- entity: shop.customer_order
-- key: id
-- scope: id
-- source: legacy.orders(id), SOURCE
-- after: all/customer
SELECT o.id, c.id AS customer_id, '{}'::text[] AS problems
FROM affected a JOIN legacy.orders o ON o.id = a.key LEFT JOIN PARENT c ON c.id = o.customer_id
"""
LINEAGE = """;
-- lineage: shop.customer
SELECT o.id FROM changed c JOIN legacy.orders o ON o.customer_id = c.id
"""


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("legacy.customers(id)", "legacy.orders, which names them in legacy.orders.customer_id"),
        ("shop.customer(id)", "shop.customer_order, which names them in shop.customer_order.customer_id"),
        ("shop.customer", None),
    ],
)
def test_a_parents_own_key_is_no_source_of_its_children(
    make_db: Callable[..., str], tmp_path: Path, source: str, named: str | None
) -> None:
    order = ORDER.replace("SOURCE", source).replace("PARENT", source.removesuffix("(id)")) + ("" if named else LINEAGE)
    files = {"all/customer.sql": CUSTOMER, "all/card.sql": CARD, "all/order.sql": order}
    with own_pair(make_db, tmp_path, LEGACY, SHOP, files) as pair:
        found = list(sources.find_misleading(pair.legacy, pair.shop, pair.route, mirror.load(pair.shop)))
    assert [(f.subject, f.text.partition("key is that of ")[2]) for f in found] == (
        [("mapping all/order", named)] if named else []
    )
