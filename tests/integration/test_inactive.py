"""Inactive accounts: they stay behind only if somebody decided it, with what of them must be kept, and come by the stream."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
import turns
from pair import ROUTE, Pair
from shopferry import installation
from shopferry.control import installed_settings
from shopferry.engine import changed_settings
from shopferry.engine.pair import Stores
from shopferry.errors import ConfigError
from shopferry.report import audience
from shopferry.route.route import Route
from shopferry.route.settings import INACTIVE_SINCE, Setting
from shopferry.settings import SQL_ROOT

SINCE = "2021-01-01"
ANNA = """
INSERT INTO customers (id, email, full_name, created_at, last_login)
VALUES (1, 'anna@example.com', 'Anna Nowak', '2010-01-01', '2015-01-01');
INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, created_at, note)
VALUES (1, 'Z/1', 1, 'anna@example.com', 'DONE', 10, 'PLN', 'BLIK', 'DPD', '2012-01-15', 'kod 1234');
INSERT INTO order_invoices (id, order_id, number, buyer_name, total, currency, issued_at)
VALUES (1, 1, 'F/1', 'Anna Nowak', 10, 'PLN', '2012-01-16');
INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording) VALUES (1, 1, 'email', 'N', '2012-01-01', 'v1');
INSERT INTO loyalty_accounts (id, customer_id, points, created_at) VALUES (1, 1, 0, '2012-01-01')
"""
# Whom the policy leaves out, written once more, row by row: who is named here has shown no sign of life, and nothing is open.
ALIVE = """
SELECT c.id FROM customers c
WHERE greatest(c.created_at, c.last_login) >= %(since)s
   OR EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id AND o.created_at >= %(since)s)
   OR EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id AND upper(o.status_code) IN
              ('NEW', '1', 'N', 'PAID', '2', 'P', 'PROC', '3', 'SENT', '4', 'S', 'RET', '7', '99', 'TEST'))
   OR EXISTS (SELECT FROM consents s WHERE s.customer_id = c.id
              AND greatest(s.granted_at, s.confirmed_at, s.withdrawn_at) >= %(since)s)
   OR EXISTS (SELECT FROM loyalty_accounts l WHERE l.customer_id = c.id AND l.points > 0)
   OR EXISTS (SELECT FROM loyalty_accounts l JOIN loyalty_redemptions r ON r.account_id = l.id
              WHERE l.customer_id = c.id AND r.created_at >= %(since)s)
   OR EXISTS (SELECT FROM loyalty_rewards r WHERE r.customer_id = c.id AND (greatest(r.earned_at, r.taken_at) >= %(since)s
              OR (r.state = 'O' AND r.taken_at IS NULL AND (r.valid_until IS NULL OR r.valid_until ~ '202[1-9]'))))
