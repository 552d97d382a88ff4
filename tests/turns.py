"""A cutover and a rollback for a pair of stores without servers: what the flows have to do with them, and no locks or routing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pair import Pair, connect, read_dsn
from shopferry import installation
from shopferry.control import phases, routes
from shopferry.control.phases import State
from shopferry.cutover import way_back
from shopferry.engine import backfill
from shopferry.route.route import find_folder
from shopferry.stores import fence, origin


@contextmanager
def installed_back(pair: Pair) -> Iterator[Pair]:
    """The way back, installed over the moved shop, with what the libraries made of old values; its log is tapped."""
    route = pair.route.back
    assert route
    installation.install(pair.shop, pair.legacy, route)
    pair.shop.execute((find_folder(route.name) / "keys.sql").read_bytes())
    way_back.number(pair.legacy, pair.shop, pair.route)
    told = pair.ask("SELECT kind, raw, value, problem, judged_by FROM ferry.standardized")
    with pair.legacy.cursor() as cur:
        cur.executemany("INSERT INTO ferry.standardized VALUES (%s, %s, %s, %s, %s)", told)
    back = Pair.open(read_dsn(pair.shop), read_dsn(pair.legacy), route)
    try:
        yield back
    finally:
        back.close_tap(back.legacy)
        back.close()


@contextmanager
def armed(pair: Pair) -> Iterator[Pair]:
    """The way back as it is armed before a cutover: it mirrors the new shop, and merges nothing."""
    with installed_back(pair) as back:
        route = back.route
        origin.take(pair.shop, pair.route.name)
        origin.take(back.shop, route.name)
        for phase in route.phases:
            with back.shop.transaction():
                phases.move(back.shop, route.name, phase, State.COPYING)
            backfill.plan_copy(back.stores, phase)
            back.copy(phase)
        back.sync()
        with back.shop.transaction():
            for phase in route.phases:
                phases.move(back.shop, route.name, phase, State.CUT_OVER)
        yield back


def cut_over(pair: Pair, back: Pair) -> None:
    """The new shop is open from now on."""
    _turn(pair, back, closing=pair, opening=back, active="shop", version=2)
    fence.lift_fence(pair.shop, pair.route.shop_tables)


def roll_back(pair: Pair, back: Pair) -> None:
    """Legacy is open again, and every phase is merged again."""
    _turn(pair, back, closing=back, opening=pair, active="legacy", version=3)
    way_back.number_back(pair.shop, pair.legacy, pair.route)
    for phase in pair.route.phases:
        pair.merge(phase)
        pair.finish(phase)


def _turn(pair: Pair, back: Pair, *, closing: Pair, opening: Pair, active: str, version: int) -> None:
    """Apply all there is in both directions, then exchange which of them merges."""
    for flow in (closing, opening, closing):
        flow.sync()
    with closing.shop.transaction():
        way_back.turn(closing.shop, closing.route, live=False)
    with opening.shop.transaction():
        way_back.turn(opening.shop, opening.route, live=True)
    with connect(read_dsn(pair.shop)) as shop:
        routes.flip(shop, pair.route.name, active, version)
