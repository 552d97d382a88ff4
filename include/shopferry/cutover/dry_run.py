"""A dry run of the cutover: all that it does but lock, fence and open; both stores stay as they are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from shopferry.cdc.proof import await_applied, broker_ends
from shopferry.control import routes
from shopferry.control.gates import Gate
from shopferry.cutover import gates, routing, sequences
from shopferry.cutover.deadline import LIMIT_S
from shopferry.cutover.last_look import find_differing, look_ahead
from shopferry.cutover.sequences import Numbering
from shopferry.engine.pair import Stores, open_stores
from shopferry.errors import PhaseError, ShopferryError
from shopferry.settings import Settings
from shopferry.stores import fence

_LOOKS = 3


@dataclass
class DryRun:
    """What a cutover would meet now: the gates, the milliseconds of each step, the sequences, and faults that would stop it."""

    gates: list[Gate]
    steps: list[tuple[str, float]] = field(default_factory=list)
    sequences: list[Numbering] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        """Whether a cutover would go through now, as far as one can tell without the lock."""
        return not self.faults and all(g.met for g in self.gates)


def dry_run(settings: Settings) -> DryRun:
    """Judge the gates, prove the stream, look at the rows that moved last, count what sequences would be set to.

    Writes nothing but the verdicts and markers. Raises PhaseError when a cutover has begun or is done.
    """
    with open_stores(settings, "dry run") as s:
        _require_open(s)
        done = DryRun([])
        with _lap(done, "gates"):
            done.gates = gates.judge(settings)
        try:
            routing.check(settings)
            with broker_ends(s, settings) as ends:
                with _lap(done, "look ahead"):
                    ahead = look_ahead(s, ends, LIMIT_S)
                with _lap(done, "applied"):
                    await_applied(s, ends, LIMIT_S)
                with _lap(done, "last look"):
                    differ = find_differing(s, ahead)
                    # Writers go on meanwhile: a row that differs each time, with all applied between, is no change under way.
                    for _ in range(_LOOKS - 1):
                        if not differ:
                            break
                        await_applied(s, ends, LIMIT_S)
                        again = find_differing(s, ahead)
                        differ = {t: both for t, keys in differ.items() if (both := keys & again.get(t, set()))}
            for table, keys in differ.items():
                done.faults.append(f"{len(keys)} rows of {table} differ from the mirror → run `shopferry verify`")
        except ShopferryError as error:
            done.faults.append(str(error))
        with _lap(done, "sequences"):
            done.sequences = sequences.numberings(s.target, s.route)
        return done


def _require_open(s: Stores) -> None:
    if routes.find_active(s.target, s.route.name) == "shop":
        raise PhaseError(f"route {s.route.name} is cut over: the new shop takes the writes, there is nothing to try")
    if fence.find_fenced(s.source):
        raise PhaseError("a cutover has begun and closed legacy: `shopferry cutover` completes it")


@contextmanager
def _lap(done: DryRun, step: str) -> Iterator[None]:
    started = time.monotonic()
    try:
        yield
    finally:
        done.steps.append((step, (time.monotonic() - started) * 1000))
