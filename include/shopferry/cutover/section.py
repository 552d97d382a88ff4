"""The critical section of a turn, the same both ways: from the lock on the store that closes to the open other store.

Until the fence of the store that closes commits, PostgreSQL itself undoes everything if we fail or die, and writers go on
there. After that commit there is only forward, and every step left is idempotent: the next try completes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from shopferry.cdc.proof import await_applied, broker_ends, send_mark
from shopferry.control import routes
from shopferry.control.gates import Gate
from shopferry.control.offsets import Partition
from shopferry.cutover import gates, routing, way_back
from shopferry.cutover.deadline import LIMIT_S, Deadline, limited
from shopferry.cutover.last_look import Look, find_differing, look_ahead
from shopferry.cutover.locks import be_patient, keep_vacuum_out, lock
from shopferry.cutover.turn import Turn
from shopferry.db import Connection
from shopferry.engine.pair import Stores
from shopferry.errors import GateError, TransientError
from shopferry.stores import fence

LOCK_WAIT_S = 5.0  # of LIMIT_S, for open transactions: once for PgBouncer's clients, once for all writers
LOOK_S = 1.0  # of LIMIT_S, kept for what comes after the stream
_OPEN_WAIT_S = 2.0  # for the locks in the store that opens: who could hold them was asked to leave by then
_CALM_S = 5.0  # for a moment in which the stream is as good as at its end
_CALM_MS = 150

Flow: TypeAlias = tuple[Stores, Callable[[], Mapping[Partition, int]]]  # with the broker's end offsets of its topics


@dataclass
class Steps:
    """What a turn did: the route's version then, each step with its milliseconds, the gates as judged before the lock."""

    version: int
    steps: list[tuple[str, float]] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)
    _last: float = field(default_factory=time.monotonic, compare=False, repr=False)

    def lap(self, step: str) -> None:
        """Note how long the step took that ends now."""
        now = time.monotonic()
        self.steps.append((step, (now - self._last) * 1000))
        self._last = now


@contextmanager
def within_deadline(turn: Turn) -> Iterator[Deadline]:
    """Limit the time of the block over the turn's connections; when it fails or is over, PgBouncer's clients go on."""
    let_go = partial(routing.let_go, turn.settings)
    with (
        routing.let_go_on_failure(turn.settings),
        limited(LIMIT_S, *turn.connections, let_go=let_go) as deadline,
    ):
        yield deadline


def complete(turn: Turn, done: Steps, deadline: Deadline) -> None:
    """Make the other store ready where a turn died after it had closed the one; in a transaction on `turn.opening`."""
    deadline.pass_no_return()
    prepare(turn, deadline)
    done.lap(f"make {turn.opens.name} ready")


def close(turn: Turn, done: Steps, deadline: Deadline) -> None:
    """Lock the store that closes, prove that all is applied, look at the hot keys once more, fence; one transaction.

    The caller is in a transaction on `turn.opening`. Before the fence, all is made ready in the store that opens. In the
    fence's transaction the flow that leads `onward`, back to this store, begins to be merged: from then on the writes to the
    store that opens are carried here. Its mirror must have the echo of all that was carried by then, for echo is not merged
    when it comes later.
    Raises TransientError or GateError when it was given up; then nothing has changed.
    """
    assert turn.flow
    s, locked, name = turn.flow, turn.locked, turn.closes.name
    # The broker's connections are made before the lock: writers must not wait for a handshake.
    be_patient(turn.opening)
    with _connect_flows(turn) as flows, locked.transaction():
        ahead = look_ahead(*flows[0], _CALM_S)
        done.lap("look ahead")
        keep_both_free(turn, deadline)
        done.lap("keep vacuum out")
        _await_calm(flows)
        done.lap("await calm")
        deadline.begin()
        ahead = look_ahead(*flows[0], _CALM_S, ahead)
        done.lap("look again")
        deadline.begin()
        if routing.hold(turn.settings, LOCK_WAIT_S):
            done.lap("hold clients")
        lock(locked, turn.closes.tables, min(LOCK_WAIT_S, deadline.left()))
        done.lap(f"lock {name}")
        (flow, ends), *echoes = flows
        await_applied(flow, ends, deadline.left() - LOOK_S)
        done.lap("applied")
        # The echo travels while the rest is done: all that it brings is committed by now.
        sent = [(echo, its_ends, send_mark(echo.source)) for echo, its_ends in echoes]
        look_last(s, ahead)
        if s.route.reverse:  # what is refused here is in no mirror's way, and would be nowhere
            gates.refuse_unmet("rollback", [gates.judge_held_back(s, turn.terms)])
        done.lap("last look")
        prepare(turn, deadline)
        done.lap(f"make {turn.opens.name} ready")
        for echo, its_ends, since in sent:
            await_applied(echo, its_ends, deadline.left() - LOOK_S, since)
            done.lap("echo applied")
        raise_fence(turn, done.version)
        way_back.turn(locked, turn.onward.route if turn.onward else None, live=True)
        deadline.pass_no_return()
    done.lap(f"fence {name}")


