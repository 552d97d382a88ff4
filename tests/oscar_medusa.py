"""The route oscar-medusa over both platforms' real tables: a small Oscar, an empty Medusa, and what both applications write."""

from __future__ import annotations

from pathlib import Path

from pair import Pair, connect
from shopferry import installation
from shopferry.db import Connection
from shopferry.route.route import Route
from shopferry.settings import SQL_ROOT

# What an id that was made of a number stands for: two runs number people differently.
NAMES = """
SELECT shop_id, entity || ' ' || cluster FROM ferry.identity WHERE shop_id IS NOT NULL
UNION ALL
SELECT right(clean.make_id('provider', shop_key), 26), 'provider ' || cluster FROM ferry.identity WHERE entity = 'login'
"""
FOLDER = SQL_ROOT / "oscar-medusa"
SEED = Path(__file__).parent / "integration" / "oscar_seed.sql"
BORN = Path(__file__).parent / "integration" / "medusa_born.sql"
# What Oscar's own code does to these tables, and what a shop's people do beside it; {0} and {1} are numbers up to 60.
WRITES = (
    ("UPDATE auth_user SET email = 'nowy{0}@example.com' WHERE id = {0}",),
    ("UPDATE auth_user SET email = 'klient{1}@example.com' WHERE id = {0}",),
    (
        "UPDATE auth_user SET email = CASE id WHEN {0} THEN (SELECT email FROM auth_user WHERE id = {1}) "
        "ELSE (SELECT email FROM auth_user WHERE id = {0}) END WHERE id IN ({0}, {1}) "
        "AND (SELECT count(*) FROM auth_user WHERE id IN ({0}, {1})) = 2",
    ),
    ("UPDATE auth_user SET is_active = NOT is_active WHERE id = {0}",),
    ("UPDATE auth_user SET is_staff = NOT is_staff WHERE id = {0}",),
    ("UPDATE auth_user SET password = 'pbkdf2_sha256$1000$salt$new' || {1} WHERE id = {0}",),
    (
        "UPDATE order_order SET user_id = NULL WHERE user_id = {0}",
        "DELETE FROM address_useraddress WHERE user_id = {0}",
        "DELETE FROM auth_user WHERE id = {0}",
    ),
    (
        "UPDATE auth_user SET email = '', first_name = '', last_name = '', password = '!', is_active = false WHERE id = {0}",
    ),
    (
        "UPDATE order_shippingaddress SET first_name = '', last_name = '', line1 = '', line4 = '', postcode = '' WHERE id = {0}",
        "UPDATE order_order SET guest_email = '' WHERE id = {0}",
    ),
    ("UPDATE address_useraddress SET is_default_for_shipping = NOT is_default_for_shipping WHERE user_id = {0}",),
    ("UPDATE address_useraddress SET is_default_for_billing = true, line1 = 'ul. Nowa {1}' WHERE id = {0}",),
    ("DELETE FROM address_useraddress WHERE id = {0}",),
    ("UPDATE order_order SET guest_email = 'gosc{1}@example.com' WHERE user_id IS NULL AND id = {0}",),
    ("UPDATE order_order SET status = 'Shipped' WHERE id = {0}",),
    ("UPDATE order_order SET status = 'Nieznane' WHERE id = {0}",),
    ("UPDATE order_order SET currency = 'CZK' WHERE id = {0}",),
    ("UPDATE order_order SET currency = 'PLN', total_incl_tax = total_incl_tax + 1 WHERE id = {0}",),
    ("UPDATE order_order SET shipping_incl_tax = 12.30, shipping_excl_tax = 10 WHERE id = {0}",),
    ("UPDATE order_order SET shipping_address_id = NULL WHERE id = {0}",),
    ("UPDATE order_shippingaddress SET line4 = 'Kraków {1}' WHERE id = {0}",),
    ("UPDATE order_line SET quantity = {1} % 4, status = 'x' WHERE id = {0}",),
    ("UPDATE order_line SET order_id = {1} WHERE id = {0}",),
    ("UPDATE order_orderlinediscount SET amount = 0.30 WHERE line_id = {0}",),
    ("UPDATE order_orderdiscount SET category = 'Shipping', voucher_code = 'X{1}' WHERE id = {0}",),
    ("UPDATE order_surcharge SET incl_tax = 2.46, excl_tax = 2 WHERE order_id = {0}",),
    ("UPDATE payment_source SET amount_debited = {1}, amount_refunded = 1 WHERE id = {0}",),
    ("UPDATE payment_transaction SET amount = {1} WHERE source_id = {0}",),
    ("DELETE FROM payment_transaction WHERE source_id = {0}",),
    ("UPDATE payment_sourcetype SET name = 'Przelew {1}' WHERE id = 1",),
    ("UPDATE order_shippingevent SET event_type_id = 1 + {1} % 3, notes = 'DPD{1}' WHERE id = {0}",),
    ("UPDATE order_shippingeventquantity SET quantity = 2 WHERE line_id = {0}",),
    (
        "UPDATE order_shippingeventtype SET code = CASE code WHEN 'delivered' THEN 'other' ELSE 'delivered' END WHERE id = 2",
    ),
    ("UPDATE order_orderstatuschange SET new_status = 'y{1}' WHERE order_id = {0}",),
    ("DELETE FROM order_ordernote WHERE order_id = {0}",),
)

