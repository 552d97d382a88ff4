"""The report people read: every figure is what the stores hold, what does not meet is said, and nobody is named."""

from __future__ import annotations

import io
import json
import logging
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from pair import ROUTE, Pair, read_dsn
from rich.console import Console
from shopferry import cli, db
from shopferry.control import phases
from shopferry.demo import leaks
from shopferry.errors import ConfigError, MappingError
from shopferry.pages import languages
from shopferry.report import build, charts, rendering, standing, sums
from shopferry.settings import SQL_ROOT, Settings
from test_verify import damage


def settings_of(pair: Pair) -> Settings:
    return Settings(*(read_dsn(c) for c in (pair.legacy, pair.shop)), "127.0.0.1:1")


@pytest.fixture(scope="module")
def moved_template(
    make_template: Callable[..., str], pair_template: Callable[[int], tuple[str, str]]
) -> tuple[str, str]:
    """A generated shop with all its defects that has moved and was verified."""
    legacy, shop = pair_template(150)
    dsns = make_template("report_legacy", legacy), make_template("report_shop", shop)
    pair = Pair.open(*dsns)
    for phase in ROUTE.phases:
        phases.hold(pair.shop, ROUTE.name, phase, f"airflow:{phase}:manual")
        phases.release(pair.shop, ROUTE.name, phase, f"airflow:{phase}:manual")
    pair.pass_phases()
    for phase in ROUTE.phases:
        assert pair.verify(phase).clean
    pair.close()
    return dsns


def switched(pair: Pair) -> None:
    """What a cutover leaves in the control tables."""
    pair.shop.execute(
        """INSERT INTO ferry.cutover_step (route, version, step, ms, who) VALUES ('demo', 2, 'gates', 700, 'anna'),
           ('demo', 2, 'lock legacy', 12.5, 'anna'), ('demo', 2, 'applied', 200, 'anna'),
           ('demo', 2, 'open the new shop', 30, 'anna');
           UPDATE ferry.route SET active = 'shop', version = 2, changed_at = now() WHERE route = 'demo';
           UPDATE ferry.phase SET state = 'cut_over'"""
    )


def test_every_row_and_every_sum_is_told(moved: Pair) -> None:
    report = build(settings_of(moved))
    accounts = [a for phase in ROUTE.phases for a in moved.accounts(phase).values()]
    assert report.total("legacy_rows") == sum(a.legacy_rows for a in accounts) > 1000
    for what in ("migrated", "quarantined", "unaccounted"):
        assert report.total(what) == sum(getattr(a, what) for a in accounts)
    assert report.total("legacy_rows") == sum(report.total(w) for w in ("migrated", "quarantined", "left_out"))
    assert report.waiting == moved.one("SELECT count(*) FROM ferry.quarantine") > 0
    asked = moved.ask("SELECT entity, reason, count(*) FROM ferry.quarantine, unnest(reasons) reason GROUP BY 1, 2")
    assert {(r.entity, r.reason, r.rows) for r in report.reasons} == set(asked)
    assert {s.title for s in report.sums} == {q.title for q in sums.load(ROUTE)}
    assert [s for s in report.sums if s.balanced is False] == []
    balanced = {"consents", "customers", "invoices", "orders", "points", "rewards"}
    assert {s.name for s in report.sums if s.balanced} == balanced
    orders = {x.segment: x for s in report.sums if s.name == "orders" and s.measure == "total" for x in s.lines}
    pln = moved.one("SELECT sum(total) FROM shop.customer_order WHERE currency = 'PLN'")
    assert orders["PLN"].shop == pln and orders["PLN"].legacy == pln + orders["PLN"].held
    points = [x for s in report.sums if s.name == "points" and s.measure == "points" for x in s.lines]
    assert (
        sum(x.legacy or 0 for x in points)
        == moved.legacy.execute("SELECT sum(points) FROM loyalty_accounts").fetchone()[0]
    )  # type: ignore[index]
    assert sum(x.shop for x in points) == moved.one("SELECT sum(points) FROM shop.loyalty_entry")
    assert [p.ran_by for p in report.phases] == [f"airflow:{p}:manual" for p in ROUTE.phases]
    assert report.open_differences == 0 and report.differences == ()
    assert any("DAG cutover" in line for line in report.next) and any("quarantine" in line for line in report.next)
    assert report.responsible.owner and report.responsible.contact


