"""The merge of a phase in chunks: each unit's key ranges are planned, claimed and merged, and the unit goes live.

A chunk is one transaction, as in `backfill`. A unit is planned when all that it reads is merged, since identity makes keys.
Units of a first load that read nothing of each other are loaded side by side.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from psycopg.sql import SQL, Composed, Identifier

from shopferry.control import chunks, identity, loads, locks, phases, quarantine
from shopferry.control.chunks import Chunk
from shopferry.control.phases import State
from shopferry.db import Connection
from shopferry.engine import first_load, references
from shopferry.engine.merge import SLICE
from shopferry.engine.pair import Stores
from shopferry.engine.statements import select_keys_between
from shopferry.engine.writes import target_of
from shopferry.keys import key_ranges
from shopferry.route.entities import EntityMapping, IdentityMapping, Unit

MERGE_KEYS = 1_000  # affected keys of one merge chunk: what the stream may have to wait for, well under a second
LOAD_KEYS = (
    10_000  # of one chunk of a first load, which the stream never waits for: at least, and at most ten times as many
)


def begin_merge(stores: Stores, phase: str) -> None:
    """Make the phase's entities live: from this commit on the stream merges them too. Forgets the last merge plan.

    Units of a phase that was never live are loaded first, and go live each when its load is done. A sample is merged to look
    at, but never goes live: it lacks rows.
    """
    # Tables that were just filled have no statistics yet, and autovacuum comes too late for what reads them now.
    for name in stores.route.tables_of(phase):
        stores.target.execute(SQL("ANALYZE {}").format(Identifier("mirror", name)))
    with stores.target.transaction():
        found = phases.load(stores.target, stores.route.name, phase)
        if found.sample is None:
            phases.move(stores.target, stores.route.name, phase, State.MERGING)
        if found.state == State.COPYING:
            stores.merger.hold()
            for unit in stores.route.of(phase):  # a row of a sample may go before its unit is loaded
                held = stores.target.execute(SQL("SELECT FROM {} LIMIT 1").format(_name_filled(unit))).fetchall()
                loads.plan(stores.target, stores.route.name, unit.name, noted=bool(held))
        chunks.plan(stores.target, stores.route.name, phase, "merge", [])


def merge_next(stores: Stores, phase: str, worker: str) -> Chunk | None:
    """Claim and merge one chunk of the phase, in one transaction; None if no chunk is free now.

    Before that it lets units go live and plans units, each in a transaction of its own: so other workers have their share of a
    plan at once, and the stream waits for one slice at most.
    """
    while True:
        stores.merger.stage(_find_merging(stores, phase))
        if chunk := _merge_claimed(stores, phase, worker):
            return chunk
        with stores.target.transaction():
            phases.lock(stores.target, stores.route.name)
            if not _advance(stores, phase):
                return None


def _merge_claimed(stores: Stores, phase: str, worker: str) -> Chunk | None:
    """Claim and merge one of the planned chunks; None if none is free, or its statements are not composed yet."""
    started = time.monotonic()
    shop, route = stores.target, stores.route
    with shop.transaction():
        states = phases.lock(shop, route.name)
        chunk = chunks.claim(shop, route.name, phase, "merge")
        if chunk is None:
            return None
        unit = next(u for u in route.units if u.name == chunk.target)
        keys = select_keys_between(unit, chunk.low, chunk.high)
        others = {p for p, state, _ in states if state.live and p != phase}
        if unit.name in loads.load_units(shop, route.name):
            if others and isinstance(unit, IdentityMapping):
                stores.merger.hold()
            merged = first_load.load(stores.merger, unit, keys)
        elif not stores.merger.staging.has_staged(route.units):
            return None  # the next time they are
        else:
            if isinstance(unit, IdentityMapping):
                stores.merger.hold()
            merged = stores.merger.merge(unit, keys, disjoint=True)
            if isinstance(unit, IdentityMapping) and identity.has_left(shop, unit.identity, unit.changed):
                others.add(phase)  # whose chunks are planned from the keys that identity has, and so miss these
        if isinstance(unit, IdentityMapping):
            stores.merger.propagate([u for u in route.units if u.phase in others], {unit.relation})
        chunks.mark_done(
            shop,
            route.name,
            chunk,
            rows=merged.keys if merged else 0,
            seconds=time.monotonic() - started,
            worker=worker,
        )
    return chunk


def _find_merging(stores: Stores, phase: str) -> Sequence[Unit]:
    """Find the units that may have to be merged with the next chunk: all, but during a first load the phase's own."""
    route, shop = stores.route, stores.target
    own = route.of(phase)
    live = {p.phase for p in phases.load_all(shop, route.name) if State(p.state).live} - {phase}
    moving = live and any(isinstance(u, IdentityMapping) for u in own)
    loading = chunks.list_open(shop, route.name, phase, "merge") <= loads.load_units(shop, route.name).keys()
    return own if loading and not moving and not loads.has_touched(shop, route.name) else route.units


