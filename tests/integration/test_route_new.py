"""`route new` on stores that are in no other test: uuid keys, names with capitals, another schema; up to a green rehearsal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from own_shop import MakeDb
from pair import connect
from shopferry import cli
from shopferry.assess.findings import Severity
from shopferry.authoring import checking, new_route, tryout
from shopferry.errors import ConfigError
from shopferry.rehearsal import rehearsal
from shopferry.rehearsal.rehearsal import Form
from shopferry.route.route import Route
from shopferry.settings import Settings

LEGACY = """
CREATE SCHEMA sales;
CREATE TABLE sales."Customers" ("Id" uuid PRIMARY KEY DEFAULT gen_random_uuid(), "eMail" text, "fullName" text, "shoeSize" text,
    "createdAt" timestamp);
CREATE TABLE orders (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "customerId" uuid REFERENCES sales."Customers", total numeric,
    state varchar(20), "placedAt" timestamptz, "isGift" smallint);
CREATE TABLE order_items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id uuid REFERENCES orders, title text,
    quantity text);
CREATE TABLE "Audit" (what text);
INSERT INTO sales."Customers" ("eMail", "fullName", "createdAt")
SELECT 'p' || i || '@example.com', 'Person ' || i, '2020-01-01' FROM generate_series(1, 30) i;
INSERT INTO sales."Customers" ("eMail", "fullName") VALUES ('nonsense', 'Nobody');
INSERT INTO orders ("customerId", total, state, "placedAt", "isGift")
SELECT "Id", 10, 'paid', now(), 1 FROM sales."Customers" WHERE "fullName" <> 'Nobody';
INSERT INTO orders (total, state) VALUES (1, 'lost');
INSERT INTO order_items (order_id, title, quantity) SELECT id, 'Thing', '3' FROM orders WHERE state = 'paid';
INSERT INTO order_items (order_id, title, quantity) SELECT id, 'Odd', 'three' FROM orders WHERE state = 'paid' LIMIT 1;
"""
SHOP = """
CREATE SCHEMA app;
CREATE TYPE app.order_state AS ENUM ('new', 'paid');
CREATE TABLE app.client (id uuid PRIMARY KEY, email varchar(120) NOT NULL UNIQUE, full_name text, created_at timestamptz,
    tier text NOT NULL DEFAULT 'basic');
CREATE TABLE app."order" (id uuid PRIMARY KEY, client_id uuid NOT NULL REFERENCES app.client DEFERRABLE INITIALLY DEFERRED,
    total numeric NOT NULL, state app.order_state, placed_at timestamptz NOT NULL, is_gift boolean, "channelName" text);
CREATE TABLE app.order_line (id uuid PRIMARY KEY, order_id uuid NOT NULL REFERENCES app."order" DEFERRABLE INITIALLY DEFERRED,
    title text NOT NULL, quantity integer, legacy_id bigint);
CREATE TABLE app."Pages" (id bigint PRIMARY KEY);
CREATE INDEX ON app.order_line (order_id);
"""


@pytest.fixture
def stores(make_db: MakeDb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Two stores and no route."""
    settings = Settings(make_db("legacy"), make_db("shop"), "127.0.0.1:1", "mine")
    with connect(settings.source_dsn) as legacy, connect(settings.target_dsn) as shop:
        legacy.execute(LEGACY.encode())
        shop.execute(SHOP.encode())
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path))
    return settings


def draft(stores: Settings) -> new_route.Drafted:
    """Draft the route once more."""
    return new_route.draft("mine", stores.source_dsn, stores.target_dsn)


def rename(stores: Settings, folder: Path) -> None:
    """Run the draft's script in legacy, as its owner would."""
    with connect(stores.source_dsn) as legacy:
        legacy.execute((folder / "mine" / "legacy-names.sql").read_bytes())


def confirm(folder: Path) -> None:
    """Confirm every guess of the lists, and sign off what nobody reads, as a person would."""
    for name, change in (
        ("personal.txt", lambda text: re.sub(r"\?(?=;|$)", "", text, flags=re.MULTILINE)),
        ("signed_off.txt", lambda text: re.sub(r"^# (.*) -- $", r"\1 -- not needed", text, flags=re.MULTILINE)),
    ):
        file = folder / "mine" / name
        file.write_text(change(file.read_text()))


def test_a_draft_loads_and_its_check_finds_no_error_of_its_own(stores: Settings, tmp_path: Path) -> None:
    made = draft(stores)
    assert any('sales."Customers"' in s and "legacy-names.sql" in s for s in made.open), made.open
    assert any("Pages" in s and "capitals" in s for s in made.open)
    found = checking.check(stores)
    assert not [f for f in found if f.severity is Severity.BLOCKING], found
    told = " ".join(f.text for f in found)
    assert 'table sales."Customers"' in told
    assert 'table "Audit"' in told
    assert Route.load("mine").shop_schema == "app"


