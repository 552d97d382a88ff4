"""Erasing a person in the middle of a move: nothing of them is left, nothing brings them back, all else stays as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from pair import ROUTE, Pair, read_dsn
from shopferry.control import erasures, requests
from shopferry.control.erasures import Erased
from shopferry.control.requests import Opening
from shopferry.engine import backfill, erased, mirror
from shopferry.engine.mirror import Column
from shopferry.errors import VerificationError
from shopferry.privacy import erasing, erasure, person
from shopferry.privacy.erasing import Erasure
from shopferry.settings import Settings
from shopferry.verify import repair

PEOPLE = (
    "INSERT INTO customers (id, login, email, full_name, phone, bill_street, bill_country, newsletter, created_at) VALUES "
    "(1, 'ewalis', 'ewa.lis@example.com', 'Ewa Lisowska', '601234567', 'Jasna 7', 'PL', 'T', '2015-01-01'), "
    "(2, 'jankot', 'jan.kot@example.com', 'Jan Kotarski', '601234568', 'Jasna 9', 'PL', 'N', '2015-01-01')",
    "INSERT INTO addresses (id, customer_id, full_name, street, postcode, city, country, phone, deleted) VALUES "
    "(5, 1, 'Ewa Lisowska', 'Krótka 3', '00-001', 'Warszawa', 'PL', '601234567', 'N'), "
    "(6, 1, 'Ewa Lisowska', 'Długa 33', '00-001', 'Warszawa', 'PL', NULL, 'T'), "
    "(7, 2, 'Jan Kotarski', 'Krótka 5', '00-001', 'Warszawa', 'PL', NULL, 'N')",
    "INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording, ip) VALUES "
    "(8, 1, 'email', 'T', '2019-01-01', 'v1', '192.0.2.7'), (9, 2, 'email', 'T', '2019-01-01', 'v1', NULL)",
    "INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, "
    "delivery_cost, ship_name, ship_street, ship_postcode, ship_city, ship_country, ship_phone, note, created_at) VALUES "
    "(20, 'A1', 1, 'ewa.lis@example.com', 'DONE', 10, 'PLN', 'BLIK', 'INPOST', 0, 'Ewa Lisowska', 'Krótka 3', '00-001', "
    "'Warszawa', 'PL', '601234567', 'dzwonić do Ewy', '2020-01-01'), "
    "(21, 'A2', 0, 'Ewa.Lis@example.com', 'DONE', 10, 'PLN', 'BLIK', 'INPOST', 0, 'Ewa Lisowska', 'Krótka 3', '00-001', "
    "'Warszawa', 'PL', NULL, NULL, '2020-01-01'), "
    "(22, 'A3', 2, 'jan.kot@example.com', 'DONE', 10, 'PLN', 'BLIK', 'INPOST', 0, 'Jan Kotarski', 'Krótka 5', '00-001', "
    "'Warszawa', 'PL', NULL, NULL, '2020-01-01')",
    "INSERT INTO order_items (id, order_id, sku, name, quantity, unit_price, vat_rate, line_total) VALUES "
    "(30, 20, 'S', 'Rzecz', 1, 10, 23, 10), (31, 21, 'S', 'Rzecz', 1, 10, 23, 10), (32, 22, 'S', 'Rzecz', 1, 10, 23, 10)",
    "INSERT INTO order_invoices (id, order_id, number, buyer_name, buyer_street, total, currency, issued_at) VALUES "
    "(40, 20, 'F1', 'Ewa Lisowska', 'Jasna 7', 10, 'PLN', '2020-01-02')",
    "INSERT INTO loyalty_accounts (id, customer_id, card_number, points, tier, created_at) VALUES "
    "(50, 1, '2800000000001', 5, 'standard', '2020-01-01'), (51, 2, '2800000000002', 5, 'standard', '2020-01-01')",
    "INSERT INTO loyalty_log (id, account_id, kind, points, note, created_at) VALUES "
    "(60, 50, 'E', 5, 'dla Ewy', '2020-01-01'), (61, 51, 'E', 5, NULL, '2020-01-01')",
    "INSERT INTO loyalty_rewards (id, customer_id, code, reward, points, earned_at, state) VALUES "
    "(70, 1, 'R-EWA-70', 'Kubek', 40, '2020-01-01', 'W'), (71, 2, 'R-JAN-71', 'Kubek', 40, '2020-01-01', 'O')",
    "INSERT INTO promotions (id, code, kind, value) VALUES (80, 'LATO', '%', 10)",
)
EWA = ("ewa.lis@example.com", "601234567", "Krótka 3", "Długa 33", "dla Ewy", "dzwonić do Ewy", "192.0.2.7", "R-EWA-70")


@pytest.fixture
def moved(pair: Pair) -> Pair:
    pair.write(*PEOPLE)
    pair.sync()
    pair.pass_phases()
    return pair


def open_erasure(pair: Pair, store: str = "legacy", *keys: str) -> Erasure:
    """A granted request to erase a person, account 1 without keys, as it begins to run."""
    asked = person.load(ROUTE)
    number = requests.open_request(
        pair.shop, "demo", Opening("erasure", date(2026, 1, 2), "care", "passport"), {store: list(keys) or ["1"]}
    )
    requests.grant(pair.shop, number, "dpo", None)
    settings = Settings(read_dsn(pair.legacy), read_dsn(pair.shop), kafka="127.0.0.1:1")
    return Erasure(settings, pair.stores, number, asked, "legacy")


def erase(pair: Pair, one: Erasure) -> Iterator[str]:
    """Run the steps one by one, with the tap in the place of the broker; yields each one's name before it runs."""
    for name, step in erasure.STEPS.items():
        yield name
        if "await" in name:
            pair.sync()
        elif name != "trim the topics":
            requests.note_step(pair.shop, one.number, name, step(one))


