"""What report and page show of segments: how many customers each has, how that has moved, and what they are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from shopferry import db
from shopferry.control import installed_settings, segments
from shopferry.control.segments import Counted
from shopferry.db import Connection
from shopferry.route.route import Route

DAYS = 90
SIGNED_BY = "segments_signed_by"  # the setting in route.toml
WIDTH, HEIGHT = 160, 28
_MARGIN = 3
_AGO = timedelta(days=7)


@dataclass(frozen=True)
class Line:
    """One segment: its customers and their share, the change since a week before, and its line in the picture's coordinates."""

    segment: str
    customers: int
    share: float  # per cent of the scheme's customers
    change: int | None  # None: nothing was counted before
    value: tuple[tuple[str, float], ...]  # of the orders of a year, by currency, the largest first
    points: str  # empty where one day alone was counted


@dataclass(frozen=True)
class Scheme:
    """One way of sorting customers, with the segments in the order of their size."""

    scheme: str
    customers: int
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Picture:
    """All schemes as the last day has counted them, and from which day on there is something to compare."""

    day: date
    since: date
    schemes: tuple[Scheme, ...]
    signed: str | None = None  # who has signed the lines between segments
    width: int = WIDTH  # of a line's picture
    height: int = HEIGHT


def load(shop: Connection, route: Route) -> Picture | None:
    """Draw what ticks have counted in the last 90 days; None ahead of `phase init`, after `finish`, and before the first."""
    if not db.exists(shop, "ferry.segment_count"):
        return None
    history = segments.load_since(shop, route.base_name, datetime.now(UTC).date() - timedelta(days=DAYS))
    return draw(history, installed_settings.load(shop).get(SIGNED_BY))


def draw(history: Mapping[date, Sequence[Counted]], signed: str | None = None) -> Picture | None:
    """Draw what the days have counted, given oldest first; None where nothing was counted."""
    if not history:
        return None
    day = max(history)
    before = max((d for d in history if d <= day - _AGO), default=min(history))
    schemes = []
    for scheme in dict.fromkeys(c.scheme for c in history[day]):
        own = [c for c in history[day] if c.scheme == scheme]
        # A segment that is empty today had customers before, and its line goes down to nothing.
        emptied = {c.segment for d in history for c in history[d] if c.scheme == scheme} - {c.segment for c in own}
        own += [Counted(scheme, segment, 0, {}) for segment in sorted(emptied)]
        total = sum(c.customers for c in own)
        lines = [_draw_line(c, history, before if before < day else None, total) for c in own]
        schemes.append(Scheme(scheme, total, tuple(sorted(lines, key=lambda x: -x.customers))))
    return Picture(day, min(history), tuple(schemes), signed)


def _draw_line(counted: Counted, history: Mapping[date, Sequence[Counted]], before: date | None, total: int) -> Line:
    by_day = {
        d: sum(c.customers for c in rows if (c.scheme, c.segment) == (counted.scheme, counted.segment))
        for d, rows in history.items()
    }
    first, last = min(by_day), max(by_day)
    highest, span = max(*by_day.values(), 1), max((last - first).days, 1)
    points = [
        (
            _MARGIN + (d - first).days / span * (WIDTH - 2 * _MARGIN),
            HEIGHT - _MARGIN - n / highest * (HEIGHT - 2 * _MARGIN),
        )
        for d, n in sorted(by_day.items())
    ]
    return Line(
        counted.segment,
        counted.customers,
        100 * counted.customers / total if total else 0.0,
        None if before is None else counted.customers - by_day[before],
        tuple(sorted(((str(k), float(v)) for k, v in counted.value.items()), key=lambda v: -v[1])),
        " ".join(f"{x:.1f},{y:.1f}" for x, y in points) if len(points) > 1 else "",
    )