def test_before_the_first_phase_there_is_nothing_to_sum_up(pair: Pair) -> None:
    report = build(settings_of(pair))
    assert report.sums == () and report.total("legacy_rows") == 0 and report.closed_ms is None
    assert "The phase contacts is new" in report.next[-1]
    assert "nobody has done anything yet" in rendering.as_html(report, languages.load("en"))


def test_a_store_that_was_never_installed_says_what_to_do(make_db: Callable[..., str]) -> None:
    with pytest.raises(ConfigError, match="shopferry phase init"):
        build(Settings(make_db("legacy"), make_db("shop"), ""))


@pytest.mark.parametrize(
    ("statement", "name", "measure", "unexplained"),
    [
        (
            "UPDATE shop.customer_order SET total = total + 1 WHERE id = (SELECT min(id) FROM shop.customer_order)",
            "orders",
            "total",
            -1,
        ),
        (
            "DELETE FROM shop.consent WHERE id = (SELECT min(id) FROM shop.consent WHERE legacy_consent_id IS NOT NULL)",
            "consents",
            "consents",
            1,
        ),
        (
            "UPDATE shop.loyalty_account SET balance = balance + 7 WHERE id = (SELECT min(id) FROM shop.loyalty_account)",
            "points",
            "points",
            -7,
        ),
        (
            "UPDATE shop.customer SET status = CASE status WHEN 'active' THEN 'blocked' ELSE 'active' END::shop.customer_status "
            "WHERE id = (SELECT min(id) FROM shop.customer)",
            "customers",
            "customers",
            0,
        ),
    ],
)
def test_a_sum_that_does_not_meet_is_said(
    moved: Pair, statement: str, name: str, measure: str, unexplained: int
) -> None:
    damage(moved, statement)
    report = build(settings_of(moved))
    (odd,) = report.unbalanced
    assert (odd.name, odd.measure) == (name, measure)
    assert sum(x.unexplained or 0 for x in odd.lines) == unexplained
    assert "Sums that do not meet" in report.next[0]
    assert "do not meet" in rendering.as_html(report, languages.load("en"))


def test_differences_are_told_by_segment(moved: Pair) -> None:
    damage(
        moved, "UPDATE shop.order_line SET quantity = quantity + 1 WHERE id IN (SELECT id FROM shop.order_line LIMIT 3)"
    )
    assert not moved.verify("orders").clean
    report = build(settings_of(moved))
    found = [(d.phase, d.target, d.rows) for d in report.differences if d.layer == "shop"]
    assert found == [("orders", "shop.order_line", 3)]
    total = sum(d.rows for d in report.differences)  # the checks that they break among them
    assert report.open_differences == total > 3 and f"{total} differences" in report.next[0]
    page = rendering.as_html(report, languages.load("en"))
    assert (
        f"{total} differences between the stores are open" in page
        and 'aria-label="Open differences by segment"' in page
    )


