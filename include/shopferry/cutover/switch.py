"""The cutover: move the shop's writes from legacy to the new shop."""

from __future__ import annotations

from datetime import datetime

from shopferry.control import phases
from shopferry.control.phases import State
from shopferry.cutover import gates, overflow, routing, section
from shopferry.cutover.section import Steps
from shopferry.cutover.turn import Turn, require_as_approved
from shopferry.errors import GateError
from shopferry.settings import Settings
from shopferry.stores import fence


def cut_over(settings: Settings, who: str, approved: datetime | None = None) -> Steps:
    """Move the shop's writes from legacy to the new shop; completes a cutover that died after its point of no return.

    `approved` is when somebody approved it; without it the caller decides now.
    Raises GateError when a gate is not met, TransientError when lock, stream or last look take too long: legacy then goes
    on as before. Raises AnnounceError or TransientError when all is done and not everybody could be told of it; that, too,
    is made up for by the next try. When the new shop is open already, a fence that legacy has lost is raised again.
    """
    with Turn.forward(settings) as turn:
        route, shop = turn.route, turn.control
        if turn.active == "shop":
            if set(route.entities) & set(fence.find_fenced(shop)):
                raise GateError("a rollback has begun and closed the new shop: `shopferry rollback` completes it")
            _close_again(turn)
            routing.announce_again(settings, shop, route.name)
            return Steps(turn.version)
        require_as_approved(shop, route, approved)
        done = Steps(turn.version + 1)
        overlong = overflow.overlong_columns(turn.closes.conn, route.back) if route.back else []
        closed = turn.is_closed()
        if not closed:
            routing.settle(settings, "legacy")
            # However long ago they were met: this is the moment that counts.
            done.gates = gates.require(turn)
            done.lap("gates")
        with section.within_deadline(turn) as deadline, turn.opening.transaction():
            if closed:
                section.complete(turn, done, deadline)
            else:
                section.close(turn, done, deadline)
            for phase in route.phases:
                phases.move(turn.opening, route.name, phase, State.CUT_OVER)
            overflow.put_back(turn.opening, overlong)
            fence.lift_fence(turn.opening, turn.opens.tables)
            section.flip(turn.opening, route.name, "shop", done.version)
            done.lap("open the new shop")
            section.record(turn.opening, route.name, done, who)
        routing.announce(settings, routing.require_standing(shop, route.name))
        return done


def _close_again(turn: Turn) -> None:
    """Raise legacy's fence where it does not stand any more: a restore, a fail-over or a person may have taken it."""
    legacy, tables = turn.closes.conn, turn.closes.tables
    if not turn.is_closed():
        with legacy.transaction():
            fence.raise_fence(legacy, tables, turn.route.name, ("shop", turn.version))
