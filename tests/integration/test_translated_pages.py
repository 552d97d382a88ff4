"""Each page is wholly in its language: rendered from a real shop in a language that nobody speaks, nothing else is left on it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from pair import ROUTE, Pair
from pseudo import find_untranslated, find_untranslated_script, make_pseudo
from shopferry import assess, pages
from shopferry.assess import report as assessing
from shopferry.control import audits, gates, requests
from shopferry.control.gates import Gate
from shopferry.cutover import acceptance, losses, sequences, servers, undecided, way_back
from shopferry.cutover import gates as judging
from shopferry.engine.pair import open_stores
from shopferry.health import measure, problems
from shopferry.insight import audits as audit_files
from shopferry.insight import derived, picture
from shopferry.insight import run as auditing
from shopferry.privacy import export, export_page, record
from shopferry.report import build, charts, evaluation, evaluation_rendering, rendering
from shopferry.route import people
from shopferry.route import settings as route_settings
from shopferry.route.settings import Terms, Window
from shopferry.settings import SQL_ROOT
from test_evaluation import NO_REPORTS, act, ask, cut_over
from test_export import find_settings, open_access
from test_report import settings_of, switched
from test_verify import damage

PSEUDO, ROUTE_SETTINGS = make_pseudo(), route_settings.load("demo")
# The route's identifiers, and the people of these tests.
SIGNER = next(s.value for s in ROUTE_SETTINGS.settings if s.name == picture.SIGNED_BY)
VALUES = {
    *{"demo", "anna", "bert", "care", "dpo", "Sklep Demo sp. z o.o.", "sync forward", SIGNER},
    *ROUTE.phases,
    *ROUTE.tables,
}


def require_translated(page: str, values: Collection[str]) -> None:
    """Fail with each text of a page that no catalogue has said."""
    found = find_untranslated(page, values)
    assert not found, "\n" + "\n".join(dict.fromkeys(found))


@pytest.fixture(scope="module")
def moved_template(verified_template: tuple[str, str]) -> tuple[str, str]:
    """A generated shop with all its defects that has moved and was verified."""
    return verified_template


@pytest.fixture(autouse=True)
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Charts have their letters as text, so that they can be read."""
    monkeypatch.setattr(charts, "_FONT", "none")


def judge(pair: Pair) -> list[Gate]:
    """The gates that ask no broker, some of them with other terms, as a cutover judges and records them."""
    terms = Terms(
        window=Window(time(1), time(4), "Europe/Warsaw"), acceptance={"contacts": "anna"}, disk_gib={"legacy": 9}
    )
    with open_stores(settings_of(pair), "gates") as s:
        judged = [
            *(judging._window(t, datetime.now(UTC)) for t in (Terms(), terms)),
            *(
                f(s)
                for f in (judging._rehearsal, judging._phases, judging._unlogged, judging._erased, judging._differences)
            ),
            *(f(s) for f in (judging._backups, judging._consumer, judging._trend_now, judging._reach)),
            *(f(s, terms) for f in (judging._verified, judging._quarantine, judging._optouts, acceptance.judge)),
            judging._quarantine(s, Terms(quarantine={})),
            *undecided.judge(s, terms),
            servers.old_transactions(s, terms),
            servers.connections(s),
            servers.replication(s),
            servers.disk(s, terms),
            sequences.gate(sequences.numberings(s.target, s.route)),
            losses.judge_covered(s),
            losses.judge_accepted(s.route, "anna"),
            way_back.gate(None, settings_of(pair)),
        ]
    named = [replace(g, gate=g.gate) for g in {g.gate: g for g in judged}.values()]
    with pair.shop.transaction():
        gates.record(pair.shop, ROUTE.name, named)
    return judged


def test_the_report_is_wholly_in_its_language(moved: Pair) -> None:
    judged = judge(moved)
    assert len({g.gate for g in judged}) > 20
    report = build(settings_of(moved))
    assert report.gates and report.reasons and report.sums and report.audience and report.segments
    require_translated(rendering.as_html(report, PSEUDO), VALUES)


def test_what_is_published_is_in_the_language_of_route_toml_and_json_is_not(
    moved: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes = shutil.copytree(SQL_ROOT, tmp_path / "sql")
    toml = routes / "demo" / "route.toml"
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(routes))
    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path))
    told = {}
    for code, title in (("en", "The move of demo"), ("pl", "Przenosiny demo"), ("ro", "Mutarea demo")):
        toml.write_text(f'language = "{code}"\n' + (SQL_ROOT / "demo" / "route.toml").read_text())
        page = rendering.publish(settings_of(moved), f"in {code}")
        assert f'<html lang="{code}">' in page.read_text() and f"<h1>{title}: " in page.read_text()
        told[code] = json.loads(page.with_suffix(".json").read_text())
    assert told["pl"]["next"] == told["en"]["next"] and told["pl"]["sums"] == told["ro"]["sums"] == told["en"]["sums"]


