"""The CDC consumer: poll the broker, replay each batch, keep its position in the shop's database.

The offsets that count are those in ferry.kafka_offset, committed with the rows; what Kafka is told afterwards is for
lag tools only. A message that is missing, unknown or unreadable stops replay; nothing is ever skipped.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from shopferry import db, mirror
from shopferry.cdc import metrics
from shopferry.cdc.envelope import Change, Message, committed_ms, decode
from shopferry.cdc.replay import Replay
from shopferry.control import offsets
from shopferry.control.offsets import Partition
from shopferry.errors import FencedError, GapError, TransientError
from shopferry.mapping import Route
from shopferry.retry import describe, retrying
from shopferry.settings import Settings

log = logging.getLogger(__name__)
_BATCH = 2_000
_POLL_MS = 100
_SIGN_OF_LIFE_S = 2.0
_NEW_TOPICS_MS = 5_000
_SECOND_LOOK_S = 5.0
_PATIENCE_S = 10.0
_GLANCE_MS = 3_000


def topics(route: Route, tables: Iterable[str]) -> list[str]:
    """The topics that carry the route's captured tables, and its markers."""
    return [f"{route.name}.public.{t}" for t in sorted(tables)] + [f"{route.name}.shopferry.marker"]


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
            for source in found:
                consumer.seek(source, listed[source])
            deadline = time.monotonic() + _PATIENCE_S
            while any(consumer.highwater(source) is None for source in found):
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


@dataclass(frozen=True)
class Backlog:
    """One partition at the broker: its first and its end offset, and when the oldest that waits was committed (epoch ms)."""

    first: int
    end: int
    oldest_ms: int | None = None


def backlog(kafka: str, names: Sequence[str], stored: Mapping[Partition, int]) -> dict[Partition, Backlog]:
    """What the broker holds of the topics, next to the stored positions: one look, for whoever watches from outside.

    A topic that the broker does not have is missing from the answer. Raises TransientError if the broker does not answer.
    """
    ends = EndOffsets(kafka, tuple(names))
    try:
        consumer = KafkaConsumer(
            bootstrap_servers=kafka.split(","), enable_auto_commit=False, auto_offset_reset="none", fetch_max_wait_ms=10,
            max_partition_fetch_bytes=64 * 1024, bootstrap_timeout_ms=_GLANCE_MS,
        )  # fmt: skip
        try:
            first = {(s.topic, s.partition): o for s, o in consumer.beginning_offsets(_partitions(consumer, names)).items()}
            end = ends()
            behind = {p: o for p, o in stored.items() if p in first and first[p] <= o < end.get(p, 0)}
            oldest = _oldest(consumer, behind)
        finally:
            consumer.close()
    except KafkaError as error:
        raise TransientError(f"broker {kafka} does not answer: {type(error).__name__}") from None
    finally:
        ends.close()
    return {p: Backlog(first[p], end[p], oldest.get(p)) for p in sorted(first) if p in end}


def _oldest(consumer: KafkaConsumer, positions: Mapping[Partition, int]) -> dict[Partition, int]:
    """The commit times of the messages that stand at these positions, of those that say one and come in time."""
    found: dict[Partition, int] = {}
    left = {TopicPartition(*p): offset for p, offset in positions.items()}
    deadline = time.monotonic() + _GLANCE_MS / 1000
    consumer.assign(list(left))
    for source, offset in left.items():
        consumer.seek(source, offset)
    while left and time.monotonic() < deadline:
        for source, records in consumer.poll(timeout_ms=50).items():
            if left.pop(source, None) is not None:
                consumer.pause(source)
                if (committed := committed_ms(records[0].value)) is not None:
                    found[source.topic, source.partition] = committed
    return found


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
                retrying(lambda: self._flow(route), notice=metrics.retried)
            except FencedError as error:
                log.warning("%s", error)  # partitions moved: read the positions anew
            except Exception as error:
                metrics.HEALTH.stop(describe(error))
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
            tables = frozenset(mirror.load(shop))
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
            row = shop.execute("SELECT pg_try_advisory_lock(hashtext(%s))", (f"sync forward {self.settings.route}",))
            if (found := row.fetchone()) and found[0]:
                return
            self.stop.wait(0.5)

    def _loop(
        self, route: Route, shop: db.Connection, replay: Replay, consumer: KafkaConsumer, tables: frozenset[str]
    ) -> None:
        ends = EndOffsets(self.settings.kafka, tuple(topics(route, tables)))
        position: dict[Partition, int] = {}
        seen = assigned = 0.0
        while not self.stop.is_set():
            if time.monotonic() - assigned > _NEW_TOPICS_MS / 1000:
                self._assign(shop, consumer, ends, position)
                assigned = time.monotonic()
                metrics.HEALTH.looked("broker")
            if time.monotonic() - seen > _SIGN_OF_LIFE_S:
                metrics.alive(shop, offsets.alive(shop, route.name, self.name))
                metrics.standing(position, {p: consumer.highwater(TopicPartition(*p)) for p in position})
                seen = time.monotonic()
            if not position:
                self.stop.wait(0.2)
                continue
            polled = consumer.poll(timeout_ms=_POLL_MS, max_records=_BATCH)
            if not polled:
                continue
            changes: list[Change] = []
            steps: dict[Partition, tuple[int, int]] = {}
            for source, records in polled.items():
                partition = (source.topic, source.partition)
                if records[0].offset > position[partition]:
                    raise GapError(_gap(partition, position[partition], f"the broker goes on at {records[0].offset}"))
                for r in records:
                    change = decode(Message(r.topic, r.partition, r.offset, r.key, r.value), tables)
                    if change is not None:
                        changes.append(change)
                steps[partition] = (position[partition], records[-1].offset + 1)
            with metrics.batch() as booked:
                booked(retrying(lambda c=changes, s=steps: replay.apply(c, s), shop, replay.legacy, notice=metrics.retried))  # type: ignore[misc]
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
        for source in found:
            partition = (source.topic, source.partition)
            if partition not in stored:
                if first[source] > 0:
                    raise GapError(_gap(partition, 0, f"the broker begins at {first[source]}"))
                with shop.transaction():
                    offsets.begin(shop, route, partition, 0)
                stored[partition] = 0
        if any((s.topic, s.partition) not in position for s in found):
            consumer.assign(found)
            for source in found:
                partition = (source.topic, source.partition)
                position.setdefault(partition, stored[partition])
                consumer.seek(source, position[partition])


def _partitions(consumer: KafkaConsumer, wanted: Iterable[str]) -> list[TopicPartition]:
    return [TopicPartition(n, p) for n in wanted for p in sorted(consumer.partitions_for_topic(n) or ())]


def _lost(
    stored: Mapping[Partition, int], first: Mapping[TopicPartition, int], last: Mapping[Partition, int]
) -> str | None:
    """What the broker does not have any more of what we have not applied yet, or what it has forgotten that we have."""
    for partition, offset in sorted(stored.items()):
        source = TopicPartition(*partition)
        if partition not in last or source not in first:
            return _gap(partition, offset, "the broker does not have this partition any more")
        if offset > last[partition]:
            return _gap(partition, offset, f"the broker ends at {last[partition]}")
        if offset < first[source]:
            return _gap(partition, offset, f"the broker begins at {first[source]}")
    return None


def _gap(partition: Partition, stored: int, what: str) -> str:
    topic, number = partition
    return (
        f"{topic}[{number}]: applied up to offset {stored}, but {what}: changes are lost between broker and shop; "
        "run `shopferry sync resync` to copy what legacy holds now"
    )
