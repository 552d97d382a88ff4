"""The end of a move: dumps go or have a keeper, who was erased is known while a dump lives, names of staff have an end."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from own_shop import MakeDb
from shopferry import cli, db, phase_steps
from shopferry.backup import backup
from shopferry.control import erasures
from shopferry.control.erasures import Erased
from shopferry.cutover import finish as ending
from shopferry.cutover.close_out import Keeper
from shopferry.errors import GateError
from shopferry.privacy import retention
from shopferry.settings import Settings
from shopferry.stores import scratch
from test_retention import broker as broker  # the embedded one, without a topic
from test_retention import removed, write_file
from trips import make_stores

IN_A_YEAR = date.today() + timedelta(days=365)
Over = tuple[Settings, dict[str, Path]]


@pytest.fixture
def over(make_db: MakeDb, broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Over:
    """A small route that has moved for good: a dump of each store, a report, and a row in either ledger of erasures."""
    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path / "data"))
    settings = replace(make_stores(make_db, tmp_path / "routes", monkeypatch), kafka=broker)
    monkeypatch.setenv("SHOPFERRY_KAFKA", broker)
    phase_steps.install(settings)
    files = {store: Path(backup.take(settings, "Ewa", store).file) for store in ("legacy", "shop")}
    files["report"] = write_file(tmp_path / "data" / "reports" / "a.html", 0)
    for dsn, key in ((settings.target_dsn, "7"), (settings.source_dsn, "8")):
        with db.connect(dsn, "test") as conn:
            erasures.note(conn, "own", 1, [Erased("legacy.member", key, frozenset({"mark"}), None)])
    with db.connect(settings.target_dsn, "test") as shop:
        shop.execute("UPDATE ferry.route SET active = 'shop', changed_at = now() - interval '15 days'")
    return settings, files


def ask(settings: Settings, query: str) -> list[tuple[object, ...]]:
    with db.connect(settings.target_dsn, "test") as shop:
        return shop.execute(query.encode()).fetchall()


def test_without_a_keeper_all_dumps_go_and_so_does_the_ledger(over: Over) -> None:
    settings, files = over
    scrap = write_file(files["shop"].parent / "own-shop-20260101T000000000000.part", 0)
    done = ending.finish(settings, "own", "Anna", "Jan")
    assert [f.exists() for f in (files["legacy"], files["shop"], scrap, files["report"])] == [False, False, False, True]
    assert ask(settings, "SELECT to_regclass('shopferry_audit.erased')") == [(None,)]
    made = json.loads((done.file or Path()).read_text())
    assert made == done.certificate
    assert made["approved_by"] == "Anna, Jan"
    assert len(made["removed"]["backups"]) == 3
    assert {"schema ferry", "schema mirror", "schema legacy"} <= set(made["removed"]["new shop"])
    assert "publication shopferry_own" in made["removed"]["legacy"]
    stays = {s["what"]: s for s in made["stays"]}
    assert stays["1 reports"]["until"] == "365 days after each was made"
    assert stays["its own tables, which take writes again"]["until"].startswith("not said")
    assert "@example.com" not in json.dumps(made)
    assert ending.finish(settings, "own", "Anna", "Jan").certificate == done.certificate


def test_a_rehearsed_shop_that_is_kept_goes_with_the_end(over: Over) -> None:
    settings, _ = over
    with (
        scratch.create(settings.target_dsn, scratch.name_scratch("own", "rehearsal_shop")) as dsn,
        db.connect(dsn, "t") as kept,
    ):
        scratch.keep(kept, datetime.now(UTC) + timedelta(hours=24))
    done = ending.finish(settings, "own", "Anna", "Jan")
    assert "scratch database shopferry_own_rehearsal_shop" in done.certificate["removed"]["new shop"]
    assert ask(settings, "SELECT FROM pg_database WHERE datname = 'shopferry_own_rehearsal_shop'") == []


def test_a_keeper_has_the_dumps_and_the_ledger_until_the_day_that_was_said(
    over: tuple[Settings, dict[str, Path]],
) -> None:
    settings, files = over
    with pytest.raises(GateError, match=r"Ola shall keep the dumps until 2020-01-01, which is over"):
        ending.finish(settings, "own", "Anna", "Jan", keeper=Keeper("Ola", date(2020, 1, 1)))
    keeper = Keeper("Ola", IN_A_YEAR)
    done = ending.finish(settings, "own", "Anna", "Jan", keeper=keeper)
    assert files["legacy"].exists() and files["shop"].exists()
    kept = [s for s in done.certificate["stays"] if s["kept_by"]]
    assert [(s["where"], s["until"], s["kept_by"]) for s in kept] == [
        (str(files[store]), f"{IN_A_YEAR}", "Ola") for store in ("legacy", "shop")
    ]
    assert ask(settings, "SELECT key, marks FROM shopferry_audit.erased ORDER BY 1") == [
        ("7", ["mark"]),
        ("8", ["mark"]),
    ]
    assert any(
        "ledger of erasures" in str(s["what"]) and s["until"] == f"{IN_A_YEAR}" for s in done.certificate["stays"]
    )

    during = datetime.now(UTC) + timedelta(days=300)
    assert not removed(retention.sweep(settings, during)) and files["shop"].exists()
    after = keeper.end + timedelta(days=1)
    assert {h.place for h in retention.sweep(settings, after, dry=True).due} == {
        "backups",
        "ledger of erasures",
        "reports",
    }
    swept = retention.sweep(settings, after)
    assert removed(swept) == {"backups": 2, "ledger of erasures": 2, "reports": 2} and swept.past == []
    assert not files["legacy"].exists() and not files["shop"].exists()
    assert ask(settings, "SELECT FROM shopferry_audit.erased") == []


def test_names_of_staff_have_an_end_and_what_was_done_stays(over: Over) -> None:
    settings, _ = over
    ending.finish(settings, "own", "Anna Nowak", "Jan Lis")
    text = "SELECT count(*) FROM shopferry_audit.entry e WHERE e::text ~ 'Anna Nowak|Ewa'"
    entries = ask(settings, "SELECT what, count(*) FROM shopferry_audit.entry GROUP BY 1 ORDER BY 1")
    assert ask(settings, text) != [(0,)]
    before = datetime.now(UTC) + timedelta(days=3 * 365 - 1)
    assert "audit log" not in removed(retention.sweep(settings, before)) and ask(settings, text) != [(0,)]
    assert removed(retention.sweep(settings, before + timedelta(days=2)))["audit log"] > 2
    assert ask(settings, text) == [(0,)]
    assert ask(settings, "SELECT what, count(*) FROM shopferry_audit.entry GROUP BY 1 ORDER BY 1") == entries
    assert not removed(retention.sweep(settings, before + timedelta(days=2)))


def test_what_the_teams_own_command_has_put_elsewhere_keeps_the_ledger(over: Over) -> None:
    settings, files = over
    with db.connect(settings.target_dsn, "test") as shop:
        shop.execute("UPDATE ferry.backup SET method = 'command' WHERE store = 'shop'")
    done = ending.finish(settings, "own", "Anna", "Jan")
    assert not files["shop"].exists()
    assert [s["where"] for s in done.certificate["stays"] if "whoever runs" in str(s["until"])] == [
        "where SHOPFERRY_BACKUP_COMMAND has put it"
    ]
    assert ask(settings, "SELECT count(*) FROM shopferry_audit.erased") == [(2,)]


def test_an_end_that_died_half_way_keeps_its_word(over: Over, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, files = over

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(ending, "_finish_legacy", die)
        ending.finish(settings, "own", "Anna", "Jan", keeper=Keeper("Ola", IN_A_YEAR))
    done = ending.finish(settings, "own", "Eve", "Adam")  # says nothing of the dumps
    assert files["shop"].exists() and done.certificate["approved_by"] == "Anna, Jan"
    assert "schema ferry" in done.certificate["removed"]["new shop"] and done.certificate["removed"]["legacy"]


def test_the_command_line(over: Over, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    settings, _ = over
    monkeypatch.setenv("SHOPFERRY_LEGACY_DSN", settings.source_dsn)
    monkeypatch.setenv("SHOPFERRY_SHOP_DSN", settings.target_dsn)
    words = ["finish", "own", "--approved-by", "Anna", "Jan"]
    assert cli.main([*words, "--keep-dumps", "Ola"]) == 1
    assert "--keep-dumps and --until go together" in capsys.readouterr().err
    assert cli.main([*words, "--keep-dumps", "Ola", "--until", f"{IN_A_YEAR}", "--json"]) == 0
    said = capsys.readouterr()
    assert {s["kept_by"] for s in json.loads(said.out)["stays"]} == {None, "Ola"}
    assert "close-out certificate: " in said.err
