"""The clock: the day that it is for mappings that depend on it, one row of `ferry.clock`, a source like any other.

A mapping that reads it says by its lineage whom another day affects, by a day that its target keeps: so a tick merges those
alone. Until the next tick it stays that day, whatever the date, and incremental still equals batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from functools import partial

from psycopg.sql import SQL

from shopferry.control import locks, phases
from shopferry.db import Connection
from shopferry.engine import merge
from shopferry.engine.pair import Stores
from shopferry.errors import MappingError, PhaseError
from shopferry.retry import retrying
from shopferry.route.entities import CLOCK, Source, Unit
from shopferry.route.route import Route


def load(target: Connection) -> date:
    """Load the day that the clock shows."""
    row = target.execute("SELECT as_of FROM ferry.clock").fetchone()
    if row is None:
        raise PhaseError("ferry.clock has no row: run `shopferry phase init`")
    day: date = row[0]
    return day


def put(target: Connection, day: date) -> None:
    """Put the clock on a day, as if it had never shown another."""
    target.execute("UPDATE ferry.clock SET as_of = %s", (day,))


def advance(target: Connection, day: date) -> None:
    """Advance the clock to a day, and merge nothing. Raises PhaseError for a day before the one that it shows."""
    if day < (shown := load(target)):
        raise PhaseError(f"the clock of mappings shows {shown} already, and never goes back to {day}")
    with target.transaction():
        put(target, day)


def move(stores: Stores, day: date) -> int:
    """Move the clock on to a day, and merge whom that affects in phases that are live; returns how many keys.

    Each slice of keys is one transaction, and the stream has its turn between them; what is broken off is done by the next
    call. No phase with such mappings is verified meanwhile. Raises PhaseError for a day before the one that it shows.
    """
    with ExitStack() as stack:
        for phase in dict.fromkeys(unit.phase for unit, _ in _find_readers(stores)):
            stack.enter_context(locks.verifying(stores.target, stores.route.name, phase))
        advance(stores.target, day)
        return sum(_merge_due(stores, unit, source) for unit, source in _find_readers(stores))


def _find_readers(stores: Stores) -> Iterator[tuple[Unit, Source]]:
    """Find the mappings that read the clock, in their order, each with that source."""
    for unit in stores.route.units:
        for source in unit.sources:
            if source.relation == CLOCK:
                yield unit, source


def _merge_due(stores: Stores, unit: Unit, source: Source) -> int:
    due = SQL(
        "SELECT DISTINCT key::text FROM (WITH changed AS (TABLE ferry.clock) {}) AS lineage (key) LIMIT {}"
    ).format(SQL(str(source.lineage)), merge.SLICE)
    total, before = 0, set[str]()
    while keys := {key for (key,) in stores.target.execute(due).fetchall()}:
        if again := keys & before:
            raise MappingError(
                f"{unit.file}:{source.line}: {len(again)} keys, {min(again)} among them, are affected by the day still, though "
                "they were merged: the day that the lineage compares must be later than the clock's then"
            )
        if not retrying(partial(_merge_slice, stores, unit, sorted(keys)), stores.target):
            return total
        total, before = total + len(keys), keys
    return total


def _merge_slice(stores: Stores, unit: Unit, keys: list[str]) -> bool:
    """Merge some keys of a mapping, and what follows from them; returns False where its phase is not live."""
    units = _list_following(stores.route, unit)
    stores.merger.stage(stores.route.units)
    with stores.target.transaction():
        live = {phase for phase, state, _ in phases.lock(stores.target, stores.route.name) if state.live}
        if unit.phase in live:
            stores.merger.hold()
            stores.merger.propagate([u for u in units if u.phase in live], set(), {unit.name: keys})
    return unit.phase in live


def _list_following(route: Route, unit: Unit) -> list[Unit]:
    """List a mapping and those that read what it makes, and so on, in their order: another day touches nothing else."""
    following = {unit.name: unit}
    for other in route.units:
        if any(s.relation == u.relation for s in other.sources for u in following.values()):
            following[other.name] = other
    return [u for u in route.units if u.name in following]
