"""The assessment as people and programs read it: terminal, JSON, one HTML page."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shopferry import pages
from shopferry.assess import Assessment
from shopferry.assess.findings import Finding, Severity
from shopferry.assess.sizing import Estimate
from shopferry.pages.languages import Language

_GLOSS = (
    (Severity.BLOCKING, "Blocking", "No phase starts before these are mended or decided."),
    (Severity.WARNING, "Warnings", "Rows that will be refused or changed, or what may fail under way."),
    (Severity.NOTE, "Notes", "Worth knowing; nothing has to be done."),
)
_COLOURS = {Severity.BLOCKING: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}


def as_json(found: Assessment) -> dict[str, Any]:
    """Return an Assessment as plain values; keys may be added, none renamed or removed."""
    plain = asdict(found)
    plain["at"] = found.at.isoformat(timespec="seconds")
    plain["blocked"] = found.blocked
    for one, finding in zip(plain["findings"], found.findings, strict=True):
        one["blocking"] = finding.blocking
    if found.estimate:
        for one, phase in zip(plain["estimate"]["phases"], found.estimate.phases, strict=True):
            one["seconds"] = phase.seconds
    return plain


def as_html(found: Assessment, language: Language) -> str:
    """Return an Assessment as one page in a language; it needs nothing else."""
    sections = [(s.value, title, gloss) for s, title, gloss in _GLOSS]
    return pages.render("assessment.html", language, a=found, sections=sections)


def show(found: Assessment, console: Console) -> None:
    """Print an Assessment: findings by severity, sizes, what to expect, and the verdict last, where the eye is."""
    for severity, title, gloss in _GLOSS:
        mine = [f for f in found.findings if f.severity is severity]
        if mine:
            console.print(Text.assemble((f"\n{title} ({len(mine)})", _COLOURS[severity]), (f"  {gloss}", "dim")))
            for finding in mine:
                _show_finding(finding, console)
    if found.estimate:
        _show_estimate(found.estimate, console)
    blocking = sum(f.blocking for f in found.findings)
    if blocking:
        console.print(
            f"\n{blocking} {'finding blocks' if blocking == 1 else 'findings block'} the first phase", style="bold red"
        )
    else:
        console.print("\nnothing blocks the first phase", style="bold green")


def _show_finding(finding: Finding, console: Console) -> None:
    number = f"{finding.number} " if finding.number else ""
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column()
    table.add_row(
        Text("●", _COLOURS[finding.severity]), Text.assemble((finding.subject, "bold"), f": {number}{finding.text}")
    )
    table.add_row("", Text(finding.consequence, "dim"))
    table.add_row("", Text(f"→ {finding.remedy}"))
    if finding.examples:
        table.add_row("", Text(f"e.g. {'; '.join(map(str, finding.examples))}", "dim"))
    console.print(table)


def _show_estimate(found: Estimate, console: Console) -> None:
    sizes = Table("table", "phase", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("rows", "size", "rows per hour"):
        sizes.add_column(name, justify="right")
    for s in found.sizes:
        growth = "?" if s.rows_per_hour is None else f"{s.rows_per_hour:,.0f}"
        sizes.add_row(s.table, s.phase, f"{s.rows:,}", pages.render_size(s.bytes), growth)
    console.print(sizes)
    phases = Table("phase", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("rows", "copy", "merge", "verify"):
        phases.add_column(name, justify="right")
    phases.add_column("figures")
    for p in found.phases:
        parts = (pages.render_duration(x) for x in (p.copy_s, p.merge_s, p.verify_s))
        phases.add_row(p.phase, f"{p.rows:,}", *parts, p.basis)
    console.print(phases)
    log = "unknown" if found.wal_per_hour is None else pages.render_size(found.wal_per_hour)
    console.print(
        f"disk needed in the new shop: {pages.render_size(found.shop_bytes)}; log written by legacy per hour: {log}"
    )
    for line in found.method:
        console.print(Text(line, "dim"))
