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
    """What the broker holds of one partition: offsets from `first` up to, not including, `end` of one topic."""

    topic_id: str
    first: int
    end: int


def find_lost(stored: Mapping[Partition, int], ids: Mapping[str, str], held: Mapping[Partition, Held]) -> str | None:
    """Find what the broker has lost of what we have not applied yet, or what it has forgotten that we have applied."""
    for partition, offset in sorted(stored.items()):
        at = held.get(partition)
        if at and ids.get(partition[0], at.topic_id) != at.topic_id:
            return word_gap(partition, offset, "the topic was deleted and made anew")
        if what := describe_gap(offset, (at.first, at.end) if at else None):
            return word_gap(partition, offset, what)
    return None


def describe_gap(stored: int, bounds: tuple[int, int] | None) -> str | None:
    """Say how the broker, which holds a partition from its first offset to its end, does not fit the offset we stand at.

    None where it fits. `bounds` is None where the broker does not have the partition.
    """
    if bounds is None:
        return "the broker does not have this partition any more"
    first, end = bounds
    if stored > end:
        return f"the broker ends at {end}"
    return f"the broker begins at {first}" if stored < first else None


def word_gap(partition: Partition, stored: int, what: str) -> str:
    """Word the text of a GapError."""
    topic, number = partition
    return (
        f"{topic}[{number}]: applied up to offset {stored}, but {what}: changes are lost between broker and shop; "
        "run `shopferry sync resync` to copy what legacy holds now"
    )


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
                    raise GapError(word_gap(partition, 0, f"the broker begins at {found.first}"))
                offsets.begin(target, route, partition, 0)
        for topic, topic_id in sorted({(topic, found.topic_id) for (topic, _), found in held.items()}):
            offsets.recognise(target, route, topic, topic_id)
