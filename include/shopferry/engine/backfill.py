"""Backfill: plan chunks, copy them into the mirror, merge the mirror into the shop, while the stream runs.

A chunk is one transaction; its claim is a row lock, so a worker that dies gives it back by dying. The stream beats the
backfill: a row that an event has touched since this generation began is never overwritten by a chunk.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as Map
from itertools import groupby

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from shopferry.control import chunks, continuity, identity, loads, locks, offsets, phases, quarantine
from shopferry.control.chunks import Chunk, Span
from shopferry.control.offsets import Partition
from shopferry.control.phases import State
from shopferry.db import Connection
from shopferry.engine import erased, first_load, mirror, mirror_rows, verdicts, witness
from shopferry.engine.merge import SLICE
from shopferry.engine.mirror import MirrorTable
from shopferry.engine.pair import Stores
from shopferry.engine.relay import relay
from shopferry.engine.statements import select_keys_between
from shopferry.engine.writes import target_of
from shopferry.errors import MappingError
from shopferry.keys import key_range, key_ranges
from shopferry.route.entities import EntityMapping, IdentityMapping, Standardize, Unit
from shopferry.route.route import Route

log = logging.getLogger(__name__)

MERGE_KEYS = 1_000  # affected keys of one merge chunk: what the stream may have to wait for, well under a second
LOAD_KEYS = (
    10_000  # of one chunk of a first load, which the stream never waits for: at least, and at most ten times as many
)


def plan_copy(stores: Stores, phase: str) -> int:
    """Plan the copy of every source table of the phase; returns the number of chunks."""
    planned = cut(stores, phase, "copy")
    with stores.target.transaction():
        chunks.plan(stores.target, stores.route.name, phase, "copy", planned)
        chunks.plan(stores.target, stores.route.name, phase, "merge", [])
    return len(planned)


def cut(stores: Stores, phase: str, kind: str) -> list[Chunk]:
    """Cut every source table of the phase into key ranges of the phase's chunk size.

    Reads only the primary key's index. `kind` is copy or resync: the same work, planned side by side. With a sample set,
    the ranges of a copy end after that many rows of each table.
    """
    settings = phases.load(stores.target, stores.route.name, phase)
    tables = mirror.load(stores.target)
    planned: list[Chunk] = []
    for position, name in enumerate(stores.route.tables_of(phase)):
        ranges = key_ranges(stores.source, tables[name].captured, tables[name].key, settings.chunk_size)
        if settings.sample and kind == "copy":
            ranges = ranges[: -(-settings.sample // settings.chunk_size)]
        planned += [Chunk(phase, kind, name, position, no, low, high) for no, (low, high) in enumerate(ranges)]
    return planned


def resync(stores: Stores, worker: str, ends: Callable[[], Map[Partition, int]] = dict) -> int:
    """Copy again every table that the stream keeps, after changes were lost on the way; returns the rows looked at.

    Replay goes on from `ends`, the broker's end offsets as they are when asked for: what lies before them was committed
    before the copy reads, and an old event replayed again would undo a lost one that the copy has brought. A consumer
    that runs meanwhile is fenced out and goes on from there too. What differs is merged at once; what events bring from
    then on wins over it. Of a phase that was never copied nothing is copied now, but what the stream has brought of its
    rows counts no more.
    """
    route = stores.route.name
    # To walk all keys takes minutes: no one waits for it here. Keys that come after it are in the ranges, whose ends are open.
    known = {
        p.phase: cut(stores, p.phase, "resync") for p in phases.load_all(stores.target, route) if p.state != State.NEW
    }
    with stores.target.transaction():
        offsets.reset(stores.target, route, ends)
        continuity.reset(stores.target, route)
        # From here on no consumer applies what the source had committed before.
        [(now,)] = stores.source.execute("SELECT pg_current_wal_lsn()::text").fetchall()
        for table in mirror.load(stores.target).values():
            mirror_rows.forget_positions(stores.target, table, now)
        # With the positions goes all that could tell of the gap: so what is left to do is booked with them.
        for phase in phases.load_all(stores.target, route):
            # Also of a phase that is new: the stream keeps its rows too, and its copy must not take them for the newest.
            phases.next_generation(stores.target, route, phase.phase)
            if phase.state != State.NEW:
                planned = known[phase.phase] if phase.phase in known else cut(stores, phase.phase, "resync")
                chunks.plan(stores.target, route, phase.phase, "resync", planned)
    return finish_resync(stores, worker)


def finish_resync(stores: Stores, worker: str) -> int:
    """Copy what a resync that died has planned and left uncopied; returns the rows looked at."""
    rows = 0
    for phase in phases.load_all(stores.target, stores.route.name):
        if not chunks.has_open(stores.target, stores.route.name, phase.phase, "resync"):
            continue
        while chunk := copy_next(stores, phase.phase, worker, kind="resync"):
            log.info("chunk copied anew", extra={"phase": chunk.phase, "table": chunk.target, "no": chunk.no})
        rows += sum(
            p.rows
            for p in chunks.load_progress(stores.target, stores.route.name)
            if p.phase == phase.phase and p.kind == "resync"
        )
    return rows


def copy_next(
    stores: Stores, phase: str, worker: str, span: Span = chunks.EVERYTHING, kind: str = "copy"
) -> Chunk | None:
    """Claim and copy one chunk, in one transaction; None when none is left to claim."""
    started = time.monotonic()
    if _is_read_live(stores, phase):
        stores.merger.stage(stores.route.units)  # what is copied may change what stands in the shop already
    with stores.target.transaction():
        states = phases.lock(stores.target, stores.route.name)
        chunk = chunks.claim(stores.target, stores.route.name, phase, kind, span)
        if chunk is None:
            return None
        table = mirror.load(stores.target, chunk.target)[chunk.target]
        generation = next(g for p, _, g in states if p == phase)
        live = [u for p, state, _ in states if state.live for u in stores.route.of(p)]
        rows, watermark = _copy(stores, table, chunk, generation, live)
        chunks.mark_done(
            stores.target,
            stores.route.name,
            chunk,
            rows=rows,
            seconds=time.monotonic() - started,
            worker=worker,
            watermark=watermark,
        )
    return chunk


def _is_read_live(stores: Stores, phase: str) -> bool:
    """Tell whether a unit that the stream merges reads a table of the phase."""
    copied = {f"{stores.route.schema}.{name}" for name in stores.route.tables_of(phase)}
    live = {p.phase for p in phases.load_all(stores.target, stores.route.name) if State(p.state).live}
    return any(s.relation in copied for u in stores.route.units if u.phase in live for s in u.sources)


def _copy(stores: Stores, table: MirrorTable, chunk: Chunk, generation: int, live: list[Unit]) -> tuple[int, str]:
    shop = stores.target
    within = key_range(table.key, chunk.low, chunk.high)
    columns = stores.route.witnessed.get(table.name)
    affecting = [u for u in live if any(s.relation == table.relation for s in u.sources)]
    if not columns and not affecting and not erased.lists(shop, stores.route.base_name, table):
        copied = _copy_straight(stores, table, within, generation)
        if copied is not None:
            return copied, _read_position(stores.source)
    [(lsn, known)] = stores.source.execute("SELECT pg_current_wal_lsn()::text, clock_timestamp()::text").fetchall()
    fetch(stores, table, within)
    booked = witness.book_copied(shop, table, columns, lsn, known) if columns else []
    watermark = _read_position(stores.source)
    shop.execute("ANALYZE pg_temp.incoming")
    count = shop.execute("SELECT count(*) FROM pg_temp.incoming").fetchone()
    if affecting:
        # Replay holds this lock shared: no batch changes the table between our two notes of its rows.
        locks.lock_mirror(shop, table.name)
    mirror_rows.load_chunk(stores.source, shop, table, within, generation, noted=bool(affecting))
    if affecting:
        if columns:  # a state may be new though the mirror's row is not: events do not carry every value exactly
            witness.follow(shop, stores.route, table, booked, stores.merger.hold)
        stores.merger.propagate(live, {table.relation})
    return (int(count[0]) if count else 0), watermark


def fetch(stores: Stores, table: MirrorTable, within: Composed) -> None:
    """Bring the source's rows that the condition selects into the temp table `incoming`, which is made for them."""
    mirror_rows.stage(stores.target, table)
    _relay_rows(stores, table, within, Identifier("pg_temp", "incoming"), {})
    erased.bar_incoming(stores.target, stores.route.base_name, table)


