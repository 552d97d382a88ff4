"""The backlog: what was fetched and not yet handed out, handed out in the order in which it was written.

A broker serves one partition after the other. Behind an outage that would be all order lines before the first order: each
of them would wait in quarantine for its parent, and be merged twice. So records leave by the broker's time, whatever
partition they lie in, and none leaves before those of a partition that has older ones still to come.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from shopferry.control.offsets import Partition


@dataclass
class Backlog:
    """Fetched records by partition, each with a `timestamp` in ms, in the order of their offsets."""

    _waiting: dict[Partition, deque[Any]] = field(default_factory=dict)
    _reached: dict[Partition, int] = field(default_factory=dict)  # the time up to which each partition was fetched

    @property
    def partitions(self) -> set[Partition]:
        """Those of which something waits."""
        return {p for p, waiting in self._waiting.items() if waiting}

    def put(self, partition: Partition, records: Sequence[Any]) -> None:
        """The next records of a partition have come."""
        self._waiting.setdefault(partition, deque()).extend(records)
        self._reached[partition] = max(self._reached.get(partition, 0), records[-1].timestamp)

    def take(self, most: int, behind: Collection[Partition]) -> dict[Partition, list[Any]]:
        """The oldest records, at most so many, and none that is younger than what has come of the partitions `behind`."""
        limit = min((self._reached.get(p, -1) for p in behind), default=None)
        heads = [(waiting[0].timestamp, p) for p, waiting in self._waiting.items() if waiting]
        heapq.heapify(heads)
        found: dict[Partition, list[Any]] = {}
        while heads and most and (limit is None or heads[0][0] <= limit):
            _, partition = heads[0]
            waiting = self._waiting[partition]
            found.setdefault(partition, []).append(waiting.popleft())
            most -= 1
            if waiting:
                heapq.heapreplace(heads, (waiting[0].timestamp, partition))
            else:
                heapq.heappop(heads)
        return found

    def clear(self) -> None:
        """Forget all of it: it will be fetched anew."""
        self._waiting.clear()
        self._reached.clear()
