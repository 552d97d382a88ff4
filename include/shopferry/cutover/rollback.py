"""Rollback: give the shop back to legacy, which by then has all that the new shop acknowledged.

The same critical section as the switch's, with the stores exchanged. Until the new shop's fence commits, PostgreSQL undoes
everything if we fail or die; after that commit every step left is idempotent. Of a route without mappings that lead back
there is a way only until the new shop has accepted its first write.
"""

from __future__ import annotations

from datetime import datetime

from shopferry import db
from shopferry.control import phases
from shopferry.control.phases import State
from shopferry.cutover import gates, overflow, routing, way_back
from shopferry.cutover.deadline import Deadline
from shopferry.cutover.locks import lock
from shopferry.cutover.switch import (
    LOCK_WAIT_S,
    Clock,
    Cutover,
    Opening,
    alone,
    close,
    flip,
    keep_both_free,
    record,
    require_as_approved,
    within_limit,
)
from shopferry.db import Connection
from shopferry.engine.pair import Stores
from shopferry.errors import GateError, PhaseError
from shopferry.route.route import Route
from shopferry.settings import Settings
from shopferry.stores import fence
from shopferry.verify import differ


def roll_back(settings: Settings, who: str, approved: datetime | None = None) -> Cutover:
    """Close the new shop and open legacy again; completes a rollback that died half-way, or told not everybody.

    `approved` is when somebody approved it; without it whoever asks decides now. Afterwards the phases are merged again,
    online (`phase run`): the shop then holds what legacy's rows make of it. Raises GateError when a gate is not met (the new
    shop stays open), TransientError when lock, stream or last look take too long (the same), PhaseError when nothing was ever
    cut over, AnnounceError or TransientError when all is done and somebody could not be told of it.
    """
    route = Route.load(settings.route)
    back = route.back
    tables, entities = route.legacy_tables, route.shop_tables
    with (
        db.connect(settings.source_dsn, "rollback") as legacy,
        db.connect(settings.target_dsn, "rollback") as shop,
        db.connect(settings.target_dsn, "rollback lock") as locked,
        db.connect(settings.source_dsn, "rollback open") as opened,
    ):
        alone(shop)
        row = shop.execute("SELECT active, version FROM ferry.route WHERE route = %s", (route.name,)).fetchone()
        active, version = row if row else ("legacy", 1)
        if active == "legacy" and not set(tables) & set(fence.fenced(legacy)):
            if version == 1:
                raise PhaseError(
                    f"route {route.name} is not cut over: legacy is the active store, there is nothing to roll back"
                )
            routing.announce_again(settings, shop, route.name)
            return Cutover(version)
        require_as_approved(shop, route, approved)
        done = Cutover(version + 1 if active == "shop" else version)
        clock = Clock(done)
        fenced = not fence.unfenced(shop, entities)
        short, since = overflow.overlong_columns(legacy, back) if back else [], "0/0"
        if not fenced:
            routing.settle(settings, "shop")
            if back:
                # Looked up before the gates: they prove that all from before is applied.
                since = overflow.horizon(shop, back)
                done.gates = gates.require_back(settings)
                overflow.keep(shop, legacy, short)
            else:
                _require_unwritten(shop, route)  # before anybody waits
            clock.lap("gates")
        opening = Opening(opened, back, tables, "legacy", lambda: way_back.number_back(shop, legacy, route))
        with routing.nobody_left_waiting(settings):
            moved = ("legacy", done.version)
            with within_limit(settings, legacy, shop, locked, opened) as limit:
                with opened.transaction():
                    if fenced:
                        limit.onward()
                        opening.prepare(limit)
                        clock.lap("make legacy ready")
                    elif back is None:
                        _close_unwritten(shop, locked, settings, route, moved, opening, limit)
                        clock.lap("close the new shop")
                    else:
                        close(
                            Stores(shop, legacy, back), route, locked, settings, entities, moved, opening, clock, limit
                        )
                    if back:
                        overflow.keep(shop, legacy, short, since)
                        clock.lap("keep")
                    way_back.turn(opened, back, live=False)
                    fence.lift_fence(opened, tables)
                clock.lap("open legacy")
                with shop.transaction():
                    if active == "shop":
                        flip(shop, route.name, "legacy", done.version)
                    record(shop, route.name, done, who)
        routing.announce(settings, routing.standing(shop, route.name))
        return done


def _close_unwritten(
    reader: Connection,
    locked: Connection,
    settings: Settings,
    route: Route,
    moved: tuple[str, int],
    opening: Opening,
    limit: Deadline,
) -> None:
    """Fence the new shop if nobody has written to it yet.

    Raises GateError where somebody has, TransientError where that cannot be told within the limit, as of a large shop.
    """
    entities = route.entities
    with locked.transaction():
        keep_both_free(locked, entities, "the new shop", opening, limit)
        routing.hold(settings, LOCK_WAIT_S)
        # The lock keeps writers out while we compare; if we refuse, the fence is undone with the transaction.
        lock(locked, entities, min(LOCK_WAIT_S, limit.left()))
        fence.raise_fence(locked, entities, route.name, moved)
        _require_unwritten(reader, route)
        for phase in route.phases:
            phases.move(locked, route.name, phase, State.VERIFIED)
        opening.prepare(limit)
        limit.onward()


def _require_unwritten(reader: Connection, route: Route) -> None:
    written = {m.entity: len({d.key for part in differ.compare(reader, m) for d in part.found}) for m in route.mappings}
    if total := sum(written.values()):
        most = ", ".join(f"{n} in {e}" for e, n in written.items() if n)
        raise GateError(
            f"rollback refused: the new shop has accepted writes since the cutover ({total} rows: {most}), and the route "
            "has no mappings that lead back; going back would lose them, the new shop stays open"
        )
