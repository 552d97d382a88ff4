"""The rollback: give the shop back to legacy, which by then has all that the new shop acknowledged.

Of a route without mappings that lead back there is a way only until the new shop has accepted its first write.
"""

from __future__ import annotations

from datetime import datetime

from shopferry.control import phases
from shopferry.control.phases import State
from shopferry.cutover import gates, overflow, routing, section, way_back
from shopferry.cutover.deadline import Deadline
from shopferry.cutover.locks import lock
from shopferry.cutover.section import LOCK_WAIT_S, Steps
from shopferry.cutover.turn import Turn, require_as_approved
from shopferry.errors import GateError, PhaseError
from shopferry.settings import Settings
from shopferry.stores import fence
from shopferry.verify import differ


def roll_back(settings: Settings, who: str, approved: datetime | None = None) -> Steps:
    """Close the new shop and open legacy again; completes a rollback that died half-way, or told not everybody.

    `approved` is when somebody approved it; without it the caller decides now. Afterwards the phases are merged again,
    online (`phase run`): the shop then holds what legacy's rows make of it. Raises GateError when a gate is not met (the new
    shop stays open), TransientError when lock, stream or last look take too long (the same), PhaseError when nothing was ever
    cut over, AnnounceError or TransientError when all is done and not everybody could be told of it.
    """
    with Turn.back(settings) as turn:
        route, shop, legacy, back = turn.route, turn.control, turn.opens.conn, turn.route.back
        if turn.active == "legacy" and not set(turn.opens.tables) & set(fence.find_fenced(legacy)):
            return _announce_again(turn)
        require_as_approved(shop, route, approved)
        done = Steps(turn.version + 1 if turn.active == "shop" else turn.version)
        overlong, since = overflow.overlong_columns(legacy, back) if back else [], overflow.ALL
        closed = turn.is_closed()
        if not closed:
            routing.settle(settings, "shop")
            if back:
                # Looked up before the gates: they prove that all from before is applied.
                since = overflow.read_horizon(shop, back)
                done.gates = gates.require_back(turn)
                overflow.keep(shop, legacy, overlong)
            else:
                _require_unwritten(turn)  # before anybody waits
            done.lap("gates")
        with section.within_deadline(turn) as deadline:
            with turn.opening.transaction():
                if closed:
                    section.complete(turn, done, deadline)
                elif back:
                    section.close(turn, done, deadline)
                else:
                    _close_unwritten(turn, done, deadline)
                if back:
                    overflow.keep(shop, legacy, overlong, since)
                    done.lap("keep")
                way_back.turn(turn.opening, back, live=False)
                fence.lift_fence(turn.opening, turn.opens.tables)
            done.lap("open legacy")
            with shop.transaction():
                if turn.active == "shop":
                    section.flip(shop, route.name, "legacy", done.version)
                section.record(shop, route.name, done, who)
        routing.announce(settings, routing.require_standing(shop, route.name))
        return done


def _announce_again(turn: Turn) -> Steps:
    """Tell the application again that legacy is open. Raises PhaseError when nothing was ever cut over."""
    name = turn.route.name
    if turn.version == 1:
        raise PhaseError(f"route {name} is not cut over: legacy is the active store, there is nothing to roll back")
    routing.announce_again(turn.settings, turn.control, name)
    return Steps(turn.version)


def _close_unwritten(turn: Turn, done: Steps, deadline: Deadline) -> None:
    """Fence the new shop if its application has written nothing yet.

    Raises GateError where it has, TransientError where that cannot be told within the limit, as of a large shop.
    """
    with turn.locked.transaction():
        section.keep_both_free(turn, deadline)
        routing.hold(turn.settings, LOCK_WAIT_S)
        # The lock keeps writers out while we compare; if we refuse, the fence is undone with the transaction.
        lock(turn.locked, turn.closes.tables, min(LOCK_WAIT_S, deadline.left()))
        section.raise_fence(turn, done.version)
        _require_unwritten(turn)
        for phase in turn.route.phases:
            phases.move(turn.locked, turn.route.name, phase, State.VERIFIED)
        section.prepare(turn, deadline)
        deadline.pass_no_return()
    done.lap("close the new shop")


def _require_unwritten(turn: Turn) -> None:
    shop, mappings = turn.control, turn.route.mappings
    written = {m.entity: len({d.key for part in differ.compare(shop, m) for d in part.found}) for m in mappings}
    if total := sum(written.values()):
        most = ", ".join(f"{n} in {e}" for e, n in written.items() if n)
        raise GateError(
            f"rollback refused: the new shop has accepted writes since the cutover ({total} rows: {most}), and the route "
            "has no mappings that lead back; going back would lose them, the new shop stays open"
        )
