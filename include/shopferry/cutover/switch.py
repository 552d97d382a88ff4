"""The switch: one critical section from the lock on legacy to the open new shop.

Until legacy's fence commits, PostgreSQL itself undoes everything if we fail or die, and legacy goes on. After that
commit there is only forward, and every step left is idempotent: the next try completes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TypeAlias

from shopferry import db
from shopferry.cdc.proof import broker_ends, send_mark
from shopferry.control import phases, routes
from shopferry.control.gates import Gate
from shopferry.control.offsets import Partition
from shopferry.control.phases import State
from shopferry.cutover import gates, overflow, routing, sequences, way_back
from shopferry.cutover.deadline import LIMIT_S, Deadline, limited
from shopferry.cutover.last_look import Look, differing, look_ahead
from shopferry.cutover.locks import keep_vacuum_out, lock, patient
from shopferry.db import Connection
from shopferry.engine.pair import Stores
from shopferry.errors import GateError, TransientError
from shopferry.phase_steps import await_applied
from shopferry.route import settings as route_settings
from shopferry.route.route import Route
from shopferry.settings import REVERSE, Settings
from shopferry.stores import fence

LOCK_WAIT_S = 5.0  # of LIMIT_S, for open transactions: once for PgBouncer's clients, once for everybody's
LOOK_S = 1.0  # of LIMIT_S, kept for what comes after the stream
_OPEN_WAIT_S = 2.0  # for the locks in the store that opens: whoever could hold them has been asked to leave by then
_CALM_S = 5.0  # for a moment in which the stream is as good as at its end
_CALM_MS = 150
_ONE_AT_A_TIME = 0x5F20

Flows: TypeAlias = list[
    tuple[Stores, Callable[[], Mapping[Partition, int]]]
]  # each with the broker's ends of its topics


@dataclass
class Cutover:
    """What a cutover did: the route's new version, each step with its milliseconds, the gates as judged before the lock."""

    version: int
    steps: list[tuple[str, float]] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)


def cut_over(settings: Settings, who: str, approved: datetime | None = None) -> Cutover:
    """Move the shop's writes from legacy to the new shop; completes a cutover that died after its point of no return.

    `approved` is when somebody approved it; without it whoever asks decides now.
    Raises GateError when a gate is not met, TransientError when lock, stream or last look take too long: legacy then goes
    on as before. Raises AnnounceError or TransientError when all is done and somebody could not be told of it; that, too,
    is made up for by the next try. When the new shop is open already, a fence that legacy has lost is raised again.
    """
    route = Route.load(settings.route)
    with (
        db.connect(settings.source_dsn, "cutover") as legacy,
        db.connect(settings.source_dsn, "cutover lock") as locked,
        db.connect(settings.target_dsn, "cutover") as shop,
        db.connect(settings.target_dsn, "cutover open") as opened,
    ):
        alone(shop)
        row = shop.execute("SELECT active, version FROM ferry.route WHERE route = %s", (route.name,)).fetchone()
        active, version = row if row else ("legacy", 1)
        if active == "shop":
            if set(route.entities) & set(fence.fenced(shop)):
                raise GateError("a rollback has begun and closed the new shop: `shopferry rollback` completes it")
            _close_again(legacy, route, version)
            routing.announce_again(settings, shop, route.name)
            return Cutover(version)
        require_as_approved(shop, route, approved)
        done = Cutover(version + 1)
        clock = Clock(done)
        s, back = Stores(legacy, shop, route), route.back
        short = overflow.overlong_columns(legacy, back) if back else []
        tables = route.legacy_tables
        fenced = not fence.unfenced(legacy, tables)
        if not fenced:
            routing.settle(settings, "legacy")
            # However long ago they were met: this is the moment that counts.
            done.gates = gates.require(settings)
            clock.lap("gates")
        entities = route.shop_tables

        def number() -> None:
            sequences.advance(shop, route)
            way_back.number(legacy, shop, route)

        with (
            routing.nobody_left_waiting(settings),
            within_limit(settings, legacy, shop, locked, opened) as limit,
            opened.transaction(),
        ):
            opening = Opening(opened, route, entities, "the new shop", number)
            if fenced:
                limit.onward()
                opening.prepare(limit)
                clock.lap("make the new shop ready")
            else:
                close(s, back, locked, settings, tables, ("shop", done.version), opening, clock, limit)
            for phase in route.phases:
                phases.move(opened, route.name, phase, State.CUT_OVER)
            overflow.put_back(opened, short)
            fence.lift_fence(opened, entities)
            flip(opened, route.name, "shop", done.version)
            clock.lap("open the new shop")
            record(opened, route.name, done, who)
        routing.announce(settings, routing.standing(shop, route.name))
        return done


