"""The consumer: the route's topics at the broker, and this process' share of their partitions. The only kafka in cdc.

Several consumers of a route are one Kafka group, which divides the partitions among them. The group only divides the
work; positions are always those of ferry.kafka_offset, and what Kafka is told of them is for lag tools. A member that
believes to hold a partition that has moved on, as after a long sleep, finds its offset advanced and is fenced out.

The embedded broker's groups take 5 s for every change of members, 18 s after the death of the only one, and a member
with a lasting name (`group.instance.id`) may be left without partitions until the other one leaves (Tansu 0.6,
measured). So there one consumer takes all partitions by hand and the others stand by; the safety is the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import MemberToRemove
from kafka.errors import FencedInstanceIdError, KafkaError
from kafka.structs import OffsetAndMetadata

from shopferry import db
from shopferry.cdc import metrics, positions
from shopferry.cdc.envelope import committed_ms
from shopferry.cdc.positions import Held
from shopferry.control import offsets
from shopferry.control.offsets import Partition
from shopferry.errors import ConfigError, GapError, ReplayError, TransientError
from shopferry.mapping import Route
from shopferry.mirror import captured_schema
from shopferry.settings import Settings

_POLL_MS = 1_000  # at most; records are taken as they come. Short polls run into what is told at `waiting_since`
_LOOK_EVERY_S = 5.0
_SECOND_LOOK_S = 5.0
_EMBEDDED = "tansu_cluster"  # how the embedded broker calls itself
_PATIENCE_S = 10.0
_GLANCE_MS = 3_000


def topics(route: Route, tables: Iterable[str]) -> list[str]:
    """The topics that carry the route's captured tables, its markers and its beats."""
    own = [f"{route.name}.shopferry.marker", beats(route)]
    return [f"{route.name}.{captured_schema(route.schema)}.{t}" for t in sorted(tables)] + own


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
                bootstrap_servers=self.kafka.split(","), enable_auto_commit=False, fetch_max_wait_ms=10,
                allow_auto_create_topics=False,
            )  # fmt: skip
            self._warm.append(consumer)
            _offsets(consumer.end_offsets, _partitions(consumer, self.names))
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
            listed = _offsets(consumer.end_offsets, found)
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


class _Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notices that partitions were dealt anew; nothing of them is fetched until they are placed."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self.consumer = consumer
        self.changed = False
        self.waiting_since: float | None = None

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Also called when they are lost. Offsets are never behind the rows: there is nothing to save."""
        self.changed = True
        self.waiting_since = time.monotonic()

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Hold them still. Runs in the client's thread, which must not wait for a database."""
        for source in assigned:
            self.consumer.seek(source, 0)  # anywhere: else the client asks Kafka for a position, and there is none
        self.consumer.pause(*assigned)
        self.changed = True
        self.waiting_since = None


