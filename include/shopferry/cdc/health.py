"""The consumer's health as its endpoint tells it: when it last heard from the new shop and from the broker."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

SILENCE_S = 30.0  # a look longer ago than this is no look any more


@dataclass
class Health:
    """Whether the consumer goes round: what it looked at and when, and what stopped it or troubled it last."""

    looks: dict[str, float] = field(default_factory=dict)
    stopped: str | None = None
    trouble: str | None = None

    def note_answer(self, at: str) -> None:
        """Note that the shop or the broker has just answered."""
        self.looks[at] = time.monotonic()
        self.trouble = None

    def stop(self, reason: str) -> None:
        """Note that the consumer ends with this error."""
        self.stopped = reason

    def find_fault(self, silence_s: float = SILENCE_S) -> str | None:
        """Find why the consumer is not well; None if it is."""
        if self.stopped:
            return f"stopped: {self.stopped}"
        for at in ("shop", "broker"):
            if at not in self.looks:
                return f"has not reached the {at} yet" + self._because()
            if (age := time.monotonic() - self.looks[at]) > silence_s:
                return f"the {at} last answered {age:.0f} s ago" + self._because()
        return None

    def _because(self) -> str:
        return f": {self.trouble}" if self.trouble else ""


HEALTH = Health()
