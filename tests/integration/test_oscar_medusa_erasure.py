"""Requests of people on the route oscar-medusa: who asks is told all of theirs, or is erased, in whichever store is open."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import turns
from oscar_medusa import BORN, NAMES, prepare, require_clean
from pair import Pair, connect, read_dsn
from psycopg.sql import SQL, Identifier
from shopferry.control import requests
from shopferry.control.requests import Opening
from shopferry.db import Connection
from shopferry.engine import backfill
from shopferry.errors import PhaseError
from shopferry.privacy import erasure, export, person, reception, restored, roles, search
from shopferry.privacy.erasing import Erasure
from shopferry.settings import Settings
from shopferry.verify.repair import repair
from test_export import unlock

MakeDb = Callable[..., str]

# Everything of account 8, which has orders 7 and 47, and of order 12, a guest's.
PLANTED = (
    "UPDATE auth_user SET first_name = 'Ewelina', last_name = 'Różańska', email = 'Ewelina.R@Example.com' WHERE id = 8",
    "UPDATE address_useraddress SET title = 'Doktor', first_name = 'Ewelina', last_name = 'Różańska', line1 = 'ul. Jaśminowa 3', "
    "phone_number = '+48 601 234 567', notes = 'furtka 4711', search_text = 'Ewelina ul. Jaśminowa 3' WHERE user_id = 8",
    "UPDATE order_shippingaddress SET title = 'Doktor', first_name = 'Ewelina', last_name = 'Różańska', "
    "line1 = 'ul. Jaśminowa 3', phone_number = '601234567', notes = 'furtka 4711', "
    "search_text = 'Ewelina ul. Jaśminowa 3' WHERE id IN (7, 47)",
    "UPDATE order_billingaddress SET first_name = 'Ewelina', last_name = 'Różańska', line1 = 'ul. Jaśminowa 5', "
    "search_text = 'Ewelina ul. Jaśminowa 5' WHERE id IN (7, 47)",
    "UPDATE order_ordernote SET message = 'dzwoniła pani Ewelina' WHERE order_id = 7",
    "UPDATE order_shippingevent SET notes = 'PACZKA0815' WHERE order_id = 7",
    "UPDATE order_order SET guest_email = 'Ola.Gosc@Example.com' WHERE id = 12",
    "UPDATE order_shippingaddress SET first_name = 'Olimpia', line1 = 'ul. Cicha 11', phone_number = '601234569' WHERE id = 12",
    "UPDATE order_billingaddress SET first_name = 'Olimpia', line1 = 'ul. Cicha 11' WHERE id = 12",
    "UPDATE order_ordernote SET message = 'dla pani Olimpii' WHERE order_id = 12",
)
# What stands of them in tables that no mapping reads.
BESIDE = (
    "INSERT INTO communication_email (id, subject, body_text, body_html, date_sent, user_id, email) VALUES "
    "(1, 'Zamówienie', 'Dzień dobry, Ewelina', '', now(), 8, NULL), "
    "(2, 'Zamówienie', '', '', now(), NULL, 'ola.gosc@example.com'), "
    "(3, 'Zamówienie', '', '', now(), 9, 'klient9@example.com')",
    "INSERT INTO communication_notification (id, subject, body, location, date_sent, recipient_id) VALUES "
    "(1, 'Kubek', 'Ewelina, jest', 'Inbox', now(), 8), (2, 'Kubek', 'jest', 'Inbox', now(), 9)",
    "INSERT INTO customer_productalert (id, email, key, status, date_created, product_id, user_id) VALUES "
    "(1, '', '', 'Active', now(), 1, 8), (2, 'Ola.Gosc@example.com', 'k', 'Active', now(), 1, NULL), "
    "(3, '', '', 'Active', now(), 1, 9)",
    "INSERT INTO reviews_productreview (id, score, title, body, name, email, homepage, status, total_votes, delta_votes, "
    "date_created, user_id) VALUES (1, 5, 'Dobry', 'Polecam', 'Ewelina', 'ewelina.r@example.com', '', 1, 0, 0, now(), 8)",
    "INSERT INTO payment_bankcard (id, card_type, name, number, expiry_date, partner_reference, user_id) VALUES "
    "(1, 'Visa', 'EWELINA R', 'XXXX-1111', '2030-01-01', '', 8), (2, 'Visa', '', 'XXXX-1111', '2030-01-01', '', 9)",
)
CARTS = """
INSERT INTO cart_address (id, first_name, address_1, phone) VALUES ('a1', 'Ewelina', 'ul. Jaśminowa 3', '601234567'),
    ('a2', 'Olimpia', 'ul. Cicha 11', NULL), ('a3', 'Jan', 'ul. Prosta 9', NULL);
