"""Where the move stands, from the control tables: what moved, what did not and why, what differs, how fast, who did it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shopferry.control import differences, phases, quarantine
from shopferry.db import Connection
from shopferry.verify.accounting import Account

SAMPLED = 200  # batches whose lags are read, of each step of time: a day may hold a million
_NOT_DOWNTIME = {
    "gates",
    "look ahead",
    "keep vacuum out",
    "await calm",
    "look again",
}  # while a store still takes writes


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
    tables: tuple[Account, ...]

    def total(self, what: str) -> int:
        """Sum up over the tables of `legacy_rows`, `migrated`, `quarantined`, `unaccounted` or `left_out`."""
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
        return self.step not in _NOT_DOWNTIME


def read_phases(shop: Connection, route: str) -> tuple[PhaseStanding, ...]:
    """Read every phase of the route, in order."""
    found = []
    verified = differences.load_latest(shop, route)
    for p in phases.load_all(shop, route):
        last = verified.get(p.phase)
        at, compared, differing, accounts = (
            (last.at, last.rows_compared, last.differences, last.accounting) if last else (None, 0, 0, [])
        )
        tables = tuple(Account(**account) for account in accounts)
        found.append(
            PhaseStanding(p.phase, p.state, p.ran_by, p.started, p.finished, p.seconds, at, compared, differing, tables)
        )
    return tuple(found)


def count_reasons(shop: Connection) -> tuple[Reason, ...]:
    """Count what is in quarantine now, the most frequent reason first."""
    found = [Reason(entity, reason, int(rows)) for entity, reason, rows in quarantine.count_by_reason(shop)]
    return tuple(sorted(found, key=lambda r: (-r.rows, r.entity, r.reason)))


def count_waiting(shop: Connection) -> int:
    """Count how many rows are in quarantine, each once, however many reasons it has."""
    return quarantine.count(shop)


def count_differences(shop: Connection, route: str) -> tuple[DifferenceSegment, ...]:
    """Count what verification found and still holds, by where and what kind."""
    found = [
        DifferenceSegment(c["phase"], c["layer"], c["target"], c["kind"], c["state"], c["differences"])
        for c in differences.count(shop, route)
    ]
    return tuple(sorted(found, key=lambda d: (-d.rows, d.phase, d.layer, d.target, d.kind)))


def read_lag(shop: Connection, route: str) -> tuple[Moment, ...]:
    """Read the lag in about a hundred steps of time, as far back as batches are kept (a day).

    Changes are counted in all batches; the lags are those of at most `SAMPLED` batches of each step, evenly spread.
    """
    rows = shop.execute(
        """WITH batch AS (
               SELECT b.id, b.events,
                      date_bin(make_interval(secs => greatest(5, ceil(extract(epoch FROM s.until - s.since) / 100))),
                               b.at, '2000-01-01') AS at
               FROM ferry.replay_batch b,
                    (SELECT min(at) AS since, max(at) AS until FROM ferry.replay_batch WHERE route = %(route)s) s
               WHERE b.route = %(route)s
           ), numbered AS (
               SELECT id, at, sum(events) OVER step AS events, count(*) OVER step AS batches,
                      row_number() OVER (PARTITION BY at ORDER BY id) - 1 AS no
               FROM batch WINDOW step AS (PARTITION BY at)
           )
           SELECT n.at, percentile_cont(0.5) WITHIN GROUP (ORDER BY l.ms), percentile_cont(0.99) WITHIN GROUP (ORDER BY l.ms),
                  min(n.events)
           FROM numbered n JOIN ferry.replay_batch b USING (id) CROSS JOIN LATERAL unnest(b.lag_ms) AS l (ms)
           WHERE n.no %% ceil(n.batches / %(sampled)s::numeric)::bigint = 0 GROUP BY n.at ORDER BY n.at""",
        {"route": route, "sampled": SAMPLED},
    ).fetchall()
    return tuple(Moment(at, float(p50), float(p99), int(events)) for at, p50, p99, events in rows)


def read_steps(shop: Connection, route: str) -> tuple[Step, ...]:
    """Read every step of every cutover and rollback, oldest first."""
    rows = shop.execute(
        "SELECT version, step, at, ms, who FROM ferry.cutover_step WHERE route = %s ORDER BY id", (route,)
    ).fetchall()
    return tuple(Step(*r) for r in rows)
