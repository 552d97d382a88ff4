"""The report for terminal, programs and people, and where its files go."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from markupsafe import Markup
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shopferry import pages
from shopferry.pages.languages import Language
from shopferry.report import Report, build, charts
from shopferry.route import language as route_language
from shopferry.settings import Settings, data_dir

FOLDER = "reports"


def publish(settings: Settings, occasion: str) -> Path:
    """Build the report and write it as HTML and JSON into `<data_dir>/reports/`; returns the page's path.

    `occasion` says what it was made after, in a few plain words: they become part of the file's name.
    """
    report = build(settings, occasion)
    stem = f"{report.route}-{report.at:%Y%m%dT%H%M%SZ}-{occasion.replace(' ', '-')}"
    page = data_dir() / FOLDER / f"{stem}.html"
    pages.write(as_html(report, route_language.load(report.route)), page)
    pages.write(json.dumps(as_json(report), indent=2, ensure_ascii=False) + "\n", page.with_suffix(".json"))
    return page


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as plain values; keys may be added, none renamed or removed."""
    plain: dict[str, Any] = make_plain(asdict(report))
    return plain | {
        "totals": {n: report.total(n) for n in ("legacy_rows", "migrated", "quarantined", "left_out", "unaccounted")},
        "open_differences": report.open_differences,
        "closed_ms": report.closed_ms,
    }


def as_html(report: Report, language: Language) -> str:
    """Return the report as one page in a language; it needs nothing else."""
    drawing = charts.Charts(language)
    drawn = {
        "outcomes": drawing.draw_outcomes(report.phases),
        "waiting": drawing.draw_waiting(report.reasons),
        "differing": drawing.draw_differing(report.differences),
        "lag": drawing.draw_lag(report.lag),
        "downtime": drawing.draw_downtime(report.steps),
    }
    # The drawings are ours, and escape what they are labelled with; everything else is escaped by the template.
    safe: dict[str, Any] = {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704
    safe["sums"] = [Markup(drawing.draw_before_and_after(s)) for s in report.sums]  # noqa: S704
    return pages.render("report.html", language, r=report, charts=safe)


def show(report: Report, console: Console) -> None:
    """Print the report: phases, what waits and why, sums, and what comes next."""
    table = Table("phase", "state", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("legacy rows", "migrated", "quarantined", "left out", "differences"):
        table.add_column(name, justify="right")
    for p in report.phases:
        counts = (
            p.total("legacy_rows"),
            p.total("migrated"),
            p.total("quarantined"),
            p.total("left_out"),
            p.differences,
        )
        table.add_row(p.phase, p.state, *(f"{n:,}" for n in counts))
    console.print(table)
    if report.reasons:
        held = Table("in quarantine", "reason", box=SIMPLE_HEAD, pad_edge=False)
        held.add_column("entries", justify="right")
        for r in report.reasons:
            held.add_row(r.entity, r.reason, f"{r.rows:,}")
        console.print(held)
    for s in report.sums:
        sums = Table(f"{s.title}: {s.measure}", box=SIMPLE_HEAD, pad_edge=False)
        for name in ("legacy", "new shop", "not carried", "unexplained"):
            sums.add_column(name, justify="right")
        for x in s.lines:
            sums.add_row(
                Text(x.segment),
                *("–" if v is None else _render_number(v) for v in (x.legacy, x.shop, x.held, x.unexplained)),
            )
        console.print(sums)
    for a in report.audience:
        addressed = Table(f"audience by {a.channel}", box=SIMPLE_HEAD, pad_edge=False)
        addressed.add_column("people", justify="right")
        for what, people in (
            ("said yes in legacy", a.said),
            *((s.what, s.people) for s in a.steps),
            ("may be written to", a.may),
        ):
            addressed.add_row(Text(what), f"{people:,}")
        console.print(addressed)
        if not a.balanced:
            console.print(Text("these steps do not add up: something changed meanwhile, or audience.sql is wrong"))
    if report.closed_ms is not None:
        console.print(
            f"writes go to {report.active}; the cutover kept both stores from writes for {report.closed_ms:,.0f} ms"
        )
    if report.inactive:
        console.print(Text(report.inactive))
    for what, who, when in report.decisions:
        console.print(Text(f"{what}: {who}, {when:%Y-%m-%d %H:%M:%S} UTC"))
    for line in report.next:
        console.print(Text(f"→ {line}"))
    if report.stage_now:
        console.print(Text(f"stage: {report.stage_now}"))
    for what, who in (*report.roles, *report.areas):
        console.print(Text(f"{what}: {who}"))
    if report.responsible.owner:
        console.print(Text(f"ask {report.responsible.owner}, {report.responsible.contact}"))


def _render_number(value: Decimal) -> str:
    return f"{value:,.0f}" if value == value.to_integral_value() else f"{value:,.2f}"


def make_plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: make_plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [make_plain(v) for v in value]
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return value.isoformat() if isinstance(value, date) else value
