"""Acceptances: the people who answer for an area of the shop have looked at what was moved, and take it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from shopferry.control.schema import SQL
from shopferry.db import Connection, load_queries

_Q = load_queries(SQL / "acceptances.sql")


@dataclass(frozen=True)
class Acceptance:
    """One area that was accepted; `note` says what was looked at."""

    area: str
    at: datetime
    note: str
    who: str


def record(conn: Connection, route: str, area: str, note: str, who: str) -> None:
    """Record that an area is accepted as it stands now."""
    conn.execute(_Q["record"], {"route": route, "area": area, "note": note, "who": who})


def load_latest(conn: Connection, route: str) -> dict[str, Acceptance]:
    """Load the last acceptance of each area, by area."""
    with conn.cursor(row_factory=class_row(Acceptance)) as cur:
        return {a.area: a for a in cur.execute(_Q["latest"], {"route": route}).fetchall()}
