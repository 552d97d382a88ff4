"""The locks of a turn: no writer is killed for one, readers never notice, and autovacuum is asked to leave first."""

from __future__ import annotations

import time

import psycopg
from psycopg.sql import SQL, Identifier

from shopferry.cutover.deadline import LIMIT_S
from shopferry.db import Connection
from shopferry.errors import TransientError

_SHORTEST_MS = 50  # the first of the tries to lock
_YIELD_S = 8.0  # for autovacuum to leave a store's tables, before any writer waits
_NOT_GRANTED = (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)


def be_patient(conn: Connection) -> None:
    """Allow this transaction long pauses: before the lock, a pause is no sign that our machine has vanished."""
    conn.execute(f"SET LOCAL idle_in_transaction_session_timeout = {int(5000 * LIMIT_S)}".encode())


def keep_vacuum_out(conn: Connection, tables: list[str], store: str) -> None:
    """Make autovacuum leave the tables and stay away, to the end of the caller's transaction; no other session notices.

    Autovacuum gives way only to a session that has waited for it as long as PostgreSQL takes to look for deadlocks, which
    the short tries of `lock` never do. Raises TransientError when a person or a job vacuums or alters one of the tables.
    """
    try:
        _lock(conn, tables, "SHARE UPDATE EXCLUSIVE", int(1000 * _YIELD_S))
    except _NOT_GRANTED:
        raise TransientError(
            f"{store}: a VACUUM, ANALYZE or change of a table was not through within {_YIELD_S:.0f} s "
            f"({_holders(conn, tables)}): nothing was changed, try again after it"
        ) from None


def lock(locked: Connection, tables: list[str], seconds: float, who: str = "a writer") -> None:
    """Lock the tables against writers, to the end of the caller's transaction: open writers finish, new ones wait.

    We try for short times, all tables or none. A writer may hold the last of these tables and want the first: if it had to
    wait for us as long as PostgreSQL takes to notice a deadlock, it would be killed. The first tries are shorter than any
    writer notices, since a writer that waits for us so goes on as soon as we let go; long transactions need the later ones.
    Readers are not touched. Raises TransientError, which says that `who` did not finish, if the locks are not granted in time.
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
        except _NOT_GRANTED:
            if time.monotonic() > until:
                raise TransientError(
                    f"{who} did not finish within {seconds:.0f} s ({_holders(locked, tables)}): nothing was changed, try again"
                ) from None
            time.sleep(longest / 1000 / 4)  # for the sessions that have waited behind us
            longest = min(2 * longest, unnoticed)


def _lock(conn: Connection, tables: list[str], mode: str, ms: int) -> None:
    names = SQL(", ").join(Identifier(*t.split(".")) for t in tables)
    with conn.transaction():
        conn.execute(f"SET LOCAL statement_timeout = {ms}".encode())
        conn.execute(SQL("LOCK TABLE {} IN {} MODE").format(names, SQL(mode)))
        conn.execute(f"SET LOCAL statement_timeout = {int(1000 * LIMIT_S)}".encode())


def _holders(conn: Connection, tables: list[str]) -> str:
    """The sessions that hold the tables against us: process number, type and application name."""
    rows = conn.execute(
        """SELECT DISTINCT format('%%s %%s %%s', a.pid, a.backend_type, a.application_name) FROM pg_locks l
           JOIN pg_stat_activity a USING (pid)
           WHERE l.relation = ANY(%s::regclass[]) AND l.granted AND a.pid <> pg_backend_pid()
             AND l.mode NOT IN ('AccessShareLock', 'RowShareLock') ORDER BY 1""",
        (tables,),
    ).fetchall()
    return ", ".join(" ".join(r[0].split()) for r in rows[:3]) or "gone by now"
