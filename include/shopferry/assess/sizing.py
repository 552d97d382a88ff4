"""How much there is, how fast it grows, how long the phases will take and what disk they need; each figure says its basis.

What is measured here is the copy out of legacy, on a sample of each table. Merge and verification cannot be timed without
writing: where a phase has run before, its own chunks tell; else a rehearsal that was large enough; else the speed seen elsewhere
is used, and called that.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Identifier

from shopferry import pages
from shopferry.assess.findings import Finding, Severity, read_value
from shopferry.assess.rights import LEGACY
from shopferry.control import differences, rehearsals
from shopferry.db import Connection, exists
from shopferry.engine import mirror
from shopferry.engine.mirror import MirrorTable
from shopferry.route.route import Route

SAMPLE = 20_000  # rows copied out of each table to time it
# Legacy rows per second of the demo's mappings on two cores that ran everything, through Airflow and under live writes:
# with these its three phases of legacy's rows come to 65 s, and they took 64 s.
MERGED_PER_S, VERIFIED_PER_S = 14_000, 40_000
YOUNG_H = 0.25  # hours: statistics younger than this say nothing about an hour
_ROOM = 1.3  # tables that have just been written are larger than those long settled


@dataclass(frozen=True)
class Size:
    """One mapped table of legacy: rows, bytes with indexes, net growth in rows per hour (None: not known)."""

    table: str
    phase: str
    rows: int
    bytes: int
    rows_per_hour: float | None


@dataclass(frozen=True)
class Expected:
    """One phase: seconds of its three parts, as one worker would take them, and where the figures come from."""

    phase: str
    rows: int
    bytes: int
    copy_s: float
    merge_s: float
    verify_s: float
    basis: str

    @property
    def seconds(self) -> float:
        """All parts together."""
        return self.copy_s + self.merge_s + self.verify_s


@dataclass(frozen=True)
class Estimate:
    """The whole: tables, phases, log per hour, disk (None: not known); `method` says in words how each figure came about."""

    sizes: tuple[Size, ...]
    phases: tuple[Expected, ...]
    wal_per_hour: float | None
    shop_bytes: int
    legacy_bytes: int | None
    method: tuple[str, ...]


def estimate(
    legacy: Connection,
    shop: Connection | None,
    route: Route,
    full: Mapping[str, MirrorTable],
    kept: Mapping[str, MirrorTable],
) -> Estimate:
    """Look at sizes and statistics, and copy a sample of each table out of legacy (to nowhere)."""
    since = read_value(
        legacy,
        """SELECT extract(epoch FROM now() - coalesce(d.stats_reset, w.stats_reset)) / 3600
           FROM pg_stat_database d, pg_stat_wal w WHERE d.datname = current_database()""",
    )
    hours = float(since or 0)
    sizes, phases = [], []
    for phase in route.phases:
        mine = [_measure_size(legacy, t, phase, hours) for t in route.tables_of(phase) if t in full]
        sizes += mine
        copy_s = sum(_time_copy(legacy, kept.get(m.table, full[m.table]), m.rows) for m in mine)
        # What reads the new shop alone is taken for as much as the largest table.
        phases.append(_expect_phase(shop, route, phase, mine or sorted(sizes, key=lambda m: m.rows)[-1:], copy_s))
    wal = float(read_value(legacy, "SELECT wal_bytes FROM pg_stat_wal") or 0)
    wal_hours = float(read_value(legacy, "SELECT extract(epoch FROM now() - stats_reset) / 3600 FROM pg_stat_wal") or 0)
    per_hour = wal / wal_hours if wal_hours >= YOUNG_H else None
    duration_h = sum(p.seconds for p in phases) / 3600
    total = sum(s.bytes for s in sizes)
    return Estimate(
        tuple(sizes),
        tuple(phases),
        per_hour,
        shop_bytes=round(2 * total * _ROOM),
        legacy_bytes=None if per_hour is None else round(per_hour * duration_h),
        method=_explain_method(hours, wal_hours),
    )


def _expect_phase(shop: Connection | None, route: Route, phase: str, sizes: Sequence[Size], copy_s: float) -> Expected:
    """Estimate the phase: as its last run took, else as rehearsed, else by the timed copy and the speed of the demo."""
    rows, size = sum(s.rows for s in sizes), sum(s.bytes for s in sizes)
    if shop and (last := _read_last_run(shop, route, phase)):
        return Expected(phase, rows, size, *last, "as its last run took")
    if shop and (told := _read_rehearsal(shop, route, phase)):
        return Expected(phase, rows, size, *told)
    return Expected(
        phase,
        rows,
        size,
        copy_s,
        rows / MERGED_PER_S,
        rows / VERIFIED_PER_S,
        "copy timed on a sample here; merge and verification from the demo's speed",
    )


def _explain_method(hours: float, wal_hours: float) -> tuple[str, ...]:
    """Say how each figure came about; `hours` is the age of the statistics, `wal_hours` that of the log's."""
    return (
        "Rows: PostgreSQL's own statistics, or counted where it has none. Growth: rows inserted less rows deleted since the "
        f"statistics began, {_render_hours(hours)} ago, bulk loads included.{_warn_of_youth(hours)}",
        f"Copy: up to {SAMPLE:,} rows of each table copied out and thrown away, the rest extrapolated in proportion to rows.",
        f"Merge and verification of phases that have not run: {MERGED_PER_S:,} and {VERIFIED_PER_S:,} rows per second, as "
        "the demo was seen to take on two cores. Your mappings, machine and load decide; a rehearsal of a thousand customers "
        "or more tells, and is used where there is one.",
        f"Log: bytes written by the whole server in the last {_render_hours(wal_hours)}, per hour; while the phases run "
        f"the slot may keep as much, and more where the connector stops.{_warn_of_youth(wal_hours)}",
        f"Disk of the new shop: mirror and tables as large as the mapped tables of legacy each, and {_ROOM - 1:.0%} more. "
        "Not measured; free space cannot be asked of PostgreSQL.",
    )


