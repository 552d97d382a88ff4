"""A store that was restored from a backup holds people again who were erased since: they are erased again, by the ledgers."""

from __future__ import annotations

from contextlib import ExitStack

from shopferry import db
from shopferry.control import erasures, routes
from shopferry.db import Connection
from shopferry.engine.pair import Stores
from shopferry.privacy import person
from shopferry.privacy.erasure import Erasure, erase_noted, writing
from shopferry.route.route import Route
from shopferry.settings import Settings


def reapply(settings: Settings) -> dict[str, int]:
    """Erase again what the ledgers name, in both stores, after one of them was restored from a backup; returns rows by store.

    A row is erased when it holds what was erased there: a key that was given to somebody else is left alone. What a ledger
    lost with its store is taken from the other.
    """
    counts = {}
    with ExitStack() as stack:
        route = Route.load(settings.route)
        source = stack.enter_context(db.connect(settings.source_dsn, "erasure"))
        target = stack.enter_context(db.connect(settings.target_dsn, "erasure"))
        stores, asked = Stores(source, target, route), person.load(route)
        one = Erasure(settings, stores, 0, asked, routes.find_active(target, route.name))
        _join_ledgers(source, target, one.route)
        noted = {(row.relation, row.key): row for row, _ in erasures.load_all(target, one.route)}
        for store in person.STORES:
            with writing(one, store) as conn:
                counts[store] = sum(erase_noted(conn, plan, noted) for plan in one.plans[store])
    return counts


def _join_ledgers(source: Connection, target: Connection, route: str) -> None:
    """Give each store's ledger what only the other has."""
    for one, other in ((source, target), (target, source)):
        for row, number in erasures.load_all(one, route):
            erasures.note(other, route, number, [row])