def test_with_names_mended_it_is_drafted_as_a_whole_and_what_was_changed_stays(
    stores: Settings, tmp_path: Path
) -> None:
    draft(stores)
    own = tmp_path / "mine" / "route.toml"
    own.write_text(own.read_text() + "# mine\n")
    rename(stores, tmp_path)
    with connect(stores.source_dsn) as legacy:  # legacy's application goes on
        legacy.execute('INSERT INTO sales."Customers" ("Id", "eMail") VALUES (gen_random_uuid(), \'new@example.com\')')
    made = draft(stores)
    assert made.mappings == 3
    assert "route.toml" not in made.files
    assert "# mine" in own.read_text()
    order = (tmp_path / "mine/orders/order.sql").read_text()
    assert "LEFT JOIN app.client p1" in order
    assert "'client_missing'" in order
    assert "-- sure: name and type are the same" in order
    client = (tmp_path / "mine/contacts/client.sql").read_text()
    assert '-- standardize: email legacy.customers ("eMail")' in client
    assert "Nobody reads, see signed_off.txt: shoeSize" in client
    assert '# customers."shoeSize" -- ' in (tmp_path / "mine/signed_off.txt").read_text()
    assert not [f for f in checking.check(stores) if f.severity is Severity.BLOCKING]


@pytest.mark.parametrize("name", ["Order", "order"])
def test_a_table_whose_name_sql_reserves_is_drafted(stores: Settings, tmp_path: Path, name: str) -> None:
    with connect(stores.source_dsn) as legacy:
        legacy.execute(f'ALTER TABLE orders RENAME TO "{name}"'.encode())
    draft(stores)
    rename(stores, tmp_path)
    assert draft(stores).mappings == 3
    assert not [f for f in checking.check(stores) if f.severity is Severity.BLOCKING]


def test_a_kind_that_is_none_is_named_with_those_that_there_are(stores: Settings, tmp_path: Path) -> None:
    draft(stores)
    rename(stores, tmp_path)
    draft(stores)
    file = tmp_path / "mine/contacts/client.sql"
    file.write_text(file.read_text().replace("standardize: email ", "standardize: telephone "))
    [found] = [f for f in checking.check(stores) if f.severity is Severity.BLOCKING]
    told = " ".join((found.subject, found.text, found.consequence, found.remedy))
    assert "client.sql:" in told and "'telephone' is none of country, currency" in told


def test_a_drafted_mapping_can_be_tried_at_once(stores: Settings, tmp_path: Path) -> None:
    draft(stores)
    rename(stores, tmp_path)
    draft(stores)
    orders = tryout.try_mapping(stores, tryout.Wanted("order"))
    assert orders.rows == 30
    assert orders.reasons == {"client_missing": 1, "state_unknown": 1, "placed_at_missing": 1}
    lines = tryout.try_mapping(stores, tryout.Wanted("order_line"))
    assert (lines.rows, lines.reasons) == (30, {"quantity_invalid": 1})
    assert tryout.try_mapping(stores, tryout.Wanted("client")).reasons == {"email_invalid": 1}


def test_from_a_draft_to_a_green_rehearsal(stores: Settings, tmp_path: Path) -> None:
    draft(stores)
    rename(stores, tmp_path)
    draft(stores)
    confirm(tmp_path)
    assert [f for f in checking.check(stores) if f.severity is not Severity.NOTE] == []
    done = rehearsal.rehearse(stores, "Ada", Form(customers=20))
    assert done.green, done
    assert sum(p["rows"] for p in done.phases) > 50


def test_the_verb_says_what_it_wrote_and_what_is_open(
    stores: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["route", "new", "mine", "--legacy", stores.source_dsn, "--shop", stores.target_dsn]
    assert cli.main(line) == 0
    out = capsys.readouterr().out
    assert f"wrote {tmp_path}/mine/orders/order.sql" in out
    assert "open: " in out
    assert "secret" not in "".join(f.read_text() for f in (tmp_path / "mine").rglob("*.toml"))


def test_a_wrong_name_and_an_empty_shop_get_one_clear_error(stores: Settings, make_db: MakeDb) -> None:
    with pytest.raises(ConfigError, match="in small letters"):
        new_route.draft("Mine!", stores.source_dsn, stores.target_dsn)
    with pytest.raises(ConfigError, match="has no table"):
        new_route.draft("mine", stores.source_dsn, make_db("empty"))