def is_merged(stores: Stores, phase: str) -> bool:
    """Whether every unit of the phase is planned, every chunk of the plan is done, and every unit is live."""
    route, names = stores.route.name, [u.name for u in stores.route.of(phase)]
    # In this order: no unit is planned any more when the second is asked.
    return chunks.is_merged(stores.target, route, phase, names) and loads.are_done(stores.target, route, names)


def _advance(stores: Stores, phase: str) -> bool:
    """Let a unit go live whose load is done, or plan one whose turn it is; returns whether there was one."""
    shop, route = stores.target, stores.route
    locks.lock_plan(shop)
    of_phase = [p for p in chunks.load_progress(shop, route.name) if (p.phase, p.kind) == (phase, "merge")]
    planned, merged = {p.target for p in of_phase}, {p.target for p in of_phase if p.done == p.total}
    loading = loads.load_units(shop, route.name)
    triggered = references.find_triggered(shop, [u.entity for u in route.of(phase) if isinstance(u, EntityMapping)])
    before, done = list[Unit](), set[str]()
    for unit in route.of(phase):
        if unit.name in merged:
            if not loads.are_done(shop, route.name, [unit.name]):
                _finish_load(stores, unit, loading=unit.name in loading)
                return True
            done.add(unit.name)
        elif unit.name not in planned:
            first = unit.name in loading
            if (_find_awaited(stores, unit, before, triggered) if first else {w.name for w in before}) <= done:
                _plan_unit(stores, unit, len(planned), first=first)
                return True
        before.append(unit)
    return False


def _find_awaited(stores: Stores, unit: Unit, before: Sequence[Unit], triggered: set[str]) -> set[str]:
    """Find which of the units before this one must be live before its first load: what it reads or references.

    A trigger may read and write any table: a unit of such a table waits for all before it, and all behind wait for it.
    """
    needed = triggered | {s.relation for s in unit.sources}
    if isinstance(unit, EntityMapping):
        needed |= references.find_parents(stores.target, unit.entity)
    everything = stores.merger.staging.statements(unit).reads_more or unit.relation in triggered
    return {w.name for w in before if everything or w.relation in needed}


def _plan_unit(stores: Stores, unit: Unit, position: int, *, first: bool) -> None:
    """Cut the keys of a unit into chunks; during a first load the stream notes from here on what it touches."""
    shop, route = stores.target, stores.route
    if first:
        stores.merger.hold()
        loads.begin(shop, route.name, unit.name)
    keys = SQL("(SELECT DISTINCT key FROM ({}) u WHERE key IS NOT NULL)").format(select_keys_between(unit, None, None))
    if isinstance(unit, EntityMapping) and quarantine.has_any(shop, unit.entity):
        # Merged again, as after a rollback: what an echo has deleted meanwhile was merged by nobody, and is no key here.
        stores.merger.hold()
        quarantine.forget_gone(shop, unit.entity, keys)
    # Of an identity that others read already, a chunk makes the stream wait.
    whole = first and (isinstance(unit, EntityMapping) or not _find_live(stores) - {unit.phase})
    size = _size_evenly(shop, keys) if whole else MERGE_KEYS
    ranges = enumerate(key_ranges(shop, keys, ["key"], size))
    chunks.add(shop, route.name, [Chunk(unit.phase, "merge", unit.name, position, no, *r) for no, r in ranges])


def _size_evenly(shop: Connection, keys: Composed) -> int:
    """Size the ranges of a first load: a tenth of the keys, within bounds, and an even number, so that two workers end together.

    Each range reads some tables as a whole, so their number must not grow with the shop.
    """
    [(count,)] = shop.execute(SQL("SELECT count(*) FROM {} k").format(keys)).fetchall()
    most = min(max(int(count) // 10, LOAD_KEYS), 10 * LOAD_KEYS)
    ranges = 2 * -(-int(count) // (2 * most)) or 1
    return max(min(MERGE_KEYS, LOAD_KEYS), -(-int(count) // ranges))


def _name_filled(unit: Unit) -> Identifier:
    """Return the table that a unit fills."""
    return target_of(unit) if isinstance(unit, EntityMapping) else Identifier("ferry", "identity")


def _finish_load(stores: Stores, unit: Unit, *, loading: bool) -> None:
    """Let a unit go live whose load is done, and merge some of the keys that the stream touched meanwhile."""
    shop, route = stores.target, stores.route
    if loading:
        shop.execute(SQL("ANALYZE {}").format(_name_filled(unit)))  # others read it now
    stores.merger.hold()
    if loads.has_touched(shop, route.name) and not stores.merger.staging.has_staged(route.units):
        return  # the next time they are
    if loading:
        loads.finish(shop, route.name, unit.name)
    if keys := loads.take_touched(shop, route.name, unit.name, SLICE):
        live = _find_live(stores)
        stores.merger.propagate([u for u in route.units if u.phase in live], (), {unit.name: keys})


def _find_live(stores: Stores) -> set[str]:
    """Find the phases that the stream merges, and keep them so until the transaction ends."""
    return {p for p, state, _ in phases.lock(stores.target, stores.route.name) if state.live}