INSERT INTO cart (id, currency_code, customer_id, email, shipping_address_id)
SELECT 'c1', 'pln', id, email, 'a1' FROM customer WHERE email = 'ewelina.r@example.com' UNION ALL
SELECT 'c2', 'pln', NULL, 'ola.gosc@example.com', 'a2' UNION ALL SELECT 'c3', 'pln', NULL, 'klient9@example.com', 'a3';
INSERT INTO notification (id, "to", channel, template, data) VALUES
    ('n1', 'Ewelina.R@example.com', 'email', 't', '{"name": "Ewelina"}'),
    ('n2', 'ola.gosc@example.com', 'email', 't', NULL), ('n3', 'klient9@example.com', 'email', 't', NULL);
INSERT INTO account_holder (id, provider_id, external_id, email) VALUES ('h1', 'stripe', 'x1', 'ewelina.r@example.com');
"""
EWELINA = (
    *("ewelina", "Różańska", "601234567", "601 234 567", "Jaśminowa", "furtka 4711", "Doktor", "PACZKA0815"),
    "klient8@",
)
GUEST = ("ola.gosc@example.com", "601234569", "Cicha 11", "Olimpi")


@pytest.fixture(autouse=True)
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the installation is given: the secret of ids, the key of marks, a data directory."""
    monkeypatch.setenv("SHOPFERRY_ID_SECRET", "a secret of tests")
    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path))


@pytest.fixture
def oscar(make_db: MakeDb) -> Iterator[Pair]:
    """A small Oscar with two people whose words are known, moved to Medusa."""
    dsns = make_db("oscar"), make_db("medusa")
    pair = Pair.open(*dsns, prepare(*dsns))
    pair.names = NAMES
    try:
        pair.write(*PLANTED, *BESIDE)
        pair.sync()
        pair.pass_phases()
        yield pair
    finally:
        pair.close_tap(pair.legacy)
        pair.close()


def find_settings(oscar: Pair) -> Settings:
    return Settings(read_dsn(oscar.legacy), read_dsn(oscar.shop), kafka="127.0.0.1:1", route="oscar-medusa")


def open_request(oscar: Pair, kind: str, typed: str, despite: str | None = None) -> int:
    """A granted request of who is found by this e-mail or number."""
    found = reception.find(oscar.stores, typed)
    keys = reception.read_keys([f"{a.store}:{a.key}" for a in found])
    number = reception.open_request(oscar.stores, Opening(kind, date(2026, 1, 2), "care", "passport"), keys)
    reception.grant(oscar.stores, number, "dpo", despite)
    return number


def erase(
    oscar: Pair, typed: str, store: str = "legacy", back: Pair | None = None, despite: str | None = None
) -> Erasure:
    """Erase who is found so, step by step, with the taps in the place of the broker."""
    number = open_request(oscar, "erasure", typed, despite)
    one = Erasure(find_settings(oscar), oscar.stores, number, person.load(oscar.route), store)
    requests.begin(oscar.shop, number)
    for name, step in erasure.STEPS.items():
        done: dict[str, Any] = {}
        if "await" in name:
            for flow in (oscar, back, oscar, back):
                if flow:
                    flow.sync()
        elif name != "trim the topics":
            done = step(one)
        requests.note_step(oscar.shop, number, name, done)
    requests.close(oscar.shop, number, {})
    return one


def count_places(oscar: Pair, *values: str) -> dict[str, int]:
    """Where any of these values stands, in a table of either store or of ours."""
    return {
        f"{store}: {place}": count
        for store, conn in (("legacy", oscar.legacy), ("shop", oscar.shop))
        for place, count in search.search_store(conn, values, lambda *_: False).items()
    }


