"""Verbs for the author of a route: check, try, test, new."""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from shopferry.cli import looks
from shopferry.cli.output import show
from shopferry.errors import ConfigError
from shopferry.route.route import Route
from shopferry.settings import Settings

if TYPE_CHECKING:
    from shopferry.authoring.tryout import KeyResult, Tried

_FEW = 50


def route_check(args: argparse.Namespace) -> int:
    """Check the route's files, plan every SELECT, and name what is left out, with file and line; changes nothing. Exit 1 when
    the route cannot be installed as it is."""
    from shopferry.authoring import checking

    found = checking.check(Settings.load())
    rows = [{"how_bad": f.severity.value, "where": f.subject, "what": f.text, "what_to_do": f.remedy} for f in found]
    show(args, rows)
    return 0 if checking.is_right(found) else 1


def route_try(args: argparse.Namespace) -> int:
    """Run one mapping on some keys of legacy, into a scratch database that is dropped, and print its rows beside their sources.
    Values of people are shapes, unless --values. Exit 1 when no key was found."""
    from shopferry.authoring import tryout

    wanted = tryout.Wanted(args.entity, tuple(args.keys or ()), args.sample, args.explain)
    settings = Settings.load()
    tried = tryout.try_mapping(settings, wanted)
    if args.values:
        looks.book(args, tryout.list_seen(tried))
    else:
        tried = tryout.conceal(tried, Route.load(settings.route))
    if args.json:
        print(json.dumps(asdict(tried), indent=2, default=str, ensure_ascii=False))
    else:
        print("\n".join(_render(tried)))
    return 0 if tried.tried else 1


def route_new(args: argparse.Namespace) -> int:
    """Draft a route's folder from both stores: mappings, lists and sample, each guess marked as one; changes no store, and leaves
    files alone that somebody has changed. Exit 1 when no mapping could be drafted."""
    from shopferry.authoring import new_route

    dsns = [
        given or os.environ.get(name, "")
        for given, name in ((args.legacy, "SHOPFERRY_LEGACY_DSN"), (args.shop, "SHOPFERRY_SHOP_DSN"))
    ]
    if not all(dsns):
        raise ConfigError(
            "say where both stores are: --legacy and --shop, or SHOPFERRY_LEGACY_DSN and SHOPFERRY_SHOP_DSN"
        )
    drafted = new_route.draft(args.name, *dsns)
    if args.json:
        print(json.dumps(asdict(drafted), indent=2, default=str, ensure_ascii=False))
    else:
        said = [f"wrote {drafted.folder / name}" for name in drafted.files] or ["all files are there, and were changed"]
        said += [f"open: {sentence}" for sentence in drafted.open]
        said += [f"next: SHOPFERRY_ROUTE={args.name} shopferry route check"] * (drafted.mappings > 0)
        print("\n".join(said))
    return 0 if drafted.mappings else 1


def route_test(args: argparse.Namespace) -> int:
    """Run the route's cases, from legacy's rows to the rows expected of the new shop, in scratch databases that are dropped.
    Exit 1 when one ends otherwise."""
    from shopferry.authoring import cases

    logger = logging.getLogger("shopferry")
    level = logger.level
    logger.setLevel(logging.WARNING)  # what the engine tells of each chunk is of no interest here
    try:
        ended = [(case, outcome.list_differences()) for case, outcome in cases.run_all(Settings.load(), args.case)]
    finally:
        logger.setLevel(level)
    show(
        args,
        [{"case": c.name, "way": c.way, "right": not told, "differences": told} for c, told in ended],
        ("case", "way", "right"),
    )
    for case, told in ended if not args.json else ():
        if told:
            print("\n  ".join([f"{case.name}, {case.way}:", *told]))
    return 1 if any(told for _, told in ended) else 0


def _render(tried: Tried) -> Iterator[str]:
    for key in tried.keys:
        yield from _render_key(tried.target, key)
    held, left = (", ".join(f"{n} {code}" for code, n in c.items()) for c in (tried.reasons, tried.rules))
    yield f"{tried.target}: {tried.tried} keys, {tried.rows} rows, held: {held or 'none'}, left out: {left or 'none'}"
    read = ", ".join(f"{n} {table}" for table, n in tried.read.items() if n)
    yield f"read of legacy: {read or 'nothing'}; made first: {', '.join(tried.ran_before) or 'nothing'}"
    if tried.seconds_per_1000 is not None:
        few = ", so few that it is mostly what each merge costs once" if tried.tried < _FEW else ""
        yield f"merge: {tried.seconds_per_1000:.2f} s per 1,000 keys, measured on {tried.tried}{few}"
    yield from (f"note: {note}" for note in tried.notes)
    yield from tried.plan


def _render_key(target: str, key: KeyResult) -> Iterator[str]:
    yield f"key {key.key}"
    for table, rows in key.sources.items():
        yield from (f"  {table}: {_render_row(row)}" for row in rows)
    yield from (f"  → {target}: {_render_row(row)}" for row in key.rows)
    yield from (f"  ✗ {target} {row} is held: {', '.join(codes)}" for row, codes in key.held.items())
    yield from (f"  – {target} {row} is left out: {rule}" for row, rule in key.left_out.items())
    if not key.rows and not key.held and not key.left_out:
        yield f"  – {target}: the SELECT yields no row"
    yield ""


def _render_row(row: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={value!s}" for name, value in row.items() if value is not None)
