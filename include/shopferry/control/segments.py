"""How many customers each segment had, day by day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from psycopg.types.json import Jsonb

from shopferry.db import Connection


@dataclass(frozen=True)
class Counted:
    """One segment of one scheme: its customers, and the value of their orders in a year, by currency."""

    scheme: str
    segment: str
    customers: int
    value: Mapping[str, float]


def book(conn: Connection, route: str, day: date, counted: Sequence[Counted]) -> None:
    """Book what a day has counted, in the place of what was booked of that day before."""
    conn.execute("DELETE FROM ferry.segment_count WHERE route = %s AND day = %s", (route, day))
    with conn.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO ferry.segment_count (route, day, scheme, segment, customers, value) VALUES (%s, %s, %s, %s, %s, %s)",
            [(route, day, c.scheme, c.segment, c.customers, Jsonb(dict(c.value))) for c in counted],
        )


def load_since(conn: Connection, route: str, day: date) -> dict[date, list[Counted]]:
    """Load what was booked of a day and of those after it, by day, the oldest first."""
    found: dict[date, list[Counted]] = {}
    for at, *rest in conn.execute(
        "SELECT day, scheme, segment, customers, value FROM ferry.segment_count WHERE route = %s AND day >= %s "
        "ORDER BY day, scheme, customers DESC, segment",
        (route, day),
    ).fetchall():
        found.setdefault(at, []).append(Counted(*rest))
    return found
