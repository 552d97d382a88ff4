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
from shopferry.privacy import erasure, export, person, reception, restored, search
from shopferry.privacy.erasure import Erasure
from shopferry.settings import Settings
from test_export import unlock

MakeDb = Callable[..., str]

# Everything of account 8, which has orders 7 and 47, and of order 12, a guest's.
PLANTED = (
    "UPDATE auth_user SET first_name = 'Ewelina', last_name = 'Różańska', email = 'Ewelina.R@Example.com' WHERE id = 8",
    "UPDATE address_useraddress SET title = 'Doktor', first_name = 'Ewelina', last_name = 'Różańska', line1 = 'ul. Jaśminowa 3', "
    "phone_number = '+48 601 234 567', notes = 'furtka 4711', search_text = 'Ewelina ul. Jaśminowa 3' WHERE user_id = 8",
    "UPDATE order_shippingaddress SET title = 'Doktor', first_name = 'Ewelina', last_name = 'Różańska', line1 = 'ul. Jaśminowa 3', "
    "phone_number = '601234567', notes = 'furtka 4711', search_text = 'Ewelina ul. Jaśminowa 3' WHERE id IN (7, 47)",
    "UPDATE order_billingaddress SET first_name = 'Ewelina', last_name = 'Różańska', line1 = 'ul. Jaśminowa 5', "
    "search_text = 'Ewelina ul. Jaśminowa 5' WHERE id IN (7, 47)",
    "UPDATE order_ordernote SET message = 'dzwoniła pani Ewelina' WHERE order_id = 7",
    "UPDATE order_shippingevent SET notes = 'PACZKA0815' WHERE order_id = 7",
    "UPDATE order_order SET guest_email = 'Ola.Gosc@Example.com' WHERE id = 12",
    "UPDATE order_shippingaddress SET first_name = 'Olimpia', line1 = 'ul. Cicha 11', phone_number = '601234569' WHERE id = 12",
    "UPDATE order_billingaddress SET first_name = 'Olimpia', line1 = 'ul. Cicha 11' WHERE id = 12",
    "UPDATE order_ordernote SET message = 'dla pani Olimpii' WHERE order_id = 12",
)
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
        pair.write(*PLANTED)
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


def erase(oscar: Pair, typed: str, store: str = "legacy", back: Pair | None = None, despite: str | None = None) -> Erasure:
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
        "shop.customer",
        "shop.customer_address",
        "shop.auth_identity",
        "shop.provider_identity",
        "shop.fulfillment_label",
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
    assert oscar.ask("SELECT row_key, reason FROM ferry.left_out WHERE row_key = '8' AND entity = 'public.customer'") == [
        ("8", "soft_deleted")
    ]
    assert oscar.legacy.execute("SELECT email, first_name, password, is_active FROM auth_user WHERE id = 8").fetchall() == [
        ("", "", "!", False)
    ]
    assert {r[0] for r in oscar.ask("SELECT country_code FROM order_address")} == {"pl"}
