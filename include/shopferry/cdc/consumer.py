"""The CDC consumer: poll the broker, replay each batch, keep its position in the shop's database.

The offsets that count are those in ferry.kafka_offset, committed with the rows; what Kafka is told afterwards is for
lag tools only. A message that is missing, unknown or unreadable stops replay; nothing is ever skipped.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from shopferry import db, mirror
from shopferry.cdc import source
from shopferry.cdc.envelope import Change, Message, decode
from shopferry.cdc.replay import Replay
from shopferry.control import offsets
from shopferry.control.offsets import Partition
from shopferry.db import Connection
from shopferry.errors import FencedError, GapError, TransientError
from shopferry.mapping import Route
from shopferry.mirror import MirrorTable
from shopferry.retry import describe, retrying
from shopferry.settings import Settings

log = logging.getLogger(__name__)
_BATCH = 2_000
_POLL_MS = 100
_SIGN_OF_LIFE_S = 2.0
_NEW_TOPICS_MS = 5_000
_SECOND_LOOK_S = 5.0
_PATIENCE_S = 10.0


def topics(route: Route, tables: Iterable[str]) -> list[str]:
    """The topics that carry the route's captured tables, its markers and its beats."""
    own = [f"{route.name}.shopferry.marker", beats(route)]
    return [f"{route.name}.public.{t}" for t in sorted(tables)] + own


def beats(route: Route) -> str:
    """The topic of legacy's beats."""
    return f"{route.name}.shopferry.heartbeat"


@dataclass(frozen=True)
class EndOffsets:
    """Asks the broker for the end offset of every partition of the topics; warm it up, call it, close it."""

    kafka: str
    names: tuple[str, ...]
    _warm: list[KafkaConsumer] = field(default_factory=list)

    def warm(self) -> None:
        """Connect now, so that the next call need not. Raises TransientError if the broker does not answer."""
        if self._warm:
            return
        try:
            consumer = KafkaConsumer(
                bootstrap_servers=self.kafka.split(","), enable_auto_commit=False, fetch_max_wait_ms=10
            )
            self._warm.append(consumer)
            consumer.end_offsets(_partitions(consumer, self.names))
        except KafkaError as error:
            self.close()
            raise TransientError(f"broker {self.kafka} does not answer: {type(error).__name__}") from None

    def __call__(self) -> dict[Partition, int]:
        """The end offsets as the broker has them now. Raises TransientError if it cannot say.

        A broker may list an end that lies before its newest batch (the embedded one does), so what counts is the high
        watermark that a fetch from the listed end comes back with. Each call fetches with a consumer that has never
        fetched before: an older answer still under way must not be taken for this one.
        """
        self.warm()
        consumer = self._warm.pop()
        try:
            found = _partitions(consumer, self.names)
            listed = consumer.end_offsets(found)
            consumer.assign(found)
            for whence in found:
                consumer.seek(whence, listed[whence])
            deadline = time.monotonic() + _PATIENCE_S
            while any(consumer.highwater(whence) is None for whence in found):
                if time.monotonic() > deadline:
                    raise TransientError(f"broker {self.kafka} lists partitions but does not serve them")
                consumer.poll(timeout_ms=10)
            return {(s.topic, s.partition): max(listed[s], consumer.highwater(s)) for s in found}
        except KafkaError as error:
            raise TransientError(f"broker {self.kafka} does not answer: {type(error).__name__}") from None
        finally:
            consumer.close()

    def close(self) -> None:
        """Let the broker go."""
        while self._warm:
            self._warm.pop().close()


def stand_in(shop: Connection, route: str, *, patience_s: float) -> bool:
    """Be the only one that replays or resyncs this route, until the connection ends; whether that came about in time."""
    deadline = time.monotonic() + patience_s
    while True:
        row = shop.execute("SELECT pg_try_advisory_lock(hashtext(%s))", (f"sync forward {route}",)).fetchone()
        if row and row[0]:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)


