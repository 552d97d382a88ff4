"""The files of audits: what is wrong with one is named with file and line; how a share is judged by the runs before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from shopferry.control.audits import Counted, Value
from shopferry.errors import MappingError
from shopferry.insight import audits, quality, trend
from shopferry.insight.audits import Audit
from shopferry.route.route import Route

GOOD = """-- audit:  things have a name
-- owner:  Care
-- unit:   things
-- better: lower
-- warn:   3 points worse
-- error:  12.5 %
-- phase:  orders
-- remedy: ask for it
--         at the next order
-- Prose, which may say: ferry.anything.
SELECT 'all' AS segment, count(*) FILTER (WHERE name = 'legacy.x; y') AS bad,
       count(*) AS of
FROM shop.thing;
"""
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def load(root: Path, text: str, name: str = "names") -> tuple[Audit, ...]:
    """The audits of a route that has this one file of them."""
    file = root / "sql" / "demo" / "audit" / f"{name}.sql"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return audits.load(Route.load("demo"), root / "sql")


def make(better: str, warn: str, error: str, root: Path) -> Audit:
    text = GOOD.replace("lower", better).replace("3 points worse", warn).replace("12.5 %", error)
    return load(root, text)[0]


def see(audit: Audit, bad: int, before: list[int], of: int = 1_000) -> trend.Judged:
    """Judge `bad` of so many; `before` are the bad ones of the runs before, the newest first."""
    values = [
        Value(n, NOW - timedelta(days=n + 1), audit.name, "all", b, of if b >= 0 else 0, "good")
        for n, b in enumerate(before)
    ]
    values = [v if v.of else Value(v.run, v.at, v.audit, "all", 0, 0, "empty") for v in values]
    return trend.judge(audit, Counted(audit.name, "all", bad, of), values)


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    (audit,) = load(tmp_path, GOOD)
    assert (audit.name, audit.meaning, audit.owner, audit.unit) == ("names", "things have a name", "Care", "things")
    assert (audit.better, str(audit.warn), str(audit.error)) == ("lower", "3 points worse", "12.5 %")
    assert (audit.phase, audit.remedy, audit.line) == ("orders", "ask for it at the next order", 11)
    assert audit.body.endswith("FROM shop.thing")


@pytest.mark.parametrize(
    ("was", "becomes", "line", "what"),
    [
        ("-- owner:  Care\n", "", 1, "`-- owner:` is missing"),
        ("-- owner:  Care", "-- owner:", 2, "says nothing"),
        ("-- owner:", "-- boss:", 2, "'boss' is none of audit, owner"),
        ("-- unit:", "-- owner:", 3, "twice"),
        ("lower", "smaller", 4, "'smaller' is neither higher nor lower"),
        ("3 points worse", "much", 5, r"warn 'much' is neither like `5 %` nor like `3 points worse`"),
        ("3 points worse", "-1 %", 5, "is neither like"),
        ("3 points worse", "0 points worse", 5, "wants more than 0"),
        ("3 points worse", "101 %", 5, "no share is ever beyond that"),
        ("3 points worse", "100 %", 5, "no share is ever beyond that"),
        ("3 points worse", "13 %", 6, "error 12.5 % is reached before warn 13 %"),
        ("12.5 %", "1 point worse", 6, "error 1 point worse is reached before warn 3 points worse"),
        ("orders", "payments", 7, "no phase 'payments': contacts, orders, loyalty"),
        (GOOD[GOOD.index("SELECT") :], "", 1, "no SELECT"),
        ("SELECT 'all'", "DELETE FROM shop.thing WHERE 'all'", 11, "an audit is one SELECT"),
        ("count(*) AS of", "count(*) AS of FROM shop.x; SELECT 1", 12, "something stands behind its `;`"),
        ("shop.thing;", "shop.thing JOIN legacy.orders o ON true", 13, "reads schema legacy"),
        ("shop.thing;", 'shop.thing, "ferry"."identity"', 13, "reads schema ferry"),
        ("shop.thing;", "shop.thing WHERE clean.is_right(name)", 13, "reads schema clean"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, was: str, becomes: str, line: int, what: str) -> None:
    assert was in GOOD
    with pytest.raises(MappingError, match=rf"sql/demo/audit/names\.sql:{line}: .*{what}"):
        load(tmp_path, GOOD.replace(was, becomes, 1))


def test_where_higher_is_better_the_limits_are_reached_from_above(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match=r"names\.sql:6: error 70 % is reached before warn 60 %"):
        make("higher", "60 %", "70 %", tmp_path)
    with pytest.raises(MappingError, match=r"names\.sql:6: error '0 %': no share is ever beyond that"):
        make("higher", "60 %", "0 %", tmp_path)
    audit = make("higher", "60 %", "50 %", tmp_path)
    assert [see(audit, bad, []).state for bad in (400, 401, 500, 501)] == ["good", "warn", "warn", "error"]
    assert see(audit, 400, []).share == 60


def test_a_name_that_is_no_label_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="'My-Audit' is no name of an audit"):
        load(tmp_path, GOOD, "My-Audit")


def test_a_route_may_have_none(tmp_path: Path) -> None:
    assert audits.load(Route.load("demo"), tmp_path) == ()


def test_an_audit_folder_is_no_phase() -> None:
    assert "audit" not in Route.load("demo").phases
    assert all(a.phase in Route.load("demo").phases for a in audits.load(Route.load("demo")))


def test_an_absolute_limit_is_passed_only_beyond_it(tmp_path: Path) -> None:
    audit = make("lower", "0 %", "5 %", tmp_path)
    assert [see(audit, bad, []).state for bad in (0, 1, 50, 51)] == ["good", "warn", "warn", "error"]
    assert see(audit, 0, [], of=0).state == "empty"


def test_the_judged_run_is_no_part_of_what_is_usual(tmp_path: Path) -> None:
    audit = make("lower", "3 points worse", "6 points worse", tmp_path)
    calm = [20, 21, 19, 20, 22, 18, 20]
    assert see(audit, 50, calm).state == "good"  # 3 points are not more than 3
    assert see(audit, 51, calm).state == "warn"
    assert see(audit, 81, calm).state == "error"
    assert see(audit, 51, calm).usual == pytest.approx(2.0)
    # Of what came before the seven nothing counts; of the seven it takes four to move the median.
    assert see(audit, 60, [60, 60, 60, *calm[:4], 900, 900]).state == "warn"
    assert see(audit, 60, [60, 60, 60, 60, *calm[:3]]).state == "good"


def test_two_runs_make_nothing_usual_and_runs_of_nothing_do_not_count(tmp_path: Path) -> None:
    audit = make("lower", "3 points worse", "6 points worse", tmp_path)
    assert see(audit, 900, [10, 10]).state == "good"
    assert see(audit, 900, [10, -1, 10]).usual is None
    assert see(audit, 900, [10, -1, 10, 10]).state == "error"


def test_only_another_state_is_a_change(tmp_path: Path) -> None:
    audit = make("lower", "5 %", "10 %", tmp_path)
    counted = Counted(audit.name, "all", 60, 1_000)

    def change(state: str, was: str | None) -> tuple[bool, bool]:
        one = trend.Judged(audit, counted, 6.0, None, state, was)
        return one.changed, one.worse

    assert change("warn", "good") == change("error", None) == change("error", "warn") == (True, True)
    assert change("good", "error") == (True, False)
    assert change("good", None) == change("warn", "warn") == change("empty", "good") == (False, False)


def test_the_line_stays_within_its_picture_and_shows_the_limit_where_it_is_near(tmp_path: Path) -> None:
    audit = make("lower", "5 %", "10 %", tmp_path)
    history = [
        Value(n, NOW - timedelta(days=89 - n), "names", "all", bad, 1_000, "warn" if bad > 50 else "good")
        for n, bad in enumerate([40] * 45 + [48] * 44 + [52])
    ]
    [panel] = quality.build([audit], history, NOW)
    [segment] = panel.segments
    points = [tuple(map(float, p.split(","))) for p in segment.points.split()]
    assert len(points) == 90
    assert all(0 <= x <= quality.WIDTH and 0 <= y <= quality.HEIGHT for x, y in points)
    assert points == sorted(points)
    assert segment.limit is not None and 0 < segment.limit < points[0][1]
    assert [d.state for d in segment.dots] == ["warn"]
    assert (segment.lowest, segment.highest) == (4.0, 5.2)
    flat = [Value(n, NOW - timedelta(days=9 - n), "names", "all", 1, 1_000, "good") for n in range(9)]
    [[one]] = [p.segments for p in quality.build([audit], flat, NOW)]
    assert {p.split(",")[1] for p in one.points.split()} == {f"{quality.HEIGHT / 2}"}
    assert one.limit is None
