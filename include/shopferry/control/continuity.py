"""What is known of the stream's continuity: the last beat that came through, the slot as last seen, what was lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from shopferry.control.schema import SQL
from shopferry.db import Connection, load_queries

_Q = load_queries(SQL / "continuity.sql")


@dataclass(frozen=True)
class Continuity:
    """One route's row of ferry.stream; the glosses stand in control/sql/schema.sql."""

    beat: int | None = None
    slot_txns: int | None = None
    legacy_started: datetime | None = None
    lost: str | None = None


def load(conn: Connection, route: str) -> Continuity:
    """Load what is known; after a resync that is nothing."""
    with conn.cursor(row_factory=class_row(Continuity)) as cur:
        return cur.execute(_Q["known"], {"route": route}).fetchone() or Continuity()


def note_beat(conn: Connection, route: str, number: int) -> None:
    """Note a beat that came through the stream."""
    conn.execute(_Q["beat"], {"route": route, "beat": number})


def note_slot(conn: Connection, route: str, txns: int, started: datetime) -> None:
    """Note how many transactions the slot has decoded, and since when legacy's server runs, which keeps that count."""
    conn.execute(_Q["slot"], {"route": route, "txns": txns, "started": started})


def lose(conn: Connection, route: str, what: str) -> None:
    """Note that changes may be lost: only a resync makes it good, not a mend by hand."""
    conn.execute(_Q["lose"], {"route": route, "lost": what})


def reset(conn: Connection, route: str) -> None:
    """Forget what is known, before a resync."""
    conn.execute(_Q["reset"], {"route": route})
