"""Business checks: a shop that has moved breaks no rule, each rule can be broken, and who breaks it is named by key."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from pair import ROUTE, Pair, connect
from shopferry import db
from shopferry.backup import dump
from shopferry.control import differences
from shopferry.errors import MappingError
from shopferry.route.route import Route
from shopferry.settings import SQL_ROOT
from shopferry.verify import checks, verification
from shopferry.verify.checks import Breach
from test_backfill import dsns
from test_verify import damage

LEGACY_IS_ODD = (
    "INSERT INTO customers (id, email, full_name, newsletter, newsletter_date) VALUES "
    "(900001, 'odd@example.com', 'Anna Nowak', 'N', '2015-01-01'), (900002, 'ODD@example.com ', 'Anna Nowak', 'T', NULL)",
    # withdrawn in one account, granted later in the other; given again later in the same; taken back without a date
    "INSERT INTO consents (customer_id, channel, granted, granted_at, wording, withdrawn_at) VALUES "
    "(900001, 'sms', 'T', '2019-01-01', 'v1', '2019-06-01'), (900002, 'sms', 'T', '2021-01-01', 'v2', NULL), "
    "(900001, 'tel', 'T', '2019-01-01', 'v1', '2019-06-01'), (900001, 'phone', 'T', '2020-01-01', 'v2', NULL), "
    "(900002, 'poczta', 'N', NULL, NULL, NULL), (900002, 'post', 'T', '2020-01-01', 'v1', NULL)",
    # One refuses, another is called by the same address: a dead account, one that cannot be used, a number, a guest, a flag.
    "INSERT INTO customers (id, email, full_name, phone, deleted, newsletter, newsletter_date) VALUES "
    "(910001, 'dead@example.com', 'Ala Lis', NULL, 'T', 'N', NULL), "
    "(910011, 'dead@example.com', 'Ala Lis', NULL, 'N', 'N', NULL), "
    "(910002, 'long@example.com', repeat('Ala ', 40), NULL, 'N', 'N', NULL), "
    "(910012, 'long@example.com', 'Ala Lis', NULL, 'N', 'N', NULL), "
    "(910003, 'one@example.com', 'Jan Lis', '601 999 888', 'N', 'N', NULL), "
    "(910013, 'two@example.com', 'Ewa Lis', '+48601999888', 'N', 'N', NULL), "
    "(910014, 'free@example.com', 'Iga Lis', NULL, 'N', 'N', NULL), "
    "(910015, 'all@example.com', 'Iga Lis', NULL, 'N', 'N', NULL), "
    "(910016, 'guest@example.com', 'Ula Lis', NULL, 'N', 'N', NULL), "
    "(910017, 'flag@example.com', 'Ida Lis', NULL, 'N', 'N', '2022')",
    "INSERT INTO consents (id, customer_id, email, channel, granted, granted_at, wording) VALUES "
    "(910001, 910001, NULL, 'email', 'N', '2024-01-01', 'v1'), (910011, 910011, NULL, 'email', 'T', '2019-01-01', 'v1'), "
    "(910002, 910002, NULL, 'email', 'N', '2024-01-01', 'v1'), (910012, 910012, NULL, 'email', 'T', '2025-01-01', 'v1'), "
    "(910003, 910003, NULL, 'sms', 'N', '2024-01-01', 'v1'), (910013, 910013, NULL, 'sms', 'T', '2019-01-01', 'v1'), "
    "(910004, 910014, NULL, 'email', 'T', '2019-01-01', 'v1'), "
    "(910005, 910015, NULL, 'all', 'N', '2024-01-01', 'v1'), (910015, 910015, NULL, 'email', 'T', '2019-01-01', 'v1'), "
    "(910006, 0, 'Guest@example.com', 'email', 'N', '2024-01-01', 'v1'), "
    "(910016, 910016, NULL, 'email', 'T', '2019-01-01', 'v1'), "
    "(910017, 910017, NULL, 'email', 'T', '2019-01-01', 'v1')",
    # One wants no news, and has left; another has consented by the same address.
    "INSERT INTO customers (id, email, full_name, news_frequency, deleted) VALUES "
    "(920001, 'quiet@example.com', 'Ada Lis', 'W', 'N'), (920002, 'Quiet@example.com ', 'Ada Lis', 'Nigdy.', 'T')",
    "INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording) VALUES "
    "(920001, 920001, 'email', 'T', '2020-01-01', 'v1')",
    "INSERT INTO orders (id, number, customer_id, status_code, total, currency, payment_code, delivery_code, created_at) VALUES "
    "(900001, 'N-1', 900002, 'PAID', 10.005, 'PLN', 'CARD', 'DPD', '2020-03-29 02:30'), "
    "(900002, 'N-2', 900002, 'PAID', 20, 'zł', 'CARD', 'DPD', '2020-12-31 23:59')",
    # of a customer who has left
    "INSERT INTO orders (id, number, customer_id, status_code, total, currency, payment_code, delivery_code, created_at, note, "
    "ship_name, ship_street, ship_postcode, ship_city, ship_phone) VALUES (910001, 'N-3', 910001, 'PAID', 20, 'PLN', 'CARD', "
    "'DPD', '2019-12-31', 'kod 1234', 'Ala Lis', 'Krótka 5', '00-950', 'Warszawa', '601 234 567')",
    "INSERT INTO order_invoices (id, order_id, number, buyer_name, total, currency, issued_at) VALUES "
    "(910001, 910001, 'F-1', 'Ala Lis', 20, 'PLN', '1999-12-31 23:59'), "
    "(910002, 900001, 'F-2', 'Ala Lis', NULL, 'PLN', '1999-12-31')",
    "INSERT INTO order_status_log (id, order_id, status_code, changed_by, note, changed_at) VALUES "
    "(910001, 910001, 'PAID', 'anna', 'Ala Lis', '2019-12-31')",
    "INSERT INTO order_items (id, order_id, name, quantity, unit_price) VALUES "
    "(900001, 900001, 'Kubek', 3, 3.335), (900002, 900001, 'Kubek', 0, 1), (900003, 900002, 'Kubek', 1, NULL)",
    "INSERT INTO order_status_log (id, order_id, status_code, changed_at) VALUES "
    "(900001, 900001, '??', '2020-01-01'), (900002, 900001, 'PAID', '2020-01-01')",
)


@pytest.fixture(scope="module")
def moved_template(
    make_template: Callable[..., str], pair_template: Callable[[int], tuple[str, str]]
) -> tuple[str, str]:
    """A generated shop with its defects, and some more of them, that has moved."""
    legacy, shop = pair_template(400)
    dsns = make_template("checked_legacy", legacy), make_template("checked_shop", shop)
    pair = Pair.open(*dsns)
    pair.write(*LEGACY_IS_ODD)
    pair.pass_phases()
    pair.shop.execute("DELETE FROM ferry.kafka_offset")  # the copies have a log of their own
    pair.close()
    return dsns


def run(shop: db.Connection, route: Route, phase: str) -> list[Breach]:
    """What breaks the rules of one phase, asked as a verification asks."""
    with verification.one_snapshot(shop) as ask:
        asked = [ask(partial(checks.find_breaches, check=c)) for c in checks.load(route) if c.phase == phase]
        return [b for found in asked for b in found.result()]


def broken(pair: Pair) -> set[tuple[str, str, str]]:
    """(check, target, key) of everything that breaks a rule of any phase."""
    return {(b.check.name, b.target, b.key) for p in ROUTE.phases for b in run(pair.shop, ROUTE, p)}


def test_a_shop_that_has_moved_breaks_no_rule(moved: Pair) -> None:
    assert {c.phase for c in checks.load(ROUTE)} == set(ROUTE.phases)
    assert moved.one("SELECT count(*) FROM ferry.quarantine") > 20, "what is odd must be there to be passed over"
    assert broken(moved) == set()


def test_changes_that_the_stream_brings_break_none_either(moved: Pair) -> None:
    moved.write(
        "UPDATE consents SET withdrawn_at = '2024-01-01' WHERE id % 3 = 0",
        "UPDATE orders SET total = total + 1, customer_id = NULL, email = 'odd@example.com' WHERE id % 5 = 0",
        "DELETE FROM order_items WHERE id % 7 = 0",
        "UPDATE order_status_log SET order_id = order_id + 1 WHERE id % 11 = 0",
        "UPDATE customers SET deleted = 'T' WHERE id % 13 = 0",
        "UPDATE order_invoices SET total = total + 1, order_id = order_id + 1 WHERE id % 11 = 0",
        "UPDATE customers SET email = 'odd@example.com' WHERE id % 29 = 0",
        "UPDATE loyalty_accounts SET points = points + 5 WHERE id % 2 = 0",
        "UPDATE loyalty_rewards SET state = 'W', taken_at = '2025-01-01' WHERE id % 3 = 0",
        "UPDATE customers SET news_frequency = 'nigdy' WHERE id % 7 = 0",
        "UPDATE promotions SET code = 'lato' WHERE id % 3 = 0",
        "UPDATE customers SET newsletter = 'N', newsletter_date = '2024-01-01' WHERE id % 17 = 0",
    )
    moved.sync()
    assert broken(moved) == set()


def test_checks_are_exact_while_the_stream_goes_on(moved: Pair) -> None:
    ended = threading.Event()

    def stream() -> None:
        for n in range(12):
            moved.write(
                f"UPDATE orders SET total = total + 1 WHERE id % 12 = {n}",
                f"UPDATE order_items SET order_id = order_id + 1 WHERE id % 12 = {n}",
                f"DELETE FROM order_status_log WHERE id % 24 = {n}",
                f"UPDATE consents SET withdrawn_at = '2024-01-01' WHERE id % 12 = {n}",
                f"UPDATE loyalty_accounts SET points = points + 5 WHERE id % 12 = {n}",
                f"UPDATE customers SET email = 'x{n}@example.com' WHERE id % 40 = {n}",
            )
            moved.sync()
        ended.set()

    thread = threading.Thread(target=stream, daemon=True)
    rounds = 0
    with connect(dsns(moved)[1]) as shop:
        thread.start()
        while thread.is_alive():
            found = [b for p in ROUTE.phases for b in run(shop, ROUTE, p)]
            assert found == []
            rounds += 1
    assert ended.is_set()
    assert rounds > 2


@pytest.mark.fresh
def test_what_the_shop_refuses_is_in_quarantine_and_breaks_no_rule(moved: Pair) -> None:
    moved.shop.execute("ALTER TABLE shop.consent ADD CONSTRAINT no_sms CHECK (channel <> 'sms') NOT VALID")
    moved.shop.execute("ALTER TABLE shop.order_line ADD CONSTRAINT cheap CHECK (total < 5) NOT VALID")
    moved.shop.execute("ALTER TABLE shop.order_event ADD CONSTRAINT early CHECK (happened_at < '2000-01-01') NOT VALID")
    moved.write(
        "UPDATE consents SET wording = 'v9' WHERE customer_id >= 900001",
        "UPDATE order_items SET sku = 'X' WHERE id % 10 = 0",
        "UPDATE order_status_log SET note = 'x' WHERE id % 10 = 0",
    )
    moved.sync()
    refused = moved.one("SELECT count(DISTINCT entity) FROM ferry.quarantine WHERE sqlstate IS NOT NULL")
    assert refused == 3
    assert broken(moved) == set()


@pytest.mark.fresh
@pytest.mark.parametrize("change", ["deleted = 'T'", "email = ''", "full_name = repeat('Ala ', 40)"])
def test_a_customer_who_stands_for_an_orders_sake_breaks_no_rule_of_contacts(moved: Pair, change: str) -> None:
    """An order that somebody has invented holds a customer who should go; only the order is wrong."""
    moved.shop.execute("SET shopferry.writer = 'ferry'")
    [(account, customer)] = moved.shop.execute(
        "SELECT i.legacy_key, i.shop_key FROM ferry.identity i JOIN legacy.customers c ON c.id = i.legacy_key "
        "JOIN shop.customer s ON s.id = i.shop_key WHERE i.entity = 'customer' AND upper(c.newsletter) IN ('T', 'Y', '1') "
        "AND (SELECT count(*) FROM ferry.identity o WHERE o.entity = 'customer' AND o.shop_key = i.shop_key) = 1 "
        "AND EXISTS (SELECT FROM legacy.orders o WHERE o.customer_id = c.id) ORDER BY i.legacy_key LIMIT 1"
    ).fetchall()
    moved.shop.execute(
        "INSERT INTO shop.customer_order "
        "(id, number, customer_id, status, currency, total, delivery_cost, total_difference, placed_at) "
        "SELECT 50000001, 'X', customer_id, status, currency, total, delivery_cost, total_difference, placed_at "
        "FROM shop.customer_order WHERE customer_id = %s LIMIT 1",
        (customer,),
    )
    moved.write(f"UPDATE customers SET {change} WHERE id = {account}")
    moved.sync()
    held = "SELECT reasons FROM ferry.quarantine WHERE entity = 'shop.customer' AND key = %s"
    assert moved.shop.execute(held, (str(customer),)).fetchall() == [(["still_referenced"],)]
    assert run(moved.shop, ROUTE, "contacts") == []


REFUSED = {  # the yes of whose address another has refused → what refuses
    910011: "910001",
    910012: "910002",
    910013: "910003",
    910015: "910005",
    910016: "910006",
    910017: "newsletter of 910017",
}


@pytest.mark.parametrize("consent", sorted(REFUSED))
def test_a_refusal_is_found_whoever_of_the_address_declared_it(moved: Pair, consent: int) -> None:
    assert moved.one(f"SELECT state::text FROM shop.consent WHERE legacy_consent_id = {consent}") == "withdrawn"
    moved.shop.execute("SET shopferry.writer = 'ferry'")
    moved.shop.execute(
        f"UPDATE shop.consent SET state = 'granted', withdrawn_at = NULL WHERE legacy_consent_id = {consent}".encode()
    )
    assert broken(moved) == {("contacts_withdrawals", "legacy.consents", REFUSED[consent])}


OF_CONSENT = (
    "(SELECT legacy_consent_id FROM shop.consent WHERE state = 'withdrawn' AND purpose = 'marketing' "
    "AND channel = 'post' ORDER BY id LIMIT 1)"
)
NEVER = "(SELECT shop_key FROM ferry.identity WHERE entity = 'customer' AND legacy_key = 920001)"
REWARD = "(SELECT min(id) FROM shop.loyalty_reward WHERE state = 'open')"
ODD = "(SELECT shop_key FROM ferry.identity WHERE entity = 'customer' AND legacy_key = 900001)"


def keys(pair: Pair, expression: str) -> set[str]:
    """The keys that an SQL expression or a quoted list stands for."""
    if expression.startswith("("):
        return {str(pair.one(f"SELECT {expression}"))}
    return set(expression.split(", "))


@pytest.mark.parametrize(
    ("statement", "check", "target", "key"),
    [
        (
            f"UPDATE shop.customer SET email = 'anna@nowhere' WHERE id = {ODD}",
            "contacts_deliverable",
            "shop.customer",
            ODD,
        ),
        (
            f"UPDATE shop.customer SET email = repeat('a', 65) || '@example.com' WHERE id = {ODD}",
            "contacts_deliverable",
            "shop.customer",
            ODD,
        ),
        (
            "UPDATE shop.customer_address SET country_code = NULL WHERE source_key = "
            "(SELECT min(source_key) FROM shop.customer_address WHERE NOT is_billing)",
            "contacts_addresses",
            "shop.customer_address",
            "(SELECT min(source_key) FROM shop.customer_address WHERE NOT is_billing)",
        ),
        ("DELETE FROM ferry.identity WHERE legacy_key = 900002", "contacts_identity", "legacy.customers", "900002"),
        (
            "UPDATE shop.customer SET legacy_customer_id = NULL WHERE legacy_customer_id = 7",
            "contacts_identity",
            "shop.customer",
            "(SELECT shop_key FROM ferry.identity WHERE entity = 'customer' AND legacy_key = 7)",
        ),
        (
            "INSERT INTO shop.customer (email, legacy_customer_id) VALUES ('nobody@example.com', 7)",
            "contacts_identity",
            "shop.customer",
            "(SELECT id FROM shop.customer WHERE email = 'nobody@example.com')",
        ),
        (
            "UPDATE shop.customer_address SET customer_id = 99999999 WHERE source_key = 'billing:7'",
            "contacts_orphans",
            "shop.customer_address",
            "billing:7",
        ),
        (
            f"UPDATE shop.consent SET customer_id = 99999999 WHERE customer_id = {ODD} AND channel = 'phone'",
            "contacts_orphans",
            "shop.consent",
            "99999999/marketing/phone",
        ),
        (
            f"UPDATE shop.consent SET state = 'unproven' WHERE legacy_consent_id = {OF_CONSENT}",
            "contacts_consents",
            "shop.consent",
            f"(SELECT concat_ws('/', customer_id, purpose, channel) FROM shop.consent WHERE legacy_consent_id = {OF_CONSENT})",
        ),
        (
            f"DELETE FROM shop.consent WHERE legacy_consent_id = {OF_CONSENT}",
            "contacts_consents",
            "shop.consent",
            "marketing",
        ),
        (
            f"UPDATE shop.communication_preference SET wanted = true WHERE customer_id = {ODD} AND channel = 'sms'",
            "contacts_withdrawals",
            "legacy.consents",
            "(SELECT id FROM legacy.consents WHERE customer_id = 900001 AND channel = 'sms')",
        ),
        (
            "UPDATE shop.consent SET state = 'withdrawn' WHERE legacy_consent_id = 910004",
            "contacts_consents",
            "shop.consent",
            "(SELECT concat_ws('/', customer_id, purpose, channel) FROM shop.consent WHERE legacy_consent_id = 910004)",
        ),
        (
            "DELETE FROM shop.consent WHERE id = (SELECT min(id) FROM shop.consent WHERE purpose = 'newsletter' "
            "AND state = 'unproven')",
            "contacts_consents",
            "shop.consent",
            "newsletter",
        ),
        ("SELECT setval('shop.consent_id_seq', 5)", "contacts_sequences", "shop.consent", "shop.consent_id_seq"),
        (
            "UPDATE shop.customer_order SET total = total + 1, total_difference = total_difference + 1 WHERE id = 900001",
            "orders_sums",
            "shop.customer_order",
            "PLN 2020-03",
        ),
        (
            "UPDATE shop.customer_order SET placed_at = '2021-01-01' WHERE id = 900002",
            "orders_sums",
            "shop.customer_order",
            "PLN 2020-12, PLN 2021-01",
        ),
        (
            "UPDATE shop.order_line SET quantity = 4 WHERE id = 900001",
            "orders_line_sums",
            "shop.order_line",
            "PLN 2020-03",
        ),
        ("DELETE FROM shop.order_line WHERE id = 900001", "orders_add_up", "shop.customer_order", "900001"),
        (
            "UPDATE shop.customer_order SET total_difference = 7 WHERE id = 900002",
            "orders_add_up",
            "shop.customer_order",
            "900002",
        ),
        ("UPDATE shop.payment SET amount = 7 WHERE order_id = 900002", "orders_payments", "shop.payment", "900002"),
        (
            "UPDATE shop.delivery SET currency = 'EUR' WHERE order_id = 900002",
            "orders_payments",
            "shop.delivery",
            "900002",
        ),
        ("DELETE FROM shop.order_event WHERE id = 900002", "orders_histories", "shop.customer_order", "900001"),
        (
            "INSERT INTO shop.order_event (id, order_id, status, happened_at) VALUES (99999999, 900002, 'paid', now())",
            "orders_histories",
            "shop.customer_order",
            "900002",
        ),
        (
            "DELETE FROM ferry.quarantine WHERE entity = 'shop.order_event' AND row_key = '900001'",
            "orders_histories",
            "shop.customer_order",
            "900001",
        ),
        (
            "UPDATE shop.customer_order SET customer_id = 99999999 WHERE id = 900001",
            "orders_orphans",
            "shop.customer_order",
            "900001",
        ),
        (
            "UPDATE shop.order_event SET order_id = 99999999 WHERE id = 900002",
            "orders_orphans",
            "shop.order_event",
            "900002",
        ),
        (
            "UPDATE shop.customer_order SET note = 'kod 1234' WHERE id = 910001",
            "orders_of_deleted",
            "shop.customer_order",
            "910001",
        ),
        (
            "UPDATE shop.delivery SET phone = '+48601234567' WHERE order_id = 910001",
            "orders_of_deleted",
            "shop.delivery",
            "910001",
        ),
        (
            "UPDATE shop.delivery SET postcode = '00-950' WHERE order_id = 910001",
            "orders_of_deleted",
            "shop.delivery",
            "910001",
        ),
        (
            "UPDATE shop.order_event SET actor = 'anna' WHERE id = 910001",
            "orders_of_deleted",
            "shop.order_event",
            "910001",
        ),
        ("DELETE FROM shop.order_invoice WHERE id = 910001", "orders_invoices", "shop.order_invoice", "PLN 1999"),
        (
            "UPDATE shop.order_invoice SET total = 7 WHERE id = 910001",
            "orders_invoices",
            "shop.order_invoice",
            "PLN 1999",
        ),
        (
            "UPDATE shop.order_invoice SET keep_until = '2003-12-31' WHERE id = 910001",
            "orders_invoices",
            "shop.order_invoice",
            "910001",
        ),
        (
            "UPDATE shop.order_invoice SET order_id = 99999999 WHERE id = 910001",
            "orders_orphans",
            "shop.order_invoice",
            "910001",
        ),
        (
            "UPDATE shop.loyalty_account SET balance = balance + 1 WHERE id = 3",
            "loyalty_points",
            "shop.loyalty_account",
            "3",
        ),
        (
            "UPDATE mirror.loyalty_accounts SET points = points + 1 WHERE id = 3",
            "loyalty_points",
            "shop.loyalty_account",
            "3",
        ),
        (
            "DELETE FROM shop.loyalty_entry WHERE account_id = 3 AND points = (SELECT max(points) FROM shop.loyalty_entry "
            "WHERE account_id = 3)",
            "loyalty_points",
            "shop.loyalty_account",
            "3",
        ),
        ("DELETE FROM shop.loyalty_account WHERE id = 3", "loyalty_points", "shop.loyalty_account", "3"),
        (
            "UPDATE shop.loyalty_account SET customer_id = 99999999 WHERE id = 3",
            "loyalty_orphans",
            "shop.loyalty_account",
            "3",
        ),
        (
            "INSERT INTO shop.loyalty_redemption (id, account_id, reward, points, state, redeemed_at) "
            "VALUES (99, 99999999, 'Kubek', 1, 'done', now())",
            "loyalty_orphans",
            "shop.loyalty_redemption",
            "99",
        ),
        (
            f"UPDATE shop.loyalty_reward SET customer_id = 99999999 WHERE id = {REWARD}",
            "loyalty_orphans",
            "shop.loyalty_reward",
            REWARD,
        ),
        (
            f"UPDATE shop.loyalty_reward SET state = 'cancelled' WHERE id = {REWARD}",
            "loyalty_rewards",
            "shop.loyalty_reward",
            f"(SELECT to_char(earned_at AT TIME ZONE 'Europe/Warsaw', 'YYYY') FROM shop.loyalty_reward WHERE id = {REWARD})",
        ),
        (
            f"UPDATE mirror.loyalty_rewards SET points = points + 1 WHERE id = {REWARD}",
            "loyalty_rewards",
            "shop.loyalty_reward",
            f"(SELECT to_char(earned_at AT TIME ZONE 'Europe/Warsaw', 'YYYY') FROM shop.loyalty_reward WHERE id = {REWARD})",
        ),
        (
            f"UPDATE shop.communication_preference SET frequency = 'weekly', wanted = true WHERE customer_id = {NEVER}",
            "contacts_never",
            "shop.customer",
            NEVER,
        ),
        (
            "SELECT setval('shop.loyalty_entry_id_seq', 1, false)",
            "loyalty_sequences",
            "shop.loyalty_entry",
            "shop.loyalty_entry_id_seq",
        ),
    ],
)
def test_each_rule_can_be_broken(moved: Pair, statement: str, check: str, target: str, key: str) -> None:
    made_by_it = key.startswith("(SELECT id FROM shop.customer ")
    wanted = None if made_by_it else keys(moved, key)
    damage(moved, "SET LOCAL session_replication_role = replica", statement)
    wanted = keys(moved, key) if wanted is None else wanted
    assert {(t, k) for name, t, k in broken(moved) if name == check} == {(target, k) for k in wanted}


def test_sequences_of_orders_count_once_the_shop_is_open(moved: Pair) -> None:
    moved.shop.execute("UPDATE ferry.route SET active = 'shop'")
    behind = {(c, k) for c, _, k in broken(moved)}
    assert ("orders_sequences", "shop.customer_order_id_seq") in behind
    assert ("loyalty_sequences", "shop.loyalty_account_id_seq") in behind
    from shopferry.cutover import sequences

    sequences.advance(moved.shop, ROUTE)
    assert broken(moved) == set()


def test_what_is_found_tells_no_persons_data(moved: Pair) -> None:
    damage(
        moved,
        "SET LOCAL session_replication_role = replica",
        "UPDATE shop.customer SET email = 'thief' || id || '@nowhere'",
        "DELETE FROM shop.loyalty_entry",
        "DELETE FROM shop.customer_order",
        "DELETE FROM ferry.identity",
        "UPDATE shop.consent SET state = 'unproven'",
    )
    found = [b for p in ROUTE.phases for b in run(moved.shop, ROUTE, p)]
    assert len(found) > 1000
    assert not [b for b in found if "@" in f"{b.key} {b.found}" or "thief" in f"{b.key} {b.found}"]


def route_with(tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Route:
    """The demo's route with one check of its own in the place of all others."""
    for unit in ROUTE.units:
        file = tmp_path / "sql" / "demo" / f"{unit.name}.sql"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text((Path(__file__).parents[2] / "include" / "sql" / "demo" / f"{unit.name}.sql").read_text())
    shutil.copy(SQL_ROOT / "demo" / "route.toml", tmp_path / "sql" / "demo")
    (tmp_path / "sql" / "demo" / "checks").mkdir()
    (tmp_path / "sql" / "demo" / "checks" / "mine.sql").write_text(text)
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path / "sql"))
    return Route.load("demo")


