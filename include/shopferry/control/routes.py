"""The routes that are installed: which store each writes to now, and with which mappings it was installed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from shopferry.control import schema
from shopferry.db import Connection, exists, load_queries

_Q = load_queries(schema.SQL / "routes.sql")


@dataclass(frozen=True)
class Standing:
    """Where the application writes: to the store `active` ('legacy' or 'shop'), since `changed_at`, by this version."""

    route: str
    active: str
    version: int
    changed_at: datetime


def register(target: Connection, route: str) -> None:
    """Make the route known; idempotent."""
    target.execute(_Q["register"], {"route": route})


def find_standing(target: Connection, route: str) -> Standing | None:
    """Read where the application writes; None if the route was never installed. The control tables must be there."""
    with target.cursor(row_factory=class_row(Standing)) as cur:
        return cur.execute(_Q["standing"], {"route": route}).fetchone()


def find_active(target: Connection, route: str) -> str:
    """Find the store that the application writes to now: 'legacy' or 'shop'."""
    standing = find_standing(target, route)
    return standing.active if standing else "legacy"


def flip(target: Connection, route: str, active: str, version: int) -> None:
    """Say that the application writes to this store from now on, and that this is the route's version."""
    target.execute(_Q["flip"], {"route": route, "active": active, "version": version})


def record_installed(target: Connection, route: str, fingerprint: str) -> None:
    """Record that the mirror was made for the mappings with this fingerprint."""
    target.execute(_Q["record_installed"], {"route": route, "fingerprint": fingerprint})


def find_installed(target: Connection, route: str) -> str | None:
    """Find the fingerprint of the mappings that are installed; None where none are."""
    row = target.execute(_Q["installed"], {"route": route}).fetchone()
    return row[0] if row else None


def pause(target: Connection, route: str) -> None:
    """Keep replay and backfill out until this transaction ends: they lock the phases first, as we do, so none deadlocks."""
    if exists(target, "ferry.phase"):
        target.execute(_Q["pause"], {"route": route})


def is_current(target: Connection, route: str, fingerprint: str) -> bool:
    """Whether this version of shopferry, and the mappings with this fingerprint, are what is installed."""
    if not exists(target, "ferry.meta"):
        return False
    given = {"version": schema.VERSION, "fingerprint": fingerprint, "route": route}
    row = target.execute(_Q["is_current"], given).fetchone()
    return bool(row and row[0])


def is_installed(target: Connection) -> bool:
    """Whether there are control tables, of any version."""
    return exists(target, "ferry.route")


def is_finished(target: Connection, route: str) -> bool:
    """Whether the route's migration was finished, and nothing was installed since."""
    if is_installed(target) or not exists(target, "shopferry_audit.entry"):
        return False
    return bool(
        target.execute("SELECT FROM shopferry_audit.entry WHERE route = %s AND what = 'finish'", (route,)).fetchall()
    )
