"""The evaluation after the cutover: each figure is counted as it was planted, and what nobody can know is said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from pair import ROUTE, Pair
from shopferry import cli
from shopferry.control import audits as audit_books
from shopferry.control.audits import Counted
from shopferry.demo import leaks
from shopferry.errors import MappingError, PhaseError
from shopferry.insight import audits
from shopferry.pages import languages
from shopferry.report import build as build_report
from shopferry.report import evaluation, evaluation_rendering, rendering
from shopferry.settings import SQL_ROOT
from test_report import settings_of, switched

NO_REPORTS = Path("/nonexistent")


@pytest.fixture(scope="module")
def moved_template(
    make_template: Callable[..., str], pair_template: Callable[[int], tuple[str, str]]
) -> tuple[str, str]:
    """A small shop that has moved and was verified."""
    legacy, shop = pair_template(150)
    dsns = make_template("evaluation_legacy", legacy), make_template("evaluation_shop", shop)
    pair = Pair.open(*dsns)
    pair.pass_phases()
    for phase in ROUTE.phases:
        assert pair.verify(phase).clean
    pair.close()
    return dsns


def cut_over(pair: Pair, days: int = 30) -> None:
    """What a cutover leaves that was so many days ago."""
    switched(pair)
    pair.shop.execute("UPDATE ferry.route SET changed_at = now() - make_interval(days => %s)", (days,))


def act(pair: Pair, customers: int, what: str, channel: str, days_ago: int) -> None:
    """So many customers do something about their consent, in the new shop."""
    pair.shop.execute(
        """INSERT INTO shop.consent_act (customer_id, purpose, channel, act, happened_at)
           SELECT id, 'marketing', %s, %s, now() - make_interval(days => %s) FROM shop.customer ORDER BY id LIMIT %s""",
        (channel, what, days_ago, customers),
    )


def ask(pair: Pair, kind: str, received: int, closed: int | None, state: str = "done") -> None:
    """A request that came in and was answered so many days ago."""
    pair.shop.execute(
        """INSERT INTO ferry.request (route, kind, received, due, verified_by, verified_how, state, closed, decided_by,
                                      decided_at, certificate)
           VALUES ('demo', %s, current_date - %s::int, current_date - %s::int + 20, 'anna', 'passport', %s,
                   now() - make_interval(days => %s), 'dpo', now(), '{}')""",
        (kind, received, received, state, closed),
    )


def test_what_people_did_since_the_cutover_is_counted_and_nothing_before(moved: Pair) -> None:
    cut_over(moved)
    act(moved, 7, "withdrawn", "email", 3)
    act(moved, 2, "objected", "sms", 29)
    act(moved, 40, "withdrawn", "email", 31)  # before the cutover
    act(moved, 4, "granted", "phone", 1)
    made = evaluation.build(settings_of(moved), NO_REPORTS)
    told = {(c.topic, c.what): c.people for c in made.counts}
    assert made.days == 30
    assert told["refusals since the cutover", "marketing by email, withdrawn"] == 7
    assert told["refusals since the cutover", "marketing by sms, objected"] == 2
    assert told["agreements since the cutover", "marketing by phone"] == 4
    waits = moved.one(
        "SELECT count(*) FROM shop.customer c WHERE status = 'active' "
        "AND NOT EXISTS (SELECT FROM shop.customer_credential p WHERE p.customer_id = c.id)"
    )
    assert told["passwords", "customers who still have to set one"] == waits > 0


def test_requests_are_in_time_late_or_pending_by_their_own_day(moved: Pair) -> None:
    cut_over(moved)
    ask(moved, "access", 25, 6)  # due 5 days ago, answered the day before
    ask(moved, "access", 25, 5)  # on its day
    ask(moved, "access", 25, 4)  # a day late
    ask(moved, "erasure", 28, None, "granted")  # due 8 days ago, still open
    ask(moved, "erasure", 3, None, "granted")
    ask(moved, "erasure", 10, 9)
    ask(moved, "erasure", 40, 39)  # before the cutover
    made = evaluation.build(settings_of(moved), NO_REPORTS)
    assert made.answers == (
        evaluation.Answers("access", 3, 2, 1, 0),
        evaluation.Answers("erasure", 3, 1, 1, 1),
    )
    assert made.erasures == 1


def test_the_audience_of_then_is_that_of_the_report_nearest_to_the_cutover(moved: Pair, tmp_path: Path) -> None:
    """Reports of other routes, of other days and files that are none are passed over."""
    before = build_report(settings_of(moved), "after a verification")
    for number, days in enumerate((45, 30, 2)):
        told = rendering.as_json(before) | {"at": (datetime.now(UTC) - timedelta(days=days)).isoformat()}
        for channel in told["audience"]:
            channel["may"] += number
        (tmp_path / f"demo-2026010{number}T000000Z-x.json").write_text(json.dumps(told))
    (tmp_path / "demo-20260109T000000Z-x.json").write_text("{")
    (tmp_path / "demo-20260108T000000Z-x.json").write_text(json.dumps(told | {"route": "other"}))
    cut_over(moved)
    made = evaluation.build(settings_of(moved), tmp_path)
    now = {a.channel: a.may for a in before.audience}
    assert {r.channel: r.now for r in made.reach} == now and len(now) > 2
    assert {r.channel: r.then for r in made.reach} == {channel: may + 1 for channel, may in now.items()}
    assert not [line for line in made.unknown if "could be written to" in line]
    assert '<td class="n">−1</td>' in evaluation_rendering.as_html(made, languages.load("en"))


def test_what_nobody_can_know_is_said(moved: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_over(moved)
    made = evaluation.build(settings_of(moved), NO_REPORTS)
    assert {r.then for r in made.reach} == {None}
    said = "\n".join(made.unknown)
    for part in ("mail tool", "no report of that time", "no audit was ever counted"):
        assert part in said
    page = evaluation_rendering.as_html(made, languages.load("en"))
    assert all(line.split(":")[0] in page for line in made.unknown) and "not known" in page
    shutil.copytree(SQL_ROOT / "demo", tmp_path / "demo")
    for name in ("evaluation.sql", "audience.sql"):
        (tmp_path / "demo" / name).unlink()
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path))
    bare = evaluation.build(settings_of(moved), NO_REPORTS)
    assert bare.counts == () and bare.reach == ()
    assert "no evaluation.sql" in "\n".join(bare.unknown) and "no audience.sql" in "\n".join(bare.unknown)


def test_audits_that_are_not_good_come_the_worst_first(moved: Pair) -> None:
    cut_over(moved)
    one, other, *_ = (a.name for a in audits.load(ROUTE))
    judged = [
        (Counted(one, "small", 1, 100), "error"),
        (Counted(one, "large", 30, 100), "error"),
        (Counted(other, "all", 90, 100), "warn"),
        (Counted(other, "rest", 0, 100), "good"),
    ]
    audit_books.book(moved.shop, "demo", datetime.now(UTC), "test", 1.0, judged)
    made = evaluation.build(settings_of(moved), NO_REPORTS)
    assert [(q.value.state, q.value.segment) for q in made.bad] == [
        ("error", "large"),
        ("error", "small"),
        ("warn", "all"),
    ]
    assert made.good == 1 and made.bad[0].share == 30.0
    assert "audit was" not in "\n".join(made.unknown)


def test_the_verb_prints_it_and_no_person_is_in_it(
    moved: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(moved)
    for name, value in (
        ("LEGACY_DSN", settings.source_dsn),
        ("SHOP_DSN", settings.target_dsn),
        ("KAFKA", settings.kafka),
    ):
        monkeypatch.setenv(f"SHOPFERRY_{name}", value)
    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path))
    assert cli.main(["report", "--evaluation"]) == 1
    assert "the shop is not cut over" in capsys.readouterr().err
    cut_over(moved, 12)
    act(moved, 3, "withdrawn", "email", 1)
    page = tmp_path / "e.html"
    assert cli.main(["report", "--evaluation", "--html", str(page)]) == 0
    shown = capsys.readouterr().out
    assert "demo: 12 days since the cutover" in shown and "marketing by email, withdrawn" in shown and "? " in shown
    assert cli.main(["report", "--evaluation", "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["days"] == 12 and plain["waiting"] == moved.one("SELECT count(*) FROM ferry.quarantine")
    known = leaks.collect_stored(moved.legacy, "public") | leaks.collect_stored(moved.shop, "shop")
    texts = [("terminal", shown), ("json", json.dumps(plain)), ("html", page.read_text())]
    assert leaks.search(known, texts)[0] == []
    assert "<script" not in page.read_text()


def test_a_question_that_is_wrong_is_named(moved: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_over(moved)
    shutil.copytree(SQL_ROOT / "demo", tmp_path / "demo")
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(tmp_path))
    file = tmp_path / "demo" / "evaluation.sql"
    for text, says in (("SELECT 1 AS topic", "wants the columns topic"), ("SELECT nothing", "nothing")):
        file.write_text(text)
        with pytest.raises(MappingError, match=says):
            evaluation.build(settings_of(moved), NO_REPORTS)


def test_without_control_tables_it_says_what_to_do(make_db: Callable[..., str]) -> None:
    from shopferry.settings import Settings

    with pytest.raises(PhaseError, match="make the evaluation before it"):
        evaluation.build(Settings("", make_db("bare"), ""), NO_REPORTS)


def test_today_is_a_day(moved: Pair) -> None:
    cut_over(moved, 0)
    ask(moved, "access", 0, 0)
    made = evaluation.build(settings_of(moved), NO_REPORTS)
    assert made.days == 0 and made.answers[0].in_time == 1 and made.cutover.date() <= date.today()
