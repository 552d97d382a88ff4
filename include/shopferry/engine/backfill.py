"""Backfill: plan chunks and copy them into the mirror, while the stream runs, and judge their raw values.

A chunk is one transaction; its claim is a row lock, so a worker that dies gives it back by dying. The stream beats the
backfill: a row that an event has touched since this generation began is never overwritten by a chunk.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from collections.abc import Mapping as Map
from itertools import groupby

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from shopferry.control import chunks, continuity, locks, offsets, phases
from shopferry.control.chunks import Chunk, Span
from shopferry.control.offsets import Partition
from shopferry.control.phases import State
from shopferry.db import Connection
from shopferry.engine import erased, mirror, mirror_rows, verdicts, witness
from shopferry.engine.mirror import MirrorTable
from shopferry.engine.pair import Stores
from shopferry.engine.relay import relay
from shopferry.errors import MappingError
from shopferry.keys import key_range, key_ranges
from shopferry.route.entities import Standardize, Unit
from shopferry.route.route import Route

log = logging.getLogger(__name__)


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
        # First, since a batch holds the phases when it comes to its offsets. Also of a phase that is new: the stream keeps its
        # rows too, and its copy must not take them for the newest.
        for phase in phases.load_all(stores.target, route):
            phases.next_generation(stores.target, route, phase.phase)
        offsets.reset(stores.target, route, ends)
        continuity.reset(stores.target, route)
        # From here on no consumer applies what the source had committed before.
        [(now,)] = stores.source.execute("SELECT pg_current_wal_lsn()::text").fetchall()
        for table in mirror.load(stores.target).values():
            mirror_rows.forget_positions(stores.target, table, now)
        # With the positions goes all that could tell of the gap: so what is left to do is booked with them.
        for phase in phases.load_all(stores.target, route):
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