def test_the_report_after_the_cutover_is_too(moved: Pair) -> None:
    damage(moved, "DELETE FROM shop.order_line WHERE id IN (SELECT id FROM shop.order_line ORDER BY id LIMIT 3)")
    moved.verify("orders")
    moved.shop.execute(
        """INSERT INTO ferry.replay_batch (route, at, events, lag_ms, apply_ms)
           SELECT 'demo', now() - make_interval(mins => n), 10, ARRAY[100, 200, 300], 5 FROM generate_series(1, 600) n"""
    )
    warned = build(settings_of(moved), "after a verification")
    assert warned.differences and warned.lag
    page = rendering.as_html(warned, PSEUDO)
    assert page.count("<svg") > 8
    require_translated(page, VALUES)
    switched(moved)
    today = datetime.now(UTC).date()
    stage = people.Stage("⟦training⟧", today, today + timedelta(days=1), "anna (care)", ("bert (on_call)",))
    cut = replace(
        build(settings_of(moved), "after the cutover"),
        stages=(stage,),
        stage_now=people.People(stages=(stage,)).tell_stage(today),
        roles=tuple((role, "anna") for role in people.ROLES),
        inactive="Accounts without a sign of life since 2021-01-01 stay in the old shop, unless something of theirs is open: "
        "decided by anna",
        legacy_asked=False,
    )
    assert cut.decisions and cut.closed_ms
    require_translated(rendering.as_html(cut, PSEUDO), VALUES)


def test_the_evaluation_is_wholly_in_its_language(moved: Pair, tmp_path: Path) -> None:
    cut_over(moved)
    for what in ("withdrawn", "objected", "granted", "confirmed"):
        act(moved, 3, what, "email", 2)
    ask(moved, "access", 25, 6)
    ask(moved, "erasure", 28, None, "granted")
    auditing.run(moved.shop, ROUTE, audit_files.load(ROUTE), "anna", datetime.now(UTC))
    moved.shop.execute("UPDATE ferry.audit_value SET state = CASE WHEN bad % 2 = 0 THEN 'warn' ELSE 'error' END")
    made = evaluation.build(settings_of(moved), NO_REPORTS)
    assert made.bad and made.answers and made.reach and made.topics
    require_translated(evaluation_rendering.as_html(made, PSEUDO), VALUES)
    poor = replace(made, counts=(), reach=(), bad=(), counted=None, answers=(), reasons=(), reach_then=made.cutover)
    require_translated(evaluation_rendering.as_html(poor, PSEUDO), VALUES)


def test_the_assessment_is_wholly_in_its_language(filled: Pair) -> None:
    found = assess.assess(settings_of(filled))
    assert len(found.findings) > 30 and found.estimate
    columns = filled.legacy.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public'"
    ).fetchall()
    page = assessing.as_html(found, PSEUDO)
    # What a server or a library says of itself is its own text.
    page = re.sub(r"(⟦cannot be reached: ⟧)[^<]*", r"\1", page)
    require_translated(page, VALUES | {name for (name,) in columns} | {"coalesce", "role"})


def test_the_answer_to_a_person_is_wholly_in_its_language(
    moved: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path))
    rows = moved.ask(
        "SELECT i.legacy_key FROM ferry.identity i JOIN shop.consent c ON c.customer_id = i.shop_key WHERE entity = 'customer' "
        "GROUP BY 1 ORDER BY count(*) DESC LIMIT 12"
    )
    for (key,) in rows:
        with open_stores(find_settings(moved), "test") as stores:
            document, _ = export.collect(stores, requests.load(stores.target, "demo", open_access(moved, str(key))))
        require_translated(export_page.render(document, PSEUDO), VALUES)
    many: dict[str, Any] = document | {
        "mirror": [{"table": "legacy.customers", "key": "1", "values": {"email": "x", "active": True}}],
        "history": [
            {"table": "legacy.customers", "key": "1", "known": "2026-01-02T03:04:05", "values": {"active": "T"}}
        ],
        "quarantine": [
            {"entity": "shop.customer", "row": "1", "reasons": ["email_missing"], "since": "2026-01-02", "values": {}}
        ],
        "left_out": [{"entity": "shop.customer", "row": "1", "reasons": ["merged_duplicate"], "values": {}}],
        "derived": {
            "joined": [{"account": 1, "customer": 2, "joined by": "x"}],
            "compared": [{"account": 1, "compared with": 2, "score": 0.9, "decided": "same"}],
            "concluded": ["may be written to by email for marketing, by consent"],
        },
        "recipients": [
            {
                "recipient": "the carrier",
                "columns": ["shop.delivery.phone"],
                "handed_over": [
                    {"by": "a", "fields": ["email"], "first": "2026-01-02", "last": "2026-01-03", "let_go": let}
                    for let in (0, 1)
                ],
            },
        ],
        "not_told": [
            {"column": "shop.x.y", "why": "it is data of staff"},
            {"column": "a.b", "why": "it is what you sign in with"},
        ],
    }
    require_translated(export_page.render(many, PSEUDO), VALUES)