def _close_again(legacy: Connection, route: Route, version: int) -> None:
    """Raise the fence where it does not stand any more: a restore, a fail-over or somebody's hand may have taken it."""
    tables = route.legacy_tables
    if fence.unfenced(legacy, tables):
        with legacy.transaction():
            fence.raise_fence(legacy, tables, route.name, ("shop", version))


def alone(shop: Connection) -> None:
    """Keep every other cutover and rollback out while this connection lasts. Raises TransientError if there is one."""
    row = shop.execute("SELECT pg_try_advisory_lock(%s)", (_ONE_AT_A_TIME,)).fetchone()
    if not row or not row[0]:
        raise TransientError("another cutover or rollback of this shop is under way")


def require_as_approved(shop: Connection, route: Route, approved: datetime | None) -> None:
    """Raises GateError when somebody has switched since it was approved: nobody has decided about the shop as it is now."""
    row = shop.execute("SELECT changed_at FROM ferry.route WHERE route = %s", (route.name,)).fetchone()
    if approved and row and row[0] > approved:
        raise GateError(
            f"it was approved at {approved.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, and the shop was switched since, at "
            f"{row[0].astimezone(UTC):%Y-%m-%d %H:%M:%S}: start a new run, and have that approved"
        )


@dataclass
class Clock:
    """Notes how long each step took."""

    cutover: Cutover
    last: float = field(default_factory=time.monotonic)

    def lap(self, step: str) -> None:
        now = time.monotonic()
        self.cutover.steps.append((step, (now - self.last) * 1000))
        self.last = now


@dataclass(frozen=True)
class Opening:
    """The store that opens: everything that could keep it from that is done before the other one is closed for good.

    `conn` is in the transaction that opens it, `route` the one that writes it (None: none is kept there), `number` sets its
    sequences, by another connection.
    """

    conn: Connection
    route: Route | None
    tables: list[str]
    name: str
    number: Callable[[], None]

    def prepare(self, limit: Deadline) -> None:
        """Have its tables for ourselves but for readers, and its sequences past every key; nothing changes for anybody.

        Raises TransientError when somebody holds one of the tables.
        """
        if self.route:
            routes.pause(self.conn, self.route.name)  # first, as all our own do: so none of them deadlocks with us
        lock(self.conn, self.tables, min(_OPEN_WAIT_S, limit.left()), f"{self.name}: somebody")
        self.number()


