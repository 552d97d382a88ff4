"""Verbs of the data map, and of one person's consents: what the route holds of people."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from shopferry import db
from shopferry.cli import looks
from shopferry.cli.output import show
from shopferry.errors import ConfigError
from shopferry.privacy import consents
from shopferry.route import personal
from shopferry.route.route import Route
from shopferry.settings import Settings, find_route

_ACT_COLUMNS = (
    "happened_at",
    "known_at",
    "purpose",
    "channel",
    "act",
    "text_version",
    "source",
    "ip",
    "overwritten",
)


def draft(args: argparse.Namespace) -> int:
    """Print a line for each column that the route's personal.txt does not name, as a guess to be confirmed; changes nothing."""
    from shopferry.assess import coverage
    from shopferry.privacy import columns
    from shopferry.privacy import draft as drafting

    settings = Settings.load()
    route = Route.load(settings.route)
    data_map = personal.load(route)
    with db.connect(settings.source_dsn, "privacy") as legacy, db.connect(settings.target_dsn, "privacy") as shop:
        full, missing = coverage.reflect_mapped(legacy, route)
        if missing:
            raise ConfigError("; ".join(map(str, missing)))
        kept = coverage.cut_to_captured(shop, route, full)
        there = columns.read_all(legacy, shop, route)
    unnamed = columns.find_unnamed(data_map, list(columns.list_needed(kept, route, there)))
    if args.json:
        guesses = [{"column": ".".join(name), "guess": drafting.guess(*name[1:])} for name in unnamed]
        print(json.dumps(guesses, indent=2, ensure_ascii=False))
    else:
        print(drafting.write(data_map, unnamed), end="")
    return 0


def record(args: argparse.Namespace) -> int:
    """Say what people's data is processed, what for, on which basis, how long, and who sees it: GDPR Art. 30; asks no store."""
    from shopferry import pages
    from shopferry.privacy import record as records
    from shopferry.route import language

    made = records.build(Route.load(find_route()))
    if args.html:
        pages.write(records.as_html(made, language.load(made.route)), Path(args.html))
    if args.json:
        print(json.dumps(records.as_json(made), indent=2, ensure_ascii=False))
    else:
        from rich.console import Console

        records.show(made, Console(width=None if sys.stdout.isatty() else 160, highlight=False))
    return 0


def sweep(args: argparse.Namespace) -> int:
    """Remove what the move has kept of people beyond its period, and show what stays until when; exit 1 when something past
    its period stays, or a place cannot be looked at."""
    from shopferry.privacy import retention

    done = retention.sweep(Settings.load(), dry=args.dry_run)
    rows = [{"place": h.place, "what": h.what, "count": h.count, "since": h.since} for h in done.due]
    if args.json:
        past = [f"{h.place}: {h.what}" for h in done.past]
        told = {"places": list(map(asdict, done.places)), "due": rows, "past": past, "away": done.away}
        print(json.dumps(told, indent=2, default=_make_plain, ensure_ascii=False))
    else:
        if args.dry_run:
            print("would go, and what is past its period" if rows else "nothing would go")
            if rows:
                show(args, rows)
        show(args, done.places)
    for held in () if args.dry_run else done.past:
        print(f"past its period since {held.until:%Y-%m-%d}: {held.place}: {held.what}, {held.count}", file=sys.stderr)
    for clause in done.away:
        print(f"not looked at: {clause}", file=sys.stderr)
    return 1 if done.away or (done.past and not args.dry_run) else 0


def consent_show(args: argparse.Namespace) -> int:
    """Show one person's consents, and the acts that led to them, oldest first; IP addresses as shapes, unless --values."""
    found = consents.conceal(_read_consents(args), values=args.values)
    if args.json:
        told = {"person": found.person, "state": found.state, "chain": found.chain}
        print(json.dumps(told, indent=2, default=_make_plain, ensure_ascii=False))
        return 0
    print(f"consents of person {found.person} now")
    show(args, found.state)
    print("acts, oldest first")
    show(args, found.chain, _ACT_COLUMNS)
    return 0


def consent_receipt(args: argparse.Namespace) -> int:
    """Print one person's consents as a receipt, after ISO/IEC TS 27560:2023: JSON, with no address but its mark."""
    from shopferry.privacy import receipt

    print(json.dumps(receipt.make(_read_consents(args)), indent=2, ensure_ascii=False))
    return 0


def _read_consents(args: argparse.Namespace) -> consents.Consents:
    """Read one person's consents, and book that they are looked at."""
    settings = Settings.load()
    with db.connect(settings.target_dsn, "consents") as shop, shop.transaction():
        shop.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        found = consents.read(shop, Route.load(settings.route), args.key)
    looks.book(args, {"shop.person": [found.person]})
    return found


def _make_plain(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else asdict(value)  # type: ignore[call-overload]
