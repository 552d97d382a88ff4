"""Where the move stands, from the control tables: what moved, what did not and why, what differs, how fast, who did it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shopferry.control import phases, quarantine
from shopferry.db import Connection

_NOT_DOWNTIME = "gates"  # judged while legacy still takes writes


@dataclass(frozen=True)
class TableStanding:
    """One legacy table: its rows by what became of them, as the last verification counted."""

    table: str
    legacy_rows: int
    migrated: int
    quarantined: int
    left_out: dict[str, int]
    unaccounted: int


@dataclass(frozen=True)
class PhaseStanding:
    """One phase: state, who ran it last, its tables, and the last look at it."""

    phase: str
    state: str
    ran_by: str | None
    started: datetime | None
    finished: datetime | None
    seconds: float
    verified_at: datetime | None
    rows_compared: int
    differences: int
    tables: tuple[TableStanding, ...]

    def total(self, what: str) -> int:
        """Sum over the tables of `legacy_rows`, `migrated`, `quarantined`, `unaccounted` or `left_out`."""
        if what == "left_out":
            return sum(sum(t.left_out.values()) for t in self.tables)
        return sum(int(getattr(t, what)) for t in self.tables)


@dataclass(frozen=True)
class Reason:
    """Rows of one entity that wait in quarantine for one reason."""

    entity: str
    reason: str
    rows: int


@dataclass(frozen=True)
class DifferenceSegment:
    """How many differences of one kind were found in one place."""

    phase: str
    layer: str
    target: str
    kind: str
    state: str
    rows: int


@dataclass(frozen=True)
class Moment:
    """A short while of the stream: median and 99th percentile of the lag in milliseconds, changes applied."""

    at: datetime
    lag_ms_p50: float
    lag_ms_p99: float
    events: int


@dataclass(frozen=True)
class Step:
    """One step of a cutover or a rollback."""

    version: int
    step: str
    at: datetime
    ms: float
    who: str

    @property
    def closed(self) -> bool:
        """Whether no store took writes meanwhile."""
        return self.step not in {_NOT_DOWNTIME, "rollback"}


def phase_standings(shop: Connection, route: str) -> tuple[PhaseStanding, ...]:
    """Every phase of the route, in order."""
    found = []
    for p in phases.all_phases(shop, route):
        row = shop.execute(
            "SELECT at, rows_compared, differences, accounting FROM ferry.verification "
            "WHERE route = %s AND phase = %s AND finished IS NOT NULL ORDER BY at DESC LIMIT 1",
            (route, p.phase),
        ).fetchone()
        at, compared, differences, accounts = row if row else (None, 0, 0, [])
        tables = tuple(_table(account) for account in accounts)
        found.append(
            PhaseStanding(
                p.phase, p.state, p.ran_by, p.started, p.finished, p.seconds, at, int(compared), int(differences), tables
            )
        )
    return tuple(found)


def _table(account: dict[str, Any]) -> TableStanding:
    names = ("table", "legacy_rows", "migrated", "quarantined", "left_out", "unaccounted")
    return TableStanding(**{n: account[n] for n in names})


def reasons(shop: Connection) -> tuple[Reason, ...]:
    """What is in quarantine now, the most frequent reason first."""
    found = [Reason(entity, reason, int(rows)) for entity, reason, rows in quarantine.counts(shop)]
    return tuple(sorted(found, key=lambda r: (-r.rows, r.entity, r.reason)))


def waiting(shop: Connection) -> int:
    """How many rows are in quarantine, each once, however many reasons it has."""
    row = shop.execute("SELECT count(*) FROM ferry.quarantine").fetchone()
    return int(row[0]) if row else 0


def difference_segments(shop: Connection, route: str) -> tuple[DifferenceSegment, ...]:
    """What verification found and still holds, by where and what kind."""
    rows = shop.execute(
        """SELECT phase, layer, target, kind, state, count(*) FROM ferry.difference WHERE route = %s
           GROUP BY 1, 2, 3, 4, 5 ORDER BY 6 DESC, 1, 2, 3, 4""",
        (route,),
    ).fetchall()
    return tuple(DifferenceSegment(*r) for r in rows)


def lag(shop: Connection, route: str) -> tuple[Moment, ...]:
    """The stream in about a hundred steps of time, as far back as batches are kept (a day)."""
    rows = shop.execute(
        """WITH batch AS (
               SELECT date_bin(make_interval(secs => greatest(5, ceil(extract(epoch FROM s.until - s.since) / 100))),
                               b.at, '2000-01-01') AS at, b.events, b.lag_ms
               FROM ferry.replay_batch b, (SELECT min(at) AS since, max(at) AS until FROM ferry.replay_batch WHERE route = %s) s
               WHERE b.route = %s
           ), counted AS (SELECT at, sum(events) AS events FROM batch GROUP BY at)
           SELECT b.at, percentile_cont(0.5) WITHIN GROUP (ORDER BY l.ms), percentile_cont(0.99) WITHIN GROUP (ORDER BY l.ms),
                  min(c.events)
           FROM batch b JOIN counted c USING (at) CROSS JOIN LATERAL unnest(b.lag_ms) AS l (ms) GROUP BY b.at ORDER BY b.at""",
        (route, route),
    ).fetchall()
    return tuple(Moment(at, float(p50), float(p99), int(events)) for at, p50, p99, events in rows)


def steps(shop: Connection, route: str) -> tuple[Step, ...]:
    """Every step of every cutover and rollback, oldest first."""
    rows = shop.execute(
        "SELECT version, step, at, ms, who FROM ferry.cutover_step WHERE route = %s ORDER BY id", (route,)
    ).fetchall()
    return tuple(Step(*r) for r in rows)
