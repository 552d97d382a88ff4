"""Backups: what was taken of which store, with what proves it, and whether it was ever restored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from shopferry.control.schema import SQL
from shopferry.db import Connection, load_queries

_Q = load_queries(SQL / "backups.sql")
FRESH_HOURS = 24  # what is older misses a day of orders


@dataclass(frozen=True)
class Backup:
    """One row of ferry.backup; `tables` holds rows per table, `problem` what the last restore test failed with."""

    id: int
    store: str
    reason: str
    method: str
    file: str
    bytes: int
    sha256: str
    taken: datetime
    seconds: float
    who: str
    tables: dict[str, int]
    tested: datetime | None
    test_seconds: float | None
    problem: str | None
    keep_until: datetime  # when its file goes, if a newer one was proven by then or the move is over
    encrypted: bool
    removed: datetime | None
    age_h: float

    @property
    def restorable(self) -> bool:
        """Whether its file is kept and was restored without a problem."""
        return self.removed is None and self.tested is not None and self.problem is None

    @property
    def proven(self) -> bool:
        """Whether it is restorable and fresh."""
        return self.age_h < FRESH_HOURS and self.restorable


def record(
    conn: Connection,
    route: str,
    *,
    store: str,
    reason: str,
    method: str,
    file: str,
    size: int,
    sha256: str,
    taken: datetime,
    seconds: float,
    who: str,
    tables: dict[str, int],
    keep_until: datetime,
    encrypted: bool,
) -> Backup:
    """Book a backup that was taken."""
    given = {
        "route": route,
        "store": store,
        "reason": reason,
        "method": method,
        "file": file,
        "bytes": size,
        "sha256": sha256,
        "taken": taken,
        "seconds": seconds,
        "who": who,
        "tables": Jsonb(tables),
        "keep_until": keep_until,
        "encrypted": encrypted,
    }
    row = conn.execute(_Q["record"], given).fetchone()
    assert row
    return find(conn, route, int(row[0]))


def book_test(conn: Connection, backup: int, *, seconds: float, problem: str | None) -> None:
    """Book a restore test; `problem` is what it failed with."""
    conn.execute(_Q["tested"], {"id": backup, "seconds": seconds, "problem": problem})


def book_removal(conn: Connection, backup: int) -> None:
    """Book that the backup's file was removed."""
    conn.execute(_Q["removed"], {"id": backup})


def find(conn: Connection, route: str, backup: int) -> Backup:
    """Find one backup by its id."""
    return _select(conn, route, backup)[0]


def list_all(conn: Connection, route: str) -> list[Backup]:
    """List all backups of the route, the newest first."""
    return _select(conn, route, None)


def _select(conn: Connection, route: str, backup: int | None) -> list[Backup]:
    with conn.cursor(row_factory=class_row(Backup)) as cur:
        return cur.execute(_Q["all"], {"route": route, "id": backup}).fetchall()
