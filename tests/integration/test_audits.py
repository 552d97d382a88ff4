"""Audits on a real shop: what drifts is found at the next run, calm days are silent, and what is wrong is named."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from audited import drift, fill, write
from pair import ROUTE, Pair, read_dsn
from shopferry import cli
from shopferry.cdc import metrics
from shopferry.control import audits as books
from shopferry.control.audits import Counted
from shopferry.cutover import finish
from shopferry.errors import MappingError
from shopferry.insight import audits, quality
from shopferry.insight import run as runs
from shopferry.insight.audits import Audit
from shopferry.settings import SQL_ROOT

NOW = datetime(2026, 3, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
AUDITS = audits.load(ROUTE)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def shop(pair: Pair) -> Pair:
    """A shop of 2,000 customers whose phases are through."""
    fill(pair.shop, 2_000)
    pair.shop.execute("UPDATE ferry.phase SET state = 'verified'")
    return pair


@pytest.fixture
def run(shop: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run(*words)` is `shopferry audit …` on the shop: exit code, what it prints, what it complains of."""
    monkeypatch.setenv("SHOPFERRY_LEGACY_DSN", read_dsn(shop.legacy))
    monkeypatch.setenv("SHOPFERRY_SHOP_DSN", read_dsn(shop.shop))
    monkeypatch.setenv("SHOPFERRY_KAFKA", "127.0.0.1:1")

    def run(*words: str) -> tuple[int, str, str]:
        code = cli.main(["audit", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The demo's route with no audits but those that the test writes into this folder."""
    shutil.copytree(SQL_ROOT / "demo", tmp_path / "demo")
    shutil.rmtree(tmp_path / "demo" / "audit")
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path))
    folder = tmp_path / "demo" / "audit"
    folder.mkdir()
    return folder


def make(body: str, **words: str) -> str:
    said = {
        "audit": "things are right",
        "owner": "Care",
        "unit": "things",
        "better": "lower",
        "warn": "5 %",
        "error": "10 %",
        "phase": "contacts",
        "remedy": "mend them",
    } | words
    return "".join(f"-- {word}: {text}\n" for word, text in said.items()) + body + "\n"


def count_all(pair: Pair) -> list[tuple[Audit, Counted]]:
    return [(a, c) for a in AUDITS for c in runs.count(pair.shop, a)]


def test_the_demo_has_twenty_one_audits_and_each_counts_something(shop: Pair) -> None:
    assert len(AUDITS) == 21
    due = runs.find_due(shop.shop, ROUTE)
    assert list(AUDITS) == due
    done = runs.run(shop.shop, ROUTE, due, "test", NOW)
    assert done.broken == ()
    assert {j.audit.name for j in done.judged if j.counted.of} == {a.name for a in AUDITS}
    base = {"points_off_ledger", "consents_without_text", "email_undeliverable", "blocked_with_consent"}
    assert {j.audit.name for j in done.judged if j.counted.bad} == {a.name for a in AUDITS} - base
    assert {j.state for j in done.judged} == {"good"}


