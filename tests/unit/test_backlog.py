"""In which order fetched records are handed out: the oldest first, and nothing before what is still to come."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from shopferry.cdc.backlog import Backlog

PARENTS, CHILDREN, IDLE = ("orders", 0), ("items", 0), ("customers", 0)


@dataclass(frozen=True)
class Record:
    offset: int
    timestamp: int


def records(*timestamps: int) -> list[Record]:
    return [Record(n, t) for n, t in enumerate(timestamps)]


def times(found: dict[tuple[str, int], list[Record]]) -> dict[str, list[int]]:
    return {topic: [r.timestamp for r in of] for (topic, _), of in found.items()}


def test_the_oldest_leave_first_whatever_partition_they_lie_in() -> None:
    backlog = Backlog()
    backlog.put(CHILDREN, records(2, 3, 5, 6, 9))
    backlog.put(PARENTS, records(1, 4, 8))
    assert times(backlog.take(4, ())) == {"orders": [1, 4], "items": [2, 3]}
    assert times(backlog.take(9, ())) == {"orders": [8], "items": [5, 6, 9]}
    assert backlog.take(9, ()) == {}


def test_nothing_leaves_before_what_is_still_to_come() -> None:
    backlog = Backlog()
    backlog.put(CHILDREN, records(2, 3, 5, 6))
    assert backlog.take(9, {PARENTS}) == {}  # nothing is known of it
    backlog.put(PARENTS, records(1, 4))
    assert times(backlog.take(9, ())) == {"orders": [1, 4], "items": [2, 3, 5, 6]}
    backlog.put(CHILDREN, records(7, 8))
    assert backlog.take(9, {PARENTS}) == {}  # up to 4 it is known
    assert times(backlog.take(9, ())) == {"items": [7, 8]}  # who has no more holds up nobody


def test_what_is_forgotten_is_not_handed_out() -> None:
    backlog = Backlog()
    backlog.put(CHILDREN, records(2))
    assert backlog.partitions == {CHILDREN}
    backlog.clear()
    assert backlog.partitions == set()
    assert backlog.take(9, ()) == {}
    backlog.put(IDLE, records(1))
    assert backlog.take(9, {CHILDREN}) == {}  # nor is it known any more how far it had come


@given(
    st.lists(st.lists(st.integers(1, 50), max_size=30), min_size=1, max_size=4), st.integers(1, 9), st.integers(1, 7)
)
def test_all_of_each_partition_leaves_in_its_order(written: list[list[int]], most: int, fetched: int) -> None:
    broker = {(f"t{n}", 0): records(*of) for n, of in enumerate(written)}
    sent, came = dict.fromkeys(broker, 0), {p: [] for p in broker}
    backlog, handed = Backlog(), []
    while any(sent[p] < len(of) for p, of in broker.items()) or backlog.partitions:
        behind = {p for p, of in broker.items() if p not in backlog.partitions and sent[p] < len(of)}
        found = backlog.take(most, behind)
        for partition, of in found.items():
            came[partition] += of
        handed += sorted((r for of in found.values() for r in of), key=lambda r: r.timestamp)
        assert sum(map(len, found.values())) <= most
        if not found:  # then something has to come
            for p in behind:
                backlog.put(p, broker[p][sent[p] : sent[p] + fetched])
                sent[p] += fetched
            assert behind
    assert came == broker
    if all(of == sorted(of) for of in written):
        assert [r.timestamp for r in handed] == sorted(t for of in written for t in of)
