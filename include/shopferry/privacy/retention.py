"""Nothing that the move keeps of people outlives its period: one look over all places, and the sweep."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shopferry import db
from shopferry.control import routes, schema
from shopferry.engine.pair import Stores, open_stores
from shopferry.errors import ConfigError, TransientError
from shopferry.privacy import copies, held_after, held_copies, held_files
from shopferry.privacy.held import Held
from shopferry.route import settings as route_settings
from shopferry.route.route import Route
from shopferry.route.settings import Retention
from shopferry.settings import Settings

log = logging.getLogger(__name__)
Look = tuple[list[Held], list[str]]  # what is held, and which places could not be looked at, one clause each


@dataclass(frozen=True)
class Place:
    """One place after a sweep: what went, what stays, the oldest of it, and until when that stays, in words."""

    place: str
    removed: int
    stays: int
    oldest: datetime | None
    until: str


@dataclass(frozen=True)
class Outcome:
    """What a sweep has done, or of a dry run what it would do.

    `due` is what it found to go, `past` what is past its period after it: for people to see to. `away` are places that could
    not be looked at.
    """

    places: list[Place]
    due: list[Held]
    past: list[Held]
    away: list[str]


def sweep(settings: Settings, now: datetime | None = None, *, dry: bool = False) -> Outcome:
    """Remove everything of the route that is past its period; a dry run looks and removes nothing.

    Works before a route is installed, during the move, and after its end. Raises ConfigError where the control tables are older
    than this version.
    """
    moment, route = now or datetime.now(UTC), Route.load(settings.route)
    terms = route_settings.load(route.name).retention
    with db.connect(settings.target_dsn, "sweep") as shop:
        if not routes.is_installed(shop):
            return _sweep(lambda: ([*held_after.find(shop, route.name, terms)], []), moment, dry)
        if not schema.is_current(shop):
            raise ConfigError("the control tables are those of an older version: run `shopferry phase init`")
    with open_stores(settings, "sweep") as stores:
        return _sweep(lambda: _look(settings, stores, terms), moment, dry)


def _look(settings: Settings, s: Stores, terms: Retention) -> Look:
    """Look at every place while the move lasts; a broker that is away keeps nothing else from being looked at."""
    found, away = list[Held](), list[str]()
    flows = copies.list_flows(s)
    for flow in flows:
        found += held_copies.find_rows(flow)
        found += held_copies.find_quarantined(flow, terms)
        found += held_copies.find_ledger(flow)
        try:
            found += held_copies.find_topics(settings, flow, terms)
        except TransientError as error:
            away.append(f"topics of {flow.route.name}: {error}")
    found += held_copies.find_scratch(s)
    found += held_files.find_backups(s.target, s.route.name, terms)
    found += held_files.find_papers(terms)
    return found, away


def _sweep(look: Callable[[], Look], now: datetime, dry: bool) -> Outcome:
    found, away = look()
    due, removed = [held for held in found if held.is_due(now)], dict[str, int]()
    if not dry:
        for held in due:
            if held.remove:
                removed[held.place] = removed.get(held.place, 0) + _remove(held)
        found, away = look()
    past = [held for held in found if held.is_past(now)]
    return Outcome(list(_sum_up(found, removed)), due, past, away)


def _remove(held: Held) -> int:
    """Take it away; a file that may not be removed is said, and is found past its period after the sweep."""
    assert held.remove
    try:
        return held.remove()
    except OSError as error:
        log.warning("%s is not removed from %s: %s", held.what, held.place, error.strerror)
        return 0


def _sum_up(found: Sequence[Held], removed: dict[str, int]) -> Iterator[Place]:
    for name in dict.fromkeys([*(held.place for held in found), *removed]):
        own = [held for held in found if held.place == name and held.count]
        dated = [held for held in own if held.since]
        undated = next((held for held in own if held.stays or held.until), None)
        oldest = min(dated, key=lambda held: held.since or datetime.max, default=undated)
        until = "" if not oldest else f"{oldest.until:%Y-%m-%d}" if oldest.until else oldest.stays
        yield Place(
            name, removed.get(name, 0), sum(held.count for held in own), oldest.since if oldest else None, until
        )
