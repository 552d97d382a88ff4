"""Backfill: plan chunks, copy them into the mirror, merge the mirror into the shop, while the stream runs.

A chunk is one transaction; its claim is a row lock, so a worker that dies gives it back by dying. The stream beats the
backfill: a row that an event has touched since this generation began is never overwritten by a chunk.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from collections.abc import Mapping as Map
from datetime import timedelta

import psycopg
from psycopg import pq
from psycopg.sql import SQL, Composed, Identifier

from shopferry.control import chunks, continuity, identity, locks, offsets, phases, quarantine
from shopferry.control.chunks import Chunk, Span
from shopferry.control.offsets import Partition
from shopferry.control.phases import State
from shopferry.db import Connection
from shopferry.engine import erased, mirror, mirror_rows, verdicts, witness
from shopferry.engine.mirror import MirrorTable
from shopferry.engine.pair import Stores
from shopferry.engine.statements import select_keys_between
from shopferry.engine.writes import target_of
from shopferry.errors import MappingError, TransientError
from shopferry.keys import key_range, key_ranges
from shopferry.route.entities import EntityMapping, IdentityMapping, Unit

log = logging.getLogger(__name__)

MERGE_KEYS = 1_000  # affected keys of one merge chunk: what the stream may have to wait for, well under a second
_RELAY = 256 * 1024  # bytes handed on at once; larger is no faster


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
    stores.merger.stage(stores.route.units)
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


def _copy(stores: Stores, table: MirrorTable, chunk: Chunk, generation: int, live: list[Unit]) -> tuple[int, str]:
    shop = stores.target
    within = key_range(table.key, chunk.low, chunk.high)
    [(lsn, known)] = stores.source.execute("SELECT pg_current_wal_lsn()::text, clock_timestamp()::text").fetchall()
    fetch(stores, table, within)
    columns = stores.route.witnessed.get(table.name)
    booked = witness.book_copied(shop, table, columns, lsn, known) if columns else []
    row = stores.source.execute("SELECT pg_current_wal_lsn()::text").fetchone()
    watermark = str(row[0]) if row else "0/0"
    shop.execute("ANALYZE pg_temp.incoming")
    count = shop.execute("SELECT count(*) FROM pg_temp.incoming").fetchone()
    affecting = [u for u in live if any(s.relation == table.relation for s in u.sources)]
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
    """Bring the source's rows that the condition selects into the temp table `incoming`, which is made for them.

    Raises MappingError when legacy lacks a column that a mapping reads.
    """
    shop = stores.target
    mirror_rows.stage(shop, table)
    key = SQL(", ").join(map(Identifier, table.key))
    try:
        relay(
            stores.source,
            SQL("COPY (SELECT {} FROM {} WHERE {} ORDER BY {}) TO STDOUT (FORMAT binary)").format(
                mirror.select_values(table), table.captured, within, key
            ),
            shop,
            SQL("COPY pg_temp.incoming ({}) FROM STDIN (FORMAT binary)").format(
                SQL(", ").join(map(Identifier, table.names))
            ),
        )
    except psycopg.errors.UndefinedColumn as error:
        raise MappingError(
            f"legacy table {table.name}: {error.diag.message_primary}, but a mapping reads it: mend the mapping, "
            "then copy the phase anew"
        ) from None
    erased.bar_incoming(shop, stores.route.base_name, table)


def relay(source: Connection, out: Composed, target: Connection, into: Composed) -> None:
    """Pipe `COPY … TO STDOUT` of one server into `COPY … FROM STDIN` of the other; no row becomes a Python object."""
    reader, writer = source.pgconn, target.pgconn
    _expect(reader.exec_(out.as_string(source).encode()), pq.ExecStatus.COPY_OUT)
    _expect(writer.exec_(into.as_string(target).encode()), pq.ExecStatus.COPY_IN)
    buffer = bytearray()
    while True:
        size, data = reader.get_copy_data(0)
        if size < 0:
            break
        buffer += data
        if len(buffer) >= _RELAY:
            writer.put_copy_data(bytes(buffer))
            buffer.clear()
    broken = size == -2
    if buffer and not broken:
        writer.put_copy_data(bytes(buffer))
    writer.put_copy_end(b"the source broke off" if broken else None)
    # Both are read to their end in every case: the target's side must be able to roll back.
    if failed := [error for error in (_finish(reader), _finish(writer)) if error]:
        raise failed[0]


def _expect(result: pq.abc.PGresult, status: pq.ExecStatus) -> None:
    if result.status != status:
        raise _error(result)


def _error(result: pq.abc.PGresult) -> psycopg.Error:
    """Make an error of what the server said; if it said nothing, the connection is gone, which another try may mend."""
    error = psycopg.errors.error_from_result(result)
    return error if error.sqlstate else psycopg.OperationalError(str(error))


def _finish(connection: pq.abc.PGconn) -> psycopg.Error | None:
    """Read the results to their end, so that the connection is usable again; returns what went wrong."""
    failed = None
    while (result := connection.get_result()) is not None:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            failed = _error(result)
    return failed


def standardize(stores: Stores, phase: str) -> int:
    """Judge every raw value of the phase that has no verdict yet; returns how many were new."""
    judged = 0
    for wanted in sorted({w for u in stores.route.of(phase) for w in u.standardize}, key=lambda w: w.kind):
        # No transaction around it: verdicts are true by themselves, and the stream must not wait for a whole column.
        if new := verdicts.ensure(stores.target, wanted, stores.route.schema):
            judged += new
            # The next column's query is planned by these: a kind thought to be empty would be read once for each row.
            stores.target.execute("ANALYZE ferry.standardized")
    return judged


def begin_merge(stores: Stores, phase: str) -> None:
    """Make the phase's entities live: from this commit on the stream merges them too. Forgets the last merge plan.

    A sample is merged to look at, but never goes live: it lacks rows.
    """
    # Tables that were just filled have no statistics yet, and autovacuum comes too late for what reads them now.
    for name in stores.route.tables_of(phase):
        stores.target.execute(SQL("ANALYZE {}").format(Identifier("mirror", name)))
    with stores.target.transaction():
        if phases.load(stores.target, stores.route.name, phase).sample is None:
            phases.move(stores.target, stores.route.name, phase, State.MERGING)
        chunks.plan(stores.target, stores.route.name, phase, "merge", [])


def merge_next(stores: Stores, phase: str, worker: str) -> Chunk | None:
    """Claim and merge one chunk of the phase, in one transaction; None if no chunk is free now.

    A unit's key ranges are planned when everything before it is merged, since identity makes keys.
    """
    started = time.monotonic()
    shop, route = stores.target, stores.route
    stores.merger.stage(route.units)
    with shop.transaction():
        states = phases.lock(shop, route.name)
        chunk = chunks.claim(shop, route.name, phase, "merge")
        if chunk is None:
            if not _plan_unit(stores, phase):
                return None
            chunk = chunks.claim(shop, route.name, phase, "merge")
            if chunk is None:
                return None
        unit = next(u for u in route.units if u.name == chunk.target)
        if isinstance(unit, IdentityMapping):
            stores.merger.hold()
        merged = stores.merger.merge(unit, select_keys_between(unit, chunk.low, chunk.high), disjoint=True)
        if isinstance(unit, IdentityMapping):
            affected = {p for p, state, _ in states if state.live and p != phase}
            if identity.has_left(shop, unit.identity, unit.changed):
                affected.add(phase)  # whose chunks are planned from the keys that identity has, and so miss these
            stores.merger.propagate([u for u in route.units if u.phase in affected], {unit.relation})
        chunks.mark_done(
            shop,
            route.name,
            chunk,
            rows=merged.keys if merged else 0,
            seconds=time.monotonic() - started,
            worker=worker,
        )
    return chunk


def is_merged(stores: Stores, phase: str) -> bool:
    """Whether every unit of the phase is planned and every chunk of the plan is done."""
    return chunks.is_merged(stores.target, stores.route.name, phase, [u.name for u in stores.route.of(phase)])


def _plan_unit(stores: Stores, phase: str) -> bool:
    """Plan the next unit if all chunks before it are done; returns whether there is something to claim now."""
    shop, route = stores.target, stores.route
    locks.lock_plan(shop)
    if chunks.has_open(shop, route.name, phase, "merge"):
        return False
    planned = {p.target for p in chunks.load_progress(shop, route.name) if (p.phase, p.kind) == (phase, "merge")}
    for position, unit in enumerate(route.of(phase)):
        if unit.name in planned:
            last = unit
            continue
        if planned:
            filled = target_of(last) if isinstance(last, EntityMapping) else Identifier("ferry", "identity")
            shop.execute(SQL("ANALYZE {}").format(filled))
        keys = SQL("(SELECT DISTINCT key FROM ({}) u WHERE key IS NOT NULL)").format(
            select_keys_between(unit, None, None)
        )
        if isinstance(unit, EntityMapping) and quarantine.has_any(shop, unit.entity):
            # Merged again, as after a rollback: what an echo has deleted meanwhile was merged by nobody, and is no key here.
            stores.merger.hold()
            quarantine.forget_gone(shop, unit.entity, keys)
        ranges = key_ranges(shop, keys, ["key"], MERGE_KEYS)
        chunks.add(
            shop, route.name, [Chunk(phase, "merge", unit.name, position, no, *r) for no, r in enumerate(ranges)]
        )
        return True
    return False


def pace(stores: Stores, phase: str, *, lag_limit_s: float = 10.0, patience_s: float = 600.0) -> None:
    """Wait while the phase is over its rows per second, or while the stream lags more than the limit.

    Raises TransientError when the stream does not catch up within `patience_s`.
    """
    window = timedelta(seconds=5)
    deadline = time.monotonic() + patience_s
    phases.renew(stores.target, stores.route.name, phase)
    settings = phases.load(stores.target, stores.route.name, phase)
    while True:
        lag = measure_lag(stores.target, stores.route.name)
        over = settings.rows_per_second and (
            chunks.measure_rate(stores.target, stores.route.name, phase, window) > settings.rows_per_second
        )
        if lag <= lag_limit_s and not over:
            return
        if time.monotonic() > deadline:
            raise TransientError(f"backfill of {phase} paused for {patience_s:.0f} s: the stream lags {lag:.0f} s")
        time.sleep(0.2)


def measure_lag(target: Connection, route: str) -> float:
    """Measure the seconds from commit in the source to application, of the newest batches; 0 if none came in 10 s."""
    row = target.execute(
        """SELECT coalesce(max(lag), 0) / 1000.0 FROM (
               SELECT (SELECT max(l) FROM unnest(lag_ms) AS l) AS lag FROM ferry.replay_batch
               WHERE route = %s AND at > clock_timestamp() - interval '10 seconds' ORDER BY at DESC LIMIT 3) b""",
        (route,),
    ).fetchone()
    return float(row[0]) if row else 0.0