def read_rows(oscar: Pair) -> dict[tuple[str, str], dict[str, Any]]:
    """Every row of both stores' own tables, by the ledger's name of the table and the key."""
    found = {}
    for store, conn in (("legacy", oscar.legacy), ("shop", oscar.shop)):
        for table, key in _list_keys(conn):
            name = SQL(" || '/' || ").join(SQL("t.{}::text").format(Identifier(k)) for k in key)
            rows = conn.execute(SQL("SELECT {}, to_jsonb(t) FROM {} t").format(name, Identifier("public", table)))
            found |= {(f"{store}.{table}", at): row for at, row in rows.fetchall()}
    return found


def _list_keys(conn: Connection) -> list[tuple[str, list[str]]]:
    return conn.execute(
        """SELECT c.relname, array_agg(a.attname::text ORDER BY array_position(i.indkey::int2[], a.attnum))
           FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid AND c.relnamespace = 'public'::regnamespace
           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY(i.indkey::int2[])
           WHERE i.indisprimary GROUP BY 1 ORDER BY 1"""
    ).fetchall()


def require_all_else(oscar: Pair, one: Erasure, before: Mapping[tuple[str, str], dict[str, Any]]) -> None:
    """No row but the person's has changed, none of an order's has gone, and no amount of theirs is another."""
    now = read_rows(oscar)
    theirs = {(row.relation, row.key) for row in one.load_noted()}
    changed = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
    assert changed <= theirs, sorted(changed - theirs)
    gone = {relation for relation, _ in before.keys() - now.keys()}
    assert gone <= {
        "legacy.address_useraddress",
        "legacy.communication_email",
        "legacy.communication_notification",
        "legacy.customer_productalert",
        "legacy.payment_bankcard",
        "shop.customer",
        "shop.customer_address",
        "shop.auth_identity",
        "shop.provider_identity",
        "shop.fulfillment_label",
        "shop.account_holder",
        "shop.notification",
    }
    amounts = ("total", "totals", "amount", "price", "quantity", "tax", "status", "number", "display_id", "difference")
    for name in changed & now.keys():
        for column, value in before[name].items():
            if any(word in column for word in amounts) and column != "phone_number":
                assert now[name][column] == value, (name, column)


def find_medusa_order(oscar: Pair, number: int) -> tuple[Any, ...]:
    """An order of Oscar as Medusa has it: customer, e-mail, state, total and what its metadata say."""
    [row] = oscar.ask(
        """SELECT o.customer_id, o.email, o.status::text, s.totals->>'current_order_total', o.metadata
           FROM "order" o JOIN order_summary s ON s.order_id = o.id WHERE (o.metadata->'legacy'->>'id')::integer = %s""",
        number,
    )
    return row


def test_an_account_is_erased_and_its_orders_stay(oscar: Pair) -> None:
    assert len(count_places(oscar, *EWELINA)) > 15
    totals = {n: find_medusa_order(oscar, n)[2:4] for n in (7, 47)}
    before, guest = read_rows(oscar), count_places(oscar, *GUEST)
    one = erase(oscar, "ewelina.r@example.com")
    assert count_places(oscar, *EWELINA) == {}
    assert count_places(oscar, *GUEST) == guest
    require_all_else(oscar, one, before)
    require_clean(oscar)
    oscar.check()
    for n in (7, 47):
        customer, email, *rest, metadata = find_medusa_order(oscar, n)
        assert (customer, email, tuple(rest)) == (None, None, totals[n])
        assert "of_nobody" in metadata["legacy"]["notes"]
    assert oscar.ask(
        "SELECT row_key, reason FROM ferry.left_out WHERE row_key = '8' AND entity = 'public.customer'"
    ) == [("8", "soft_deleted")]
    assert oscar.legacy.execute(
        "SELECT email, first_name, password, is_active FROM auth_user WHERE id = 8"
    ).fetchall() == [("", "", "!", False)]
    assert {r[0] for r in oscar.ask("SELECT country_code FROM order_address")} == {"pl"}
    review = oscar.legacy.execute("SELECT title, name, email, user_id FROM reviews_productreview").fetchall()
    assert review == [("Dobry", "", "", None)]
    for table, left in (("communication_email", [2, 3]), ("customer_productalert", [2, 3]), ("payment_bankcard", [2])):
        assert [r[0] for r in oscar.legacy.execute(f"SELECT id FROM {table} ORDER BY 1".encode())] == left


