"""One thing that the move keeps of people: where it lies, since when, until when, and how it is taken away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Held:
    """Things of one kind in one place, with the same end.

    `since` is the age of the oldest, where it is known. `until` is their end; without one `stays` says in words what they wait
    for. `remove` takes them away and returns how many went. What has `goes` serves nothing any more and goes with every sweep,
    whatever its age.
    """

    place: str
    what: str
    count: int
    since: datetime | None = None
    until: datetime | None = None
    stays: str = ""
    goes: bool = False
    remove: Callable[[], int] | None = None

    def is_past(self, now: datetime) -> bool:
        """Whether its period is over."""
        return self.count > 0 and self.until is not None and self.until <= now

    def is_due(self, now: datetime) -> bool:
        """Whether a sweep at this moment takes it away, or a person has to."""
        return self.count > 0 and (self.goes or self.is_past(now))
