"""The evaluation for terminal, programs and people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shopferry import pages
from shopferry.pages.languages import Language
from shopferry.report.evaluation import USUAL_DAYS, Evaluation
from shopferry.report.rendering import make_plain


def as_json(made: Evaluation) -> dict[str, Any]:
    """Return the evaluation as plain values."""
    plain: dict[str, Any] = make_plain(asdict(made))
    return plain | {"days": made.days}


def as_html(made: Evaluation, language: Language) -> str:
    """Return the evaluation as one page in a language; it needs nothing else."""
    return pages.render("evaluation.html", language, e=made, usual=USUAL_DAYS)


def show(made: Evaluation, console: Console) -> None:
    """Print the evaluation."""
    console.print(f"{made.route}: {made.days} days since the cutover of {made.cutover:%Y-%m-%d %H:%M} UTC")
    for topic, counts in made.topics.items():
        _print(console, (topic, "people"), [(c.what, f"{c.people:,}") for c in counts])
    if made.reach:
        rows = [(r.channel, "–" if r.then is None else f"{r.then:,}", f"{r.now:,}") for r in made.reach]
        _print(console, ("may be written to by", "then", "now"), rows)
    if made.reasons:
        _print(
            console,
            ("left in quarantine", "reason", "entries"),
            [(r.entity, r.reason, f"{r.rows:,}") for r in made.reasons],
        )
    if made.answers:
        answers = [(a.kind, *(f"{n:,}" for n in (a.opened, a.in_time, a.late, a.pending))) for a in made.answers]
        _print(console, ("requests", "opened", "answered in time", "late", "pending"), answers)
    console.print(
        f"requests since the cutover: {sum(a.opened for a in made.answers):,}; erasures done: {made.erasures:,}"
    )
    if made.bad:
        bad = [(q.value.state, q.audit, q.value.segment, f"{q.share:.1f} %", q.owner) for q in made.bad]
        _print(console, ("state", "audit", "segment", "bad", "owner"), bad)
    console.print(f"audits: {made.good} good, {len(made.bad)} not")
    console.print("not known from here:")
    for line in made.unknown:
        console.print(Text(f"? {line}"))


def _print(console: Console, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(*head, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
