"""The generated shop: the same for the same seed, of the size asked for, and as bad as real ones."""

from __future__ import annotations

from typing import Any

import pytest
from shopferry import db
from shopferry.demo import generator
from shopferry.demo.defects import Rates


def checksums(conn: db.Connection) -> dict[str, Any]:
    return {
        table: conn.execute(f"SELECT sum(hashtextextended(t::text, 0)) FROM {table} t").fetchone()
        for table in generator.TABLES
    }


@pytest.fixture
def legacy(make_db: Any) -> Any:
    with db.connect(make_db("legacy"), "test") as conn:
        yield conn


def test_size_and_shape(legacy: db.Connection) -> None:
    rows = generator.seed(legacy, customers=2_000)
    assert rows["customers"] == 2_000
    assert 2.5 < rows["orders"] / rows["customers"] < 3.5
    assert 2.5 < rows["order_items"] / rows["orders"] < 3.5
    assert 0.85 < rows["order_invoices"] / rows["orders"] < 0.97
    for table in generator.TABLES:
        count, top = legacy.execute(f"SELECT count(*), max(id) FROM {table}").fetchone() or (0, 0)
        assert count == rows[table]
        following = legacy.execute("SELECT nextval(pg_get_serial_sequence(%s, 'id'))", (table,)).fetchone()
        assert following == (top + 1,)


def test_same_seed_same_shop_and_another_seed_another(legacy: db.Connection, make_db: Any) -> None:
    generator.seed(legacy, customers=300, seed=1)
    with db.connect(make_db("again"), "test") as again, db.connect(make_db("other"), "test") as other:
        generator.seed(again, customers=300, seed=1)
        generator.seed(other, customers=300, seed=2)
        assert checksums(again) == checksums(legacy)
        assert checksums(other) != checksums(legacy)


def test_seeding_twice_adds(legacy: db.Connection) -> None:
    generator.seed(legacy, customers=100, seed=1)
    generator.seed(legacy, customers=50, seed=2)
    assert legacy.execute("SELECT count(*), max(id) FROM customers").fetchone() == (150, 150)


@pytest.mark.parametrize(
    ("defect", "query"),
    [
        (
            "duplicates by case or blanks",
            """SELECT 1 FROM customers GROUP BY lower(replace(email, ' ', ''))
                                           HAVING count(DISTINCT email) > 1""",
        ),
        (
            "guests with an account's e-mail",
            """SELECT 1 FROM orders o JOIN customers c ON c.email = o.email
                                              WHERE coalesce(o.customer_id, 0) = 0""",
        ),
        ("mojibake", "SELECT 1 FROM addresses WHERE street ~ '[ĹÄĂ]'"),
        (
            "phones in many shapes",
            """SELECT 1 FROM customers WHERE phone LIKE '0048%'
                                     AND EXISTS (SELECT FROM customers WHERE phone LIKE '% %')""",
        ),
        ("postcodes without dash", "SELECT 1 FROM addresses WHERE postcode ~ '^[0-9]{5}$'"),
        (
            "orphaned orders",
            """SELECT 1 FROM orders o WHERE customer_id > 0
                              AND NOT EXISTS (SELECT FROM customers c WHERE c.id = o.customer_id)""",
        ),
        (
            "totals that differ",
            """SELECT 1 FROM orders o JOIN order_items i ON i.order_id = o.id GROUP BY o.id
                                  HAVING o.total <> sum(i.line_total) + o.delivery_cost""",
        ),
        ("unknown status", "SELECT 1 FROM orders WHERE status_code IN ('99', 'TEST', '???')"),
        ("consent without date", "SELECT 1 FROM consents WHERE granted = 'T' AND granted_at IS NULL"),
        ("dates in the future", "SELECT 1 FROM orders WHERE created_at > '2100-01-01'"),
        ("over-long names", "SELECT 1 FROM customers WHERE length(full_name) > 200"),
        ("NUL-like junk", r"SELECT 1 FROM customers WHERE full_name LIKE '%\\x00'"),
        (
            "invoices without order",
            "SELECT 1 FROM order_invoices v WHERE NOT EXISTS (SELECT FROM orders o WHERE o.id = v.order_id)",
        ),
        (
            "tax numbers in many spellings",
            """SELECT 1 FROM order_invoices WHERE tax_number LIKE 'NIP: %'
                                     AND EXISTS (SELECT FROM order_invoices WHERE tax_number ~ '^[0-9]{3}-')""",
        ),
        (
            "frequencies in many spellings",
            """SELECT 1 FROM customers WHERE news_frequency = 'tyg.'
                                     AND EXISTS (SELECT FROM customers WHERE news_frequency = '0')""",
        ),
        ("topics that nobody knows", "SELECT 1 FROM customers WHERE news_topics ~ '(wędkarstwo|xyz)'"),
        ("rewards without a letter", "SELECT 1 FROM loyalty_rewards WHERE state IS NULL AND taken_at IS NULL"),
        (
            "rewards that are open past their day",
            "SELECT 1 FROM loyalty_rewards WHERE state = 'O' AND valid_until ~ '20(0|1)[0-9]'",
        ),
        ("codes given again", "SELECT 1 FROM promotions GROUP BY upper(code) HAVING count(*) > 1"),
        (
            "points that differ",
            """SELECT 1 FROM loyalty_accounts a JOIN loyalty_log l ON l.account_id = a.id GROUP BY a.id
                                  HAVING a.points <> sum(CASE l.kind WHEN 'E' THEN abs(l.points) ELSE -abs(l.points) END)""",
        ),
    ],
)
def test_defect_is_there(defect: str, query: str, seeded: db.Connection) -> None:
    assert seeded.execute(query + " LIMIT 1").fetchone(), defect


@pytest.fixture(scope="module")
def seeded(make_template: Any) -> Any:
    with db.connect(make_template("seeded"), "test") as conn:
        generator.seed(conn, customers=3_000)
        yield conn


def test_rates_are_obeyed(legacy: db.Connection) -> None:
    spotless = Rates(**dict.fromkeys(Rates.__dataclass_fields__, 0.0))
    generator.seed(legacy, customers=500, rates=spotless)
    assert legacy.execute("SELECT count(*) FROM orders WHERE coalesce(customer_id, 0) = 0").fetchone() == (0,)
    assert legacy.execute("SELECT count(*) FROM customers WHERE deleted = 'T' OR phone IS NULL").fetchone() == (0,)
    assert legacy.execute("SELECT count(*) - count(DISTINCT lower(email)) FROM customers").fetchone() == (0,)
