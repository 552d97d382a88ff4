"""The broker as seen from outside: which topics are the route's, and what each of their partitions holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from shopferry.cdc.clients import naming_broker, open_client
from shopferry.cdc.envelope import read_committed_ms
from shopferry.cdc.positions import Held
from shopferry.control.offsets import Partition
from shopferry.errors import TransientError
from shopferry.route.route import Route
from shopferry.settings import Settings

_EMBEDDED = "tansu_cluster"  # how the embedded broker calls itself
_PATIENCE_S = 10.0
_ANSWER_MS = 30_000  # the patience with a broker that does not answer at all
_GLANCE_MS = 3_000


def topics(route: Route, tables: Iterable[str]) -> list[str]:
    """The topics that carry the route's captured tables, its markers and its beats."""
    own = [f"{route.name}.shopferry.marker", beats(route)]
    return [f"{route.name}.{route.captured_schema}.{t}" for t in sorted(tables)] + own


def beats(route: Route) -> str:
    """The topic of legacy's beats."""
    return f"{route.name}.shopferry.heartbeat"


@dataclass(frozen=True)
class EndOffsets:
    """Asks the broker for the end offset of every partition of the topics; warm it up, call it, close it."""

    settings: Settings
    names: tuple[str, ...]
    _warm: list[KafkaConsumer] = field(default_factory=list)

    def warm(self) -> None:
        """Connect now, so that the next call need not. Raises TransientError if the broker does not answer."""
        if self._warm:
            return
        with naming_broker(self.settings):
            consumer = open_client(
                KafkaConsumer,
                self.settings,
                enable_auto_commit=False,
                fetch_max_wait_ms=10,
                allow_auto_create_topics=False,
                bootstrap_timeout_ms=_ANSWER_MS,
            )
            self._warm.append(consumer)
            try:
                ask_offsets(consumer.end_offsets, _find_partitions(consumer, self.names))
            except KafkaError:
                self.close()
                raise

    def __call__(self) -> dict[Partition, int]:
        """The end offsets as the broker has them now. Raises TransientError if it cannot say.

        A broker may list an end that lies before its newest batch (the embedded one does), so what counts is the high
        watermark that a fetch from the listed end comes back with. Each call fetches with a consumer that has never
        fetched before: an older answer still under way must not be taken for this one.
        """
        self.warm()
        consumer = self._warm.pop()
        with closing(consumer), naming_broker(self.settings):
            found = _find_partitions(consumer, self.names)
            listed = ask_offsets(consumer.end_offsets, found)
            consumer.assign(found)
            for source in found:
                consumer.seek(source, listed[source])
            deadline = time.monotonic() + _PATIENCE_S
            while any(consumer.highwater(source) is None for source in found):
                if time.monotonic() > deadline:
                    raise TransientError(f"broker {self.settings.kafka} lists partitions but does not serve them")
                consumer.poll(timeout_ms=10)
            return {(s.topic, s.partition): max(listed[s], consumer.highwater(s)) for s in found}

    def close(self) -> None:
        """Close the connection to the broker."""
        while self._warm:
            self._warm.pop().close()


def read_held(settings: Settings, names: Sequence[str], stored: Mapping[Partition, int]) -> dict[Partition, Held]:
    """Read what the broker holds of the topics, next to the stored positions, in one look from outside.

    The ids of topics are not asked for.
    A topic that the broker does not have is missing from the answer. Raises TransientError if the broker does not answer.
    """
    with closing(EndOffsets(settings, tuple(names))) as ends, naming_broker(settings):
        consumer = open_client(
            KafkaConsumer,
            settings,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=10,
            max_partition_fetch_bytes=64 * 1024,
            bootstrap_timeout_ms=_GLANCE_MS,
        )
        with closing(consumer):
            first = {
                (s.topic, s.partition): o
                for s, o in consumer.beginning_offsets(_find_partitions(consumer, names)).items()
            }
            end = ends()
            behind = {p: o for p, o in stored.items() if p in first and first[p] <= o < end.get(p, 0)}
            oldest = _find_oldest(consumer, behind)
    return {p: Held("", first[p], end[p], oldest.get(p)) for p in sorted(first) if p in end}


def _find_oldest(consumer: KafkaConsumer, positions: Mapping[Partition, int]) -> dict[Partition, int]:
    """Find when the messages at these positions were committed, of those that say so and come in time."""
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
                if (committed := read_committed_ms(records[0].value)) is not None:
                    found[source.topic, source.partition] = committed
    return found


def divides_partitions(admin: KafkaAdminClient) -> bool:
    """Whether the broker's groups divide the partitions well; the embedded one's do not."""
    return not _is_embedded(admin)


def _is_embedded(admin: KafkaAdminClient) -> bool:
    return bool(admin.describe_cluster()["cluster_id"] == _EMBEDDED)


def group(route: str) -> str:
    """The Kafka group of a route's consumers."""
    return f"shopferry-{route}"


def forget(settings: Settings, route: str, names: Iterable[str]) -> list[str]:
    """Delete the route's topics, its connector's own, and the group; returns the topics that there were.

    Raises TransientError if the broker does not answer.
    """
    own = {*names, f"{route}.transaction", f"__debezium-heartbeat.{route}"}
    with (
        naming_broker(settings),
        closing(open_client(KafkaAdminClient, settings, request_timeout_ms=10_000)) as admin,
    ):
        there = sorted(own & set(admin.list_topics()))
        if there:
            admin.delete_topics(there)
        if divides_partitions(admin):
            with suppress(KafkaError):  # a member that has not left yet, or no such group
                admin.delete_groups([group(route)])
        return there


def can_trim(settings: Settings) -> bool:
    """Whether the broker deletes records on demand; the embedded one does not. Raises TransientError if it does not answer."""
    with (
        naming_broker(settings),
        closing(open_client(KafkaAdminClient, settings, request_timeout_ms=10_000)) as admin,
    ):
        return not _is_embedded(admin)


def trim(settings: Settings, applied: Mapping[Partition, int]) -> bool:
    """Delete what lies before these offsets, all of which was applied; False of the embedded broker, which cannot do that.

    Raises TransientError if the broker does not answer.
    """
    with (
        naming_broker(settings),
        closing(open_client(KafkaAdminClient, settings, request_timeout_ms=10_000)) as admin,
    ):
        if _is_embedded(admin):  # it hangs up on who asks
            return False
        there = set(admin.list_topics())
        wanted = {TopicPartition(*p): offset for p, offset in applied.items() if p[0] in there and offset > 0}
        if wanted:
            admin.delete_records(wanted)
    return True


def _find_partitions(consumer: KafkaConsumer, wanted: Iterable[str]) -> list[TopicPartition]:
    return [TopicPartition(n, p) for n in wanted for p in sorted(consumer.partitions_for_topic(n) or ())]


def ask_offsets(
    ask: Callable[[list[TopicPartition]], dict[TopicPartition, int]], sources: list[TopicPartition]
) -> dict[TopicPartition, int]:
    """Ask for first or end offsets. Raises TransientError when the broker lists a partition and does not serve it for long."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return ask(sources)
        except KeyError:  # what the client makes of a partition that was just created and has no leader yet
            if time.monotonic() > deadline:
                raise TransientError("the broker lists partitions but does not serve them") from None
            time.sleep(0.05)
