"""The routes that are installed: which store each writes to now, and with which mappings it was installed."""

from __future__ import annotations

from psycopg.sql import SQL, Literal

from shopferry.control import schema
from shopferry.db import Connection, exists


def pause(target: Connection, route: str) -> None:
    """Keep replay and backfill out until this transaction ends: they lock the phases first, as we do, so none deadlocks."""
    if exists(target, "ferry.phase"):
        target.execute("SELECT FROM ferry.phase WHERE route = %s ORDER BY position FOR UPDATE", (route,))


def is_current(target: Connection, route: str, fingerprint: str) -> bool:
    """Whether this version of shopferry, and the mappings with this fingerprint, are what is installed."""
    if not exists(target, "ferry.meta"):
        return False
    row = target.execute(
        "SELECT m.version = %s AND r.installed = %s FROM ferry.meta m, ferry.route r WHERE r.route = %s",
        (schema.VERSION, fingerprint, route),
    ).fetchone()
    return bool(row and row[0])


def is_installed(target: Connection) -> bool:
    """Whether there are control tables, of whatever version."""
    return exists(target, "ferry.route")


def is_finished(target: Connection, route: str) -> bool:
    """Whether the route's migration was finished, and nothing was installed since."""
    if is_installed(target) or not exists(target, "shopferry_audit.entry"):
        return False
    return bool(
        target.execute("SELECT FROM shopferry_audit.entry WHERE route = %s AND what = 'finish'", (route,)).fetchall()
    )


def active_store(target: Connection, route: str) -> str:
    """The store that the application writes to now: 'legacy' or 'shop'."""
    row = target.execute(SQL("SELECT active FROM ferry.route WHERE route = {}").format(Literal(route))).fetchone()
    return str(row[0]) if row else "legacy"