HEADER = "-- check: x\n-- severity: error\n-- phase: orders\n-- target: shop.customer_order\n-- remedy: y\n"


@pytest.mark.parametrize(
    ("body", "line", "what"),
    [
        ("SELECT 1 AS key,\n  nothing AS found FROM shop.customer_order", 7, "nothing"),
        ("SELECT id FROM shop.customer_order", 6, "not `id`"),
    ],
)
def test_a_check_that_does_not_run_is_named_with_its_line(
    moved: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, line: int, what: str
) -> None:
    route = route_with(tmp_path, HEADER + body, monkeypatch)
    with pytest.raises(MappingError, match=rf"checks/mine\.sql:{line}: .*{what}"):
        run(moved.shop, route, "orders")


def test_a_breach_whose_key_is_null_is_told(moved: Pair) -> None:
    with moved.shop.transaction(force_rollback=True):
        moved.shop.execute(
            "UPDATE mirror.order_status_log SET order_id = NULL WHERE id IN (SELECT id FROM mirror.order_status_log "
            "WHERE NOT _gone ORDER BY id LIMIT 2)"
        )
        [histories] = [c for c in checks.load(ROUTE) if c.name == "orders_histories"]
        found = {b.key: b.found for b in checks.find_breaches(moved.shop, histories)}
    assert found[differences.NO_KEY] == "rows: 1, one: legacy 2 entries and 0 in quarantine, shop 0"


def test_every_check_runs_in_psql_as_it_stands(moved: Pair) -> None:
    psql = [dump.find_program("psql", moved.shop.info.server_version), "-q", "-v", "ON_ERROR_STOP=1"]
    files = [SQL_ROOT.parent / c.file for c in checks.load(ROUTE)]
    given = [word for file in files for word in ("-f", str(file))]
    ran = subprocess.run([*psql, *given], env=dump.make_environment(dsns(moved)[1]), capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("(0 rows)") == len(files)


def test_a_check_cannot_write(moved: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import psycopg

    route = route_with(
        tmp_path,
        HEADER + "WITH gone AS (DELETE FROM ferry.gate RETURNING gate) SELECT gate AS key, '' AS found FROM gone",
        monkeypatch,
    )
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        run(moved.shop, route, "orders")
