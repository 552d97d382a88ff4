"""The flow: poll, replay each batch, for ever; there or back. No Kafka in here but its name.

A message that is missing, unknown or unreadable stops replay; nothing is ever skipped.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

from shopferry import db
from shopferry.cdc import health, metrics, slot
from shopferry.cdc.applied import Applied
from shopferry.cdc.batches import Batch, BatchReader
from shopferry.cdc.behind import MergeBehind
from shopferry.cdc.broker import beats as beats_of
from shopferry.cdc.broker import topics
from shopferry.cdc.consumer import Stream, open_stream
from shopferry.cdc.identities import find_refused
from shopferry.cdc.proof import count_behind
from shopferry.cdc.replay import Replay
from shopferry.control import locks, offsets
from shopferry.engine import erased, marks, mirror
from shopferry.engine.mirror import MirrorTable
from shopferry.engine.noted import find_waiting
from shopferry.errors import FencedError, TransientError
from shopferry.retry import describe, is_transient, retrying
from shopferry.route.route import Route
from shopferry.settings import Settings, name_sync

log = logging.getLogger(__name__)
_SMALLEST, _FIRST, _LARGEST = 250, 1_000, 8_000  # events in a batch
# A full batch has more waiting behind it: then what counts is how many a second, and larger ones save. One that took
# less may grow, one that took more has to shrink.
_QUICK_S, _SLOW_S = 1.0, 3.0
_BACKLOG = 500  # events behind a batch, or in it while a merge is under way, from which on it runs ahead
# While a phase is loaded at least so long from one small batch to the next: their number is what they cost, and the load has
# the time.
_BESIDE_LOAD_S = 0.25
_SIGN_OF_LIFE_S = 2.0
_LOOK_EVERY_S = 5.0
_ASLEEP = b"30s"  # a consumer that says nothing to the shop for so long loses its transaction and its locks there


@dataclass
class Flow:
    """The flow of one route: the changes of the store that it reads into the one that it writes, until `stop` is set.

    `name` is who this consumer is, in ferry.consumer and in the group: a restart by the same name is the same consumer, and
    two at the same time need two.
    """

    settings: Settings
    stop: threading.Event
    name: str

    def run(self) -> None:
        """Replay until stopped. Raises what stopped it; the reason also stands in ferry.consumer."""
        while not self.stop.is_set():
            route = Route.load(self.settings.route)  # again, where others were installed meanwhile
            try:
                retrying(partial(self._flow, route), notice=metrics.count_retry, stop=self.stop)
            except FencedError as error:
                log.warning("%s", error)  # partitions moved, or mappings: read positions and mappings again
            except Exception as error:
                if self.stop.is_set() and is_transient(error):
                    return  # it would have been tried again
                health.HEALTH.stop(describe(error))
                self._note(describe(error))
                raise

    def _note(self, stopped: str) -> None:
        with db.connect(self.settings.target_dsn, f"{name_sync(self.settings.route)} note") as target:
            if db.exists(target, "ferry.consumer"):  # not before the first `phase init`
                offsets.report_alive(target, self.settings.route, self.name, stopped)

    def _flow(self, route: Route) -> None:
        role = name_sync(route.name)
        with (
            db.connect(self.settings.target_dsn, role) as target,
            db.connect(self.settings.source_dsn, f"{role} re-read") as source,
        ):
            # A consumer that is stopped for longer than the group waits must not hold up those who go on in its place.
            target.execute(b"SET idle_session_timeout = '%s'" % _ASLEEP)
            target.execute(b"SET idle_in_transaction_session_timeout = '%s'" % _ASLEEP)
            if not (tables := mirror.load(target)):
                raise TransientError("the mirror is not there yet: run `shopferry phase init`")
            marks.require_key(target, route)
            erased.require_joined(source, target, route)
            with open_stream(self.settings, tuple(topics(route, tables)), target, self.name) as made:
                if not made.shared:
                    self._stand_by(target)
                self._replay(made, Replay(target, source, route), tables)

    def _stand_by(self, target: db.Connection) -> None:
        """Wait until no other consumer of this route is at work. The lock saves work; what protects are the offsets."""
        while not self.stop.is_set():
            if locks.try_sync(target, self.settings.route):
                return
            self.stop.wait(0.5)

    def _replay(self, stream: Stream, replay: Replay, tables: Mapping[str, MirrorTable]) -> None:
        if replay.installed != replay.route.fingerprint:
            log.error(
                "this consumer's mappings are not those that are installed: give it the same files, or run `shopferry phase init`"
            )
        shop, route = replay.target, replay.route
        seen, most = float("-inf"), _FIRST
        with (
            BatchReader(stream, beats_of(route), frozenset(tables), route.captured_schema) as reader,
            MergeBehind(self._connect_behind, route, replay.installed, self.stop, partial(self._sign, shop)) as behind,
        ):
            self._look(replay, tables)
            looked = time.monotonic()
            stream.look(self.stop)
            with reader.read_ahead(most):  # a group takes seconds to deal its partitions: meanwhile all is made ready
                goal = stream.read_ends()  # a consumer that has come that far is past what stopped the one before
                backlog = sum(count_behind(offsets.load(shop, route.name), goal).values())
                if backlog >= _BACKLOG or find_waiting(shop, route):
                    behind.begin()  # its session makes ready beside this one, at worst for nothing
                can_run_ahead = replay.can_run_ahead()
            while not self.stop.is_set():
                if time.monotonic() - looked > _LOOK_EVERY_S:
                    self._look(replay, tables)
                    looked = time.monotonic()
                    # What a consumer that is no more has left; while a phase is merged, its workers take what is noted.
                    if not behind.is_behind and find_waiting(shop, route):
                        behind.finish()
                if time.monotonic() - seen > _SIGN_OF_LIFE_S:
                    self._sign(shop, there=all(stream.position.get(p, end) >= end for p, end in goal.items()))
                    metrics.report_position(stream.position, stream.list_ends())
                    slot.send_beat(replay.source)
                    seen = time.monotonic()
                batch = reader.next_batch(most, self.stop)
                # A large one, too, while the merge behind those before it is at work: it would wait for that.
                more = max(stream.count_waiting(), batch.messages if behind.is_at_work else 0)
                ahead = can_run_ahead and more >= _BACKLOG
                due = behind.is_behind and not ahead
                if due and not behind.is_at_work:
                    behind.finish()
                for value in batch.beats:
                    slot.follow(shop, route.name, value)
                if not batch.steps:
                    continue
                full = batch.messages >= most
                with reader.read_ahead(most) if full or ahead or due else nullcontext():
                    if due and batch.changes:
                        behind.finish()
                        if self.stop.is_set():
                            return  # perhaps before all was merged: this batch is the next consumer's
                    started = time.monotonic()
                    with metrics.time_batch() as booked:
                        applied = self._apply(replay, batch, ahead=ahead)
                        booked(applied)
                    took = time.monotonic() - started
                    if applied.noted:
                        behind.take(applied.noted)
                stream.confirm({partition: following for partition, (_, following) in batch.steps.items()})
                if applied.loading and not ahead and not full:
                    self.stop.wait(_BESIDE_LOAD_S - took)
                # Batches grow as long as they come full and are quick; with little to do, a batch is what there is.
                if took > _SLOW_S:
                    most = max(_SMALLEST, most // 2)
                elif took < _QUICK_S and full:
                    most = min(_LARGEST, most * 4)

    def _sign(self, shop: db.Connection, *, there: bool = False) -> None:
        """Give a sign of life; `there` tells that this consumer is past what stopped the one before."""
        sign = offsets.report_alive if there else offsets.report_seen
        metrics.report_alive(shop, self.settings.route, sign(shop, self.settings.route, self.name))

    def _look(self, replay: Replay, tables: Mapping[str, MirrorTable]) -> None:
        """Look whether nothing was lost or is refused at the source, and forget old batches."""
        shop, route = replay.target, replay.route
        slot.require_sound(replay.source, shop, route.name, route.publication, tables)
        for clause in find_refused(replay.source, route.publication):
            log.error("the shop's application cannot UPDATE or DELETE there: %s", clause)
        offsets.forget_batches(shop, route.name)

    def _apply(self, replay: Replay, batch: Batch, *, ahead: bool) -> Applied:
        return retrying(
            lambda: replay.apply(batch.changes, batch.steps, ahead=ahead),
            *(replay.target, replay.source),
            notice=metrics.count_retry,
            stop=self.stop,
        )

    def _connect_behind(self) -> db.Connection:
        conn = db.connect(self.settings.target_dsn, f"{name_sync(self.settings.route)} behind")
        conn.execute(b"SET idle_in_transaction_session_timeout = '%s'" % _ASLEEP)
        return conn
