"""Opt-outs kept elsewhere: marks of addresses that refuse a channel, and the imports that brought them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from shopferry.control.schema import SQL
from shopferry.db import Connection, load_queries

_Q = load_queries(SQL / "optouts.sql")

FORMATS = ("mailchimp", "brevo", "klaviyo", "hubspot", "csv")
CHANNELS = ("email", "sms", "phone", "post")
REASONS = ("unsubscribed", "bounced", "complained", "register")
MOST_HOURS = 24  # who opts out after that is written to: a day is what a mail tool can catch up


@dataclass(frozen=True)
class OptOut:
    """One address, by its mark, that refuses one channel; `at` knows its offset, None where the source gives no time."""

    mark: str
    kind: str  # 'email' or 'phone': of what the mark is
    channel: str  # one of CHANNELS
    reason: str  # one of REASONS
    at: datetime | None


@dataclass(frozen=True)
class Import:
    """One file: whose opt-outs it holds, in which format, its SHA-256 and who brings it."""

    route: str
    source: str
    format: str
    file_sha256: str
    imported_by: str


def begin(conn: Connection, given: Import) -> int:
    """Book an import that begins; returns its number."""
    row = conn.execute(_Q["begin"], vars(given)).fetchone()
    assert row
    return int(row[0])


def take(conn: Connection, given: Import, number: int, optouts: Sequence[OptOut], changed: sql.Identifier) -> int:
    """Keep opt-outs, each of another mark, channel and reason; returns how many were new or of a later time.

    Those rows are noted in the temp table `changed`. One without a time is later than any.
    """
    row = conn.execute(
        sql.SQL(_Q["take"]).format(changed=changed),
        {
            "route": given.route,
            "source": given.source,
            "imported": number,
            "marks": [o.mark for o in optouts],
            "kinds": [o.kind for o in optouts],
            "channels": [o.channel for o in optouts],
            "reasons": [o.reason for o in optouts],
            "times": [o.at for o in optouts],
        },
    ).fetchone()
    assert row
    return int(row[0])


def count_known(conn: Connection, marks: Sequence[str]) -> int:
    """Count the marks of addresses that a mapping has met."""
    row = conn.execute(_Q["count_known"], {"marks": list(marks)}).fetchone()
    assert row
    return int(row[0])


def finish(conn: Connection, number: int, *, rows_taken: int, rows_known: int) -> None:
    """Book that an import is through: so many of its opt-outs were taken, so many were known already."""
    conn.execute(_Q["finish"], {"id": number, "rows_taken": rows_taken, "rows_known": rows_known})


def load_ages(conn: Connection, route: str) -> dict[str, float]:
    """Load the hours since the last import of each source was through."""
    return {source: float(hours) for source, hours in conn.execute(_Q["ages"], {"route": route}).fetchall()}


def judge_ages(
    conn: Connection, route: str, sources: Sequence[str], waived_by: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Tell of lists that were not imported in the last day and that nobody has waived, and how old each list is."""
    ages = load_ages(conn, route)
    late, told = [], []
    for source in sources:
        age = f"{source}: {ages[source]:.1f} h old" if source in ages else f"{source}: never imported"
        if ages.get(source, MOST_HOURS + 1) > MOST_HOURS:
            if who := waived_by.get(source):
                age += f", waived by {who}"
            else:
                late.append(age)
        told.append(age)
    return late, told