def test_after_the_cutover_it_says_who_and_for_how_long(moved: Pair) -> None:
    switched(moved)
    report = build(settings_of(moved), "after the cutover")
    assert report.active == "shop" and report.active_since
    assert report.closed_ms == 242.5, "gates are judged while legacy is open"
    assert [(what, who) for what, who, _ in report.decisions] == [("cutover", "anna")]
    moved.shop.execute(
        """INSERT INTO ferry.cutover_step (route, version, step, ms, who) VALUES
           ('demo', 3, 'lock the new shop', 20, 'bert'), ('demo', 3, 'open legacy', 30, 'bert')"""
    )
    again = build(settings_of(moved), "after the rollback")
    assert [(what, who) for what, who, _ in again.decisions] == [("cutover", "anna"), ("rollback", "bert")]
    assert again.closed_ms == 50
    page = rendering.as_html(report, languages.load("en"))
    assert "The new shop takes the writes since" in page and "anna" in page and "made after the cutover" in page
    assert 'aria-label="The cutover, step by step, while no store took writes"' in page
    damage(
        moved, "UPDATE shop.customer_order SET total = total + 1 WHERE id = (SELECT min(id) FROM shop.customer_order)"
    )
    later = build(settings_of(moved))
    assert later.unbalanced == (), "the new shop goes on alone: that is no fault"
    assert sum(x.unexplained or 0 for s in later.sums if s.measure == "total" for x in s.lines) == -1
    assert "since the cutover" in rendering.as_html(later, languages.load("en"))


def test_the_lag_is_drawn(moved: Pair) -> None:
    moved.shop.execute("DELETE FROM ferry.replay_batch")
    assert build(settings_of(moved)).lag == ()
    moved.shop.execute(
        """INSERT INTO ferry.replay_batch (route, at, events, lag_ms, apply_ms)
           SELECT 'demo', now() - make_interval(mins => n), 10, ARRAY[100, 200, 300], 5 FROM generate_series(1, 600) n"""
    )
    report = build(settings_of(moved))
    assert 90 <= len(report.lag) <= 110 and sum(m.events for m in report.lag) == 6000
    assert {m.lag_ms_p50 for m in report.lag} == {200.0}
    assert 'aria-label="From a change in legacy to the new shop"' in rendering.as_html(report, languages.load("en"))


def test_the_lag_of_a_busy_day_is_that_of_a_sample(moved: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "SAMPLED", 2)
    moved.shop.execute("DELETE FROM ferry.replay_batch")
    moved.shop.execute(
        """INSERT INTO ferry.replay_batch (route, at, events, lag_ms, apply_ms)
           SELECT 'demo', '2020-01-01'::timestamptz + make_interval(secs => n / 1000.0), 10, ARRAY[n], 5
           FROM generate_series(0, 9) n
           UNION ALL SELECT 'demo', '2020-01-01 00:00:05+00', 1, '{7}', 5
           UNION ALL SELECT 'other', '2020-01-01 00:00:05+00', 1000, '{1000}', 5"""
    )
    busy, quiet = standing.read_lag(moved.shop, "demo")
    assert (busy.events, busy.lag_ms_p50) == (100, 2.5)  # of the first and the sixth
    assert (quiet.events, quiet.lag_ms_p99) == (1, 7)


@pytest.mark.fresh
def test_a_measure_that_has_met_once_is_kept_while_others_are_looked_at_again(moved: Pair) -> None:
    moved.legacy.execute("CREATE SEQUENCE looks")
    halves = {
        "legacy": "SELECT 'a' AS segment, n % 2 AS odd, (n + 1) % 2 AS even, 7 AS never FROM nextval('looks') n",
        "shop": "SELECT 'a' AS segment, 1 AS odd, 1 AS even, 5 AS never",
        "held": "SELECT 'a' AS segment, 0 AS odd",
    }
    question = sums.Question("odd", "demo/report/odd.sql", "t", "orders", "", halves)
    found = sums.answer(moved.legacy, moved.shop, question, active="legacy")
    assert [(s.measure, s.balanced) for s in found] == [("odd", True), ("even", True), ("never", False)]
    assert [s.lines[0].unexplained for s in found] == [0, 0, 2]
    assert moved.legacy.execute("SELECT last_value FROM looks").fetchone() == (5,)


