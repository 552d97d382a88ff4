"""A new shop for audits, filled without a move: customers by number, of whom some in fifty lack something."""

from __future__ import annotations

from shopferry.db import Connection

_FILL = """
INSERT INTO shop.customer (id, email, given_name, family_name, phone, status, registered_at, last_seen_at)
SELECT g, 'p' || g || '@example.com', 'Ewa', CASE WHEN g % 50 <> 1 THEN 'Lis' END,
       CASE WHEN g % 50 <> 0 THEN '+48' || (600000000 + CASE WHEN g % 100 = 2 THEN g - 1 ELSE g END) END,
       CASE WHEN g % 100 = 3 THEN 'blocked' ELSE 'active' END::shop.customer_status, now() - interval '5 years',
       now() - CASE WHEN g % 50 = 4 THEN 1100 ELSE g % 600 END * interval '1 day'
FROM generate_series(1, %(customers)s) g;

INSERT INTO shop.customer_address (customer_id, is_billing, recipient, street, postcode, city, country_code)
SELECT g, billing, 'Ewa Lis', 'Polna 1', CASE WHEN g % 50 <> 5 THEN '00-001' END, 'Warszawa', 'PL'
FROM generate_series(1, %(customers)s) g, unnest(ARRAY[true, false]) AS b (billing);

INSERT INTO shop.customer_credential (customer_id, scheme, hash)
SELECT g, 'md5', md5(g::text) FROM generate_series(1, %(customers)s) g WHERE g % 50 <> 6;

INSERT INTO shop.consent_text (version, body, purposes, channels, usable)
VALUES ('here', 'I want news.', '{marketing}', '{email,sms}', true);

INSERT INTO shop.consent (customer_id, purpose, channel, state, granted_at, wording_version, expires_at)
SELECT g, 'marketing', channel, CASE WHEN g % 50 = 8 THEN 'unproven' ELSE 'granted' END::shop.consent_state,
       now() - interval '1 year', 'here', now() + CASE WHEN g % 50 = 10 THEN 30 ELSE 400 END * interval '1 day'
FROM generate_series(2, %(customers)s, 2) g, unnest('{email,sms}'::shop.contact_channel[]) AS c (channel);

INSERT INTO shop.communication_preference (customer_id, channel, wanted)
SELECT g, 'email', g % 50 <> 12 FROM generate_series(2, %(customers)s, 2) g;

INSERT INTO shop.customer_order (id, number, customer_id, status, currency, total, total_difference, placed_at)
SELECT g, 'N' || g, g, CASE WHEN g % 50 = 11 THEN 'pending' ELSE 'delivered' END::shop.order_status, 'PLN', 100,
       (g % 50 = 13)::integer, now() - CASE g % 50 WHEN 4 THEN 1100 WHEN 11 THEN 100 ELSE g % 400 END * interval '1 day'
FROM generate_series(1, %(customers)s) g;

INSERT INTO shop.order_line (order_id, name, quantity, unit_price, total, currency)
SELECT g, 'Thing', 1, 50, 50, 'PLN' FROM generate_series(1, %(customers)s) g, generate_series(1, 2) WHERE g % 50 <> 14;

INSERT INTO shop.payment (order_id, method, state, amount, currency)
SELECT g, 'card', CASE WHEN g % 50 = 15 THEN 'pending' ELSE 'paid' END::shop.payment_state, 100, 'PLN'
FROM generate_series(1, %(customers)s) g;

INSERT INTO shop.order_invoice (order_id, number, total, currency, issued_at, keep_until)
SELECT g, 'F' || g, 100, 'PLN', now() - interval '6 years', current_date + CASE WHEN g % 50 = 16 THEN -30 ELSE 300 END
FROM generate_series(2, %(customers)s, 2) g;

INSERT INTO shop.loyalty_account (id, customer_id, balance)
SELECT g, g, 10 FROM generate_series(1, %(customers)s, 2) g;

INSERT INTO shop.loyalty_entry (account_id, kind, points, happened_at)
SELECT g, 'earned', 5, now() FROM generate_series(1, %(customers)s, 2) g, generate_series(1, 2);

INSERT INTO shop.loyalty_reward (customer_id, reward, points, state, earned_at, valid_until)
SELECT g, 'Thing', 10, 'open', now() - interval '1 year', current_date + CASE WHEN g % 50 = 17 THEN -30 ELSE 300 END
FROM generate_series(1, %(customers)s, 2) g;
"""

# Each makes a hundredth of the rows worse, in the audits that are named.
DRIFTS: dict[tuple[str, ...], str] = {
    ("phone_missing",): "UPDATE shop.customer SET phone = NULL WHERE id % 100 = 19",
    ("name_missing",): "UPDATE shop.customer SET family_name = NULL WHERE id % 100 = 21",
    ("email_undeliverable",): "UPDATE shop.customer SET email = 'p' || id || '@gmial.com' WHERE id % 100 = 22",
    ("postcode_missing", "addresses_incomplete"): (
        "UPDATE shop.customer_address SET postcode = NULL WHERE customer_id % 100 = 23"
    ),
    ("password_missing",): "DELETE FROM shop.customer_credential WHERE customer_id % 100 = 24",
    ("orders_with_difference",): "UPDATE shop.customer_order SET total_difference = 5 WHERE id % 100 = 25",
    ("orders_without_lines",): "DELETE FROM shop.order_line WHERE order_id % 100 = 26",
    ("payments_missing",): "UPDATE shop.payment SET state = 'pending' WHERE order_id % 100 = 27",
    ("points_off_ledger",): "UPDATE shop.loyalty_account SET balance = balance + 1 WHERE id % 100 = 29",
}


def fill(shop: Connection, customers: int) -> None:
    """Fill the shop with so many customers, an order each, and a loyalty account for every other one."""
    write(shop, *_FILL.replace("%(customers)s", str(customers)).strip().split(";\n"))


def drift(shop: Connection) -> set[str]:
    """Make a hundredth of the rows of ten audits worse; returns their names."""
    write(shop, *DRIFTS.values())
    return {name for names in DRIFTS for name in names}


def write(shop: Connection, *statements: str) -> None:
    """Write as the flow does: the fence stands while legacy is open."""
    with shop.transaction():
        shop.execute("SET LOCAL shopferry.writer = 'ferry'")
        for statement in statements:
            shop.execute(statement.encode())