def test_a_drift_of_one_per_cent_in_ten_of_twenty_one_is_found_at_the_next_run(shop: Pair) -> None:
    for day in range(8):
        done = runs.run(shop.shop, ROUTE, AUDITS, "test", NOW + day * DAY)
        assert runs.tell(shop.shop, ROUTE, done.number) == []
    planted = drift(shop.shop)
    assert len(planted) == 10
    done = runs.run(shop.shop, ROUTE, AUDITS, "test", NOW + 8 * DAY)
    assert {j.audit.name for j in done.changed} == planted
    assert all(j.worse for j in done.changed)
    news = runs.tell(shop.shop, ROUTE, done.number)
    assert {j.audit.name for j in news} == planted
    again = runs.run(shop.shop, ROUTE, AUDITS, "test", NOW + 9 * DAY)
    assert again.changed == [] and again.judged != ()
    assert runs.tell(shop.shop, ROUTE, again.number) == []  # it stays as bad: told once


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ninety_calm_days_raise_no_alarm_and_the_first_bad_one_does(shop: Pair, seed: int) -> None:
    rng = random.Random(seed)
    # As in a shop of a hundred times the size: what people do by chance is then a tenth of a point.
    base = [(a, replace(c, bad=c.bad * 100, of=c.of * 100)) for a, c in count_all(shop)]

    def vary(audit: Audit, counted: Counted) -> Counted:
        if not counted.bad and not audit.warn.relative:
            return counted
        noise = round(rng.gauss(0, 0.001) * counted.of)
        return replace(counted, bad=min(max(counted.bad + noise, 0), counted.of))

    alarms, states = [], set()
    for day in range(90):
        counted = [(a, vary(a, c)) for a, c in base]
        number, judged = runs.book(shop.shop, ROUTE, counted, "test", NOW + day * DAY, 1.0)
        alarms += runs.tell(shop.shop, ROUTE, number)
        states |= {j.state for j in judged}
    assert alarms == []
    assert states <= {"good", "empty"}
    worse = [(a, replace(c, bad=min(c.bad + c.of // 100, c.of)) if a.name == "phone_missing" else c) for a, c in base]
    number, _ = runs.book(shop.shop, ROUTE, worse, "test", NOW + 90 * DAY, 1.0)
    assert [j.audit.name for j in runs.tell(shop.shop, ROUTE, number)] == ["phone_missing"]


def test_a_moved_shop_breaks_no_rule_that_must_hold_always(filled: Pair) -> None:
    filled.pass_phases()
    done = runs.run(filled.shop, ROUTE, runs.find_due(filled.shop, ROUTE), "test", NOW)
    assert done.broken == () and not done.wrong
    assert {j.state for j in done.judged} <= {"good", "empty"}
    assert len({j.audit.name for j in done.judged if j.counted.bad}) > 10  # legacy's defects are there to be seen


def test_who_looks_by_hand_takes_no_news_from_on_call(shop: Pair) -> None:
    for day in range(4):
        runs.tell(shop.shop, ROUTE, runs.run(shop.shop, ROUTE, AUDITS, "dag", NOW + day * DAY).number)
    planted = drift(shop.shop)
    by_hand = runs.run(shop.shop, ROUTE, AUDITS, "anna", NOW + 4 * DAY)
    assert {j.audit.name for j in by_hand.changed} == planted
    done = runs.run(shop.shop, ROUTE, AUDITS, "dag", NOW + 5 * DAY)
    assert done.changed == []
    told = [{j.told for j in runs.tell(shop.shop, ROUTE, done.number)} for _ in range(2)]
    assert len(told[0]) >= 10 and told[0] == told[1]  # a task that is tried again has the same news


def test_only_phases_that_have_filled_the_shop_are_counted(shop: Pair) -> None:
    shop.shop.execute("UPDATE ferry.phase SET state = 'merging' WHERE phase = 'orders'")
    shop.shop.execute("UPDATE ferry.phase SET state = 'cut_over' WHERE phase = 'contacts'")
    assert {a.phase for a in runs.find_due(shop.shop, ROUTE)} == {"contacts", "loyalty"}
    shop.shop.execute("UPDATE ferry.phase SET state = 'copying'")
    assert runs.find_due(shop.shop, ROUTE) == []


@pytest.mark.parametrize(
    ("body", "line", "what"),
    [
        ("SELECT 'all' AS segment, 1 AS bad", 9, "yields the columns segment, bad, not segment, bad, of"),
        (
            "SELECT 'all' AS segment, 1 AS bad,\n  count(*) AS of\nFROM shop.nothing",
            11,
            'relation "shop.nothing" does not',
        ),
        ("SELECT 'all' AS segment, 2 AS bad, 1 AS of", 9, "row 1: wants whole numbers with 0 <= bad <= of"),
        ("SELECT 'all' AS segment, 0.5 AS bad, 1 AS of", 9, "row 1: wants whole numbers"),
        ("SELECT 'all' AS segment, NULL AS bad, 1 AS of", 9, "row 1: wants whole numbers"),
        ("SELECT 'all' AS segment, 'x' AS bad, 1 AS of", 9, "row 1: wants whole numbers"),
        ("SELECT 'all' AS segment, 'NaN'::numeric AS bad, 1 AS of", 9, "row 1: wants whole numbers"),
        ("SELECT NULL::text AS segment, 0 AS bad, 1 AS of", 9, "row 1: segment wants to be a text"),
        ("SELECT 7 AS segment, 0 AS bad, 1 AS of", 9, "row 1: segment wants to be a text"),
        ("SELECT 'a' AS segment, 0 AS bad, 1 AS of FROM generate_series(1, 2)", 9, "row 2: its segment came before"),
        (
            "SELECT email AS segment, 0 AS bad, 1 AS of FROM shop.customer LIMIT 3",
            9,
            "row 1: segment looks like a person's",
        ),
        ("SELECT id::text AS segment, 0 AS bad, 1 AS of FROM shop.customer", 9, "yields 2000 segments, more than 50"),
        ("SELECT 'all' AS segment, 1 / 0 AS bad, 1 AS of", 9, "DivisionByZero"),
        (
            "WITH gone AS (DELETE FROM shop.payment RETURNING 1) SELECT 'all' AS segment, 0 AS bad, 1 AS of",
            9,
            "may only read",
        ),
    ],
)
def test_what_cannot_be_counted_is_named_and_keeps_no_other_from_it(
    shop: Pair, run: Run, own: Path, body: str, line: int, what: str
) -> None:
    (own / "broken.sql").write_text(make(body))
    (own / "whole.sql").write_text(make("SELECT 'all' AS segment, 1 AS bad, 100 AS of"))
    code, out, err = run("run", "--json")
    assert code == 1
    told = json.loads(out)
    assert [v["audit"] for v in told["values"]] == ["whole"]
    assert f"demo/audit/broken.sql:{line}: " in err and what in err
    assert "example.com" not in err
    assert shop.one("SELECT count(*) FROM ferry.audit_value") == 1


def test_an_audit_that_takes_too_long_is_broken_off(shop: Pair, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "PATIENCE", "50ms")
    (own / "slow.sql").write_text(make("SELECT 'all' AS segment, 0 AS bad, count(pg_sleep(9)) AS of"))
    [slow] = audits.load(ROUTE)
    with pytest.raises(MappingError, match=r"slow\.sql:9: takes longer than 50ms"):
        runs.count(shop.shop, slow)
    assert shop.one("SHOW statement_timeout") == "0"


def test_the_verbs_run_list_and_show_and_their_exit_code_is_the_verdict(shop: Pair, run: Run, own: Path) -> None:
    assert run("run") == (1, "", "shopferry: route demo has no audits: a file in its folder audit/ is one\n")
    body = "SELECT 'all' AS segment, count(*) FILTER (WHERE phone IS NULL) AS bad, count(*) AS of FROM shop.customer"
    (own / "phones.sql").write_text(make(body, warn="50 %", error="60 %"))
    (own / "later.sql").write_text(make(body, phase="loyalty"))
    shop.shop.execute("UPDATE ferry.phase SET state = 'new' WHERE phase = 'loyalty'")
    code, out, err = run("list", "--json")
    assert (code, err) == (0, "")
    assert {(r["audit"], r["state"]) for r in json.loads(out)} == {("phones", "not counted"), ("later", "not counted")}
    assert run("run", "--who", "anna")[0] == 0
    write(shop.shop, "UPDATE shop.customer SET phone = NULL")
    code, out, _ = run("run")
    assert code == 1
    assert "worse: phones [all] is error, was good: 100.00 %" in out
    code, out, _ = run("list", "--json")
    assert code == 1
    first, second = json.loads(out)
    assert (first["audit"], first["state"], first["share"], first["error"]) == ("phones", "error", "100.00 %", "60 %")
    assert (second["audit"], second["state"]) == ("later", "not counted")
    code, out, _ = run("show", "phones", "--json")
    assert code == 1
    told = json.loads(out)
    assert (told["owner"], told["warn"]) == ("Care", "50 %")
    assert [v["state"] for v in told["values"]] == ["error", "good"]  # the newest first
    assert run("show", "later")[0] == 0
    code, _, err = run("show", "nothing")
    assert code == 1 and err == "shopferry: there is no audit 'nothing': phones, later\n"
    assert shop.ask("SELECT who FROM ferry.audit_run ORDER BY id LIMIT 1") == [("anna",)]


def test_nothing_is_counted_before_a_phase_is_through(shop: Pair, run: Run) -> None:
    shop.shop.execute("UPDATE ferry.phase SET state = 'new'")
    code, out, err = run("run")
    assert (code, out) == (1, "")
    assert err == "shopferry: nothing to count: no phase with audits has filled the new shop\n"


def test_route_check_plans_audits_and_names_their_lines(
    shop: Pair, own: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "one.sql").write_text(
        make("SELECT 'all' AS segment, count(*) AS bad,\n  count(nome) AS of\nFROM shop.customer")
    )
    (own / "two.sql").write_text(make("SELECT 'all' AS segment, 1 AS bad FROM shop.customer"))
    (own / "three.sql").write_text(make("SELECT 'all' AS segment, 1 AS bad, 1 AS of", better="more"))
    cli.main(["route", "check", "--json"])
    found = {f["where"]: f["what"] for f in json.loads(capsys.readouterr().out) if "/audit/" in f["where"]}
    assert list(found.values()) == ["better 'more' is neither higher nor lower"]
    assert next(iter(found)).endswith("demo/audit/three.sql:4")
    (own / "three.sql").unlink()
    cli.main(["route", "check", "--json"])
    found = {f["where"]: f["what"] for f in json.loads(capsys.readouterr().out) if "/audit/" in f["where"]}
    assert found == {
        "demo/audit/one.sql:10": 'column "nome" does not exist',
        "demo/audit/two.sql:9": "column q.of does not exist",
    }


def test_the_consumer_serves_what_the_newest_run_counted(shop: Pair) -> None:
    def shown() -> dict[tuple[str, str], float]:
        return {
            (s.labels["audit"], s.labels["segment"]): s.value
            for family in metrics.AUDIT_RATIO.collect()
            for s in family.samples
        }

    counted = [(a, replace(c, bad=c.of // 4)) for a, c in count_all(shop) if a.name == "phone_missing"]
    runs.book(shop.shop, ROUTE, counted, "test", NOW, 1.0)
    metrics._report_audits(shop.shop, "demo")
    assert shown() == {("phone_missing", "all"): pytest.approx(0.25, abs=0.01)}
    one = replace(AUDITS[0], name="other")
    runs.book(
        shop.shop,
        ROUTE,
        [(one, Counted("other", "all", 1, 2)), (one, Counted("other", "none", 0, 0))],
        "test",
        NOW + DAY,
        1,
    )
    metrics._report_audits(shop.shop, "demo")
    assert shown() == {("other", "all"): 0.5}  # what the newest run did not count is gone
    metrics._report_audits(shop.shop, "demo_reverse")
    assert shown() == {}


def test_the_end_of_a_migration_keeps_the_history(shop: Pair) -> None:
    runs.run(shop.shop, ROUTE, AUDITS, "anna", NOW)
    with shop.shop.transaction(force_rollback=True):
        shop.shop.execute(finish._Q["audit"].encode())
        shop.shop.execute(finish._Q["gather"], {"route": "demo", "who": "anna, jan"})
        [(who, at, detail)] = shop.ask("SELECT who, at, detail FROM shopferry_audit.entry WHERE what = 'audit'")
    assert (who, at) == ("anna", NOW)
    kept = {(v["audit"], v["segment"]): v for v in detail["values"]}
    assert len(kept) > 20 and kept["phone_missing", "all"] == {
        "audit": "phone_missing",
        "segment": "all",
        "bad": 40,
        "of": 1_980,
        "state": "good",
    }


def test_the_page_has_the_worst_first_and_draws_a_point_for_each_day(shop: Pair) -> None:
    base = count_all(shop)
    for day in range(10):
        # Two runs a day: the last of them counts.
        for hour in (0, 6):
            runs.book(shop.shop, ROUTE, base, "test", NOW + day * DAY + hour * timedelta(hours=1), 1.0)
    worse = [(a, replace(c, bad=c.of) if a.name == "password_missing" else c) for a, c in base]
    now = NOW + 10 * DAY
    runs.book(shop.shop, ROUTE, worse, "test", now, 1.0)
    panels = quality.build(AUDITS, books.load_since(shop.shop, "demo", now - 90 * DAY, now), now)
    assert [p.state for p in panels] == ["error"] + ["good"] * 20
    [bad] = panels[0].segments
    assert panels[0].audit.name == "password_missing"
    assert len(bad.points.split()) == 11 and bad.end and bad.end.state == "error"
    assert bad.end.x == max(float(p.partition(",")[0]) for p in bad.points.split())
    assert bad.end.y < 10 < float(bad.points.split()[0].partition(",")[2])  # the line goes up: y is counted downwards
    assert bad.better == pytest.approx(-98, abs=1)
    assert [len(s.dots) for p in panels[1:] for s in p.segments if s.dots] == []
