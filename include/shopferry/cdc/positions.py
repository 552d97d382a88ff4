"""Positions: where each partition stands in the shop's database, held against what the broker has. No Kafka in here.

A topic is known by its id as well as by its name: one that was deleted and created again begins at offset 0, and once
it has grown past where we were, nothing but the id would tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shopferry.control import offsets
from shopferry.control.offsets import Partition
from shopferry.db import Connection
from shopferry.errors import GapError


@dataclass(frozen=True)
class Held:
    """What the broker holds of one partition: offsets from `first` up to, not including, `end`.

    `topic_id` is empty where it was not asked for; `oldest_ms` is when the oldest event that waits was committed (epoch, ms).
    """

    topic_id: str
    first: int
    end: int
    oldest_ms: int | None = None


@dataclass(frozen=True)
class Gap:
    """A partition that the broker does not hold as we left it: the offset we stand at, and what is wrong with it."""

    topic: str
    partition: int
    stored: int
    what: str

    def __str__(self) -> str:
        return (
            f"{self.topic}[{self.partition}]: applied up to offset {self.stored}, but {self.what}: changes are lost between "
            "broker and shop; run `shopferry sync resync` to copy what legacy holds now"
        )


def find_gaps(stored: Mapping[Partition, int], ids: Mapping[str, str], held: Mapping[Partition, Held]) -> list[Gap]:
    """Find what the broker has lost of what we have not applied yet, or what it has forgotten that we have applied."""
    gaps = []
    for partition, offset in sorted(stored.items()):
        if what := _describe_gap(offset, ids.get(partition[0]), held.get(partition)):
            gaps.append(Gap(*partition, offset, what))
    return gaps


def _describe_gap(stored: int, topic_id: str | None, held: Held | None) -> str | None:
    """Say how the broker's partition does not fit the offset we stand at; None where it fits."""
    if held is None:
        return "the broker does not have this partition any more"
    if topic_id and held.topic_id and topic_id != held.topic_id:
        return "the topic was deleted and made anew"
    if stored > held.end:
        return f"the broker ends at {held.end}"
    return f"the broker begins at {held.first}" if stored < held.first else None


def find_raised(stored: Mapping[Partition, int], held: Mapping[Partition, Held]) -> str | None:
    """Find a topic that has more partitions than it had: replay cannot go on safely then, and stops.

    The producer chooses a key's partition by their number, so keys move, and nothing orders the events before the move
    against those after it: they lie in different partitions. The mirror's guard, the higher log position per row, does
    keep an older state from replacing a newer one. But a newer event that leaves out an unchanged long value is completed
    from the mirror, and when it overtakes the older event that set this value, the row keeps the value from before both,
    for good. So a person has to see to it that the producer has moved all keys, which takes it up to its
    `metadata.max.age.ms` or a restart; a resync after that copies every row again and goes on behind the move.
    """
    for topic in sorted({t for t, _ in stored}):
        known = sum(1 for t, _ in stored if t == topic)
        now = sum(1 for t, _ in held if t == topic)
        if now > known:
            return (
                f"{topic} has {now} partitions, it had {known}: its keys move to other partitions, and the order of a "
                "row's events is lost on the way; restart the connector, so that it counts them too, then "
                "`shopferry sync resync`; replay stops here"
            )
    return None


def take_up(target: Connection, route: str, stored: Mapping[Partition, int], held: Mapping[Partition, Held]) -> None:
    """Begin partitions that were never applied before, and remember the ids of their topics.

    Raises GapError when the broker does not have such a partition from its beginning.
    """
    with target.transaction():
        for partition, found in sorted(held.items()):
            if partition not in stored:
                if found.first > 0:
                    raise GapError(str(Gap(*partition, 0, f"the broker begins at {found.first}")))
                offsets.begin(target, route, partition, 0)
        for topic, topic_id in sorted({(topic, found.topic_id) for (topic, _), found in held.items()}):
            offsets.recognise(target, route, topic, topic_id)