"""

LINES = tuple(s for s in ROUTE.settings if s.name != INACTIVE_SINCE)  # between segments


def decide(pair: Pair, since: str) -> None:
    """Have somebody decide it: what `phase init` does after route.toml was changed."""
    route = replace(pair.route, settings=(*LINES, Setting(INACTIVE_SINCE, since)))
    installation.install(pair.legacy, pair.shop, route)
    changed_settings.merge_readers(pair.stores)


def left_out(pair: Pair, entity: str, reason: str) -> set[int]:
    found = pair.ask("SELECT row_key::bigint FROM ferry.left_out WHERE entity = %s AND reason = %s", entity, reason)
    return {key for (key,) in found}


def test_all_are_carried_where_nobody_decided_otherwise(filled: Pair) -> None:
    filled.pass_phases()
    assert filled.one("SELECT count(*) FROM clean.inactive") == 0
    assert filled.one("SELECT count(*) FROM ferry.left_out WHERE reason LIKE '%%inactive%%'") == 0
    assert filled.one("SELECT count(*) FROM ferry.identity WHERE cluster LIKE '%%inactive'") == 0


def test_a_shop_moves_with_the_policy_and_verifies_clean(filled: Pair) -> None:
    installed_settings.replace(filled.shop, INACTIVE_SINCE, SINCE)
    filled.pass_phases()
    for phase in ROUTE.phases:  # with the checks
        outcome = filled.verify(phase)
        assert outcome.clean, outcome.differences
    filled.check()
    gone = left_out(filled, "shop.customer", "inactive_by_policy")
    alive = {key for (key,) in filled.legacy.execute(ALIVE.encode(), {"since": SINCE}).fetchall()}
    assert len(gone) > 5 and not gone & alive
    assert left_out(filled, "shop.customer_address", "customer_inactive")
    assert left_out(filled, "shop.consent", "customer_inactive")
    theirs = filled.ask("SELECT id FROM legacy.orders WHERE customer_id = ANY(%s)", sorted(gone))
    kept = filled.ask(
        "SELECT id, customer_id, notes FROM shop.customer_order WHERE id = ANY(%s)", [i for (i,) in theirs]
    )
    assert kept and {(customer, *notes) for _, customer, notes in kept} == {(None, "of_inactive_customer")}
    invoiced = "SELECT count(*) FROM shop.order_invoice WHERE order_id = ANY(%s) AND buyer_name IS NOT NULL"
    assert filled.one(invoiced, [i for i, *_ in kept]) > 0
    loaded = audience.load(ROUTE)
    assert loaded
    found = audience.answer(filled.shop, loaded.query, ROUTE.name)
    assert found and all(a.balanced for a in found)


def test_who_signs_in_meanwhile_is_in_the_shop_within_a_second(pair: Pair) -> None:
    installed_settings.replace(pair.shop, INACTIVE_SINCE, SINCE)
    pair.write(*ANNA.strip().split(";\n"))
    pair.pass_phases()
    assert left_out(pair, "shop.customer", "inactive_by_policy") == {1}
    assert pair.ask("SELECT customer_id, note FROM shop.customer_order") == [(None, None)]
    pair.write("UPDATE customers SET last_login = '2026-05-05 10:00' WHERE id = 1")
    started = time.monotonic()
    pair.sync()
    assert time.monotonic() - started < 1
    [(customer, email)] = pair.ask("SELECT id, email FROM shop.customer")
    assert email == "anna@example.com"
    assert pair.ask("SELECT customer_id, note, notes FROM shop.customer_order") == [(customer, "kod 1234", [])]
    assert pair.ask("SELECT customer_id, state::text FROM shop.consent") == [(customer, "withdrawn")]
    assert pair.ask("SELECT customer_id FROM shop.loyalty_account") == [(customer,)]
    pair.check()


def test_a_decision_is_taken_and_taken_back_while_the_shop_moves(filled: Pair) -> None:
    filled.pass_phases()
    before = filled.exported(filled.live())
    decide(filled, SINCE)
    filled.check()
    earlier = left_out(filled, "shop.customer", "inactive_by_policy")
    decide(filled, "2024-01-01")
    filled.check()
    assert earlier < left_out(filled, "shop.customer", "inactive_by_policy")
    decide(filled, "")
    filled.check()
    assert filled.exported(filled.live()) == before


@pytest.mark.fresh
def test_the_way_back_leaves_the_rows_of_who_was_left_out_alone(pair: Pair) -> None:
    installed_settings.replace(pair.shop, INACTIVE_SINCE, SINCE)
    pair.write(*ANNA.strip().split(";\n"))
    pair.pass_phases()
    tables = ("customers", "orders", "order_invoices", "consents", "loyalty_accounts")
    queries = [f"SELECT to_jsonb(t) FROM {table} t ORDER BY id".encode() for table in tables]
    held = [pair.legacy.execute(query).fetchall() for query in queries]
    with turns.armed(pair) as back:
        turns.cut_over(pair, back)
        for status in ("returned", "delivered"):
            back.write(f"UPDATE shop.customer_order SET status = '{status}'")
            back.sync()
        turns.roll_back(pair, back)
    assert [pair.legacy.execute(query).fetchall() for query in queries] == held
    assert left_out(pair, "shop.customer", "inactive_by_policy") == {1}
    pair.check()


@pytest.mark.fresh
def test_who_comes_back_in_the_new_shop_is_one_person_after_a_rollback(pair: Pair) -> None:
    installed_settings.replace(pair.shop, INACTIVE_SINCE, SINCE)
    pair.write(*ANNA.strip().split(";\n"))
    pair.pass_phases()
    with turns.armed(pair) as back:
        turns.cut_over(pair, back)
        back.write(
            "INSERT INTO shop.customer (email, given_name, family_name, registered_at) "
            "VALUES ('anna@example.com', 'Anna', 'Nowak', now())"
        )
        turns.roll_back(pair, back)
    assert pair.one("SELECT count(*) FROM shop.customer") == 1
    assert left_out(pair, "shop.customer", "inactive_by_policy") == set()
    assert pair.one("SELECT customer_id FROM shop.customer_order") == pair.one("SELECT id FROM shop.customer")


def test_a_process_that_dies_between_a_decision_and_its_merge_leaves_nothing_behind(filled: Pair) -> None:
    filled.pass_phases()
    installed_settings.store(filled.shop, {s.name: (s.value, False) for s in LINES} | {INACTIVE_SINCE: (SINCE, False)})
    assert installed_settings.list_unmerged(filled.shop) == [INACTIVE_SINCE]
    filled.write("UPDATE customers SET last_login = last_login")
    filled.sync()
    changed_settings.merge_readers(Stores(filled.legacy, filled.shop, ROUTE))
    assert installed_settings.list_unmerged(filled.shop) == []
    filled.check()


def test_the_day_of_route_toml_is_what_mappings_read(tmp_path: Path) -> None:
    decided = '\n[retention]\ninactive_since = 2021-01-01\ninactive_decided_by = "Anna"\n'
    shutil.copytree(SQL_ROOT / "demo", tmp_path / "demo")
    said = (tmp_path / "demo" / "route.toml").read_text()
    (tmp_path / "demo" / "route.toml").write_text(said + decided)
    assert Route.load("demo", tmp_path).settings == (*LINES, Setting(INACTIVE_SINCE, SINCE))
    assert Route.load("demo_reverse", tmp_path).settings == LINES
    assert ROUTE.settings == (*LINES, Setting(INACTIVE_SINCE, ""))
    (tmp_path / "demo" / "contacts" / "inactive.sql").write_text(
        "-- entity: clean.inactive\n-- key: account_id\n-- scope: account_id\n-- source: legacy.customers(id)\n"
        "SELECT c.id AS account_id, '{}'::text[] AS problems\nFROM affected a "
        "JOIN legacy.customers c ON c.id = a.key WHERE false;\n"
    )
    with pytest.raises(
        ConfigError, match=r"demo/route.toml: retention.inactive_since: no mapping of this route reads it"
    ):
        Route.load("demo", tmp_path)
