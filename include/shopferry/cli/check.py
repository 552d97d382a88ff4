"""Verbs that look and mend: status, assessment, report, verification, repair, quarantine."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from shopferry import db
from shopferry.cli import looks
from shopferry.cli.output import name_who, publish_report, show
from shopferry.control import differences, quarantine
from shopferry.engine import pair
from shopferry.errors import PhaseError
from shopferry.route.route import Route
from shopferry.settings import Settings, data_dir


def status(args: argparse.Namespace) -> int:
    """Show on one screen what is wrong, the phases, what waits, slot, position, rate, quarantine; exit 1 when something is."""
    from shopferry.health import measure, problems, screen

    health = measure.measure(Settings.load())
    wrong = problems.find_problems(health)
    if args.json:
        found = {
            **asdict(health),
            "watched": health.watched,
            "lag_s": health.lag_s,
            "complaints": [{"code": c.code, "text": c.text, "runbook": c.anchor} for c in wrong],
            "awaited": [{"code": c.code, "text": c.text} for c in problems.find_awaited(health)],
        }
        print(json.dumps(found, indent=2, default=str, ensure_ascii=False))
        return 1 if wrong else 0
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    for line in screen.render(health, wrong, console.width):
        console.print(Text(line, "bold red" if line.startswith("!") else ""), soft_wrap=True)
    return 1 if wrong else 0


def assess(args: argparse.Namespace) -> int:
    """Look at both stores, the broker and the mappings before anything moves; changes nothing. Exit 1 when blocked."""
    from shopferry import assess, pages
    from shopferry.assess import report
    from shopferry.route import language

    settings = Settings.load()
    found = assess.assess(settings)
    if args.html:
        pages.write(report.as_html(found, language.load(settings.route)), Path(args.html))
    if args.json:
        print(json.dumps(report.as_json(found), indent=2, default=str, ensure_ascii=False))
    else:
        from rich.console import Console

        report.show(found, Console(width=None if sys.stdout.isatty() else 120, highlight=False))
    return 1 if found.blocked else 0


def report(args: argparse.Namespace) -> int:
    """Say what moved, what did not and why, what the sums are before and after, and what comes next. Exit 1 when they differ."""
    from shopferry import pages
    from shopferry.report import build, rendering
    from shopferry.route import language

    if args.evaluation:
        return _evaluate(args)
    made = build(Settings.load())
    if args.html:
        pages.write(rendering.as_html(made, language.load(made.route)), Path(args.html))
    if args.json:
        print(json.dumps(rendering.as_json(made), indent=2, ensure_ascii=False))
    else:
        from rich.console import Console

        rendering.show(made, Console(width=None if sys.stdout.isatty() else 120, highlight=False))
    return 1 if made.open_differences or made.unbalanced else 0


def _evaluate(args: argparse.Namespace) -> int:
    from shopferry import pages
    from shopferry.report import evaluation, rendering
    from shopferry.report import evaluation_rendering as shown
    from shopferry.route import language

    made = evaluation.build(Settings.load(), data_dir() / rendering.FOLDER)
    if args.html:
        pages.write(shown.as_html(made, language.load(made.route)), Path(args.html))
    if args.json:
        print(json.dumps(shown.as_json(made), indent=2, ensure_ascii=False))
    else:
        from rich.console import Console

        shown.show(made, Console(width=None if sys.stdout.isatty() else 120, highlight=False))
    return 0


def verify(args: argparse.Namespace) -> int:
    """Compare legacy, mirror and new shop of one phase, or of all in sync; exit 1 when anything differs."""
    from shopferry import phase_steps

    settings = Settings.load()
    route = Route.load(settings.route)
    if args.phase:
        route.of(args.phase)
    wanted, standing = [args.phase] if args.phase else route.phases, phase_steps.find_comparable(settings)
    if absent := [p for p in wanted if p not in standing]:
        left_out = f"not compared, as not in sync: {', '.join(absent)} (`shopferry phase status` says how they stand)"
        if len(absent) == len(wanted):
            raise PhaseError(left_out)
        print(left_out, file=sys.stderr)
    rows, different = [], False
    for phase in [p for p in wanted if p in standing]:
        outcome = phase_steps.compare(settings, phase, args.rows_per_second)
        different |= not outcome.clean
        rows.append(
            {
                "phase": phase,
                "rows_compared": outcome.rows_compared,
                "differences": outcome.open,
                "warnings": len(outcome.warnings),
                "seconds": outcome.seconds,
            }
        )
    show(args, rows)
    publish_report("after a verification")
    return 1 if different else 0


def repair(args: argparse.Namespace) -> int:
    """Mend the open differences of one phase or all, and look at them again; exit 1 when some are left."""
    from shopferry import phase_steps

    settings = Settings.load()
    rows, left = [], False
    for phase in [args.phase] if args.phase else Route.load(settings.route).phases:
        done = phase_steps.repair(settings, phase, name_who(args), args.target)
        left |= bool(done.remaining)
        rows.append(
            {
                "phase": phase,
                "differed": done.differences,
                "repaired": done.repaired,
                "remaining": done.differences - done.repaired,
                "seconds": done.seconds,
            }
        )
    show(args, rows)
    return 1 if left else 0


def difference_list(args: argparse.Namespace) -> int:
    """Show what verification found: counts, or with --rows the keys and the values' shapes, with --values the values."""
    from shopferry import phase_steps

    settings = Settings.load()
    with db.connect(settings.target_dsn, "differences") as shop:
        if not (args.rows or args.values):
            show(args, differences.count(shop, settings.route))
            return 0
        found = differences.load(
            shop, settings.route, args.phase, states=args.state or ("open",), target=args.target, limit=args.limit
        )
    if not args.values:
        columns = (
            "layer",
            "target",
            "key",
            "column_name",
            "kind",
            "expected",
            "found",
            "state",
            "first_seen",
            "explanation",
            "who",
        )
        show(args, found, columns)
        return 0
    now = []
    for phase in dict.fromkeys(e.phase for e in found):
        now += phase_steps.read_values(settings, phase, [e.difference for e in found if e.phase == phase])
    looks.book(args, {target: sorted({d.key for d in now if d.target == target}) for target in {d.target for d in now}})
    show(args, now, ["layer", "target", "key", "column", "kind", "expected", "found"])
    return 0


