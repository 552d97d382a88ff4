"""The locks of a switch: no writer is killed for one, readers never notice, and autovacuum is asked to leave first."""

from __future__ import annotations

import time

import psycopg
from psycopg.sql import SQL, Identifier

from shopferry.cutover.deadline import LIMIT_S
from shopferry.db import Connection
from shopferry.errors import TransientError

_SHORTEST_MS = 50  # of the tries to lock
_YIELD_S = 8.0  # for autovacuum to leave a store's tables, before anybody waits
_NOT_HAD = (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)


def patient(conn: Connection) -> None:
    """What this transaction waits for, before the lock, is no sign that our machine has vanished."""
    conn.execute(f"SET LOCAL idle_in_transaction_session_timeout = {int(5000 * LIMIT_S)}".encode())


def keep_vacuum_out(conn: Connection, tables: list[str], store: str) -> None:
    """Have autovacuum leave the tables and stay away, to the end of the caller's transaction; nobody else notices.

    It gives way only to whoever has waited for it as long as PostgreSQL takes to look for deadlocks, which the short tries
    of `lock` never do. Raises TransientError when somebody else vacuums or alters one of them.
    """
    try:
        _lock(conn, tables, "SHARE UPDATE EXCLUSIVE", int(1000 * _YIELD_S))
    except _NOT_HAD:
        raise TransientError(
            f"{store}: a VACUUM, ANALYZE or change of a table was not through within {_YIELD_S:.0f} s "
            f"({_holders(conn, tables)}): nothing was changed, try again after it"
        ) from None


def lock(locked: Connection, tables: list[str], seconds: float, who: str = "a writer") -> None:
    """Lock the tables against writers, to the end of the caller's transaction: open ones finish, new ones wait.

    In short tries, all tables or none: a writer may hold the last of these and want the first, and would be killed for a
    deadlock had it to wait for us as long as PostgreSQL takes to notice one. The first ones are shorter than anybody minds,
    since whoever embraces us so lets go as soon as we do; long transactions need the later ones. Readers are not touched.
    Raises TransientError, with `who` did not finish, when they are not had in time.
    """
    row = locked.execute("SELECT setting::integer FROM pg_settings WHERE name = 'deadlock_timeout'").fetchone()
    unnoticed = int(0.8 * row[0]) if row else 800
    until = time.monotonic() + seconds
    longest = _SHORTEST_MS
    while True:
        try:
            patience = min(longest, unnoticed, 1 + int(1000 * max(0.0, until - time.monotonic())))
            _lock(locked, tables, "SHARE ROW EXCLUSIVE", patience)
            locked.execute(f"SET LOCAL idle_in_transaction_session_timeout = {int(1000 * LIMIT_S)}".encode())
            return
        except _NOT_HAD:
            if time.monotonic() > until:
                raise TransientError(
                    f"{who} did not finish within {seconds:.0f} s ({_holders(locked, tables)}): nothing was changed, try again"
                ) from None
            time.sleep(longest / 1000 / 4)  # for those who have waited behind us
            longest = min(2 * longest, unnoticed)


def _lock(conn: Connection, tables: list[str], mode: str, ms: int) -> None:
    names = SQL(", ").join(Identifier(*t.split(".")) for t in tables)
    with conn.transaction():
        conn.execute(f"SET LOCAL statement_timeout = {ms}".encode())
        conn.execute(SQL("LOCK TABLE {} IN {} MODE").format(names, SQL(mode)))
        conn.execute(f"SET LOCAL statement_timeout = {int(1000 * LIMIT_S)}".encode())


def _holders(conn: Connection, tables: list[str]) -> str:
    """Who holds the tables against us: process numbers and what they call themselves."""
    rows = conn.execute(
        """SELECT DISTINCT format('%%s %%s %%s', a.pid, a.backend_type, a.application_name) FROM pg_locks l
           JOIN pg_stat_activity a USING (pid)
           WHERE l.relation = ANY(%s::regclass[]) AND l.granted AND a.pid <> pg_backend_pid()
             AND l.mode NOT IN ('AccessShareLock', 'RowShareLock') ORDER BY 1""",
        (tables,),
    ).fetchall()
    return ", ".join(" ".join(r[0].split()) for r in rows[:3]) or "gone by now"