@dataclass
class Stream:
    """A route's topics at one broker, and where we are in those of their partitions that are ours."""

    settings: Settings
    names: tuple[str, ...]
    shop: db.Connection
    member: str
    shared: bool  # whether the broker's groups divide the partitions; else whoever polls takes them all
    admin: KafkaAdminClient
    consumer: KafkaConsumer
    position: dict[Partition, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._assignment = _Assignment(self.consumer)
        self._looked = float("-inf")

    def poll(self, most: int, stop: threading.Event) -> dict[Partition, list[Any]]:
        """The next records of our partitions, at most so many; none when there are none, or none are ours now.

        Raises GapError when records are missing, ReplayError when a topic has got more partitions.
        """
        if self._assignment.changed or time.monotonic() - self._looked > _LOOK_EVERY_S:
            self._look(stop)
            self._place()
        polled = self.consumer.poll(timeout_ms=_POLL_MS, max_records=most)
        if self._assignment.changed:
            if time.monotonic() - (self._assignment.waiting_since or float("inf")) > _PATIENCE_S:
                # kafka-python forgets a rejoin that ends between two polls, and then waits for ever without a heartbeat.
                raise TransientError(f"group {group(self.settings.route)} has not dealt its partitions: joining anew")
            return {}
        found = {(s.topic, s.partition): records for s, records in polled.items()}
        for partition, records in found.items():
            if records[0].offset > self.position[partition]:
                what = f"the broker goes on at {records[0].offset}"
                raise GapError(positions.gap(partition, self.position[partition], what))
        return found

    def applied(self, following: Mapping[Partition, int]) -> None:
        """Go on from there: these offsets are committed in the shop. Tells Kafka, for lag tools."""
        self.position |= following
        told = {TopicPartition(*p): OffsetAndMetadata(o, "", -1) for p, o in following.items()}
        self.consumer.commit_async(told)

    def _look(self, stop: threading.Event) -> None:
        """Notice what the broker has lost and what has come; take part in all topics that are there."""
        route = self.settings.route
        # Positions first: another consumer may move them on, but never beyond ends that are asked for later.
        stored, ids = offsets.stored(self.shop, route), offsets.topic_ids(self.shop, route)
        held = self._held()
        if positions.lost(stored, ids, held) and positions.lost(stored, ids, self._held_for_sure()):
            # A broker that is busy or just up may not know everything yet: only another look a while later convicts it.
            stop.wait(_SECOND_LOOK_S)
            stored, ids = offsets.stored(self.shop, route), offsets.topic_ids(self.shop, route)
            held = self._held_for_sure()
            if gap := positions.lost(stored, ids, held):
                raise GapError(gap)
        if moved := positions.raised(stored, held):
            raise ReplayError(moved)
        if held.keys() - stored.keys() or {topic for topic, _ in held} - ids.keys():
            positions.take_up(self.shop, route, stored, held)
        sources = {TopicPartition(*p) for p in held}
        if self.shared:
            # Only what is there: a topic that comes is then a change of what we subscribe to, which always deals anew.
            if (there := {s.topic for s in sources}) != (self.consumer.subscription() or set()):
                self.consumer.subscribe(sorted(there), listener=self._assignment)
        elif sources != self.consumer.assignment():
            self.consumer.assign(sorted(sources))
            self._assignment.on_partitions_assigned(sources)
        self._looked = time.monotonic()
        metrics.HEALTH.looked("broker")

    def _place(self) -> None:
        """Go to the stored offset of every partition that was newly assigned."""
        if not self._assignment.changed:
            return
        self._assignment.changed = False
        self.position = {}
        stored = offsets.stored(self.shop, self.settings.route)
        for source in self.consumer.assignment():
            partition = (source.topic, source.partition)
            if partition in stored:
                self.position[partition] = stored[partition]
                self.consumer.seek(source, stored[partition])
                self.consumer.resume(source)
            else:
                self._assignment.changed = True  # the group knew of it before us: look again, it stays paused till then

    def _held(self) -> dict[Partition, Held]:
        described = {t["name"]: t for t in self.admin.describe_topics(list(self.names)) if not t["error_code"]}
        sources = [
            TopicPartition(name, p["partition_index"]) for name, t in described.items() for p in t["partitions"]
        ]
        first, end = _offsets(self.consumer.beginning_offsets, sources), _offsets(self.consumer.end_offsets, sources)
        return {
            (s.topic, s.partition): Held(str(described[s.topic]["topic_id"]), first[s], end[s]) for s in sources
        }

    def _held_for_sure(self) -> dict[Partition, Held]:
        """The same with end offsets that are asked for by a fetch: slower, and never behind the truth."""
        found = self.all_ends()
        return {p: replace(h, end=max(h.end, found.get(p, 0))) for p, h in self._held().items()}

    def all_ends(self) -> dict[Partition, int]:
        """The end of every partition of the topics, whoever has it."""
        with closing(EndOffsets(self.settings.kafka, self.names)) as ends:
            return ends()

    def ends(self) -> dict[Partition, int | None]:
        """The end of each of our partitions as far as fetching has told."""
        return {p: self.consumer.highwater(TopicPartition(*p)) for p in self.position}

    def leave(self) -> None:
        """Let the others have our partitions now: a member with a lasting name is else missed only after its session."""
        if self.shared:
            with suppress(KafkaError):
                member = MemberToRemove(group_instance_id=self.member)
                self.admin.remove_group_members(group(self.settings.route), [member])


@contextmanager
def stream(settings: Settings, names: tuple[str, ...], shop: db.Connection, member: str) -> Iterator[Stream]:
    """The route's topics at the broker. Leaves the group at the end, unless that was an error worth another try.

    Raises TransientError for the broker's, ConfigError when another member has taken our name.
    """
    servers = settings.kafka.split(",")
    try:
        with (
            closing(KafkaAdminClient(bootstrap_servers=servers, request_timeout_ms=10_000)) as admin,
            closing(_consumer(settings, servers, member if (shared := _shared(admin)) else None)) as consumer,
        ):
            made = Stream(settings, names, shop, member, shared, admin, consumer)
            try:
                yield made
            except ReplayError:
                made.leave()
                raise
            made.leave()
    except FencedInstanceIdError:
        raise ConfigError(
            f"another consumer has come by the name {member}: start each one with a --name of its own"
        ) from None
    except KafkaError as error:
        raise TransientError(f"broker {settings.kafka}: {type(error).__name__}") from error


def _shared(admin: KafkaAdminClient) -> bool:
    return bool(admin.describe_cluster()["cluster_id"] != _EMBEDDED)


def _consumer(settings: Settings, servers: list[str], member: str | None) -> KafkaConsumer:
    return KafkaConsumer(
        bootstrap_servers=servers,
        group_id=group(settings.route),
        group_instance_id=member,  # who comes back by this name goes on at once, without waiting for its own death
        session_timeout_ms=10_000,
        heartbeat_interval_ms=3_000,
        max_poll_interval_ms=60_000,
        enable_auto_commit=False,
        auto_offset_reset="none",
        allow_auto_create_topics=False,
        max_partition_fetch_bytes=4 << 20,
        fetch_max_wait_ms=50,
        metadata_max_age_ms=int(_LOOK_EVERY_S * 1000),
    )


def group(route: str) -> str:
    """The Kafka group of a route's consumers."""
    return f"shopferry-{route}"


def forget(kafka: str, route: str, names: Iterable[str]) -> list[str]:
    """Delete the route's topics, its connector's own, and the group; returns the topics that there were.

    Raises TransientError if the broker does not answer.
    """
    own = {*names, f"{route}.transaction", f"__debezium-heartbeat.{route}"}
    try:
        with closing(KafkaAdminClient(bootstrap_servers=kafka.split(","), request_timeout_ms=10_000)) as admin:
            there = sorted(own & set(admin.list_topics()))
            if there:
                admin.delete_topics(there)
            if _shared(admin):
                with suppress(KafkaError):  # a member that has not left yet, or no such group
                    admin.delete_groups([group(route)])
            return there
    except KafkaError as error:
        raise TransientError(f"broker {kafka} does not answer: {type(error).__name__}") from None


def _partitions(consumer: KafkaConsumer, wanted: Iterable[str]) -> list[TopicPartition]:
    return [TopicPartition(n, p) for n in wanted for p in sorted(consumer.partitions_for_topic(n) or ())]


def _offsets(
    ask: Callable[[list[TopicPartition]], dict[TopicPartition, int]], sources: list[TopicPartition]
) -> dict[TopicPartition, int]:
    """First or end offsets. Raises TransientError when the broker lists a partition and does not serve it for long."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return ask(sources)
        except KeyError:  # what the client makes of a partition that was just created and has no leader yet
            if time.monotonic() > deadline:
                raise TransientError("the broker lists partitions but does not serve them") from None
            time.sleep(0.05)
