"""Rehearsals: how each ended, and who started a phase without a green one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from shopferry.control.schema import SQL
from shopferry.db import Connection, load_queries
from shopferry.errors import PhaseError

_Q = load_queries(SQL / "rehearsals.sql")
# From so many customers on, the time for all of legacy is worked out from two samples; for fewer it is a bound.
MEASURED = 1_000


@dataclass(frozen=True)
class Rehearsed:
    """How one phase went: rows of the sample and of all legacy, seconds, what was found, what the whole may take."""

    phase: str
    rows: int
    legacy_rows: int
    copy_s: float
    merge_s: float
    verify_s: float
    expected_s: float  # for all rows; if time grows as they do, which is too long for a small sample
    differences: int
    breaches: int
    quarantined: int
    left_out: int
    examples: list[str]  # the first of what was found, by table and key: scratch, where one could look, is gone

    @property
    def clean(self) -> bool:
        """Whether nothing differs and no rule is broken."""
        return not self.differences and not self.breaches

    @property
    def seconds(self) -> float:
        """All parts together."""
        return self.copy_s + self.merge_s + self.verify_s

    def expect(self, few: Rehearsed) -> Rehearsed:
        """Work out the time for all rows from that of few: a part of it goes with the rows, and a part does not.

        Where the two samples hardly differ the bound stays.
        """
        if self.rows < 2 * few.rows or self.seconds <= few.seconds:
            return self
        per_row = (self.seconds - few.seconds) / (self.rows - few.rows)
        return replace(self, expected_s=self.seconds + per_row * max(self.legacy_rows - self.rows, 0))


@dataclass(frozen=True)
class Rehearsal:
    """One row of ferry.rehearsal; `phases` are `Rehearsed` as plain mappings."""

    id: int
    at: datetime
    who: str
    fingerprint: str
    customers: int
    pseudonymised: bool
    seconds: float
    phases: list[dict[str, Any]]
    problem: str | None
    green: bool
    real_data_by: str | None  # who decided that it needs no pseudonyms

    @property
    def told(self) -> str:
        """How it ended, in words."""
        wrong = self.problem or ", ".join(
            f"{p['phase']} has {p['differences']} differences and {p['breaches']} broken rules ({'; '.join(p['examples'])})"
            for p in self.phases
            if p["differences"] or p["breaches"]
        )
        return f"{self.at:%Y-%m-%d %H:%M}: {'green' if self.green else wrong or 'not green'}"

    @property
    def is_measured(self) -> bool:
        """Whether the time for all of legacy was worked out from two samples."""
        return self.customers >= MEASURED


def record(
    conn: Connection,
    route: str,
    *,
    who: str,
    fingerprint: str,
    customers: int,
    real_data_by: str | None,
    seconds: float,
    phases: Sequence[Rehearsed],
    problem: str | None,
    green: bool,
) -> Rehearsal:
    """Book a rehearsal and how it ended."""
    given = {
        "route": route,
        "who": who,
        "fingerprint": fingerprint,
        "customers": customers,
        "pseudonymised": real_data_by is None,
        "real_data_by": real_data_by,
        "seconds": seconds,
        "phases": Jsonb([asdict(p) for p in phases]),
        "problem": problem,
        "green": green,
    }
    conn.execute(_Q["record"], given)
    return load_all(conn, route)[0]


def load_all(conn: Connection, route: str) -> list[Rehearsal]:
    """Load all rehearsals of the route, the newest first."""
    with conn.cursor(row_factory=class_row(Rehearsal)) as cur:
        return cur.execute(_Q["all"], {"route": route}).fetchall()


def find_latest(conn: Connection, route: str, fingerprint: str) -> tuple[Rehearsal | None, str]:
    """Find the last rehearsal of these mappings, and say in words how it ended or that there was none."""
    known = load_all(conn, route)
    last = next((r for r in known if r.fingerprint == fingerprint), None)
    if last:
        return last, f"the last one, {last.told}"
    return None, "there was none since a mapping changed" if known else "there was none"


def find_decision(conn: Connection, route: str, phase: str) -> str | None:
    """Find who decided to start the phase without a green rehearsal; None if there was no such decision."""
    row = conn.execute(_Q["waiver"], {"route": route, "phase": phase}).fetchone()
    return row[0] if row else None


def require_green(conn: Connection, route: str, phase: str, fingerprint: str, without: str | None) -> None:
    """Refuse the phase unless the last rehearsal of these mappings was green, or a person decides by name to go without one.

    Who said so is booked, and need not say it again. Raises PhaseError telling of the last rehearsal.
    """
    if without:
        conn.execute(_Q["waive"], {"route": route, "phase": phase, "who": without})
        return
    if find_decision(conn, route, phase):
        return
    last, told = find_latest(conn, route, fingerprint)
    if last and last.green:
        return
    raise PhaseError(
        f"phase {phase} cannot start without a green rehearsal ({told}): run `shopferry rehearse`, or name who decides to "
        "start without one (--without-rehearsal NAME)"
    )
