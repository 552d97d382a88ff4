"""How an audit's share is judged: against its thresholds, and against the median of the seven runs before this one.

The run that is judged is no part of what it is compared with, else it would hide its own drift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from shopferry.control.audits import Counted, Value
from shopferry.insight.audits import Audit

RUNS = 7
_FEWEST = 3  # with fewer runs nothing is usual yet
_GRAVITY = {"good": 0, "empty": 0, "warn": 1, "error": 2}


@dataclass(frozen=True)
class Judged:
    """One value with its verdict; `was` is the state of the run before, None in the first."""

    audit: Audit
    counted: Counted
    share: float | None  # in per cent; None of nothing
    usual: float | None  # the median of the runs before; None while there are too few
    state: str
    was: str | None

    @property
    def changed(self) -> bool:
        """Whether the state is another than before; what begins well has not changed."""
        return _GRAVITY[self.state] != _GRAVITY[self.was or "good"]

    @property
    def worse(self) -> bool:
        """Whether the state is worse than before: somebody should look."""
        return _GRAVITY[self.state] > _GRAVITY[self.was or "good"]

    @property
    def told(self) -> str:
        """What there is to say of it, in one clause: counts and words of the route's files."""
        usual = "" if self.usual is None else f", usually {self.usual:.2f} %"
        share = "nothing to count" if self.share is None else f"{self.share:.2f} %{usual}"
        return (
            f"{self.audit.name} [{self.counted.segment}] is {self.state}, was {self.was or 'not judged yet'}: {share}"
        )


def judge(audit: Audit, counted: Counted, before: Sequence[Value]) -> Judged:
    """Judge what was counted; `before` are the values of the runs before it, the newest first."""
    share, usual = audit.find_share(counted.bad, counted.of), find_usual(audit, before)
    if share is None:
        state = "empty"
    elif audit.is_beyond(audit.error, share, usual):
        state = "error"
    elif audit.is_beyond(audit.warn, share, usual):
        state = "warn"
    else:
        state = "good"
    return Judged(audit, counted, share, usual, state, before[0].state if before else None)


def find_usual(audit: Audit, before: Sequence[Value]) -> float | None:
    """Return the median share of the last seven of these runs; None while fewer than three have counted anything."""
    shares = [s for v in before[:RUNS] if (s := audit.find_share(v.bad, v.of)) is not None]
    return median(shares) if len(shares) >= _FEWEST else None


def order_worst_first(judged: Sequence[Judged]) -> list[Judged]:
    """Order values, the worst state first; within a state by audit and segment."""
    return sorted(judged, key=lambda j: (-_GRAVITY[j.state], j.state, j.audit.name, j.counted.segment))
