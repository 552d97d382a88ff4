"""The data map over the real catalogues: every column of both demo stores and of our own tables has exactly one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from own_shop import write_route
from pair import ROUTE, Pair
from shopferry import assess, cli, db
from shopferry.assess import readiness
from shopferry.engine import mirror
from shopferry.privacy import columns
from shopferry.route import personal
from shopferry.route.route import Route
from shopferry.settings import Settings

MAP = personal.load(ROUTE)
LEGACY = """
CREATE TABLE people (id bigint PRIMARY KEY, "eMail" text, full_name text, phone text, street text, "zip" text, remarks text,
                     shoe text, unread text);
INSERT INTO people VALUES (1, 'a@example.com', 'Jan');
"""
SHOP = """CREATE SCHEMA new; CREATE TABLE new.person (id bigint PRIMARY KEY, email text, name text, phone text, street text,
                                                    postcode text, remarks text, shoe text)"""
MAPPING = """-- entity: new.person
-- key: id
-- scope: id
-- source: legacy.people(id)
SELECT p.id, p."eMail" AS email, p.full_name AS name, p.phone, p.street, p."zip" AS postcode, p.remarks, p.shoe,
       '{}'::text[] AS problems FROM affected a JOIN legacy.people p ON p.id = a.key
"""


def everything(pair: Pair, schemas: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """All columns that information_schema knows of these schemas of the new shop."""
    rows = pair.shop.execute(
        "SELECT table_schema, table_name, column_name FROM information_schema.columns JOIN information_schema.tables "
        "USING (table_schema, table_name) WHERE table_schema = ANY(%s) AND table_type = 'BASE TABLE'",
        (list(schemas),),
    ).fetchall()
    return [(str(s), str(t), str(c)) for s, t, c in rows]


def test_every_column_of_both_demo_stores_is_classified(pair: Pair) -> None:
    captured = [("legacy", t.name, c) for t in mirror.load(pair.shop).values() for c in t.names]
    shop = everything(pair, ("shop",))
    assert len(captured) > 60 and len(shop) > 90
    assert columns.find_unnamed(MAP, captured + shop) == []
    there = columns.read_all(pair.legacy, pair.shop, ROUTE)
    filled = [name for name in shop if f"{name[0]}.{name[1]}" in ROUTE.entities]
    assert set(captured) | set(filled) == set(columns.list_needed(mirror.load(pair.shop), ROUTE, there))
    assert columns.find_faults(MAP, there) == []


def test_every_column_of_our_own_tables_is_classified(pair: Pair) -> None:
    ours = columns.load_ours()
    # A witness holds columns of legacy, as the mirror does, each with its line there.
    own = [name for name in everything(pair, ("ferry",)) if not name[1].startswith("witness_")]
    there = [*own, *columns.read_columns(pair.legacy, ["shopferry"])]
    assert len(there) > 150
    assert columns.find_unnamed(ours, there) == []
    assert columns.find_faults(ours, there) == []


@pytest.mark.fresh
def test_a_new_column_has_no_line(pair: Pair) -> None:
    pair.shop.execute(
        "ALTER TABLE shop.customer ADD COLUMN nickname text; ALTER TABLE ferry.phase ADD COLUMN boss text"
    )
    assert columns.find_unnamed(MAP, everything(pair, ("shop",))) == [("shop", "customer", "nickname")]
    assert ("ferry", "phase", "boss") in columns.find_unnamed(columns.load_ours(), everything(pair, ("ferry",)))
    less = replace(MAP, lines=tuple(line for line in MAP.lines if line.written != "legacy.customers.phone"))
    captured = [("legacy", "customers", c) for c in mirror.load(pair.shop)["customers"].names]
    assert columns.find_unnamed(less, captured) == [("legacy", "customers", "phone")]


@pytest.fixture
def own(make_db: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Settings, Path]:
    """Two stores of one's own with a mapping, nothing installed and no data map; and where that belongs."""
    write_route(tmp_path, {"all/person.sql": MAPPING, "signed_off.txt": "people.unread -- no use\n"})
    settings = Settings(make_db("legacy"), make_db("shop"), "127.0.0.1:1", "own")
    for name in ("ROUTE", "KAFKA", "ROUTES", "LEGACY_DSN", "SHOP_DSN", "DATA"):
        value = {
            "ROUTE": "own",
            "KAFKA": settings.kafka,
            "LEGACY_DSN": settings.source_dsn,
            "SHOP_DSN": settings.target_dsn,
        }
        monkeypatch.setenv(f"SHOPFERRY_{name}", value.get(name, str(tmp_path)))
    monkeypatch.setattr(readiness, "check_broker", lambda settings: iter(()))
    for dsn, text in ((settings.source_dsn, LEGACY), (settings.target_dsn, SHOP)):
        with db.connect(dsn, "test") as conn:
            conn.execute(text.encode())
    return settings, tmp_path / "own" / personal.FILE