def _copy_straight(stores: Stores, table: MirrorTable, within: Composed, generation: int) -> int | None:
    """Copy a range into the mirror itself, where that holds no row of it; returns the rows, None where it does hold one."""
    shop = stores.target
    if shop.execute(SQL("SELECT FROM {} WHERE {} LIMIT 1").format(table.base, within)).fetchall():
        return None
    try:
        with shop.transaction():
            return _relay_rows(stores, table, within, table.base, {"_generation": generation - 1})
    except psycopg.errors.UniqueViolation:  # the stream was there meanwhile
        return None


def _relay_rows(stores: Stores, table: MirrorTable, within: Composed, into: Identifier, added: Map[str, int]) -> int:
    """Copy the source's rows that the condition selects into a table, each with what is added; returns how many.

    Raises MappingError when legacy lacks a column that a mapping reads.
    """
    values = [mirror.select_values(table), *(SQL("{}::integer").format(Literal(v)) for v in added.values())]
    try:
        return relay(
            stores.source,
            SQL("COPY (SELECT {} FROM {} WHERE {} ORDER BY {}) TO STDOUT (FORMAT binary)").format(
                SQL(", ").join(values), table.captured, within, SQL(", ").join(map(Identifier, table.key))
            ),
            stores.target,
            SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
                into, SQL(", ").join(map(Identifier, (*table.names, *added)))
            ),
        )
    except psycopg.errors.UndefinedColumn as error:
        raise MappingError(
            f"legacy table {table.name}: {error.diag.message_primary}, but a mapping reads it: mend the mapping, "
            "then copy the phase anew"
        ) from None


