"""The merge behind batches that run ahead, on a connection of its own: while it works, the next batch goes on.

A batch that runs ahead commits what it changed in the mirror, whose identities moved, and which keys of entities that affects.
These keys are merged here, of several batches at once, and the batches are booked when they are.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial

from shopferry.cdc import metrics
from shopferry.cdc.applied import Noted
from shopferry.control import phases, routes
from shopferry.db import Connection
from shopferry.engine import changes
from shopferry.engine.merge import Merger
from shopferry.errors import FencedError
from shopferry.retry import retrying
from shopferry.route.route import Route

_WAITING = 4  # batches that may wait to be merged, beside the one that waits to be taken
_REPORT_EVERY_S = 1.0
_LEAST, MOST = 2_000, 50_000  # keys, about, that one transaction merges
_QUICK_S, _SLOW_S = 2.0, 5.0  # one that took less may merge more, one that took more has to merge less


@dataclass(frozen=True)
class NotedKeys:
    """The keys that batches of a route have noted, on a connection to the store that is written; `installed` as in `Replay`."""

    target: Connection
    route: Route
    installed: str | None

    @cached_property
    def merger(self) -> Merger:
        """The route's merge on that connection."""
        return Merger(self.target, self.route)

    def merge(self, batches: Sequence[Noted], about: int = MOST) -> bool:
        """Merge about so many of the keys that were noted, in one transaction; returns whether more are left.

        These batches, whose keys are among them, are booked when none are. Raises FencedError when other mappings were installed.
        """
        units = self.route.mappings
        self.merger.stage(units)
        with self.target.transaction():
            states = phases.share(self.target, self.route.name)
            if routes.find_installed(self.target, self.route.name) != self.installed:
                raise FencedError("other mappings were installed since this consumer read its own")
            live = {phase for phase, state in states if state.live}
            merged, more = self.merger.merge_noted([u for u in units if u.phase in live], about)
            lags = self._book(batches) if batches and not more else []
        metrics.report_merged(merged, lags)
        return more

    def _book(self, batches: Sequence[Noted]) -> list[int]:
        return [lag for batch in batches for lag in batch.book(self.target, self.route.name)]


@dataclass
class MergeBehind:
    """A thread that merges what batches have noted; `connect` opens its connection when that is first needed.

    Use it in a `with` block, from one thread, which calls `report` every second while it waits. At its end the merge under way
    is done; what is noted still waits for the next consumer, as when one dies.
    """

    connect: Callable[[], Connection]
    route: Route
    installed: str | None
    stop: threading.Event
    report: Callable[[], object]
    _waiting: list[Noted] = field(default_factory=list)
    _at_work: bool = False  # changes, as what waits does, only in a block of `_turn`
    _closing: bool = False
    _turn: threading.Condition = field(default_factory=threading.Condition)
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "merge behind"))
    _merging: Future[None] | None = None
    _keys: NotedKeys | None = None
    _about: int = MOST

    @property
    def is_behind(self) -> bool:
        """Whether something may still have to be merged."""
        return self._merging is not None

    @property
    def is_at_work(self) -> bool:
        """Whether a merge is under way now."""
        return self._at_work

    def begin(self) -> None:
        """Make ready for batches that are to come, and merge what was noted before; waits for nothing."""
        with self._turn:
            self._go_on()

    def take(self, batch: Noted) -> None:
        """Have one more batch merged; waits while too many wait. Raises what the merge of those before has raised."""
        self._await(lambda: len(self._waiting) < _WAITING or not self._at_work)
        with self._turn:
            self._waiting.append(batch)
            self._go_on()

    def finish(self) -> None:
        """Wait until what is noted by now is merged, by this consumer or one before, or until told to stop.

        Raises what the merge has raised.
        """
        self.begin()
        self._await(lambda: not self._at_work)
        merging, self._merging = self._merging, None
        if merging is not None:
            merging.result()

    def _await(self, there: Callable[[], bool]) -> None:
        while True:
            with self._turn:
                if self._turn.wait_for(there, _REPORT_EVERY_S):
                    return
            self.report()

    def _go_on(self) -> None:
        if self._at_work:
            return
        if self._merging is not None:
            self._merging.result()
        self._at_work, self._merging = True, self._thread.submit(self._merge)

    def _merge(self) -> None:
        """Merge until nothing waits."""
        batches, more = list[Noted](), True
        try:
            while (waiting := self._next(more)) is not None:
                if self._keys is None:
                    self._keys = NotedKeys(self.connect(), self.route, self.installed)
                batches, started = [*batches, *waiting], time.monotonic()
                work = partial(self._keys.merge, batches, self._about)
                more = retrying(work, self._keys.target, notice=metrics.count_retry, stop=self.stop)
                batches = batches if more else []
                took = time.monotonic() - started
                if took > _SLOW_S:
                    self._about = max(_LEAST, self._about // 2)
                elif took < _QUICK_S and more:
                    self._about = min(MOST, self._about * 2)
        except BaseException:
            self._rest()
            raise

    def _next(self, more: bool) -> list[Noted] | None:
        """Take what waits; None, and no more work, if nothing does."""
        with self._turn:
            if self._closing or self.stop.is_set() or not (more or self._waiting):
                self._rest()
                return None
            batches, self._waiting = self._waiting, []
            self._turn.notify_all()
            return batches

    def _rest(self) -> None:
        with self._turn:
            self._at_work = False
            self._turn.notify_all()

    def __enter__(self) -> MergeBehind:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._thread.shutdown()
        if self._keys is not None:
            changes.drop_tables(self._keys.target)
            self._keys.target.close()