def count_places(pair: Pair, *values: str) -> dict[str, int]:
    """Where any of these values stands, the invoice aside."""
    from shopferry.privacy import search

    def keeps(_: str, table: str, column: str) -> bool:
        return table == "order_invoices" or table == "order_invoice"

    held = [("ferry", "request_value")]
    return {
        f"{store}: {place}": count
        for store, conn in (("legacy", pair.legacy), ("shop", pair.shop))
        for place, count in search.search_store(conn, values, keeps, held).items()
    }


def test_a_guests_order_that_only_the_new_shop_knows_as_theirs_is_erased_too(pair: Pair) -> None:
    """Its e-mail has a blank in it, which legacy's own queries do not look behind; its lines hang on it."""
    pair.write(*PEOPLE, "UPDATE orders SET email = 'ewa.lis @example.com' WHERE id = 21")
    pair.write("INSERT INTO order_status_log (id, order_id, status_code, note) VALUES (70, 21, 'DONE', 'dla Ewy')")
    pair.sync()
    pair.pass_phases()
    [(customer,)] = pair.ask("SELECT DISTINCT customer_id FROM shop.customer_order WHERE id IN (20, 21)")
    assert customer
    one = open_erasure(pair)
    for _ in erase(pair, one):
        pass
    assert requests.load_persons(pair.shop, one.number)["legacy"] == ["1", "orders/21"]
    assert count_places(pair, *EWA, "ewa.lis @example.com") == {}
    pair.check()


LATE = (
    "INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, ship_name, created_at) "
    "VALUES ({0}, 'L{0}', 1, 'ewa.lis@example.com', 'NEW', 10, 'PLN', 'Ewa Lisowska', '2026-01-01')"
)


def test_what_a_session_writes_that_had_read_the_person_is_erased_too(moved: Pair) -> None:
    one = open_erasure(moved)
    for name in erase(moved, one):
        if name == "await the stream":
            moved.write(LATE.format(23))
    assert count_places(moved, *EWA) == {}
    moved.check()


def test_what_is_written_later_still_is_found_and_erased_by_the_next_run(moved: Pair) -> None:
    """A row of the person's own does not count as another person's with the same e-mail."""
    one = open_erasure(moved)
    steps = erase(moved, one)
    for name in steps:
        if name == "erase in the other store":
            moved.write(LATE.format(23))
        if name == "search":
            break
    with pytest.raises(VerificationError, match=r"public\.orders"):
        next(steps)
    assert erasure.list_left(erasure.STEPS.keys() - {"search"}) == [
        "erase what was written meanwhile",
        "await what came of it",
        "sweep our copies",
        "trim the topics",
        "search",
    ]


def test_nothing_of_the_person_is_left_and_all_else_is_as_it_was(moved: Pair) -> None:
    assert len(count_places(moved, *EWA)) > 10
    jan = "jan.kot@example.com", "601234568", "Kotarski"
    before = count_places(moved, *jan)
    one = open_erasure(moved)
    for _ in erase(moved, one):
        pass
    assert count_places(moved, *EWA) == {}
    late = requests.load_steps(moved.shop, one.number)["erase what was written meanwhile"]
    assert {n for counts in late.values() for what, n in counts.items() if what != "kept"} == {0}
    invoiced = moved.ask("SELECT DISTINCT raw FROM ferry.standardized WHERE raw LIKE '%Lisow%' OR raw LIKE '%Jasna 7%'")
    assert sorted(invoiced) == [("Ewa Lisowska",), ("Jasna 7",)]
    assert count_places(moved, *jan) == before
    moved.check()
    assert moved.ask("SELECT legacy_customer_id FROM shop.customer") == [(2,)]
    assert moved.ask("SELECT number, customer_id IS NULL FROM shop.customer_order ORDER BY 1") == [
        ("A1", True),
        ("A2", True),
        ("A3", False),
    ]
    assert moved.ask("SELECT buyer_name FROM shop.order_invoice") == [("Ewa Lisowska",)]
    assert moved.ask("SELECT balance FROM shop.loyalty_account") == [(5,)]
    assert moved.ask("SELECT code FROM shop.loyalty_reward") == [("R-JAN-71",)]
    assert moved.ask("SELECT code FROM shop.promotion") == [("LATO",)]


