"""Verbs of the data map: what the route holds of people."""

from __future__ import annotations

import argparse
import json

from shopferry import db
from shopferry.errors import ConfigError
from shopferry.route import personal
from shopferry.route.route import Route
from shopferry.settings import Settings


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