def test_a_guest_is_erased_by_the_orders_that_are_theirs(oscar: Pair) -> None:
    assert len(count_places(oscar, *GUEST)) > 8
    total = find_medusa_order(oscar, 12)[2:4]
    before, others = read_rows(oscar), count_places(oscar, *EWELINA)
    one = erase(oscar, "ola.gosc@example.com")
    assert one.persons["legacy"] == ["order_order/12"]
    assert [key.partition("/")[0] for key in one.persons["shop"]] == ["customer", "order"]
    assert count_places(oscar, *GUEST) == {}
    assert count_places(oscar, *EWELINA) == others
    require_all_else(oscar, one, before)
    require_clean(oscar)
    oscar.check()
    assert find_medusa_order(oscar, 12)[:4] == (None, None, *total)


def test_after_the_cutover_an_account_and_a_guest_are_erased_in_medusa_and_stay_so_after_a_rollback(
    oscar: Pair,
) -> None:
    orders = {n: find_medusa_order(oscar, n)[2:4] for n in (7, 47, 12)}
    with turns.armed(oscar) as back:
        turns.cut_over(oscar, back)
        with connect(read_dsn(oscar.shop)) as medusa:
            medusa.execute(CARTS.encode())
        for typed, words in (("601234567", EWELINA), ("ola.gosc@example.com", GUEST)):
            before = read_rows(oscar)
            one = erase(oscar, typed, "shop", back)
            assert count_places(oscar, *words) == {}
            require_all_else(oscar, one, before)
        for phase in back.route.phases:  # what never came to Medusa is extra
            assert [d for d in back.verify(phase).differences if d.kind != "extra"] == []
        assert back.ask("SELECT entity, row_key, reasons FROM ferry.quarantine") == []
        assert {n: find_medusa_order(oscar, n)[2:4] for n in orders} == orders
        assert oscar.ask("SELECT id, email FROM cart ORDER BY 1") == [
            ("c1", None),
            ("c2", None),
            ("c3", "klient9@example.com"),
        ]
        assert oscar.ask("SELECT id FROM notification UNION ALL SELECT id FROM account_holder") == [("n3",)]
        [(email, deleted)] = oscar.ask(
            "SELECT email, deleted_at IS NOT NULL FROM customer WHERE (metadata->'legacy'->>'id')::integer = 8"
        )
        assert (email, deleted) == (None, True)
        legacy = oscar.legacy.execute("SELECT id, email, is_active FROM auth_user WHERE id = 8").fetchall()
        assert legacy == [(8, "", False)]
        turns.roll_back(oscar, back)
    assert count_places(oscar, *EWELINA, *GUEST) == {}
    require_clean(oscar)
    oscar.check()
    for n, was in orders.items():
        customer, email, *rest = find_medusa_order(oscar, n)[:4]
        assert (customer, email, tuple(rest)) == (None, None, was)
    assert oscar.legacy.execute("SELECT user_id FROM order_order WHERE id IN (7, 47)").fetchall() == [(8,), (8,)]


def test_who_was_born_in_medusa_is_erased_there_and_in_oscar(oscar: Pair) -> None:
    words = ("nowa@example.com", "nowy.gosc@example.com", "Prostokątna")
    with turns.armed(oscar) as back:
        turns.cut_over(oscar, back)
        with connect(read_dsn(oscar.shop)) as medusa:
            medusa.execute(BORN.read_bytes().replace(b"Prosta", "Prostokątna".encode()))
        back.sync()
        oscar.sync()
        assert {p.partition(":")[0] for p in count_places(oscar, *words)} == {"legacy", "shop"}
        erase(oscar, "nowa@example.com", "shop", back, "she wants it now")
        erase(oscar, "nowy.gosc@example.com", "shop", back, "he wants it now")
        assert count_places(oscar, *words) == {}
        born = "SELECT number, total_incl_tax, guest_email FROM order_order WHERE number LIKE 'M-%' ORDER BY 1"
        assert [tuple(map(str, r)) for r in oscar.legacy.execute(born).fetchall()] == [
            ("M-200001", "92.00", ""),
            ("M-200002", "0.00", ""),
        ]
        turns.roll_back(oscar, back)
    for phase in oscar.route.phases:  # what hangs on what was born there gets new ids
        oscar.verify(phase)
        assert repair(oscar.stores, phase, oscar.sync, "test").remaining == []
    assert count_places(oscar, *words) == {}
    require_clean(oscar)