def test_a_legacy_store_that_is_gone_leaves_its_columns_empty(moved: Pair) -> None:
    settings = settings_of(moved)
    report = build(Settings("postgresql://nobody@127.0.0.1:1/none", settings.target_dsn, ""))
    assert not report.legacy_asked and report.unbalanced == ()
    assert all(x.legacy is None for s in report.sums for x in s.lines)
    assert "could not be asked" in rendering.as_html(report, languages.load("en"))


def test_who_has_which_role_and_the_stage_it_is_stand_in_it(
    moved: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    routes = shutil.copytree(SQL_ROOT, tmp_path / "sql")
    today = datetime.now(UTC).date()
    with (routes / "demo" / "route.toml").open("a") as file:
        file.write(
            f'\n[cutover.acceptance]\npoints = "platform"\n[[stage]]\nname = "the <last> week"\nfrom = {today}\n'
        )
        file.write(f'until = {today + timedelta(days=1)}\nwho = "owner"\ntold = ["the shops"]\n')
    monkeypatch.setenv("SHOPFERRY_ROUTES", str(routes))
    settings = settings_of(moved)
    report = build(settings)
    assert ("platform", "The platform team") in report.roles
    assert report.areas == (("points", "The platform team (platform)"),)
    assert report.stage_now.startswith("now the <last> week")
    page = rendering.as_html(report, languages.load("en"))
    assert (
        "Now the &lt;last&gt; week" in page and "the shops" in page and "<td>The platform team (platform)</td>" in page
    )
    out = io.StringIO()
    rendering.show(report, Console(file=out, width=160))
    assert "stage: now the <last> week" in out.getvalue()
    assert json.loads(json.dumps(rendering.as_json(report)))["stages"][0]["name"] == "the <last> week"
    for name, value in (
        ("LEGACY_DSN", settings.source_dsn),
        ("SHOP_DSN", settings.target_dsn),
        ("KAFKA", "127.0.0.1:1"),
    ):
        monkeypatch.setenv(f"SHOPFERRY_{name}", value)
    cli.main(["status"])
    shown = capsys.readouterr().out
    assert "stage       now the <last> week" in shown and "areas       points The platform team (platform)" in shown


def test_no_person_is_in_it_and_nothing_is_changed(moved: Pair) -> None:
    known = leaks.collect_stored(moved.legacy, "public") | leaks.collect_stored(moved.shop, "shop")
    assert len(known) > 200
    before = [moved.one(f"SELECT sum(hashtext(t::text)) FROM {m.entity} t") for m in ROUTE.mappings]
    report = build(settings_of(moved))
    out = io.StringIO()
    rendering.show(report, Console(file=out, width=160))
    own = report.responsible.contact  # whom to ask is a person's or a team's address, and meant to be read
    texts = [
        (where, text.replace(own, "…"))
        for where, text in (
            ("terminal", out.getvalue()),
            ("json", json.dumps(rendering.as_json(report))),
            ("html", rendering.as_html(report, languages.load("en"))),
        )
    ]
    assert leaks.search(known, texts)[0] == []
    assert [moved.one(f"SELECT sum(hashtext(t::text)) FROM {m.entity} t") for m in ROUTE.mappings] == before


def test_the_page_needs_nothing_else_and_escapes(moved: Pair) -> None:
    switched(moved)
    moved.shop.execute("UPDATE ferry.cutover_step SET who = '<b>anna</b>'")
    page = rendering.as_html(build(settings_of(moved)), languages.load("en"))
    assert "&lt;b&gt;anna&lt;/b&gt;" in page and "<b>anna" not in page
    assert "<script" not in page and "@import" not in page
    bare = re.sub(r'xmlns(?::\w+)?="[^"]+"', "", page)
    assert not re.findall(r"https?://", bare)
    assert all(ref.startswith("#") for ref in re.findall(r'(?:src|href)\s*=\s*"([^"]*)"', bare))
    assert set(re.findall(r"url\((.)", bare)) <= {"#"}
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert ids and len(ids) == len(set(ids)), "charts must not borrow from one another"
    assert set(re.findall(r'xlink:href="#([^"]+)"', page)) <= set(ids)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seconds", [0, 40, 160, 1_000, 20_000, 100_000, 1_000_000])
def test_the_lag_is_drawn_for_any_length_of_time(seconds: int) -> None:
    start = datetime(2026, 11, 29, 5, tzinfo=UTC)
    moments = [standing.Moment(start + timedelta(seconds=seconds * n / 9), 5.0, 9.0, 1) for n in range(10)]
    assert charts.Charts(languages.load("en")).draw_lag(moments).startswith("<svg")


def test_it_is_written_beside_the_data(
    moved: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from shopferry.orchestration.reporting import write_report

    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path))
    with caplog.at_level(logging.WARNING):
        write_report(settings_of(moved), "after phase loyalty")
        write_report(Settings("", "postgresql://nobody@127.0.0.1:1/none", ""), "after phase loyalty")
    page, plain = sorted((tmp_path / "reports").iterdir())
    assert re.fullmatch(r"demo-\d{8}T\d{6}Z-after-phase-loyalty.html", page.name) and plain.suffix == ".json"
    found = json.loads(plain.read_text())
    assert found["totals"]["unaccounted"] == 0 and found["occasion"] == "after phase loyalty"
    said = [r.getMessage() for r in caplog.records if "report" in r.getMessage()]
    assert said[0] == f"report: {page}" and said[1].startswith("no report was written: OperationalError")
    with pytest.raises(ConfigError, match="a few plain words"):
        build(settings_of(moved), "../../etc")


