"""Verbs of what is derived from the new shop: bring it to a day, show segments, propose lines, hand it over."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

from shopferry import db, pages
from shopferry.cli.output import show
from shopferry.engine.pair import open_stores
from shopferry.errors import ConfigError, PhaseError
from shopferry.insight import derived, picture, sql_file
from shopferry.route.route import Route
from shopferry.settings import Settings


def insight_tick(args: argparse.Namespace) -> int:
    """Move the day of mappings on, bring profiles and segments to it, and book how many customers each segment has."""
    day = args.day or datetime.now(UTC).date()
    with open_stores(Settings.load(), "insight") as stores:
        done = derived.tick(stores, day)
    if args.json:
        print(json.dumps({"day": done.day.isoformat(), "merged": done.merged}))
    else:
        print(f"{done.day}: {done.merged:,} keys merged, {len(done.counted)} segments counted")
    return 0


def insight_segments(args: argparse.Namespace) -> int:
    """Show how many customers each segment has, how that has moved in a week, and what their orders of a year are worth."""
    settings = Settings.load()
    route = Route.load(settings.route)
    with db.connect(settings.target_dsn, "insight") as shop:
        drawn = picture.load(shop, route)
    if drawn is None:
        raise PhaseError("no segments were counted yet: `shopferry insight tick` does it")
    rows = [
        {
            "scheme": s.scheme,
            "segment": x.segment,
            "customers": x.customers,
            "share": f"{x.share:.1f} %",
            "change": x.change,
            "value": ", ".join(f"{worth:,.2f} {currency}" for currency, worth in x.value),
        }
        for s in drawn.schemes
        for x in s.lines
    ]
    show(args, rows)
    return 0


def insight_breaks(args: argparse.Namespace) -> int:
    """Propose lines between segments: where the customers of now would be cut into five equal parts; changes nothing."""
    with open_stores(Settings.load(), "insight") as stores:
        derived.require_derived(stores)
        proposed = derived.propose_breaks(stores.target, stores.route)
        now = {s.name: s.value for s in stores.route.settings}
    if not proposed:
        raise ConfigError(f"route {stores.route.name} has no {derived.BREAKS}, or no customer has bought anything")
    show(args, [{"setting": n, "now": now.get(n), "proposed": v} for n, v in proposed.items()])
    if not args.json:
        print(
            "Round them, write them into route.toml under [settings] with the name of who signs, and run `phase init`."
        )
    return 0


def insight_hand_over(args: argparse.Namespace) -> int:
    """Write one SQL file that renews profiles and segments without shopferry; the shop's own team runs it once a day."""
    with open_stores(Settings.load(), "insight") as stores:
        derived.require_derived(stores)
        stores.merger.stage(stores.route.derived)
        text = sql_file.write(stores.target, stores.route)
    pages.write(text, Path(args.file))
    print(f"{args.file} is written: psql -v ON_ERROR_STOP=1 -f {args.file}, once a day")
    return 0
