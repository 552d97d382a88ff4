"""Release: merge what is in quarantine again, after its cause was mended."""

from __future__ import annotations

from shopferry.control import phases, quarantine
from shopferry.engine import merge
from shopferry.engine.pair import Stores
from shopferry.route.entities import EntityMapping


def release(stores: Stores, *, entity: str | None = None, reason: str | None = None) -> tuple[int, int]:
    """Merge the quarantined keys again; returns (rows tried, rows still in quarantine).

    Entities go in merge order, so that a parent let in takes its children along; each slice of an entity's keys is one
    transaction, and the stream has its turn between them. Only phases that the stream keeps are touched.
    """
    before = quarantine.count(stores.target, entity=entity, reason=reason)
    for unit in stores.route.mappings:
        if entity in {None, unit.entity}:
            last = _slice(stores, unit, reason, None)
            while last is not None:
                last = _slice(stores, unit, reason, last)
    return before, quarantine.count(stores.target, entity=entity, reason=reason)


def _slice(stores: Stores, unit: EntityMapping, reason: str | None, after: str | None) -> str | None:
    """Merge an entity's next quarantined keys again; returns the last of them, None when there is none."""
    stores.merger.stage(stores.route.units)
    with stores.target.transaction():
        states = phases.lock(stores.target, stores.route.name)
        live = [u for phase, state, _ in states if state.live for u in stores.route.of(phase)]
        if unit not in live:
            return None
        stores.merger.hold()  # before the keys are read: what the stream lets in meanwhile needs no other merge
        keys = quarantine.next_keys(stores.target, unit.entity, reason, after, merge.SLICE)
        if keys:
            stores.merger.propagate(live[live.index(unit) + 1 :], stores.merger.merge_again(unit, keys))
        return keys[-1] if keys else None