def test_the_command_tells_by_its_exit_code(
    moved: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(moved)
    for name, value in (
        ("LEGACY_DSN", settings.source_dsn),
        ("SHOP_DSN", settings.target_dsn),
        ("KAFKA", settings.kafka),
    ):
        monkeypatch.setenv(f"SHOPFERRY_{name}", value)
    assert cli.main(["report", "--json", "--html", str(tmp_path / "r.html")]) == 0
    assert json.loads(capsys.readouterr().out)["open_differences"] == 0
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    damage(
        moved, "UPDATE shop.customer_order SET total = total + 1 WHERE id = (SELECT min(id) FROM shop.customer_order)"
    )
    assert cli.main(["report"]) == 1
    assert "Orders per currency" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("-- phase: orders\n-- name: legacy\nSELECT 1\n-- name: shop\nSELECT 1\n", "`-- title:` is missing"),
        (
            "-- title: t\n-- phase: nowhere\n-- name: legacy\nSELECT 1\n-- name: shop\nSELECT 1\n",
            "there is no phase 'nowhere'",
        ),
        ("-- title: t\n-- phase: orders\n-- name: legacy\nSELECT 1\n", "wants queries"),
    ],
)
def test_a_question_that_is_wrong_is_named(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "demo" / sums.FOLDER / "odd.sql"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(MappingError, match=f"demo/report/odd.sql:1: .*{says}"):
        sums.load(ROUTE, tmp_path)


def test_a_question_that_does_not_run_is_named(moved: Pair) -> None:
    for query, says in (
        ("SELECT 'a' AS segment, nonsense", 'column "nonsense" does not exist'),
        ("SELECT 1 AS n", "wants `segment` first"),
    ):
        question = sums.Question("odd", "demo/report/odd.sql", "t", "orders", "", {"legacy": query, "shop": query})
        with pytest.raises(MappingError, match=re.escape(says)):
            sums.answer(moved.legacy, moved.shop, question, active="legacy")


def test_each_half_runs_as_it_stands(moved: Pair) -> None:
    for question in sums.load(ROUTE):
        for half, query in question.halves.items():
            conn: db.Connection = moved.legacy if half == "legacy" else moved.shop
            try:
                assert conn.execute(query.encode()).fetchall(), f"{question.file}: {half}"
            except psycopg.Error as error:
                pytest.fail(f"{question.file}: {half}: {error}")