def check_head_room(legacy: Connection, found: Estimate) -> Iterator[Finding]:
    """Check that legacy keeps enough log for a connector that is away as long as the phases take, and an hour more."""
    limit = read_value(legacy, "SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size'")
    if limit is None or int(limit) < 0 or found.wal_per_hour is None or found.legacy_bytes is None:
        return
    wanted = found.legacy_bytes + found.wal_per_hour
    if wanted > int(limit) * 1024**2:
        yield Finding(
            LEGACY,
            Severity.WARNING,
            f"max_slot_wal_keep_size is {pages.render_size(int(limit) * 1024**2)}, and an hour writes "
            f"{pages.render_size(found.wal_per_hour)}",
            "a connector that is away for an hour loses its slot, and all must be copied anew",
            f"raise it to {pages.render_size(2 * wanted)} or more, if the disk has it",
        )


def _render_hours(hours: float) -> str:
    return pages.render_duration(hours * 3600)


def _warn_of_youth(hours: float) -> str:
    return "" if hours >= YOUNG_H else " That is too short a time to tell."


def _measure_size(legacy: Connection, table: str, phase: str, hours: float) -> Size:
    row = legacy.execute(
        """SELECT c.reltuples, p.size, p.net
           FROM pg_class c CROSS JOIN LATERAL (
               SELECT sum(pg_total_relation_size(parts.oid)), sum(s.n_tup_ins - s.n_tup_del)
               FROM (SELECT c.oid UNION SELECT relid FROM pg_partition_tree(c.oid)) parts (oid)
               LEFT JOIN pg_stat_user_tables s ON s.relid = parts.oid) p (size, net)
           WHERE c.relnamespace = 'public'::regnamespace AND c.relname = %s""",
        (table,),
    ).fetchone()
    tuples, size, net = row if row else (-1, 0, None)
    if tuples < 0:
        counted = legacy.execute(SQL("SELECT count(*) FROM public.{}").format(Identifier(table))).fetchone()
        tuples = counted[0] if counted else 0
    return Size(table, phase, int(tuples), int(size), None if net is None or hours < YOUNG_H else float(net) / hours)


def _time_copy(legacy: Connection, table: MirrorTable, rows: int) -> float:
    """Estimate how long a copy of all its rows would take, from the time that a sample takes."""
    query = SQL("COPY (SELECT {} FROM public.{} LIMIT {}) TO STDOUT (FORMAT binary)").format(
        mirror.select_values(table), Identifier(table.name), SQL(str(SAMPLE))
    )
    started = time.perf_counter()
    with legacy.cursor() as cursor:
        with cursor.copy(query) as copy:
            for _ in copy:
                pass
        taken = max(cursor.rowcount, 1)
    return (time.perf_counter() - started) * max(rows, 1) / taken


def _read_last_run(shop: Connection, route: Route, phase: str) -> tuple[float, float, float] | None:
    """Read what the phase's last run took: copy, merge, verification; None when it has not been verified yet."""
    if not exists(shop, "ferry.verification"):
        return None
    last = differences.load_latest(shop, route.name).get(phase)
    row = shop.execute(
        """SELECT coalesce(sum(seconds) FILTER (WHERE kind <> 'merge'), 0),
                  coalesce(sum(seconds) FILTER (WHERE kind = 'merge'), 0)
           FROM ferry.chunk WHERE route = %s AND phase = %s""",
        (route.name, phase),
    ).fetchone()
    return (float(row[0]), float(row[1]), last.seconds) if row and last else None


def _read_rehearsal(shop: Connection, route: Route, phase: str) -> tuple[float, float, float, str] | None:
    """Read what the last measured rehearsal tells of the phase: copy, merge, verification, and which rehearsal that was."""
    if not exists(shop, "ferry.rehearsal"):
        return None
    for done in rehearsals.load_all(shop, route.name):
        told = next((p for p in done.phases if p["phase"] == phase), None)
        if told and done.green and done.is_measured and done.fingerprint == route.fingerprint:
            sample = rehearsals.Rehearsed(**told)
            grown = sample.expected_s / sample.seconds
            copy_s, merge_s, verify_s = (s * grown for s in (sample.copy_s, sample.merge_s, sample.verify_s))
            return copy_s, merge_s, verify_s, f"as the rehearsal of {done.at:%Y-%m-%d} tells"
    return None
