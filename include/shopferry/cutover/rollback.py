"""Rollback: give the shop back to legacy. Refuses while that would lose a write the new shop has acknowledged."""

from __future__ import annotations

from shopferry import db, fence, installation
from shopferry.control import phases
from shopferry.control.phases import State
from shopferry.cutover import routing
from shopferry.cutover.switch import LOCK_WAIT_S, Cutover, alone, flip, record
from shopferry.errors import GateError, PhaseError
from shopferry.mapping import Route
from shopferry.settings import Settings
from shopferry.verify import differ


def roll_back(settings: Settings, who: str) -> Cutover:
    """Close the new shop and open legacy again; completes a rollback that died half-way, or told not everybody.

    Raises GateError when the new shop has accepted writes since the cutover (they are counted, the shop stays open),
    PhaseError when nothing was ever cut over, AnnounceError or TransientError when all is done and somebody could not be
    told of it.
    """
    route = Route.load(settings.route)
    tables = [f"public.{t}" for t in route.tables]
    with (
        db.connect(settings.legacy_dsn, "rollback") as legacy,
        db.connect(settings.shop_dsn, "rollback") as shop,
        db.connect(settings.shop_dsn, "rollback compare") as reader,
    ):
        alone(shop)
        row = shop.execute("SELECT active, version FROM ferry.route WHERE route = %s", (route.name,)).fetchone()
        active, version = row if row else ("legacy", 1)
        if active == "legacy" and not set(tables) & set(fence.fenced(legacy)):
            if version == 1:
                raise PhaseError(f"route {route.name} is not cut over: legacy is the active store, there is nothing to roll back")
            routing.announce_again(settings, shop, route.name)
            return Cutover(version)
        done = Cutover(version)
        with routing.nobody_left_waiting(settings):
            if active == "shop":
                done = Cutover(version + 1)
                routing.settle(settings, "shop")
                routing.hold(settings, LOCK_WAIT_S)
                with shop.transaction():
                    # The fence's lock keeps writers out while we compare; if we refuse, it is undone with the transaction.
                    fence.raise_fence(shop, installation.entities(route), route.name, ("legacy", done.version))
                    written = {
                        m.entity: len({d.key for part in differ.compare(reader, m) for d in part.found}) for m in route.mappings
                    }
                    if total := sum(written.values()):
                        most = ", ".join(f"{n} in {e}" for e, n in written.items() if n)
                        raise GateError(
                            f"rollback refused: the new shop has accepted writes since the cutover ({total} rows: {most}); "
                            "going back would lose them, the new shop stays open"
                        )
                    for phase in route.phases:
                        phases.move(shop, route.name, phase, State.VERIFIED)
                    flip(shop, route.name, "legacy", done.version)
            with legacy.transaction():
                fence.drop_fence(legacy, tables)
            with shop.transaction():
                done.steps.append(("rollback", 0.0))
                record(shop, route.name, done, who)
        routing.announce(settings, routing.standing(shop, route.name))
        return done
