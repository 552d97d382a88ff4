"""Verbs of the data map: what the route holds of people."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from shopferry import db
from shopferry.errors import ConfigError
from shopferry.route import personal
from shopferry.route.route import Route
from shopferry.settings import Settings, find_route


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

    made = records.build(Route.load(find_route()))
    if args.html:
        pages.write(records.as_html(made), Path(args.html))
    if args.json:
        print(json.dumps(records.as_json(made), indent=2, ensure_ascii=False))
    else:
        from rich.console import Console

        records.show(made, Console(width=None if sys.stdout.isatty() else 160, highlight=False))
    return 0