@dataclass
class Forward:
    """The forward flow of one route: legacy's changes into the shop, until `stop` is set."""

    settings: Settings
    stop: threading.Event

    @property
    def name(self) -> str:
        """Who this consumer is, in ferry.consumer: the host, so that a restart is not somebody new."""
        return socket.gethostname()

    def run(self) -> None:
        """Replay until stopped. Raises what stopped it; the reason also stands in ferry.consumer."""
        route = Route.load(self.settings.route)
        while not self.stop.is_set():
            try:
                retrying(lambda: self._flow(route))
            except FencedError as error:
                log.warning("%s", error)  # partitions moved: read the positions anew
            except Exception as error:
                self._note(describe(error))
                raise

    def _note(self, stopped: str) -> None:
        with db.connect(self.settings.shop_dsn, "sync note") as shop:
            offsets.alive(shop, self.settings.route, self.name, stopped)

    def _flow(self, route: Route) -> None:
        with (
            db.connect(self.settings.shop_dsn, "sync forward") as shop,
            db.connect(self.settings.legacy_dsn, "sync re-read") as legacy,
        ):
            self._stand_by(shop)
            tables = mirror.load(shop)
            if not tables:
                raise TransientError("the mirror is not there yet: run `shopferry phase init`")
            consumer = KafkaConsumer(
                bootstrap_servers=self.settings.kafka.split(","),
                group_id=f"shopferry-{route.name}",  # for lag tools: partitions are taken by hand, positions are ours
                enable_auto_commit=False,
                auto_offset_reset="none",
                max_poll_records=_BATCH,
                fetch_max_wait_ms=50,
                metadata_max_age_ms=_NEW_TOPICS_MS,
            )
            try:
                self._loop(route, shop, Replay(shop, legacy, route), consumer, tables)
            except KafkaError as error:
                raise TransientError(f"broker {self.settings.kafka}: {type(error).__name__}") from error
            finally:
                consumer.close()

    def _stand_by(self, shop: db.Connection) -> None:
        """Wait until no other consumer of this route is at work. The lock saves work; what protects are the offsets."""
        while not self.stop.is_set():
            if stand_in(shop, self.settings.route, patience_s=0.5):
                return

    def _loop(
        self, route: Route, shop: db.Connection, replay: Replay, consumer: KafkaConsumer, tables: Mapping[str, MirrorTable]
    ) -> None:
        captured = frozenset(tables)
        ends = EndOffsets(self.settings.kafka, tuple(topics(route, tables)))
        position: dict[Partition, int] = {}
        goal: dict[Partition, int] = {}
        seen = assigned = 0.0
        while not self.stop.is_set():
            if time.monotonic() - assigned > _NEW_TOPICS_MS / 1000:
                source.look(replay.legacy, shop, route.name, f"shopferry_{route.name}", tables)
                self._assign(shop, consumer, ends, position)
                goal = goal or ends()  # once: who has come that far is past whatever stopped the one before
                assigned = time.monotonic()
            if time.monotonic() - seen > _SIGN_OF_LIFE_S:
                if all(position.get(p, 0) >= end for p, end in goal.items()):
                    offsets.alive(shop, route.name, self.name)
                else:
                    offsets.seen(shop, route.name, self.name)
                source.beat(replay.legacy)
                seen = time.monotonic()
            if not position:
                self.stop.wait(0.2)
                continue
            polled = consumer.poll(timeout_ms=_POLL_MS, max_records=_BATCH)
            if not polled:
                continue
            changes: list[Change] = []
            steps: dict[Partition, tuple[int, int]] = {}
            for whence, records in polled.items():
                partition = (whence.topic, whence.partition)
                if records[0].offset > position[partition]:
                    raise GapError(_gap(partition, position[partition], f"the broker goes on at {records[0].offset}"))
                for r in records:
                    if r.topic == beats(route):
                        source.follow(shop, route.name, r.value)
                        continue
                    change = decode(Message(r.topic, r.partition, r.offset, r.key, r.value), captured)
                    if change is not None:
                        changes.append(change)
                steps[partition] = (position[partition], records[-1].offset + 1)
            retrying(lambda c=changes, s=steps: replay.apply(c, s), shop, replay.legacy)  # type: ignore[misc]
            position |= {p: following for p, (_, following) in steps.items()}
            consumer.commit_async({TopicPartition(*p): OffsetAndMetadata(o, "", -1) for p, o in position.items()})

    def _assign(
        self, shop: db.Connection, consumer: KafkaConsumer, ends: EndOffsets, position: dict[Partition, int]
    ) -> None:
        """Take up partitions that have come, at the stored offset; notice what the broker has lost."""
        route, wanted = self.settings.route, ends.names
        found = _partitions(consumer, wanted)
        stored = offsets.stored(shop, route)
        first, listed = consumer.beginning_offsets(found), consumer.end_offsets(found)
        if _lost(stored, first, {(s.topic, s.partition): end for s, end in listed.items()}) and _lost(stored, first, ends()):
            # A broker that is busy or just up may not know everything yet: only another look a while later convicts it.
            self.stop.wait(_SECOND_LOOK_S)
            found = _partitions(consumer, wanted)
            first = consumer.beginning_offsets(found)
            if lost := _lost(stored, first, ends()):
                raise GapError(lost)
        for whence in found:
            partition = (whence.topic, whence.partition)
            if partition not in stored:
                if first[whence] > 0:
                    raise GapError(_gap(partition, 0, f"the broker begins at {first[whence]}"))
                with shop.transaction():
                    offsets.begin(shop, route, partition, 0)
                stored[partition] = 0
        if any((s.topic, s.partition) not in position for s in found):
            consumer.assign(found)
            for whence in found:
                partition = (whence.topic, whence.partition)
                position.setdefault(partition, stored[partition])
                consumer.seek(whence, position[partition])


def _partitions(consumer: KafkaConsumer, wanted: Iterable[str]) -> list[TopicPartition]:
    return [TopicPartition(n, p) for n in wanted for p in sorted(consumer.partitions_for_topic(n) or ())]


def _lost(
    stored: Mapping[Partition, int], first: Mapping[TopicPartition, int], last: Mapping[Partition, int]
) -> str | None:
    """What the broker does not have any more of what we have not applied yet, or what it has forgotten that we have."""
    for partition, offset in sorted(stored.items()):
        whence = TopicPartition(*partition)
        if partition not in last or whence not in first:
            return _gap(partition, offset, "the broker does not have this partition any more")
        if offset > last[partition]:
            return _gap(partition, offset, f"the broker ends at {last[partition]}")
        if offset < first[whence]:
            return _gap(partition, offset, f"the broker begins at {first[whence]}")
    return None


def _gap(partition: Partition, stored: int, what: str) -> str:
    topic, number = partition
    return (
        f"{topic}[{number}]: applied up to offset {stored}, but {what}: changes are lost between broker and shop; "
        "run `shopferry sync resync` to copy what legacy holds now"
    )
