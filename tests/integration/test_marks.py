"""Keyed marks: what they are, that nothing begins without their key, and that another key is noticed."""

from __future__ import annotations

import hashlib
import hmac
import os
import shutil
import threading
from pathlib import Path

import pytest
from pair import Pair, read_dsn
from shopferry import installation, phase_steps
from shopferry.cdc.flow import Flow
from shopferry.control import mark_key
from shopferry.engine import backfill, marks
from shopferry.engine.pair import Stores, open_stores
from shopferry.errors import ConfigError
from shopferry.route.route import Route
from shopferry.settings import SQL_ROOT, Settings
from shopferry.stack import state

KEY = os.environ["SHOPFERRY_MARK_KEY"]
OTHER = "another key, as long as it has to be"


@pytest.fixture
def marked(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The demo's route with marks of e-mails and phones, installed in a pair of stores."""
    shutil.copytree(SQL_ROOT / "demo", tmp_path / "routes" / "demo")
    file = tmp_path / "routes" / "demo" / "contacts" / "customer.sql"
    asked = "-- standardize: email_mark legacy.customers (email)\n-- standardize: phone_mark legacy.customers (phone)\n"
    file.write_text(file.read_text().replace("-- standardize:", f"{asked}-- standardize:", 1))
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path / "routes"))
    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path))
    dsns = [read_dsn(conn) for conn in (pair.legacy, pair.shop)]
    for name, dsn in zip(("LEGACY", "SHOP"), dsns, strict=True):
        monkeypatch.setenv(f"SHOPFERRY_{name}_DSN", dsn)
    monkeypatch.setenv("SHOPFERRY_KAFKA", "127.0.0.1:1")
    installation.install(pair.legacy, pair.shop, Route.load("demo"))
    return Settings(*dsns, "127.0.0.1:1")


def test_a_mark_is_the_first_half_of_the_keyed_hash() -> None:
    whole = hmac.new(KEY.encode(), b"jan@example.com", hashlib.sha256).hexdigest()
    assert marks.make("jan@example.com") == whole[:32]


@pytest.mark.fresh
def test_each_value_of_a_column_gets_its_mark(pair: Pair, marked: Settings) -> None:
    pair.legacy.execute(
        "INSERT INTO customers (id, email, phone) VALUES (1, ' Ewa@X.pl', 'PL|brak'), (2, 'ewa@x.pl', NULL)"
    )
    stores = Stores(pair.legacy, pair.shop, Route.load("demo"))
    backfill.plan_copy(stores, "contacts")
    while backfill.copy_next(stores, "contacts", "test"):
        pass
    backfill.standardize(stores, "contacts")
    kept = pair.ask("SELECT kind, raw, value, problem FROM ferry.standardized WHERE kind LIKE '%\\_mark' ORDER BY 1, 2")
    ewa = marks.make("ewa@x.pl")
    assert sorted(kept) == [
        ("email_mark", " Ewa@X.pl", ewa, None),
        ("email_mark", "ewa@x.pl", ewa, None),
        ("phone_mark", "PL|brak", None, "phone_invalid"),
        ("phone_mark", "|PL|brak", None, "phone_invalid"),
    ]
    assert KEY not in str(pair.ask("SELECT * FROM ferry.mark_key"))


@pytest.mark.fresh
@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("", "SHOPFERRY_MARK_KEY is not set"),
        ("short", "SHOPFERRY_MARK_KEY has fewer than 32 characters"),
        (OTHER, "SHOPFERRY_MARK_KEY is not the key that the marks in ferry were made with"),
    ],
)
def test_nothing_begins_without_the_key(
    key: str, said: str, marked: Settings, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOPFERRY_MARK_KEY", key)
    with pytest.raises(ConfigError, match=said):
        phase_steps.run(marked, "contacts", "test", phase_steps.Options(), print)
    with pytest.raises(ConfigError, match=said):
        phase_steps.verify_phase(marked, "contacts")
    assert pair.ask("SELECT DISTINCT state, holder FROM ferry.phase") == [("new", None)]


@pytest.mark.fresh
def test_a_consumer_without_the_key_stops_and_says_so(
    pair: Pair, marked: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOPFERRY_MARK_KEY", OTHER)
    with pytest.raises(ConfigError, match="is not the key"):
        Flow(marked, threading.Event(), "test").run()
    assert "SHOPFERRY_MARK_KEY" in pair.one("SELECT stopped FROM ferry.consumer")


def test_a_route_without_marks_needs_no_key(pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOPFERRY_MARK_KEY")
    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path))
    plain = Route("plain", tuple(u for u in pair.route.units if u.name == "contacts/customer_account"), ("contacts",))
    marks.require_key(pair.shop, plain)


@pytest.mark.fresh
def test_an_emptied_fingerprint_takes_the_next_key(
    pair: Pair, marked: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.shop.execute("DELETE FROM ferry.mark_key")
    monkeypatch.setenv("SHOPFERRY_MARK_KEY", OTHER)
    with open_stores(marked, "install") as s:
        installation.install(s.source, s.target, s.route)
        assert mark_key.find(s.target) == marks.require_same(s.target)
    monkeypatch.setenv("SHOPFERRY_MARK_KEY", KEY)
    with pytest.raises(ConfigError), open_stores(marked, "look"):
        pass


def test_the_embedded_stack_makes_a_key_of_its_own_and_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path))
    monkeypatch.delenv("SHOPFERRY_MARK_KEY")
    first = state.prepare(None, running=False)["mark_key"]
    assert len(first) >= 32
    assert state.prepare(None, running=False)["mark_key"] == first
    monkeypatch.setenv("SHOPFERRY_MARK_KEY", OTHER)
    assert state.prepare(None, running=False)["mark_key"] == OTHER
