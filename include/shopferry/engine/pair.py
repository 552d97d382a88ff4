"""The two stores that a route joins: the source that it reads and the target that it writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from shopferry import db
from shopferry.db import Connection
from shopferry.engine import changes, marks
from shopferry.engine.merge import Merger
from shopferry.route.route import Route
from shopferry.settings import Settings


@dataclass(frozen=True)
class Stores:
    """The two connections that a unit of backfill works on."""

    source: Connection
    target: Connection
    route: Route

    @property
    def names(self) -> tuple[str, str]:
        """What people call the store that is read, and the one that is written."""
        return ("the new shop", "legacy") if self.route.reverse else ("legacy", "the new shop")

    @property
    def back(self) -> Stores | None:
        """The same stores exchanged, for the route that leads back; None where there is none."""
        return Stores(self.target, self.source, self.route.back) if self.route.back else None

    @cached_property
    def merger(self) -> Merger:
        """The route's merge, on the connection of the store that is written."""
        return Merger(self.target, self.route)


@contextmanager
def open_stores(settings: Settings, role: str) -> Iterator[Stores]:
    """Both stores' connections and the route, for one step. Raises ConfigError without the key that its marks want."""
    route = Route.load(settings.route)
    with db.connect(settings.source_dsn, role) as source, db.connect(settings.target_dsn, role) as target:
        marks.require_key(target, route)
        yield Stores(source, target, route)
        for conn in (source, target):
            changes.drop_tables(conn)
