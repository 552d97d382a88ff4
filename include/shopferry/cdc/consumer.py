"""The consumer: the route's topics at the broker, and this process' share of their partitions.

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
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import MemberToRemove
from kafka.errors import FencedInstanceIdError, KafkaError, TopicAuthorizationFailedError
from kafka.structs import OffsetAndMetadata

from shopferry import db
from shopferry.cdc import health, positions
from shopferry.cdc.backlog import Backlog
from shopferry.cdc.broker import EndOffsets, ask_offsets, divides_partitions, group
from shopferry.cdc.clients import naming_broker, open_client
from shopferry.cdc.positions import Gap, Held
from shopferry.control import offsets
from shopferry.control.offsets import Partition
from shopferry.errors import ConfigError, GapError, ReplayError, TransientError
from shopferry.settings import Settings

_POLL_S = 1.0  # at most; records are taken as they come. Short polls run into what is told at `waiting_since`
_NO_LIMIT = 2**31 - 1
_LOOK_EVERY_S = 5.0
_SECOND_LOOK_S = 5.0
_PATIENCE_S = 30.0  # longer than a batch takes, for which a group waits that deals its partitions


class _Assignment(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notices that partitions were dealt again; nothing of them is fetched until they are placed."""

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
    target: db.Connection
    member: str
    shared: bool  # whether the broker's groups divide the partitions; else the consumer that polls takes them all
    admin: KafkaAdminClient
    consumer: KafkaConsumer
    position: dict[Partition, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._assignment = _Assignment(self.consumer)
        self._looked = self._answered = float("-inf")
        self._left_out: set[TopicPartition] = set()
        self._next: dict[Partition, int] = {}  # to be handed out: ahead of `position` by what is being applied
        self._fetched: dict[Partition, int] = {}  # to be fetched: ahead of `_next` by what waits in the backlog
        self._ends: dict[Partition, int] = {}  # at the last look
        self._backlog = Backlog()

    def poll(self, most: int, stop: threading.Event) -> dict[Partition, list[Any]]:
        """Return the next records of our partitions, at most `most`; none if there are none, or if no partition is ours now.

        Raises GapError when records are missing, ReplayError when a topic has got more partitions, TransientError when
        the group has dealt too little.
        """
        self.look(stop)
        return self.fetch(most)

    def look(self, stop: threading.Event) -> None:
        """Look where we are and what the broker has, if that is due. Raises what `poll` does."""
        if self.must_look:
            self._look(stop)
            self._place()

    @property
    def must_look(self) -> bool:
        """Whether a `look`, which asks the target where we are, is due before more is fetched."""
        return self._assignment.changed or time.monotonic() - self._looked > _LOOK_EVERY_S

    @property
    def is_dealing(self) -> bool:
        """Whether the group deals its partitions now: a member that does not poll then may miss what it is dealt."""
        return self._assignment.waiting_since is not None

    def fetch(self, most: int) -> dict[Partition, list[Any]]:
        """Do the same without a look. Another thread may call it while no one else uses this stream."""
        until = time.monotonic() + _POLL_S
        while True:
            # What can be handed out does not wait for more, but what is wanted next is asked for already.
            waits = not self._backlog.partitions or self._coming() - self._backlog.partitions
            left = until - time.monotonic() if waits else 0.0
            # With a limit the client would keep what is over, and of a paused partition lose sight of it (kafka-python 3.0).
            polled = self.consumer.poll(timeout_ms=max(0, int(left * 1000)), max_records=_NO_LIMIT)
            if time.monotonic() - (self._assignment.waiting_since or float("inf")) > _PATIENCE_S:
                # kafka-python forgets a rejoin that ends between two polls, and then waits for ever, no heartbeat.
                raise TransientError(f"group {group(self.settings.route)} has not dealt its partitions: joining anew")
            if self._assignment.changed:
                return {}
            for source, records in polled.items():
                self._backlog.put((source.topic, source.partition), records)
                self._fetched[source.topic, source.partition] = records[-1].offset + 1
            in_time, coming = time.monotonic() < until, self._coming()
            # A partition of which nothing came for so long does not hold the others back.
            taken = self._backlog.take(most, coming if in_time else coming & self._backlog.partitions)
            self._hold()
            if taken or not in_time:
                return self._require_sequence(taken)

    def stay(self) -> None:
        """Poll and take nothing, so that the group does not put this member out; now and then ask the broker whether it is there.

        Another thread may call it as `fetch`.
        """
        self.consumer.pause(*self.consumer.assignment())
        self.consumer.poll(timeout_ms=0)
        if not self._assignment.changed:
            self._hold()
        if time.monotonic() - self._answered > _LOOK_EVERY_S:
            self._read_held()
            self._note_answer()

    def _note_answer(self) -> None:
        self._answered = time.monotonic()
        health.HEALTH.note_answer("broker")

    def _coming(self) -> set[Partition]:
        """Find our partitions of which the broker holds more than was fetched."""
        coming, reached, ours = set(), self._list_highwaters(self._fetched), self.consumer.assignment()
        for partition, fetched in self._fetched.items():
            if TopicPartition(*partition) not in ours:
                continue  # lost, and not looked for yet
            end = max(self._ends.get(partition, 0), reached[partition])
            # The client's position also passes what holds no record, but asking for it is work.
            if fetched < end and (self.consumer.position(TopicPartition(*partition)) or 0) < end:
                coming.add(partition)
        return coming

    def _list_highwaters(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """List the end of each of these partitions as far as fetching has told; 0 where it has not, and of those of others."""
        ours = self.consumer.assignment()
        return {
            p: (self.consumer.highwater(source) or 0) if (source := TopicPartition(*p)) in ours else 0
            for p in partitions
        }

    def _hold(self) -> None:
        """Fetch no more of a partition while something of it waits here."""
        waiting = {TopicPartition(*p) for p in self._backlog.partitions}
        ours = {TopicPartition(*p) for p in self.position}
        self.consumer.pause(*(waiting - self.consumer.paused()))
        self.consumer.resume(*((ours & self.consumer.paused()) - waiting))

    def _require_sequence(self, taken: dict[Partition, list[Any]]) -> dict[Partition, list[Any]]:
        """Return these records. Raises GapError when some are missing before them."""
        for partition, records in taken.items():
            if records[0].offset > self._next[partition]:
                what = f"the broker goes on at {records[0].offset}"
                raise GapError(str(Gap(*partition, self._next[partition], what)))
            self._next[partition] = records[-1].offset + 1
        return taken

    def confirm(self, following: Mapping[Partition, int]) -> None:
        """Go on from these offsets, which are committed in the target. Tells Kafka, for lag tools."""
        self.position |= following
        told = {TopicPartition(*p): OffsetAndMetadata(o, "", -1) for p, o in following.items()}
        self.consumer.commit_async(told)

    def _look(self, stop: threading.Event) -> None:
        """Notice what the broker has lost and what has come; take part in all topics that are there."""
        route = self.settings.route
        # Positions first: another consumer may move them on, but never beyond ends that are asked for later.
        stored, ids = offsets.load(self.target, route), offsets.load_topic_ids(self.target, route)
        held = self._read_held()
        if positions.find_gaps(stored, ids, held) and positions.find_gaps(stored, ids, self._read_held_for_sure()):
            # A broker that is busy or just up may not know everything yet: only another look a while later convicts it.
            stop.wait(_SECOND_LOOK_S)
            stored, ids = offsets.load(self.target, route), offsets.load_topic_ids(self.target, route)
            held = self._read_held_for_sure()
            if gaps := positions.find_gaps(stored, ids, held):
                raise GapError(str(gaps[0]))
        if moved := positions.find_raised(stored, held):
            raise ReplayError(moved)
        if held.keys() - stored.keys() or {topic for topic, _ in held} - ids.keys():
            positions.take_up(self.target, route, stored, held)
        self._ends = {p: h.end for p, h in held.items()}
        sources = {TopicPartition(*p) for p in held}
        if self.shared:
            # Only what is there: a topic that comes later changes what we subscribe to, and that makes the group deal again.
            if (there := {s.topic for s in sources}) != (self.consumer.subscription() or set()):
                self.consumer.subscribe(sorted(there), listener=self._assignment)
            else:
                self._require_all_dealt(sources)
        elif sources != self.consumer.assignment():
            self.consumer.assign(sorted(sources))
            self._assignment.on_partitions_assigned(sources)
        self._looked = time.monotonic()
        self._note_answer()

    def _require_all_dealt(self, sources: set[TopicPartition]) -> None:
        """Leave a group that has left some partitions to no member, so as to join it again.

        Kafka hands a member that comes back by its name what it had, whichever topics it asks for now; if it led the group,
        no member deals again (KAFKA-13435, mended from JoinGroup 9 on, which kafka-python does not speak).
        """
        dealt = self._find_dealt()
        left_out = sources - dealt if dealt is not None and not self._assignment.changed else set()
        if left_out & self._left_out:  # at two looks: in between the group may have been dealing
            self.leave()
            raise TransientError(f"group {group(self.settings.route)} leaves out {min(left_out)}: joining anew")
        self._left_out = left_out

    def _find_dealt(self) -> set[TopicPartition] | None:
        """Find the partitions that members of the group have; None while it deals, or cannot be asked."""
        try:
            described = self.admin.describe_groups([name := group(self.settings.route)])[name]
        except KafkaError:
            return None
        if described["group_state"] != "Stable":
            return None
        return {
            TopicPartition(t["topic"], p)
            for m in described["members"]
            if m["member_assignment"]
            for t in m["member_assignment"]["assigned_partitions"]
            for p in t["partitions"]
        }

    def _place(self) -> None:
        """Go to the stored offset of every partition that was newly assigned."""
        if not self._assignment.changed:
            return
        self._assignment.changed = False
        self.position = {}
        stored = offsets.load(self.target, self.settings.route)
        for source in self.consumer.assignment():
            partition = (source.topic, source.partition)
            if partition in stored:
                self.position[partition] = stored[partition]
                self.consumer.seek(source, stored[partition])
                self.consumer.resume(source)
            else:
                self._assignment.changed = True  # the group knew of it before us: look again, it stays paused till then
        self._next, self._fetched = dict(self.position), dict(self.position)
        self._backlog.clear()

    def _read_held(self) -> dict[Partition, Held]:
        told = self.admin.describe_topics(list(self.names))
        if any(t["error_code"] == TopicAuthorizationFailedError.errno for t in told):
            raise TopicAuthorizationFailedError
        described = {t["name"]: t for t in told if not t["error_code"]}
        sources = [TopicPartition(name, p["partition_index"]) for name, t in described.items() for p in t["partitions"]]
        first, end = (
            ask_offsets(self.consumer.beginning_offsets, sources),
            ask_offsets(self.consumer.end_offsets, sources),
        )
        return {(s.topic, s.partition): Held(str(described[s.topic]["topic_id"]), first[s], end[s]) for s in sources}

    def _read_held_for_sure(self) -> dict[Partition, Held]:
        """Read the same with end offsets that are asked for by a fetch: slower, and never behind the truth."""
        found = self.read_ends()
        return {p: replace(h, end=max(h.end, found.get(p, 0))) for p, h in self._read_held().items()}

    def read_ends(self) -> dict[Partition, int]:
        """Read the end of every partition of the topics, ours or not."""
        with closing(EndOffsets(self.settings, self.names)) as ends:
            return ends()

    def count_waiting(self) -> int:
        """Count the records that wait behind those handed out, as far as fetching and the last look have told."""
        ends = self._list_highwaters(self._next)
        return sum(max(0, self._ends.get(p, 0) - following, ends[p] - following) for p, following in self._next.items())

    def list_ends(self) -> dict[Partition, int | None]:
        """List the end of each of our partitions as far as fetching has told."""
        return {p: end or None for p, end in self._list_highwaters(self.position).items()}

    def leave(self) -> None:
        """Leave the group now: a member with a lasting name is else missed only after its session."""
        if self.shared:
            with suppress(KafkaError):
                member = MemberToRemove(group_instance_id=self.member)
                self.admin.remove_group_members(group(self.settings.route), [member])


@contextmanager
def open_stream(settings: Settings, names: tuple[str, ...], target: db.Connection, member: str) -> Iterator[Stream]:
    """Open the route's topics at the broker. Leaves the group at the end, unless that was an error worth another try.

    Raises TransientError for the broker's, ConfigError when another member has taken our name, or the broker refuses us.
    """
    with naming_broker(settings):
        try:
            with (
                closing(open_client(KafkaAdminClient, settings, request_timeout_ms=10_000)) as admin,
                closing(_consumer(settings, member if (in_group := divides_partitions(admin)) else None)) as consumer,
            ):
                made = Stream(settings, names, target, member, in_group, admin, consumer)
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


def _consumer(settings: Settings, member: str | None) -> KafkaConsumer:
    return open_client(
        KafkaConsumer,
        settings,
        group_id=group(settings.route),
        group_instance_id=member,  # who comes back by this name goes on at once, without waiting for its own death
        session_timeout_ms=10_000,
        heartbeat_interval_ms=3_000,
        max_poll_interval_ms=60_000,
        enable_auto_commit=False,
        auto_offset_reset="none",
        allow_auto_create_topics=False,
        max_partition_fetch_bytes=4 << 20,
        fetch_max_wait_ms=200,  # Kafka answers when there is something; empty answers cost the processor
        metadata_max_age_ms=int(_LOOK_EVERY_S * 1000),
    )
