"""In which order fetched records are handed out: the oldest first, and nothing before what is still to come."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import example, given
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


def test_a_partition_that_runs_empty_within_a_take_holds_back_what_is_younger_than_it_has_come() -> None:
    backlog = Backlog()
    backlog.put(PARENTS, records(1))
    backlog.put(CHILDREN, records(1, 9))
    assert times(backlog.take(9, {PARENTS})) == {"orders": [1], "items": [1]}
    assert backlog.take(9, {PARENTS}) == {}
    backlog.put(PARENTS, records(5))
    assert times(backlog.take(9, {CHILDREN})) == {"orders": [5], "items": [9]}


def test_whatever_is_still_to_come_the_oldest_of_what_waits_leaves() -> None:
    backlog = Backlog()
    backlog.put(CHILDREN, records(2, 3))
    backlog.put(PARENTS, records(4))
    assert times(backlog.take(9, {CHILDREN, PARENTS})) == {"items": [2, 3]}
    assert times(backlog.take(9, {PARENTS})) == {"orders": [4]}


TIMES = st.lists(st.integers(1, 12), max_size=12)
WRITTEN = st.lists(TIMES.map(sorted), min_size=1, max_size=4) | st.lists(TIMES, min_size=1, max_size=4)


@given(WRITTEN, st.integers(1, 9), st.integers(1, 7))
@example([[1, 1], [2]], 2, 1)
def test_all_of_each_partition_leaves_in_its_order(written: list[list[int]], most: int, fetched: int) -> None:
    in_order = all(of == sorted(of) for of in written)
    broker = {(f"t{n}", 0): records(*of) for n, of in enumerate(written)}
    fetch_from, came = dict.fromkeys(broker, 0), {p: [] for p in broker}
    backlog = Backlog()
    while any(came[p] != of for p, of in broker.items()):
        coming = {p for p, of in broker.items() if fetch_from[p] < len(of)}
        behind = coming - backlog.partitions
        taken = backlog.take(most, coming)
        assert sum(map(len, taken.values())) <= most
        assert taken or behind, "something waits, all that could be older is here, and nothing leaves"
        for p, of in taken.items():
            came[p] += of
        if in_order:
            left = [r.timestamp for p, of in broker.items() for r in of[len(came[p]) :]]
            assert max((r.timestamp for of in taken.values() for r in of), default=0) <= min(left, default=12)
        if not taken:  # then something has to come
            for p in behind:
                backlog.put(p, broker[p][fetch_from[p] : fetch_from[p] + fetched])
                fetch_from[p] += fetched
    assert came == broker
