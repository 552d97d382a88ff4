"""Replication origins: by them the flow that reads a store knows what the flow that writes it has written.

A session that merges takes one; all that it commits carries its name in the log, Debezium tells that name, and replay
carries no such change back. PostgreSQL lets one session at a time have an origin, so there are as many as merge at once.
"""

from __future__ import annotations

import time
from contextlib import suppress

import psycopg
from psycopg.sql import SQL, Literal

from shopferry.db import Connection
from shopferry.errors import ConfigError, TransientError

PREFIX = "shopferry_"
# For each transaction that writes rows: what a store's own triggers ask, to tell our writes from its application's.
WRITER = "set_config('shopferry.writer', 'ferry', true)"
# For each transaction, within it: a session with an origin else dates all its commits by its first one, and what follows them
# would see a lag that grows for ever. The position is of no use to us; it must not be 0/0.
MARK = "pg_replication_origin_xact_setup('0/1', clock_timestamp())"
# What a role needs that is no superuser.
FUNCTIONS = (
    "pg_replication_origin_create(text)",
    "pg_replication_origin_drop(text)",
    "pg_replication_origin_session_setup(text)",
    "pg_replication_origin_session_is_setup()",
    "pg_replication_origin_xact_setup(pg_lsn, timestamptz)",
)


def take(conn: Connection, route: str) -> None:
    """Give all that this session commits from now on an origin of the route's; does nothing if the session has one.

    Call it outside of a transaction. Raises ConfigError when the role may not, TransientError when all are in use.
    """
    try:
        if _ask(conn, "SELECT pg_replication_origin_session_is_setup()"):
            return
        for number in range(1, _count_allowed(conn) + 1):
            if _take(conn, f"{PREFIX}{route}_{number}"):
                return
    except psycopg.errors.InsufficientPrivilege:
        raise ConfigError(
            f"role {conn.info.user} may not mark its writes, so they could not be told from the application's: "
            f"GRANT EXECUTE ON FUNCTION {', '.join(FUNCTIONS)} in database {conn.info.dbname}"
        ) from None
    raise TransientError(
        "all replication origins are in use: raise max_active_replication_origins, or run fewer workers"
    )


def drop(conn: Connection, route: str, patience_s: float) -> None:
    """Drop the route's origins; one that a session has is waited for, and stays if that takes longer."""
    until = time.monotonic() + patience_s
    while left := find_all(conn, route):
        for name in left:
            with suppress(psycopg.errors.ObjectInUse, psycopg.errors.UndefinedObject):
                conn.execute("SELECT pg_replication_origin_drop(%s)", (name,))
        if time.monotonic() > until:
            return
        time.sleep(0.1)


def find_all(conn: Connection, route: str) -> list[str]:
    """Find the route's origins on this server."""
    pattern = "^" + PREFIX + route + "_[0-9]+$"
    rows = conn.execute(
        "SELECT roname FROM pg_replication_origin WHERE roname ~ %s ORDER BY roname", (pattern,)
    ).fetchall()
    return [str(row[0]) for row in rows]


def _take(conn: Connection, name: str) -> bool:
    """Take this one; False where another session has it."""
    with suppress(
        psycopg.errors.UniqueViolation, psycopg.errors.DuplicateObject
    ):  # another session was faster: it is there
        conn.execute(
            SQL(
                "SELECT pg_replication_origin_create({0}) WHERE NOT EXISTS "
                "(SELECT FROM pg_replication_origin WHERE roname = {0})"
            ).format(Literal(name))
        )
    try:
        conn.execute(SQL("SELECT pg_replication_origin_session_setup({})").format(Literal(name)))
    except (psycopg.errors.ObjectInUse, psycopg.errors.UndefinedObject):
        return False
    return True


def _count_allowed(conn: Connection) -> int:
    """How many sessions of this server may have one at once."""
    found = _ask(conn, "SELECT current_setting('max_active_replication_origins', true)")
    return int(found or _ask(conn, "SELECT current_setting('max_replication_slots')"))


def _ask(conn: Connection, query: str) -> str:
    row = conn.execute(query.encode()).fetchone()
    assert row
    return row[0]  # type: ignore[no-any-return]
