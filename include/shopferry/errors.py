"""What can go wrong, as one tree.

    ShopferryError
    ├── ConfigError            a setting, DSN or file is wrong: nothing was changed
    ├── MappingError           a mapping file is wrong: named with file and line
    ├── PhaseError             a phase may not do this now: says what is missing or who holds it
    ├── GateError              the cutover is refused: names the gate, its evidence, how to meet it
    ├── FencedError            another consumer, or another installation: this one must begin again
    ├── ReplayError            the stream cannot be applied safely: stop, never skip
    │   ├── EventError         an event we do not understand (topic, partition, offset)
    │   └── GapError           events are missing (slot lost, topic trimmed, broker emptied): resync
    ├── AnnounceError          the shop was switched, and the application cannot be told of it
    ├── VerificationError      the stores differ
    ├── BackupError            a backup could not be taken, or cannot be restored
    ├── StackError             a server of the embedded stack did not come up
    └── TransientError         worth another try: connection, deadlock, serialization, lock time-out

`retriable` says whether trying the same thing again can help; the Airflow layer maps it to retry or fail.
No text carries personal data: keys and reason codes only.
"""

from __future__ import annotations


class ShopferryError(Exception):
    """The root; `retriable` tells whether the same call may succeed later."""

    retriable = False


class ConfigError(ShopferryError):
    """A setting, DSN or file is wrong; nothing was changed."""


class MappingError(ShopferryError):
    """A mapping file is wrong; the text names file and line."""


class PhaseError(ShopferryError):
    """A phase may not do this now; the text says what is missing or who holds it."""


class GateError(ShopferryError):
    """The cutover is refused; the text names the gate, its evidence and how to meet it."""


class FencedError(ShopferryError):
    """Another consumer advanced a partition that this one believed to hold, or other mappings were installed."""


class ReplayError(ShopferryError):
    """The stream cannot be applied safely; replay stops and skips nothing."""


class EventError(ReplayError):
    """An event that is no event we know; the text names topic, partition and offset."""


class GapError(ReplayError):
    """Events are missing between what was applied and what the broker still has."""


class AnnounceError(ShopferryError):
    """The shop was switched, and a way to tell the application of it is wrong; the text names the way and what to do."""


class VerificationError(ShopferryError):
    """The stores differ; the text counts, the differences are in `ferry.difference`."""


class BackupError(ShopferryError):
    """A backup could not be taken, or cannot be restored; the text says which and why, without a row's values."""


class StackError(ShopferryError):
    """A server of the embedded stack did not come up; the text names its log."""


class TransientError(ShopferryError):
    """Worth another try: the connection broke, a lock timed out, a deadlock was resolved against us.

    `after_s` is how long the other side asks us to wait.
    """

    retriable = True

    def __init__(self, text: str = "", after_s: float = 0.0) -> None:
        super().__init__(text)
        self.after_s = after_s
