"""Release: merge what is in quarantine again, after its cause was mended."""

from __future__ import annotations

from psycopg.sql import SQL, Literal

from shopferry import mirror
from shopferry.backfill import Stores
from shopferry.control import phases, quarantine
from shopferry.mapping import Mapping


def release(stores: Stores, *, entity: str | None = None, reason: str | None = None) -> tuple[int, int]:
    """Merge the quarantined keys again; returns (rows tried, rows still in quarantine).

    Entities go in merge order, so that a parent let in takes its children along; each is one transaction. Only phases
    that the stream keeps are touched.
    """
    tables = mirror.load(stores.shop)
    stores.merger.stage(stores.route.units)
    before = len(quarantine.entries(stores.shop, entity=entity, reason=reason, limit=10_000_000))
    with stores.shop.transaction():
        live = {phase for phase, state, _ in phases.lock(stores.shop, stores.route.name) if state.live}
    for unit in stores.route.units:
        if not isinstance(unit, Mapping) or unit.phase not in live or (entity and unit.entity != entity):
            continue
        keys = SQL("SELECT key::{} AS key FROM ferry.quarantine WHERE entity = {}").format(
            SQL(mirror.key_type_of(unit, tables)), Literal(unit.entity)
        )
        if reason:
            keys = SQL("{} AND {} = ANY(reasons)").format(keys, Literal(reason))
        with stores.shop.transaction():
            tried = frozenset(
                str(k) for (k,) in stores.shop.execute(SQL("SELECT DISTINCT key::text FROM ({}) q").format(keys)).fetchall()
            )
            stores.merger.merge(unit, keys, disjoint=False)
            later = stores.route.units[stores.route.units.index(unit) + 1 :]
            stores.merger.propagate([u for u in later if u.phase in live], stores.merger.ripple(unit, tried))
    return before, len(quarantine.entries(stores.shop, entity=entity, reason=reason, limit=10_000_000))