def blocking(settings: Settings) -> list[tuple[str, str]]:
    return [(f.subject, f.text) for f in assess.find_obstacles(settings) if f.blocking]


def test_the_way_from_no_data_map_to_a_phase(
    own: tuple[Settings, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, file = own
    (found,) = [f for f in assess.find_obstacles(settings) if f.blocking]
    assert (found.subject, found.count, found.text) == (
        personal.FILE,
        16,
        "columns without a line: the route has no such file",
    )
    assert "shopferry privacy draft" in found.remedy
    assert cli.main(["phase", "run", "all", "--without-rehearsal", "Anna"]) == 1
    assert "BLOCKING personal.txt: 16 columns without a line" in capsys.readouterr().err

    file.touch()  # as the shell does before the draft is written into it
    assert cli.main(["privacy", "draft"]) == 0
    draft = capsys.readouterr().out
    file.write_text(draft)
    ((subject, text),) = blocking(settings)
    assert subject == "mappings" and f"own/{personal.FILE}:4: " in text and "is the draft's guess" in text

    file.write_text(draft.replace("?", ""))
    assert blocking(settings) == []
    said = {line.written: line.category.value for line in personal.load(Route.load("own")).lines}
    assert said == {
        "legacy.people.id": "key",
        'legacy.people."eMail"': "contact",
        "legacy.people.full_name": "identity",
        "legacy.people.phone": "contact",
        "legacy.people.street": "address",
        "legacy.people.zip": "address",
        "legacy.people.remarks": "free text",
        "legacy.people.shoe": "none",
        "new.person.id": "key",
        "new.person.email": "contact",
        "new.person.name": "identity",
        "new.person.phone": "contact",
        "new.person.street": "address",
        "new.person.postcode": "address",
        "new.person.remarks": "free text",
        "new.person.shoe": "none",
    }

    with db.connect(settings.target_dsn, "test") as shop:
        shop.execute("ALTER TABLE new.person ADD COLUMN card_number text")
    assert blocking(settings) == [("new shop new.person", "columns that personal.txt does not name: card_number")]
    assert cli.main(["privacy", "draft"]) == 0
    more = capsys.readouterr().out
    assert [line.partition(" -- ")[0] for line in more.splitlines() if line] == ["payment", "new.person.card_number"]


def test_lines_that_do_not_fit_the_stores_block_by_their_number(own: tuple[Settings, Path]) -> None:
    settings, file = own
    file.write_text("legacy.*.* -- none\nnew.*.* -- none\nnew.person.shoes -- none\nnew.person.email -- key\n")
    assert blocking(settings) == [
        ("personal.txt:3", "new.person.shoes: there is no such column"),
        ("personal.txt:4", "new.person.email is what personal.txt:2 is about already"),
        ("legacy people.eMail", "values look like e-mail addresses, in a column that personal.txt calls none"),
    ]
