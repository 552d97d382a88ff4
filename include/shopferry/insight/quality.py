"""What the page *Quality* shows: each audit, the worst first, with a line of its last 90 days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from shopferry.control.audits import Counted, Value
from shopferry.insight import trend
from shopferry.insight.audits import Audit
from shopferry.insight.trend import Judged

DAYS = 90
WIDTH, HEIGHT = 240, 40
_MARGIN = 4
_LEAST_SPAN = 0.2  # points: what moves less is no movement


@dataclass(frozen=True)
class Dot:
    """One day that was not good, on the line."""

    x: float
    y: float
    state: str


@dataclass(frozen=True)
class Segment:
    """One segment of an audit: its newest value, and the line that it has drawn, in the coordinates of the picture."""

    judged: Judged
    at: datetime
    lowest: float | None
    highest: float | None
    points: str
    dots: tuple[Dot, ...]
    limit: float | None  # where the warning begins, if that lies within the picture
    end: Dot | None

    @property
    def better(self) -> float | None:
        """By how many points the share is better than usual; negative where it is worse."""
        if self.judged.share is None or self.judged.usual is None:
            return None
        gained = self.judged.share - self.judged.usual
        return gained if self.judged.audit.better == "higher" else -gained


@dataclass(frozen=True)
class Panel:
    """One audit with its segments, the worst first; none where it has not counted yet."""

    audit: Audit
    segments: tuple[Segment, ...]

    @property
    def state(self) -> str:
        """The state of its worst segment."""
        return self.segments[0].judged.state if self.segments else "none"


_ORDER = ("error", "warn", "good", "empty", "none")


def build(audits: Sequence[Audit], history: Sequence[Value], now: datetime) -> list[Panel]:
    """Build the panels, the worst first, of the values of the last 90 days; `history` is in the order of its runs."""
    newest = history[-1].run if history else 0
    panels = []
    for audit in audits:
        values: dict[str, list[Value]] = {}
        for value in history:
            if value.audit == audit.name:
                values.setdefault(value.segment, []).append(value)
        found = {s: _draw(audit, v, now) for s, v in values.items() if v[-1].run == newest}
        ordered = trend.order_worst_first([s.judged for s in found.values()])
        panels.append(Panel(audit, tuple(found[j.counted.segment] for j in ordered)))
    return sorted(panels, key=lambda p: (_ORDER.index(p.state), _measure_badness(p), p.audit.name))


def _measure_badness(panel: Panel) -> float:
    """How far the worst segment is from perfect, as a number that sorts the worst first."""
    shares = [s.judged.counted.bad / s.judged.counted.of for s in panel.segments if s.judged.counted.of]
    return -max(shares, default=0.0)


def _draw(audit: Audit, values: Sequence[Value], now: datetime) -> Segment:
    """Draw one segment; of several runs of one day the last counts."""
    last = values[-1]
    judged = trend.judge(audit, Counted(audit.name, last.segment, last.bad, last.of), values[-2::-1])
    judged = replace(judged, state=last.state)  # as it was judged then: thresholds may have changed since
    days = {v.at.astimezone(UTC).date(): v for v in values}
    shares = {v: share for v in days.values() if (share := audit.find_share(v.bad, v.of)) is not None}
    if not shares:
        return Segment(judged, last.at, None, None, "", (), None, None)
    lowest, highest = min(shares.values()), max(shares.values())
    low, high = lowest, highest
    if not audit.warn.relative and abs(audit.warn.level - (high if audit.better == "lower" else low)) <= high - low:
        low, high = min(low, audit.warn.level), max(high, audit.warn.level)
    # Noise must not look like a drift: what would warn fills half of the picture at most.
    least = 2 * audit.warn.level if audit.warn.relative else _LEAST_SPAN
    if high - low < least:
        low, high = (low + high - least) / 2, (low + high + least) / 2

    def place(share: float) -> float:
        return round(HEIGHT - _MARGIN - (share - low) / (high - low) * (HEIGHT - 2 * _MARGIN), 1)

    def when(at: datetime) -> float:
        passed = (now - at) / timedelta(days=DAYS)
        return round(WIDTH - _MARGIN - min(max(passed, 0.0), 1.0) * (WIDTH - 2 * _MARGIN), 1)

    dots = [Dot(when(v.at), place(share), v.state) for v, share in shares.items()]
    within = not audit.warn.relative and low <= audit.warn.level <= high
    return Segment(
        judged,
        last.at,
        lowest,
        highest,
        " ".join(f"{d.x},{d.y}" for d in dots),
        tuple(d for d in dots if d.state in {"warn", "error"}),
        place(audit.warn.level) if within else None,
        dots[-1],
    )
