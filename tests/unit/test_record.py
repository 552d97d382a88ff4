"""The record of processing: all that the data map says, by purpose and by kind of data, on one page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from own_shop import write_route
from shopferry import cli
from shopferry.pages import languages
from shopferry.privacy import record
from shopferry.privacy.record import Record
from shopferry.route.route import Route

MAPPING = "-- entity: shop.p\n-- key: id\n-- scope: id\n-- source: legacy.p(id)\nSELECT 1"
MAP = """
contact -- for contract, delivery; basis contract; keep account; erase null; see care
legacy.p.id   -- key
legacy.p.mail -- contact
legacy.p.tel  -- contact
legacy.p.gate -- contact; to the <carrier>; keep a week; erase constant -; see depot
legacy.p.more -- contact; keep a day; erase all but id, size
legacy.p.said -- contact; keep an hour; erase constant ''
shop.p.boss   -- contact; of staff; erase keep: who did it
shop.p.n      -- none
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_route(tmp_path, {"all/p.sql": MAPPING, "personal.txt": MAP})
    for name, value in {
        "ROUTES": str(tmp_path),
        "ROUTE": "own",
        "LEGACY_DSN": "-",
        "SHOP_DSN": "-",
        "KAFKA": "-",
    }.items():
        monkeypatch.setenv(f"SHOPFERRY_{name}", value)
    return tmp_path / "own"


def build() -> Record:
    return record.build(Route.load("own"))


def test_each_purpose_and_each_rule_says_what_holds(own: Path) -> None:
    made = build()
    assert [(a.purpose, a.people, a.recipients, a.periods) for a in made.activities] == [
        ("contract", ("customers", "staff"), ("the <carrier>",), ("account", "a week", "a day", "an hour")),
        ("delivery", ("customers", "staff"), ("the <carrier>",), ("account", "a week", "a day", "an hour")),
    ]
    assert [(r.columns, r.keep, r.erase, r.see) for r in made.rules] == [
        (("legacy.p.mail", "legacy.p.tel"), "account", "the value is removed", ("care",)),
        (("legacy.p.gate",), "a week", "the value is replaced by -", ("depot",)),
        (("legacy.p.more",), "a day", "all is removed but id, size", ("care",)),
        (("legacy.p.said",), "an hour", "the value is emptied", ("care",)),
        (("shop.p.boss",), "account", "kept: who did it", ("care",)),
    ]
    assert made.nobodys == 2
    assert any("ferry.standardized.raw" in rule.columns for rule in made.ours)


def test_its_mark_changes_with_what_the_map_says(own: Path) -> None:
    first = build().mark
    (own / "personal.txt").write_text(MAP + "# a remark\n")
    assert build().mark == first
    (own / "personal.txt").write_text(MAP.replace("keep a week", "keep a month"))
    assert build().mark != first


def test_the_page_needs_nothing_else_and_escapes_what_it_says(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = own / "record.html"
    assert cli.main(["privacy", "record", "--html", str(file)]) == 0
    page = file.read_text()
    assert "the &lt;carrier&gt;" in page and "<carrier>" not in page
    assert not re.search(r"(?:src|href)=|<script", page)
    assert "Nobody is named who answers for it" in page
    told = capsys.readouterr().out
    assert "delivery" in told and "shop.p.boss" in told
    (own / "route.toml").write_text('owner = "Ann"\ncontact = "ann@example.com"\n')
    assert cli.main(["privacy", "record", "--html", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["responsible"] == {"owner": "Ann", "contact": "ann@example.com"}
    assert "Ann answers for it" in file.read_text()


def test_every_column_of_the_demo_that_is_somebodys_is_on_its_page() -> None:
    made = record.build(Route.load("demo"))
    page = record.as_html(made, languages.load("en")).replace("<wbr>", "")
    columns = [column for rule in made.rules for column in rule.columns]
    assert len(columns) > 100 and len(set(columns)) == len(columns)
    assert [column for column in columns if column not in page] == []
