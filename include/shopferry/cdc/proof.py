"""The proof that everything the source committed up to a position is applied in the target.

The proof goes link by link: the source's log position, the slot's confirmed position (which moves only after the broker
has acknowledged everything before it), the broker's end offsets, the offsets stored in the target's database, and that no key
waits which a batch that ran ahead has noted. And that these are links of one chain, that the broker which acknowledged is the
one that is asked, shows a beat that came through.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from shopferry.cdc.broker import EndOffsets, topics
from shopferry.cdc.slot import send_beat
from shopferry.control import chunks, continuity, offsets
from shopferry.control.offsets import Partition
from shopferry.db import Connection
from shopferry.engine.noted import find_waiting
from shopferry.engine.pair import Stores, open_stores
from shopferry.errors import GapError, TransientError
from shopferry.settings import Settings

_MARK_EVERY_S = 0.05
_LOOK_EVERY_S = 0.01
_ASK_AGAIN_S = 0.2


@dataclass(frozen=True)
class Watermark:
    """Everything the source committed before `lsn` is applied; the seconds each link of the proof took."""

    lsn: str
    connector_s: float
    consumer_s: float


@dataclass(frozen=True)
class Mark:
    """A moment in the source: its log position, and the number of the beat that was sent before it."""

    lsn: str
    beat: int


def send_mark(source: Connection) -> Mark:
    """Mark this moment, and send marker rows after it: what is committed by now is on its way, and can be awaited later."""
    number = send_beat(source)
    _send_marker(source)
    row = source.execute("SELECT pg_current_wal_lsn()::text").fetchone()
    _send_marker(source)  # the slot's position trails the newest event
    return Mark(str(row[0]) if row else "0/0", number)


def _send_marker(source: Connection) -> None:
    source.execute("INSERT INTO shopferry.marker DEFAULT VALUES")


def await_slot(source: Connection, slot: str, *, timeout_s: float) -> None:
    """Wait until the connector's slot exists: what is committed before it is never streamed, so no chunk is read before.

    Raises TransientError when it does not appear in time.
    """
    started = time.monotonic()
    while not source.execute("SELECT FROM pg_replication_slots WHERE slot_name = %s", (slot,)).fetchall():
        _require_in_time(started, timeout_s, f"replication slot {slot} does not exist, is the connector running?")
        time.sleep(0.1)


def has_reached(source: Connection, slot: str, lsn: str) -> bool:
    """Whether the broker has acknowledged everything before `lsn`. Raises GapError when the slot is lost."""
    row = source.execute(
        "SELECT confirmed_flush_lsn >= %s::pg_lsn, wal_status FROM pg_replication_slots WHERE slot_name = %s",
        (lsn, slot),
    ).fetchone()
    if row is None or row[1] == "lost":
        what = "does not exist" if row is None else "was invalidated"
        raise GapError(f"replication slot {slot} {what}: changes since are lost; run `shopferry sync resync`")
    return bool(row[0])


def count_behind(stored: Mapping[Partition, int], ends: Mapping[Partition, int]) -> dict[Partition, int]:
    """How many events each partition is behind the given ends; empty when nothing is."""
    return {p: end - stored.get(p, 0) for p, end in ends.items() if stored.get(p, 0) < end}


def await_applied(
    s: Stores, ends: Callable[[], Mapping[Partition, int]], timeout_s: float, since: Mark | None = None
) -> Watermark:
    """Wait until everything committed in the source before this call, or before `since`, is applied; prove it.

    `ends` asks the broker for its end offsets. A broker that has forgotten what was applied proves nothing, and neither
    does a resync that is not done. Raises TransientError when that takes longer than `timeout_s`.
    """
    started = time.monotonic()
    route, slot = s.route.name, s.route.publication
    due = since or send_mark(s.source)
    marked = time.monotonic()
    while not has_reached(s.source, slot, due.lsn):
        _require_in_time(started, timeout_s, f"the connector has not passed {due.lsn}")
        time.sleep(_LOOK_EVERY_S)
        if time.monotonic() - marked > _MARK_EVERY_S:
            _send_marker(s.source)
            marked = time.monotonic()
    passed = time.monotonic()
    goal = _await_goal(s, ends, started, timeout_s)
    while waits := _find_unapplied(s, goal):
        _require_in_time(started, timeout_s, waits)
        time.sleep(_LOOK_EVERY_S)
    while (came := continuity.load(s.target, route).beat or 0) < due.beat:
        _require_in_time(
            started,
            timeout_s,
            f"all that the broker holds is applied, but beat {due.beat} has not come (the last was {came}): does the connector "
            "write to another broker, or under other names?",
        )
        time.sleep(_LOOK_EVERY_S)
    return Watermark(due.lsn, passed - started, time.monotonic() - passed)


def _find_unapplied(s: Stores, goal: Mapping[Partition, int]) -> str | None:
    """Find what keeps the events up to these ends from being applied; None once they are."""
    route = s.route.name
    if left := count_behind(offsets.load(s.target, route), goal):
        return f"the consumer is {sum(left.values())} events behind{_describe_stop(s.target, route)}"
    if rest := chunks.count_resyncing(s.target, route):
        return f"a resync has still to copy {rest} chunks"
    if units := find_waiting(s.target, s.route):  # after the offsets: what they stand for was noted with them
        return f"keys that events affect wait to be merged, of {', '.join(units)}{_describe_stop(s.target, route)}"
    return None


def _await_goal(
    s: Stores, ends: Callable[[], Mapping[Partition, int]], started: float, timeout_s: float
) -> Mapping[Partition, int]:
    """Return the broker's end offsets, once none of them is below what is applied."""
    while True:
        # Positions first: what is applied may move on meanwhile, but never beyond ends that are asked for later.
        applied = offsets.load(s.target, s.route.name)
        goal = ends()
        if not (astray := count_behind(goal, applied)):
            return goal
        topic, partition = min(astray)
        _require_in_time(
            started,
            timeout_s,
            f"the broker has less of {topic}[{partition}] than was applied: it has lost changes, and nobody has resynced yet",
        )
        time.sleep(_ASK_AGAIN_S)


def _describe_stop(target: Connection, route: str) -> str:
    """Say why the consumer stopped, if it did: on-call should not have to look it up."""
    return "".join(f", it stopped: {c.stopped}" for c in offsets.list_consumers(target, route)[:1] if c.stopped)


def _require_in_time(started: float, timeout_s: float, what: str) -> None:
    if time.monotonic() - started > timeout_s:
        raise TransientError(f"waited {timeout_s:.0f} s in vain: {what}")


@contextmanager
def broker_ends(s: Stores, settings: Settings) -> Iterator[Callable[[], Mapping[Partition, int]]]:
    """A connection to the broker that tells the end offsets of the route's topics, already made."""
    ends = EndOffsets(settings, tuple(topics(s.route, s.route.tables)))
    try:
        ends.warm()
        yield ends
    finally:
        ends.close()


def await_both(settings: Settings, timeout_s: float = 60.0) -> None:
    """Wait until each store has all that the other has committed by now, echo included; the way back is armed.

    Raises TransientError when a flow takes longer than that.
    """
    back = settings.reversed
    for one in (back, settings, back):  # whichever of them carries, the other mirrors what it has carried
        with open_stores(one, "await both") as s, broker_ends(s, one) as ends:
            await_applied(s, ends, timeout_s)