def keep_both_free(turn: Turn, deadline: Deadline) -> None:
    """Make autovacuum leave the tables of both stores, each within the time limit, which runs again from the start after it."""
    for conn, side in ((turn.locked, turn.closes), (turn.opening, turn.opens)):
        be_patient(conn)
        deadline.begin()
        keep_vacuum_out(conn, side.tables, side.name)
    deadline.begin()


def prepare(turn: Turn, deadline: Deadline) -> None:
    """Lock the tables of the store that opens for us and readers alone, and set its sequences past every key.

    All that could keep the store from opening is done here, before the other one is closed for good; nothing changes for
    its users yet. Raises TransientError when another session holds one of the tables.
    """
    if turn.flow:
        routes.pause(turn.opening, turn.flow.route.name)  # first, as all our own do: so none of them deadlocks with us
    wait_s = min(_OPEN_WAIT_S, deadline.left())
    lock(turn.opening, turn.opens.tables, wait_s, f"{turn.opens.name}: somebody")
    turn.number()


def raise_fence(turn: Turn, version: int) -> None:
    """Fence the store that closes, in the transaction on `turn.locked`; refused writers are told the version and the store."""
    fence.raise_fence(turn.locked, turn.closes.tables, turn.route.name, (turn.opens.store, version))


def look_last(s: Stores, ahead: Look) -> None:
    """Compare the rows that moved last, now that nothing moves. Raises GateError when one differs."""
    for name, keys in find_differing(s, ahead).items():
        raise GateError(
            f"given up, writers go on as before: {len(keys)} rows of {name} differ from the mirror although the "
            "stream has caught up → run `shopferry verify`"
        )


def flip(control: Connection, route: str, active: str, version: int) -> None:
    """Tell the application where to write from now on: by the route's row, and by NOTIFY to all that listen."""
    routes.flip(control, route, active, version)
    routing.notify(control, routing.require_standing(control, route))


def record(control: Connection, route: str, done: Steps, who: str) -> None:
    """Book the steps of a turn, with who asked for it."""
    with control.cursor() as cur:
        cur.executemany(
            "INSERT INTO ferry.cutover_step (route, version, step, ms, who) VALUES (%s, %s, %s, %s, %s)",
            [(route, done.version, step, ms, who) for step, ms in done.steps],
        )


@contextmanager
def _connect_flows(turn: Turn) -> Iterator[list[Flow]]:
    """The flow that is read and, where there is one, that of the other direction, each connected to the broker."""
    both = [s for s in (turn.flow, turn.onward) if s]
    with ExitStack() as stack:
        yield [(s, stack.enter_context(broker_ends(s, turn.settings))) for s in both]


def _await_calm(flows: list[Flow]) -> None:
    """Wait for a moment in which little is under way: what the stream has to catch up with, writers have to wait for.

    The gates say that it keeps up on the whole; where no such moment comes, the turn goes on without one.
    """
    until = time.monotonic() + _CALM_S
    while (left := until - time.monotonic()) > 0:
        started = time.monotonic()
        try:
            for flow, ends in flows:
                await_applied(flow, ends, left)
        except TransientError:
            return
        if (time.monotonic() - started) * 1000 < _CALM_MS:
            return