GUEST = (
    "INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, "
    "delivery_cost, ship_name, ship_street, ship_postcode, ship_city, ship_country, ship_phone, note, created_at) VALUES "
    "(23, 'A4', 0, 'Ola.Gosc@example.com', 'DONE', 10, 'PLN', 'BLIK', 'INPOST', 0, 'Ola Gościnna', 'Cicha 11', '00-001', "
    "'Warszawa', 'PL', '601234569', 'dla Oli', '2020-01-01')",
    "INSERT INTO order_items (id, order_id, sku, name, quantity, unit_price, vat_rate, line_total) VALUES "
    "(33, 23, 'S', 'Rzecz', 1, 10, 23, 10)",
    "INSERT INTO consents (id, customer_id, email, channel, granted, granted_at, wording) VALUES "
    "(10, 0, 'ola.gosc@example.com', 'email', 'T', '2019-01-01', 'v1')",
)


def test_a_guest_is_erased_by_the_rows_that_are_theirs(moved: Pair) -> None:
    moved.write(*GUEST)
    moved.sync()
    found = {
        s: person.find(c, person.load(ROUTE), s, "ola.gosc@example.com")
        for s, c in (("legacy", moved.legacy), ("shop", moved.shop))
    }
    assert [[a.key for a in found[s]] for s in ("legacy", "shop")] == [
        ["consents/10", "orders/23"],
        ["customer_order/23"],
    ]
    words = "ola.gosc@example.com", "601234569", "Cicha 11", "dla Oli", "Gościnna"
    assert len(count_places(moved, *words)) > 5
    before = count_places(moved, "jan.kot@example.com", *EWA)
    for _ in erase(moved, open_erasure(moved, "legacy", "consents/10", "orders/23")):
        pass
    assert count_places(moved, *words) == {}
    assert count_places(moved, "jan.kot@example.com", *EWA) == before
    moved.check()
    assert moved.ask("SELECT total FROM shop.customer_order WHERE id = 23") == [(10,)]


def test_values_that_are_no_texts_are_no_marks() -> None:
    table = mirror.MirrorTable("t", ("id",), (Column("id", "bigint", "bigint"), Column("words", "text", "text[]")))
    assert erased.mark_row({"id": 1, "words": ["a"]}, erased.list_texts(table), ["words"]) == frozenset()
    assert not erased.is_same(Erased("t", "1", frozenset({"m"}), None), ["words"], {"id": 1, "words": ["a"]})


def test_an_old_backup_of_legacy_brings_nobody_back_and_a_number_given_out_again_is_let_in(moved: Pair) -> None:
    old = moved.legacy.execute("SELECT * FROM customers WHERE id = 1").fetchall()[0]
    one = open_erasure(moved)
    for _ in erase(moved, one):
        pass
    columns = [c.name for c in moved.legacy.execute("SELECT * FROM customers LIMIT 0").description or ()]
    moved.legacy.execute("DELETE FROM customers WHERE id = 1")
    moved.legacy.execute(
        f"INSERT INTO customers ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})".encode(), old
    )
    moved.legacy.execute(
        "INSERT INTO addresses (id, customer_id, full_name, street, postcode, city, country, phone, deleted) VALUES "
        "(5, 1, 'Ewa Lisowska', 'Krótka 3', '00-001', 'Warszawa', 'PL', '601234567', 'N'), "
        "(6, 2, 'Jan Kotarski', 'Nowa 1', '00-001', 'Warszawa', 'PL', NULL, 'N')"
    )
    moved.sync()
    places = count_places(moved, *EWA)
    assert {p for p in places if p.startswith("shop")} == set()
    assert moved.ask("SELECT street FROM shop.customer_address WHERE legacy_address_id IN (5, 6)") == [("Nowa 1",)]
    backfill.resync(moved.stores, "test", moved.log.ends)
    assert {p for p in count_places(moved, *EWA) if p.startswith("shop")} == set()
    verification = moved.verify("contacts")  # legacy holds what it must not: that is told, and no repair carries it on
    told = {(d.layer, d.target) for d in verification.differences}
    assert told == {("mirror", t) for t in ("customers", "addresses")} | {
        ("check", f"legacy.{t}") for t in ("customers", "addresses")
    }
    repair.repair(moved.stores, "contacts", lambda: None, "test")
    assert {p for p in count_places(moved, *EWA) if p.startswith("shop")} == set()
    moved.legacy.execute(
        "INSERT INTO customers (id, email, full_name, newsletter, created_at) VALUES "
        "(77, 'ewa.lis@example.com', 'Ewa Lisowska', 'N', now())"
    )
    moved.sync()
    assert moved.ask("SELECT legacy_customer_id FROM shop.customer WHERE email = 'ewa.lis@example.com'") == [(77,)]
    noted = [len(erasures.load(conn, "demo", one.number)[one.number]) for conn in (moved.shop, moved.legacy)]
    assert noted[0] == noted[1] > 5