def _read_position(source: Connection) -> str:
    """Read the source's present log position."""
    [(lsn,)] = source.execute("SELECT pg_current_wal_lsn()::text").fetchall()
    return str(lsn)


def standardize(stores: Stores, phase: str) -> int:
    """Judge every raw value of the phase that has no verdict yet; returns how many were new."""
    return judge(stores, iter(list_columns(stores.route, phase)), moved=False)


def list_columns(route: Route, phase: str) -> list[tuple[Standardize, ...]]:
    """List what the phase's mappings want standardized, the columns of one kind together."""
    wanted = sorted({w for u in route.of(phase) for w in u.standardize}, key=lambda w: w.kind)
    return [tuple(columns) for _, columns in groupby(wanted, key=lambda w: w.kind)]


def judge(stores: Stores, kinds: Iterator[tuple[Standardize, ...]], *, moved: bool) -> int:
    """Judge the raw values of these columns, of which other sessions may take some; returns how many were new.

    `moved`, only those of rows that the stream has brought: all others are judged.
    """
    judged = 0
    for columns in kinds:
        # No transaction around it: verdicts are true by themselves, and the stream must not wait for a whole column.
        judged += verdicts.ensure(stores.target, columns, stores.route.schema, moved=moved)
    if judged:  # a kind thought to be empty would be read once for each row that a mapping joins with it
        stores.target.execute("ANALYZE ferry.standardized")
    return judged


def begin_merge(stores: Stores, phase: str) -> None:
    """Make the phase's entities live: from this commit on the stream merges them too. Forgets the last merge plan.

    Units of a phase that was never live are loaded first, one after the other, and go live each when its load is done. A
    sample is merged to look at, but never goes live: it lacks rows.
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

    A unit's key ranges are planned when everything before it is merged, since identity makes keys. The plan is committed before
    the first of them is claimed, so that other workers have their share of it at once.
    """
    stores.merger.stage(_find_merging(stores, phase))
    if chunk := _merge_claimed(stores, phase, worker):
        return chunk
    with stores.target.transaction():
        phases.lock(stores.target, stores.route.name)
        planned = _plan_unit(stores, phase)
    return _merge_claimed(stores, phase, worker) if planned else None


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
        elif not stores.merger.has_staged(route.units):
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


def _plan_unit(stores: Stores, phase: str) -> bool:
    """Plan the next unit if all chunks before it are done; returns whether there is something to claim now."""
    shop, route = stores.target, stores.route
    locks.lock_plan(shop)
    if chunks.has_open(shop, route.name, phase, "merge"):
        return False
    planned = {p.target for p in chunks.load_progress(shop, route.name) if (p.phase, p.kind) == (phase, "merge")}
    units = route.of(phase)
    if planned:
        last = units[len(planned) - 1]
        shop.execute(SQL("ANALYZE {}").format(_name_filled(last)))
        if not _finish_load(stores, last):
            return False
    if len(planned) == len(units):
        return False
    unit = units[len(planned)]
    if first := unit.name in loads.load_units(shop, route.name):
        stores.merger.hold()
        loads.begin(shop, route.name, unit.name)
    keys = SQL("(SELECT DISTINCT key FROM ({}) u WHERE key IS NOT NULL)").format(select_keys_between(unit, None, None))
    if isinstance(unit, EntityMapping) and quarantine.has_any(shop, unit.entity):
        # Merged again, as after a rollback: what an echo has deleted meanwhile was merged by nobody, and is no key here.
        stores.merger.hold()
        quarantine.forget_gone(shop, unit.entity, keys)
    # Of an identity that others read already, a chunk makes the stream wait.
    whole = first and (isinstance(unit, EntityMapping) or not _find_live(stores) - {phase})
    size = _size_evenly(shop, keys) if whole else MERGE_KEYS
    planned_now = enumerate(key_ranges(shop, keys, ["key"], size))
    chunks.add(shop, route.name, [Chunk(phase, "merge", unit.name, len(planned), no, *r) for no, r in planned_now])
    return True


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


def _finish_load(stores: Stores, unit: Unit) -> bool:
    """Let a unit go live whose load is done, and merge some of the keys that the stream touched meanwhile.

    Returns whether all of them are merged. Does nothing for a unit that was live before.
    """
    shop, route = stores.target, stores.route
    if loads.are_done(shop, route.name, [unit.name]):
        return True
    stores.merger.hold()
    if loads.has_touched(shop, route.name) and not stores.merger.has_staged(route.units):
        return False  # the next time they are
    loads.finish(shop, route.name, unit.name)
    keys = loads.take_touched(shop, route.name, unit.name, SLICE)
    if keys:
        live = _find_live(stores)
        stores.merger.propagate([u for u in route.units if u.phase in live], (), {unit.name: keys})
    return len(keys) < SLICE


def _find_live(stores: Stores) -> set[str]:
    """Find the phases that the stream merges, and keep them so until the transaction ends."""
    return {p for p, state, _ in phases.lock(stores.target, stores.route.name) if state.live}