def test_the_record_of_processing_is_wholly_in_its_language() -> None:
    made = record.build(ROUTE)
    require_translated(record.as_html(made, PSEUDO), VALUES | {made.mark, "N", "T"})  # what a flag becomes


@pytest.mark.airflow
def test_the_pages_in_airflow_are_wholly_in_their_language(moved: Pair) -> None:
    from shopferry.control.pairs import Count, Search
    from shopferry.control.pairs import Pair as Accounts
    from shopferry.insight.similarity import Account
    from shopferry.orchestration import duplicates_page, quality_page, requests_page, segments_page

    now, loaded = datetime.now(UTC), audit_files.load(ROUTE)
    for days in range(9, -1, -1):
        auditing.run(moved.shop, ROUTE, loaded, "anna", now - timedelta(days=days))
    moved.shop.execute("UPDATE ferry.audit_value SET state = 'error' WHERE audit LIKE 'p%' AND run % 2 = 0")
    moved.shop.execute("UPDATE ferry.audit_value SET state = 'warn' WHERE audit LIKE 'a%' OR audit = 'reachable'")
    moved.shop.execute(
        "UPDATE ferry.audit_value SET state = 'error', bad = bad + 1, of = of + 2 WHERE audit = 'points_off_ledger'"
    )
    history = audits.load_since(moved.shop, "demo", now - timedelta(days=30), now + timedelta(minutes=1))
    drawn = picture.draw(
        {date(2026, 3, 1): derived.count(moved.shop, ROUTE), date(2026, 3, 9): derived.count(moved.shop, ROUTE)}
    )
    for kind in requests.KINDS:
        ask(moved, kind, 40, 39)
        ask(moved, kind, 29, None, "granted")
    ask(moved, "access", 3, None, "open")
    asked = requests.load_all(moved.shop, "demo")
    one, other = (Account(n, "Jan", "Lis", "jan@example.com", ("+48601234567",), (), ("K1",)) for n in (4, 9))
    last = Search(now, "anna", 2.0, 40, 5, {"by_phone": 1})
    counted = [Count("by_phone", "new", 2, 2), Count("email", "same", 3, 3)]
    pair = Accounts(4, 9, 0.97, {"name": 0.9, "phone": 1.0}, "by_phone", "new", None, None, None)
    for page in (
        quality_page.render("demo", PSEUDO, loaded, history, now),
        quality_page.render("demo", PSEUDO, loaded, history, now + timedelta(days=3)),
        quality_page.render("demo", PSEUDO, loaded, [], now),
        quality_page.render("demo", PSEUDO, (), [], now),
        segments_page.render("demo", PSEUDO, drawn),
        segments_page.render("demo", PSEUDO, None),
        requests_page.render("demo", PSEUDO, asked, date.today()),
        requests_page.render("demo", PSEUDO, [], date.today()),
        requests_page.render("demo", PSEUDO, [r for r in asked if r.due >= date.today()], date.today()),
        duplicates_page.render("demo", PSEUDO, last, counted, [pair], {4: one, 9: other}),
        duplicates_page.render("demo", PSEUDO, last, [], [], {}),
        duplicates_page.render("demo", PSEUDO, None, [], [], {}),
        duplicates_page.render("demo", PSEUDO, None, [], [], {}, has_rules=False),
    ):
        require_translated(page, VALUES)


# Tags, classes, names of fields and of the browser's own things in the script of the overview.
TAGS = ("div", "span", "b", "i", "p", "tr", "th", "td", "h2", "h3", "table", "code", "section", "main")
CLASSES = (
    "en",
    "class",
    "style",
    "title",
    "full",
    "good",
    "busy",
    "bad",
    "step",
    "dim",
    "bar",
    "card",
    "grid",
    "n",
    "state",
    "figures",
    "alarm",
    "where",
    "when",
    "shop",
    "copy",
    "merge",
)
SCRIPT = {
    *TAGS,
    *CLASSES,
    "\\n",
    "use strict",
    "pill ",
    "card figure",
    "card alarm",
    "always",
    "api/status",
    "application/json",
    " KiB",
    " B",
}


@pytest.mark.airflow
def test_the_overview_is_wholly_in_its_language(moved: Pair) -> None:
    from shopferry.orchestration import page

    shown = pages.render("overview.html", PSEUDO)
    require_translated(shown, ())
    assert find_untranslated_script(shown, SCRIPT) == []
    settings = settings_of(moved)
    health = measure.measure(settings)
    overview = {
        "complaints": [{"text": c.text, "runbook": c.anchor} for c in problems.find_problems(health)],
        "gates": [vars(g) for g in judge(moved)],
        "rehearsal": {"told": "2026-03-01 10:00: green"},
    }
    told = page.translate(overview, PSEUDO)
    texts = [c["text"] for c in told["complaints"]] + [
        g[w] for g in told["gates"] for w in ("gate", "evidence", "remedy")
    ]
    assert len(texts) > 60
    require_translated(f"<p>{'</p><p>'.join([*texts, told['rehearsal']['told']])}</p>", VALUES)
