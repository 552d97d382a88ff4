"""What happens to the stream in a random history, whatever the shop: cut batches, old events again, deaths, resyncs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pair import KilledError, Pair
from shopferry.engine import backfill


@dataclass(frozen=True)
class Replay:
    """Apply what was captured: so much of each partition, all without a number; or die before statement number `crash`."""

    cuts: tuple[int, ...] = ()
    crash: int | None = None


@dataclass(frozen=True)
class Again:
    """Deliver the last events once more."""

    count: int


@dataclass(frozen=True)
class Resync:
    """Copy everything again; what was written just before (`lost`) may be in no topic."""

    lost: Any


Step = Replay | Again | Resync


def take(pair: Pair, step: Step, write: Callable[[Any], object]) -> None:
    """Take one step; `write` commits what a resync is to find."""
    if isinstance(step, Replay):
        pair.capture()
        take = {
            p: min(n, step.cuts[i % len(step.cuts)]) if step.cuts else n
            for i, (p, n) in enumerate(pair.pending().items())
        }
        dies(pair, step.crash, lambda: pair.replay(take))
    elif isinstance(step, Again):
        pair.capture()
        pair.log.again(step.count)
    else:
        pair.sync()
        write(step.lost)
        pair.tap.skip()
        pair.log.order.clear()
        backfill.resync(pair.stores, "test", pair.log.ends)


def dies(pair: Pair, crash: int | None, work: Callable[[], object]) -> bool:
    """Do the work, or die before its statement number `crash` in the target; whether it died."""
    left = crash or 0

    def count(_: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise KilledError

    pair.shop.before = count
    try:
        work()
    except KilledError:
        return True
    finally:
        pair.shop.before = None
    return False
