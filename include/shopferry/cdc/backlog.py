"""The backlog holds the records that were fetched and not yet handed out; it hands them out in the order they were written.

A broker serves one partition after the other. Behind an outage that would be all order lines before the first order: each
of them would wait in quarantine for its parent, and be merged twice. So records leave by the broker's time, whatever
partition they lie in, and no record leaves while another partition still has older ones to come.
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
        """The partitions of which something waits here."""
        return {p for p, waiting in self._waiting.items() if waiting}

    def put(self, partition: Partition, records: Sequence[Any]) -> None:
        """Add the next records of a partition."""
        self._waiting.setdefault(partition, deque()).extend(records)
        self._reached[partition] = max(self._reached.get(partition, 0), records[-1].timestamp)

    def take(self, most: int, coming: Collection[Partition]) -> dict[Partition, list[Any]]:
        """Hand out the oldest records, at most `most`, by partition.

        `coming` are the partitions of which the broker holds more than was put here. Once such a partition has nothing
        waiting, before this call or within it, the time up to which it was fetched is the limit for all others: what
        comes next may be as old as that, and not older.
        """
        limit = min((self._reached.get(p, -1) for p in set(coming) - self.partitions), default=None)
        heads = [(waiting[0].timestamp, p) for p, waiting in self._waiting.items() if waiting]
        heapq.heapify(heads)
        taken: dict[Partition, list[Any]] = {}
        while heads and most and (limit is None or heads[0][0] <= limit):
            _, partition = heads[0]
            waiting = self._waiting[partition]
            taken.setdefault(partition, []).append(waiting.popleft())
            most -= 1
            if waiting:
                heapq.heapreplace(heads, (waiting[0].timestamp, partition))
                continue
            heapq.heappop(heads)
            if partition in coming:
                reached = self._reached[partition]
                limit = reached if limit is None else min(limit, reached)
        return taken

    def clear(self) -> None:
        """Forget all of it: it will be fetched again."""
        self._waiting.clear()
        self._reached.clear()