def difference_explain(args: argparse.Namespace) -> int:
    """Have open differences count as explained, by name: they no longer close the gate. Exit 1 when there are none."""
    settings = Settings.load()
    with db.connect(settings.target_dsn, "differences") as shop, shop.transaction():
        count = differences.explain(shop, settings.route, args.target, args.key, args.why, name_who(args))
    show(args, [{"explained": count}])
    return 0 if count else 1


def quarantine_list(args: argparse.Namespace) -> int:
    """Show what is in quarantine: counts by reason, or with --rows the keys. Never values."""
    settings = _choose_direction(args)
    with db.connect(settings.target_dsn, "quarantine") as shop:
        if args.rows:
            found = quarantine.load(shop, entity=args.entity, reason=args.reason, limit=args.limit)
            show(args, found)
        else:
            counts = [
                {"entity": e, "reason": r, "rows": n}
                for e, r, n in quarantine.count_by_reason(shop)
                if args.entity in {None, e} and args.reason in {None, r}
            ]
            show(args, counts)
    return 0


def quarantine_release(args: argparse.Namespace) -> int:
    """Merge quarantined rows again after their cause was mended; after the cutover enter them, and leave all other rows as
    they are. Exit 1 when some are still refused."""
    from shopferry.engine.release import release

    with pair.open_stores(_choose_direction(args), "release") as s:
        tried, left = release(s, entity=args.entity, reason=args.reason)
    show(args, [{"tried": tried, "released": tried - left, "still_in_quarantine": left}])
    return 1 if left else 0


def quarantine_drop(args: argparse.Namespace) -> int:
    """Give up rows that wait after the cutover, by name: they count as left out. Exit 1 when there are none."""
    from shopferry.engine.release import drop

    with pair.open_stores(_choose_direction(args), "drop") as s:
        count = drop(s, args.why, name_who(args), entity=args.entity, reason=args.reason, row=args.row)
    show(args, [{"dropped": count}])
    return 0 if count else 1


def _choose_direction(args: argparse.Namespace) -> Settings:
    settings = Settings.load()
    return settings.reversed if args.reverse else settings