def close(
    s: Stores,
    onward: Route | None,
    locked: Connection,
    settings: Settings,
    tables: list[str],
    moved: tuple[str, int],
    opening: Opening,
    clock: Clock,
    limit: Deadline,
) -> None:
    """Lock the store that is read, prove that everything is applied, look at the hot keys once more, fence; one transaction.

    Before the fence, all is made ready in the store that opens next. In the fence's transaction the route that leads
    `onward`, back to this store, begins to be merged: from then on the writes to the store that opens next are carried
    here. Its mirror must have the echo of all that was carried by then, for echo is not merged when it comes later.
    `locked` is another connection to the store, `moved` what refused writers are told.
    Raises TransientError or GateError when it was given up; then nothing has changed.
    """
    name = s.names[0]
    terms = route_settings.load(settings.route).cutover
    # The broker's connections are made before the lock: nobody shall wait for a handshake.
    patient(opening.conn)
    with _flows(s, onward, settings) as flows, locked.transaction():
        ahead = look_ahead(*flows[0], _CALM_S)
        clock.lap("look ahead")
        keep_both_free(locked, tables, name, opening, limit)
        clock.lap("keep vacuum out")
        _await_calm(flows)
        clock.lap("await calm")
        limit.begin()
        ahead = look_ahead(*flows[0], _CALM_S, ahead)
        clock.lap("look again")
        limit.begin()
        if routing.hold(settings, LOCK_WAIT_S):
            clock.lap("hold clients")
        lock(locked, tables, min(LOCK_WAIT_S, limit.left()))
        clock.lap(f"lock {name}")
        (flow, ends), *echoes = flows
        await_applied(flow, ends, limit.left() - LOOK_S)
        clock.lap("applied")
        # The echo travels while the rest is done: all that it brings is committed by now.
        sent = [(echo, its_ends, send_mark(echo.source)) for echo, its_ends in echoes]
        _last_look(s, ahead)
        if s.route.reverse:  # what is refused here is in no mirror's way, and would be nowhere
            gates.refuse_unmet("rollback", [gates.held_back(s, terms)])
        clock.lap("last look")
        opening.prepare(limit)
        clock.lap(f"make {opening.name} ready")
        for echo, its_ends, since in sent:
            await_applied(echo, its_ends, limit.left() - LOOK_S, since)
            clock.lap("echo applied")
        fence.raise_fence(locked, tables, s.route.name.removesuffix(REVERSE), moved)
        way_back.turn(locked, onward, live=True)
        limit.onward()
    clock.lap(f"fence {name}")


def within_limit(settings: Settings, *conns: Connection) -> AbstractContextManager[Deadline]:
    """The critical section's time limit over these connections; when it is over, PgBouncer's clients go on."""
    return limited(LIMIT_S, *conns, let_go=partial(routing.let_go, settings))


@contextmanager
def _flows(s: Stores, onward: Route | None, settings: Settings) -> Iterator[Flows]:
    """The flow of this route and, where there is one, that of the other direction, each with the broker's ends."""
    both = [s, Stores(s.target, s.source, onward)] if onward else [s]
    with ExitStack() as stack:
        yield [(flow, stack.enter_context(broker_ends(flow, settings))) for flow in both]


def _await_calm(flows: Flows) -> None:
    """Wait for a moment in which little is under way: what the stream has to catch up with, writers have to wait for.

    The gates say that it keeps up on the whole; where no such moment comes, it goes on without one.
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


def keep_both_free(locked: Connection, tables: list[str], name: str, opening: Opening, limit: Deadline) -> None:
    """Have autovacuum leave the tables of both stores, each within the time limit, which runs anew after it."""
    for conn, its, whose in ((locked, tables, name), (opening.conn, opening.tables, opening.name)):
        patient(conn)
        limit.begin()
        keep_vacuum_out(conn, its, whose)
    limit.begin()


def _last_look(s: Stores, ahead: Look) -> None:
    """Compare the rows that moved last, now that nothing moves. Raises GateError when one differs."""
    for name, keys in differing(s, ahead).items():
        raise GateError(
            f"given up, writers go on as before: {len(keys)} rows of {name} differ from the mirror although the "
            "stream has caught up → run `shopferry verify`"
        )


def flip(shop: Connection, route: str, active: str, version: int) -> None:
    """Tell the application where to write from now on: by the route's row, and whoever listens by NOTIFY."""
    shop.execute(
        "UPDATE ferry.route SET active = %s, version = %s, changed_at = clock_timestamp() WHERE route = %s",
        (active, version, route),
    )
    routing.notify(shop, routing.standing(shop, route))


def record(shop: Connection, route: str, done: Cutover, who: str) -> None:
    """Book the steps of a cutover or rollback, with who asked for it."""
    with shop.cursor() as cur:
        cur.executemany(
            "INSERT INTO ferry.cutover_step (route, version, step, ms, who) VALUES (%s, %s, %s, %s, %s)",
            [(route, done.version, step, ms, who) for step, ms in done.steps],
        )
