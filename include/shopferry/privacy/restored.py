"""A store that was restored from a backup holds people again who were erased since: they are erased again, by the ledgers."""

from __future__ import annotations

from itertools import chain

from shopferry.control import erasures, routes
from shopferry.engine.pair import Stores, open_stores
from shopferry.privacy import person
from shopferry.privacy.erasing import Erasure, erase_noted, writing
from shopferry.route.settings import STORES
from shopferry.settings import Settings


def reapply(settings: Settings) -> dict[str, int]:
    """Erase again what the ledgers name, in both stores, after one of them was restored from a backup; returns rows by store.

    A row is erased when it holds what was erased there: a key that was given to somebody else is left alone. What a ledger
    lost with its store is taken from the other.
    """
    counts = {}
    with open_stores(settings, "erasure") as stores:
        active = routes.find_active(stores.target, stores.route.name)
        one = Erasure(settings, stores, 0, person.load(stores.route), active)
        _join_ledgers(stores, one.route)
        all_noted = chain.from_iterable(erasures.load(stores.target, one.route).values())
        noted = {(row.relation, row.key): row for row in all_noted}
        for store in STORES:
            with writing(one, store) as conn:
                counts[store] = sum(erase_noted(conn, plan, noted) for plan in one.plans[store])
    return counts


def _join_ledgers(s: Stores, route: str) -> None:
    """Give each store's ledger what only the other has."""
    for one, other in ((s.source, s.target), (s.target, s.source)):
        for number, rows in erasures.load(one, route).items():
            erasures.note(other, route, number, rows)
