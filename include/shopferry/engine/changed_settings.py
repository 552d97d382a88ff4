"""Merge again what reads a setting of the installation that was changed."""

from __future__ import annotations

from psycopg.sql import SQL

from shopferry.control import installed_settings, phases
from shopferry.control.phases import State
from shopferry.engine import merge
from shopferry.engine.pair import Stores
from shopferry.engine.statements import select_keys_between
from shopferry.keys import key_ranges
from shopferry.route.entities import EntityMapping


def merge_readers(stores: Stores) -> list[str]:
    """Merge all rows of the live mappings that read settings, if one was changed; returns the changed settings' names.

    Each slice of keys is one transaction, and the stream has its turn between them. What is broken off is done the next time.
    """
    route, target = stores.route, stores.target
    if not (changed := installed_settings.list_unmerged(target)):
        return []
    stores.merger.stage(route.units)
    live = {p.phase for p in phases.load_all(target, route.name) if State(p.state).live}
    units = [u for u in route.units if u.phase in live]
    for unit in units:
        if not unit.reads_settings or not isinstance(unit, EntityMapping):
            continue
        keys = SQL("(SELECT DISTINCT key FROM ({}) k WHERE key IS NOT NULL)").format(
            select_keys_between(unit, None, None)
        )
        for low, high in key_ranges(target, keys, ["key"], merge.SLICE):
            with target.transaction():
                found = SQL("SELECT DISTINCT key::text FROM ({}) k WHERE key IS NOT NULL").format(
                    select_keys_between(unit, low, high)
                )
                stores.merger.propagate(units, (), {unit.name: [k for (k,) in target.execute(found).fetchall()]})
    installed_settings.mark_merged(target, changed)
    return changed
