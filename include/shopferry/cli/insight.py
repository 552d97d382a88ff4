"""Verbs of audits: count now, list them, show one with its history; the exit code is 1 while one is in error."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from shopferry import db
from shopferry.cli.output import name_who, show
from shopferry.control import audits as books
from shopferry.errors import ConfigError, MappingError, PhaseError
from shopferry.insight import audits, quality, trend
from shopferry.insight import run as runs
from shopferry.insight.audits import Audit
from shopferry.insight.quality import Panel
from shopferry.insight.trend import Judged
from shopferry.route.route import Route
from shopferry.settings import Settings

_COLUMNS = ("state", "audit", "segment", "share", "usual", "bad", "of", "unit")


def audit_run(args: argparse.Namespace) -> int:
    """Count what the route's audits ask of the new shop, judge it by the runs before, and book it; exit 1 on an error."""
    settings = Settings.load()
    route = Route.load(settings.route)
    if not audits.load(route):
        raise ConfigError(f"route {route.name} has no audits: a file in its folder {audits.FOLDER}/ is one")
    with db.connect(settings.target_dsn, "audit") as shop:
        due = runs.find_due(shop, route)
        if not due:
            raise PhaseError("nothing to count: no phase with audits has filled the new shop")
        done = runs.run(shop, route, due, name_who(args), datetime.now(UTC))
    if args.json:
        told = {
            "run": done.number,
            "seconds": round(done.seconds, 3),
            "values": [_describe(j) for j in done.judged],
            "changed": [_describe(j) for j in done.changed],
            "broken": done.broken,
        }
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        show(args, [_describe(j) for j in trend.order_worst_first(done.judged)], _COLUMNS)
        for judged in done.changed:
            print(f"{'worse' if judged.worse else 'better'}: {judged.told}")
    if done.broken:
        raise MappingError("; ".join(done.broken))
    return 1 if done.wrong else 0


def audit_list(args: argparse.Namespace) -> int:
    """List the route's audits with what the newest run counted, the worst first; exit 1 while one is in error."""
    panels = _read_panels()
    rows: list[dict[str, Any]] = []
    for panel in panels:
        words = {"owner": panel.audit.owner, "warn": str(panel.audit.warn), "error": str(panel.audit.error)}
        rows += [_describe(s.judged) | words for s in panel.segments]
        if not panel.segments:
            rows.append({"state": "not counted", "audit": panel.audit.name, **words})
    show(args, rows, ("state", "audit", "segment", "share", "usual", "warn", "error", "owner"))
    return _judge(panels)


def audit_show(args: argparse.Namespace) -> int:
    """Show one audit: what its file says, and what the runs of 90 days counted, newest first; exit 1 while it is in error."""
    settings, now = Settings.load(), datetime.now(UTC)
    route = Route.load(settings.route)
    audit = audits.find(audits.load(route), args.name)
    with db.connect(settings.target_dsn, "audit") as shop:
        history = books.load_since(shop, route.base_name, now - timedelta(days=quality.DAYS), now)
    words = {
        word: str(getattr(audit, "meaning" if word == "audit" else word))
        for word in ("audit", "owner", "unit", "better", "warn", "error", "phase", "remedy", "file")
    }
    lines = [asdict(v) | {"share": _round(audit, v.bad, v.of)} for v in reversed(history) if v.audit == audit.name]
    if args.json:
        print(json.dumps(words | {"values": lines}, indent=2, default=str, ensure_ascii=False))
    else:
        for word, text in words.items():
            print(f"{word:<8}  {text}")
        show(args, lines, ("run", "at", "segment", "share", "bad", "of", "state"))
    return _judge([p for p in quality.build([audit], history, now)])


def _read_panels() -> list[Panel]:
    settings, now = Settings.load(), datetime.now(UTC)
    route = Route.load(settings.route)
    with db.connect(settings.target_dsn, "audit") as shop:
        history = books.load_since(shop, route.base_name, now - timedelta(days=quality.DAYS), now)
    return quality.build(audits.load(route), history, now)


def _judge(panels: Sequence[Panel]) -> int:
    return 1 if any(p.state == "error" for p in panels) else 0


def _describe(judged: Judged) -> dict[str, Any]:
    """Describe a value as verbs print it; shares in per cent, as texts with two decimals."""
    return {
        "state": judged.state,
        "was": judged.was,
        "audit": judged.audit.name,
        "segment": judged.counted.segment,
        "share": None if judged.share is None else f"{judged.share:.2f} %",
        "usual": None if judged.usual is None else f"{judged.usual:.2f} %",
        "bad": judged.counted.bad,
        "of": judged.counted.of,
        "unit": judged.audit.unit,
    }


def _round(audit: Audit, bad: int, of: int) -> str | None:
    share = audit.find_share(bad, of)
    return None if share is None else f"{share:.2f} %"
