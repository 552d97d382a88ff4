"""A turn: one move of the shop's writes from the store that closes to the store that opens.

A turn is made once, at the door of a cutover or rollback: it has read the route and its terms, opened the connections, and
keeps every other turn of this shop out for as long as it lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from shopferry import db
from shopferry.control import locks, routes
from shopferry.cutover import sequences, way_back
from shopferry.db import Connection
from shopferry.engine.pair import Stores
from shopferry.errors import GateError, TransientError
from shopferry.route import settings as route_settings
from shopferry.route.route import Route
from shopferry.route.settings import Terms
from shopferry.settings import Settings
from shopferry.stores import fence


@dataclass(frozen=True)
class Side:
    """One store of a turn: 'legacy' or 'shop', a connection to it, and its tables that a turn closes or opens."""

    store: str
    conn: Connection
    tables: list[str] = field(repr=False)

    @property
    def name(self) -> str:
        """What people call it."""
        return "legacy" if self.store == "legacy" else "the new shop"


@dataclass(frozen=True)
class Turn:
    """What a cutover or a rollback works on.

    `flow` leads from the store that closes to the one that opens, `onward` back from there; each is None where the route has
    no mappings for it. `control` is a connection to the new shop, where `ferry.route` says which store is active. `locked`
    and `opening` are connections of their own: the transaction that locks and fences the one store, and the one that opens
    the other. `number` sets the sequences of the store that opens, on a connection that is in no transaction.
    """

    settings: Settings
    route: Route
    terms: Terms
    closes: Side
    opens: Side
    flow: Stores | None
    onward: Stores | None
    control: Connection
    locked: Connection
    opening: Connection
    active: str
    version: int
    number: Callable[[], None]

    @classmethod
    @contextmanager
    def forward(cls, settings: Settings) -> Iterator[Turn]:
        """The turn from legacy to the new shop. Raises TransientError when another turn is under way."""
        route, terms = Route.load(settings.route), route_settings.load(settings.route).cutover
        with (
            db.connect(settings.source_dsn, "cutover") as legacy,
            db.connect(settings.source_dsn, "cutover lock") as locked,
            db.connect(settings.target_dsn, "cutover") as shop,
            db.connect(settings.target_dsn, "cutover open") as opening,
        ):
            active, version = _begin(shop, route)
            there = Stores(legacy, shop, route)

            def number() -> None:
                sequences.advance(shop, route)
                way_back.number(legacy, shop, route)

            yield cls(
                settings,
                route,
                terms,
                closes=Side("legacy", legacy, route.legacy_tables),
                opens=Side("shop", shop, route.shop_tables),
                flow=there,
                onward=there.back,
                control=shop,
                locked=locked,
                opening=opening,
                active=active,
                version=version,
                number=number,
            )

    @classmethod
    @contextmanager
    def back(cls, settings: Settings) -> Iterator[Turn]:
        """The turn from the new shop to legacy. Raises TransientError when another turn is under way."""
        route, terms = Route.load(settings.route), route_settings.load(settings.route).cutover
        with (
            db.connect(settings.source_dsn, "rollback") as legacy,
            db.connect(settings.target_dsn, "rollback") as shop,
            db.connect(settings.target_dsn, "rollback lock") as locked,
            db.connect(settings.source_dsn, "rollback open") as opening,
        ):
            active, version = _begin(shop, route)
            there = Stores(legacy, shop, route)
            yield cls(
                settings,
                route,
                terms,
                closes=Side("shop", shop, route.shop_tables),
                opens=Side("legacy", legacy, route.legacy_tables),
                flow=there.back,
                onward=there,
                control=shop,
                locked=locked,
                opening=opening,
                active=active,
                version=version,
                number=lambda: way_back.number_back(shop, legacy, route),
            )

    @property
    def connections(self) -> tuple[Connection, ...]:
        """All four, for the deadline that cuts them."""
        return self.closes.conn, self.opens.conn, self.locked, self.opening

    def is_closed(self) -> bool:
        """Whether the store that closes is fenced already: a turn before this one died past its point of no return."""
        return not fence.find_unfenced(self.closes.conn, self.closes.tables)


def _begin(control: Connection, route: Route) -> tuple[str, int]:
    """Keep every other turn out while this connection lasts; returns the active store and the route's version."""
    if not locks.try_switch(control):
        raise TransientError("another cutover or rollback of this shop is under way")
    standing = routes.find_standing(control, route.name)
    return (standing.active, standing.version) if standing else ("legacy", 1)


def require_as_approved(control: Connection, route: Route, approved: datetime | None) -> None:
    """Raise GateError when the shop was switched after it was approved: the approval was about another state of the shop."""
    standing = routes.find_standing(control, route.name)
    if approved and standing and standing.changed_at > approved:
        raise GateError(
            f"it was approved at {approved.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, and the shop was switched since, at "
            f"{standing.changed_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}: start a new run, and have that approved"
        )
