"""What applying one batch did, in numbers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shopferry.cdc.envelope import Change
from shopferry.control import offsets
from shopferry.control.offsets import Partition, Tally
from shopferry.db import Connection
from shopferry.engine.outcome import Merged

_LAG_SAMPLE = 50
_LAG_MAX = 2**31 - 1  # milliseconds that the control table can hold: 24 days


@dataclass(frozen=True)
class Noted:
    """A batch to be booked when all that it affects is merged: its events, when some of them were committed, its begin."""

    events: int
    committed_ms: Sequence[float]  # epoch
    started: float  # of the monotonic clock, in seconds

    @classmethod
    def of(cls, changes: Sequence[Change], started: float) -> Noted:
        """Take a sample of a batch's changes."""
        return cls(len(changes), [c.committed_ms for c in changes[:: -(-len(changes) // _LAG_SAMPLE) or 1]], started)

    def book(self, target: Connection, route: str) -> list[int]:
        """Book the batch as merged by now, if it held changes, and return the lags of its sample in milliseconds."""
        if not self.events:
            return []
        now = time.time() * 1000
        lags = [min(max(0, int(now - committed)), _LAG_MAX) for committed in self.committed_ms]
        took = int((time.monotonic() - self.started) * 1000)
        offsets.record_batch(target, route, events=self.events, lag_ms=lags, apply_ms=took)
        return lags


@dataclass(frozen=True)
class Applied:
    """What one batch did: events taken in, rows written to the mirror, what each entity's merge did, lags of a sample.

    Of one that ran ahead `noted` is what is still to be merged and booked.
    """

    events: int
    rows: int
    merged: dict[str, Merged]
    tallies: Mapping[Partition, Tally] = field(default_factory=dict)
    lag_ms: Sequence[int] = ()
    noted: Noted | None = None
    loading: bool = False  # a phase is being copied or merged