def test_an_order_under_way_is_in_the_way_in_either_store(oscar: Pair) -> None:
    oscar.write("UPDATE order_order SET status = 'Being processed' WHERE id = 47")
    oscar.sync()
    with pytest.raises(PhaseError, match="order 100047 is under way"):
        open_request(oscar, "erasure", "ewelina.r@example.com")
    oscar.shop.execute("UPDATE ferry.route SET active = 'shop'")
    with pytest.raises(PhaseError, match="order 100047 is under way"):
        open_request(oscar, "erasure", "ewelina.r@example.com")


def test_an_old_backup_of_oscar_brings_nobody_back(oscar: Pair) -> None:
    kept = {"auth_user": "id = 8", "order_shippingaddress": "id IN (7, 47)", "order_billingaddress": "id IN (7, 47)"}
    kept |= {"order_ordernote": "order_id = 7", "order_shippingevent": "order_id = 7", "order_order": "id = 12"}
    old = {
        table: [r[0] for r in oscar.legacy.execute(f"SELECT to_jsonb(t)::text FROM {table} t WHERE {which}".encode())]
        for table, which in kept.items()
    }
    erase(oscar, "ewelina.r@example.com")
    erase(oscar, "ola.gosc@example.com")
    for table, rows in old.items():
        names = [c.name for c in oscar.legacy.execute(f"SELECT * FROM {table} LIMIT 0".encode()).description or ()]
        for row in rows:
            oscar.legacy.execute(
                SQL(
                    "UPDATE {0} t SET ({1}) = (SELECT {1} FROM jsonb_populate_record(NULL::{0}, %s)) WHERE t.id = %s"
                ).format(Identifier(table), SQL(", ").join(map(Identifier, names))),
                (row, json.loads(row)["id"]),
            )
    oscar.sync()
    assert {p for p in count_places(oscar, *EWELINA, *GUEST) if p.startswith("shop")} == set()
    backfill.resync(oscar.stores, "test", oscar.log.ends)
    assert {p for p in count_places(oscar, *EWELINA, *GUEST) if p.startswith("shop")} == set()
    assert restored.reapply(find_settings(oscar))["legacy"] >= 7
    assert count_places(oscar, *EWELINA, "ola.gosc@example.com") == {}


def test_who_asks_is_told_all_of_theirs_and_nothing_of_others(oscar: Pair) -> None:
    made: list[tuple[Path, str]] = []
    for typed in ("ewelina.r@example.com", "ola.gosc@example.com"):
        export.run(
            find_settings(oscar), open_request(oscar, "access", typed), "care", lambda *given: made.append(given)
        )
    (ewelina, her_page), (guest, guests_page) = (unlock(*one) for one in made)
    hers, theirs = (json.dumps(d, ensure_ascii=False) for d in (ewelina, guest))
    assert [w for w in EWELINA[1:-1] if w not in hers or w not in her_page] == []
    assert [
        w for w in GUEST if w.casefold() not in theirs.casefold() or w not in guests_page.casefold() + guests_page
    ] == []
    assert [w for w in (*GUEST, "Nr 9", "klient", "pbkdf2") if w.casefold() in (hers + her_page).casefold()] == []
    assert [w for w in (*EWELINA, "Nr 9", "klient") if w.casefold() in (theirs + guests_page).casefold()] == []
    told = {(t["store"], t["table"]) for t in ewelina["data"]}
    assert {("legacy", "auth_user"), ("legacy", "order_ordernote"), ("legacy", "payment_transaction")} <= told
    assert {("shop", "customer"), ("shop", "order"), ("shop", "fulfillment_address"), ("shop", "capture")} <= told
    assert "order_billingaddress" in {t["table"] for t in guest["data"]}


def test_care_sees_one_customer_with_their_orders(oscar: Pair) -> None:
    key = oscar.one("SELECT id FROM customer WHERE email = 'ewelina.r@example.com'")
    try:
        roles.create(oscar.shop, oscar.route)
        seen = [
            oscar.one(f'SELECT count(*) FROM ferry_masked."{t}"(%s, %s)', key, "she calls")
            for t in ("customer", "order", "capture")
        ]
        assert seen == [1, 2, 2]
    finally:
        roles.drop(oscar.shop, oscar.route)
