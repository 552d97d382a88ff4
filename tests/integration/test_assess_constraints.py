"""Foreign keys that are checked at once are found before they keep a parent, and the remedy lets it go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from own_shop import own_pair
from shopferry.assess.constraints import find_immediate_keys
from shopferry.assess.findings import Severity
from shopferry.engine.release import release

LEGACY = """
CREATE TABLE customers (id bigint PRIMARY KEY);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint);
INSERT INTO customers VALUES (1), (2);
INSERT INTO orders VALUES (10, 1), (20, 2);
"""
SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop.customer (id bigint PRIMARY KEY);
CREATE TABLE shop."order" (id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES shop.customer);
"""
CUSTOMER = """-- entity: shop.customer
-- key: id
-- scope: id
-- source: legacy.customers(id)
SELECT c.id, '{}'::text[] AS problems FROM affected a JOIN legacy.customers c ON c.id = a.key
"""
ORDER = """-- entity: shop.order
-- key: id
-- scope: id
-- source: legacy.orders(id), shop.customer
-- after: all/customer
SELECT o.id, o.customer_id, CASE WHEN c.id IS NULL THEN ARRAY['customer_missing'] ELSE '{}' END AS problems
FROM affected a JOIN legacy.orders o ON o.id = a.key LEFT JOIN shop.customer c ON c.id = o.customer_id;

-- lineage: shop.customer
SELECT o.id FROM changed c JOIN legacy.orders o ON o.customer_id = c.id
"""


def test_a_parent_that_goes_waits_until_the_remedy_is_run(make_db: Callable[..., str], tmp_path: Path) -> None:
    files = {"all/customer.sql": CUSTOMER, "all/order.sql": ORDER}
    with own_pair(make_db, tmp_path, LEGACY, SHOP, files) as pair:
        pair.pass_phases()
        entities = pair.route.entities
        [found] = find_immediate_keys(pair.shop, entities, "new shop", Severity.BLOCKING)
        assert found.text == 'foreign key order_customer_id_fkey of shop."order" to shop.customer is checked at once'
        pair.write("DELETE FROM customers WHERE id = 2")
        pair.sync()
        assert pair.quarantine("shop.customer") == {"2": ["still_referenced"]}
        assert pair.quarantine("shop.order") == {}
        pair.shop.execute(found.remedy.encode())
        release(pair.stores)
        assert pair.quarantine("shop.customer") == {}
        assert pair.quarantine("shop.order") == {"20": ["customer_missing"]}
        assert pair.verify("all").clean
        assert list(find_immediate_keys(pair.shop, entities, "new shop", Severity.BLOCKING)) == []