# And what Medusa's application does after the cutover, to the n-th row of a table.
BACK_WRITES = (
    ("customer", "UPDATE customer SET first_name = 'Nowa {0}' WHERE id = %s"),
    ("customer", "UPDATE customer SET email = 'z{0}@example.com' WHERE id = %s"),
    ("customer", "UPDATE customer SET deleted_at = now() WHERE id = %s"),
    # As an erasure leaves them.
    (
        "customer",
        "UPDATE customer SET email = NULL, first_name = NULL, last_name = NULL, deleted_at = now(), "
        "metadata = jsonb_build_object('legacy', jsonb_build_object('id', metadata->'legacy'->'id')) WHERE id = %s",
    ),
    (
        "order_address",
        "UPDATE order_address SET first_name = NULL, last_name = NULL, address_1 = NULL, address_2 = NULL, city = NULL, "
        "metadata = jsonb_build_object('legacy', jsonb_build_object('id', metadata->'legacy'->'id')) WHERE id = %s",
    ),
    ("order", """UPDATE "order" SET customer_id = NULL, email = NULL WHERE id = %s"""),
    (
        "customer",
        "INSERT INTO customer_address (id, customer_id, address_1, country_code) "
        "VALUES ('cuaddr_01M8HF1RZ2ER7JS7RKAZJ9' || {0}, %s, 'Nowa {0}', 'pl') ON CONFLICT DO NOTHING",
    ),
    ("customer_address", "UPDATE customer_address SET city = 'Łódź {0}', metadata = NULL WHERE id = %s"),
    ("customer_address", "UPDATE customer_address SET is_default_shipping = false WHERE id = %s"),
    ("customer_address", "DELETE FROM customer_address WHERE id = %s"),
    ("customer_address", "UPDATE customer_address SET deleted_at = now() WHERE id = %s"),
    ("order", """UPDATE "order" SET status = 'canceled' WHERE id = %s"""),
    ("order", """UPDATE "order" SET metadata = '{{"gift": {0}}}' WHERE id = %s"""),
    ("order", """UPDATE "order" SET shipping_address_id = NULL WHERE id = %s"""),
    ("order", """UPDATE "order" SET version = 2 WHERE id = %s"""),
    ("order_address", "UPDATE order_address SET city = 'Gdańsk {0}', address_2 = 'm. {0}' WHERE id = %s"),
    ("order_item", "UPDATE order_item SET quantity = {0} WHERE id = %s"),
    ("order_item", "UPDATE order_item SET version = 2, unit_price = 7 WHERE id = %s"),
    ("order_line_item", "UPDATE order_line_item SET unit_price = {0}, metadata = '{{}}' WHERE id = %s"),
    ("order_line_item_adjustment", "UPDATE order_line_item_adjustment SET deleted_at = now() WHERE id = %s"),
    ("order_line_item_tax_line", "UPDATE order_line_item_tax_line SET rate = 8 WHERE id = %s"),
    ("order_shipping_method", "UPDATE order_shipping_method SET amount = {0} WHERE id = %s"),
    ("order_shipping_method_adjustment", "DELETE FROM order_shipping_method_adjustment WHERE id = %s"),
    (
        "payment",
        "INSERT INTO refund (id, payment_id, amount, raw_amount) VALUES ('ref_' || {0}, %s, 1, '{{}}') ON CONFLICT DO NOTHING",
    ),
    ("order_item", "DELETE FROM order_item WHERE id = %s"),
    (
        "order_item",
        "UPDATE order_item SET shipped_quantity = quantity WHERE order_id = (SELECT order_id FROM order_item WHERE id = %s)",
    ),
    ("fulfillment", "UPDATE fulfillment SET canceled_at = now() WHERE id = %s"),
    (
        "order",
        "WITH f AS (INSERT INTO fulfillment (id, location_id, shipped_at) "
        "VALUES ('ful_01M8HF2B46YKZ2ST2S755ECH' || {0}, 'x', now()) "
        "ON CONFLICT DO NOTHING RETURNING id) "
        "INSERT INTO order_fulfillment (order_id, fulfillment_id, id) SELECT %s, id, 'x' FROM f",
    ),
    ("capture", "UPDATE capture SET amount = {0} WHERE id = %s"),
)


def prepare(legacy_dsn: str, shop_dsn: str) -> Route:
    """Make two databases a small Oscar with its usual defects and an empty Medusa; returns the route, which is installed."""
    route = Route.load("oscar-medusa")
    with connect(legacy_dsn) as legacy, connect(shop_dsn) as shop:
        legacy.execute((FOLDER / "legacy.sql").read_bytes())
        shop.execute((FOLDER / "shop.sql").read_bytes())
        legacy.execute(SEED.read_bytes())
        installation.install(legacy, shop, route)
        shop.execute("ALTER TABLE ferry.phase DROP CONSTRAINT phase_chunk_size_is_sane")
    return route


def require_clean(pair: Pair) -> None:
    """Everything is as the mappings make it, no rule of the route is broken, and no row is lost or refused by the database."""
    for phase in pair.route.phases:
        outcome = pair.verify(phase)
        assert outcome.clean, outcome.differences
        assert all(a.unaccounted == 0 for a in outcome.accounts), outcome.accounts
    assert pair.ask("SELECT entity, row_key, reasons FROM ferry.quarantine WHERE sqlstate IS NOT NULL") == []


TABLES = (
    "auth_user",
    "address_useraddress",
    "order_shippingaddress",
    "order_billingaddress",
    "order_order",
    "order_line",
    "payment_source",
)


def read_tables(conn: Connection) -> dict[str, list[str]]:
    """All rows of Oscar's tables that the way back writes, as text."""
    return {t: [r[0] for r in conn.execute(f"SELECT t::text FROM {t} t ORDER BY id").fetchall()] for t in TABLES}
