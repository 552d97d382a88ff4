"""Runs of the route's audits: what each has counted, by segment, and how it was judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from shopferry.control.schema import SQL
from shopferry.db import Connection, load_queries

_Q = load_queries(SQL / "audits.sql")

STATES = ("good", "warn", "error", "empty")


@dataclass(frozen=True)
class Counted:
    """What one audit has counted in one segment: `bad` rows of `of`."""

    audit: str
    segment: str
    bad: int
    of: int


@dataclass(frozen=True)
class Value:
    """One row of ferry.audit_value, with its run's number and time."""

    run: int
    at: datetime
    audit: str
    segment: str
    bad: int
    of: int
    state: str  # one of STATES


def book(
    conn: Connection, route: str, at: datetime, who: str, seconds: float, judged: Sequence[tuple[Counted, str]]
) -> int:
    """Book a run with its values and their states; returns its number."""
    row = conn.execute(_Q["begin"], {"route": route, "at": at, "who": who, "seconds": seconds}).fetchone()
    assert row
    given = {
        "run": row[0],
        "audits": [c.audit for c, _ in judged],
        "segments": [c.segment for c, _ in judged],
        "bad": [c.bad for c, _ in judged],
        "of": [c.of for c, _ in judged],
        "states": [state for _, state in judged],
    }
    conn.execute(_Q["book"], given)
    return int(row[0])


def load_before(conn: Connection, route: str, at: datetime, runs: int) -> dict[tuple[str, str], list[Value]]:
    """Load the values of so many runs before this moment, the newest first, by audit and segment."""
    found: dict[tuple[str, str], list[Value]] = {}
    with conn.cursor(row_factory=class_row(Value)) as cur:
        for value in cur.execute(_Q["before"], {"route": route, "at": at, "runs": runs}).fetchall():
            found.setdefault((value.audit, value.segment), []).append(value)
    return found


def load_since(conn: Connection, route: str, since: datetime, until: datetime) -> list[Value]:
    """Load the values of all runs after one moment and up to another, in their order."""
    with conn.cursor(row_factory=class_row(Value)) as cur:
        return cur.execute(_Q["since"], {"route": route, "since": since, "until": until}).fetchall()


def load_latest(conn: Connection, route: str) -> list[Value]:
    """Load what the newest run has counted; nothing before the first."""
    with conn.cursor(row_factory=class_row(Value)) as cur:
        return cur.execute(_Q["latest"], {"route": route}).fetchall()


def load_run(conn: Connection, run: int) -> list[Value]:
    """Load what one run has counted."""
    with conn.cursor(row_factory=class_row(Value)) as cur:
        return cur.execute(_Q["of_run"], {"run": run}).fetchall()


def load_told(conn: Connection, route: str, run: int) -> dict[tuple[str, str], str]:
    """Load the states that on-call was told of last ahead of this run, by audit and segment."""
    rows = conn.execute(_Q["told_before"], {"route": route, "run": run}).fetchall()
    return {(audit, segment): state for audit, segment, state in rows}


def note_told(conn: Connection, run: int) -> None:
    """Note that on-call is told of this run."""
    conn.execute(_Q["note_told"], {"run": run})