def test_an_old_event_of_a_former_key_or_of_who_had_the_value_before_brings_nothing_back(moved: Pair) -> None:
    """An account whose key was changed is erased; so is one whose number was another account's before."""
    moved.write("UPDATE customers SET id = 91 WHERE id = 1", "UPDATE customers SET phone = '601234567' WHERE id = 2")
    moved.write("UPDATE customers SET phone = '601234568' WHERE id = 2")
    for table in ("addresses", "consents", "orders", "loyalty_accounts", "loyalty_rewards"):
        moved.write(f"UPDATE {table} SET customer_id = 91 WHERE customer_id = 1")
    moved.sync()
    states = [row for row in moved.ask("SELECT id, phone FROM ferry.witness_customers WHERE phone = '601234567'")]
    assert {key for key, _ in states} == {1, 2, 91}
    one = open_erasure(moved, "legacy", "91")
    for _ in erase(moved, one):
        pass
    moved.log.again(1_000)
    moved.sync()
    assert count_places(moved, *EWA) == {}
    moved.check()
    assert moved.ask("SELECT phone FROM shop.customer") == [("+48601234568",)]
    # A backup of legacy of then: the other account is emptied of the number alone, and stays.
    moved.legacy.execute("UPDATE customers SET phone = '601234567' WHERE id = 2")
    moved.sync()
    assert {p for p in count_places(moved, *EWA) if p.startswith("shop")} == set()
    noted = {(row.relation, row.key): row for row in one.load_noted()}
    [plan] = [p for p in one.plans["legacy"] if p.relation == "legacy.customers"]
    with moved.legacy.transaction():
        assert erasing.erase_noted(moved.legacy, plan, noted) == 1
    left = moved.legacy.execute("SELECT full_name, phone FROM customers WHERE id = 2").fetchall()
    assert left == [("Jan Kotarski", None)]


def test_a_number_that_stands_by_chance_in_what_is_kept_stops_no_erasure(moved: Pair) -> None:
    """A short one that nobody can call is part of a company's tax number on an invoice, and so of the verdict on that."""
    moved.write(
        "UPDATE customers SET phone = '526000' WHERE id = 1",
        "INSERT INTO order_invoices (id, order_id, number, buyer_name, buyer_country, tax_number, total, currency, issued_at) "
        "VALUES (41, 22, 'F2', 'Kot sp. z o.o.', 'PL', '5260001246', 10, 'PLN', '2020-01-02')",
    )
    moved.sync()
    assert moved.ask("SELECT kind FROM ferry.standardized WHERE raw LIKE '%526000%' ORDER BY 1") == [
        ("phone",),
        ("phone_mark",),
        ("tax_number",),
    ]
    for _ in erase(moved, open_erasure(moved)):
        pass
    assert moved.ask("SELECT kind FROM ferry.standardized WHERE raw LIKE '%526000%'") == [("tax_number",)]


def test_files_that_wait_for_a_recipient_lose_the_person_and_nobody_else(
    moved: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "data_dir", lambda: tmp_path)
    folder = tmp_path / "exports" / "list"
    folder.mkdir(parents=True)
    people = ["ewa.lis@example.com", "jan.kot@example.com"]
    profiles = [{"type": "profile", "attributes": {"email": e, "topics": ["a"]}} for e in people]
    (folder / "1.json").write_text(json.dumps({"data": {"profiles": {"data": profiles}}}))
    (folder / "2.csv").write_text("email,name\r\n" + "".join(f"{e.upper()},Anna\r\n" for e in people))
    (folder / "3.jsonl").write_text("".join(json.dumps({"email": e}) + "\n" for e in people))
    for _ in erase(moved, open_erasure(moved)):
        pass
    assert json.loads((folder / "1.json").read_text()) == {"data": {"profiles": {"data": profiles[1:]}}}
    assert (folder / "2.csv").read_bytes() == b"email,name\r\nJAN.KOT@EXAMPLE.COM,Anna\r\n"
    assert (folder / "3.jsonl").read_text() == json.dumps({"email": people[1]}) + "\n"
