"""What applying one batch did, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shopferry.control.offsets import Partition, Tally
from shopferry.engine.outcome import Merged


@dataclass(frozen=True)
class Applied:
    """What one batch did: events taken in, rows written to the mirror, what each entity's merge did, lags of a sample."""

    events: int
    rows: int
    merged: dict[str, Merged]
    tallies: Mapping[Partition, Tally] = field(default_factory=dict)
    lag_ms: Sequence[int] = ()
