"""Scratch databases: made in the new shop's cluster for a test or a rehearsal, and dropped unless it is kept for a time.

Until when a database is kept stands in its own comment: it comes and goes with the database.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier, Literal

from shopferry import db
from shopferry.control import locks
from shopferry.errors import ConfigError, TransientError

# What scratch is made for; a database's name ends so.
USES = (
    "rehearsal_legacy",
    "rehearsal_shop",
    "restore",
    "try",
    "cases_legacy",
    "cases_shop",
    "case_legacy",
    "case_shop",
)
_KEPT = "shopferry keeps it until "
_LOCALE = (
    """SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = current_database()"""
)


def name_scratch(route: str, use: str) -> str:
    """Name a route's scratch database for one of `USES`."""
    return f"{f'shopferry_{route}'[:40]}_{use}"


@contextmanager
def create(dsn: str, name: str, template: str | None = None) -> Iterator[str]:
    """Create a database `name` beside the one of `dsn`, for as long as the block lasts; yields its DSN.

    It is empty, or a copy of the database of the DSN `template`, to which nobody is connected. One that a killed process left,
    or that was kept, is dropped first. At the end of the block it stays if the block has called `keep`. Raises ConfigError when
    the role may not create databases, TransientError while another run has the scratch database of this name, or while others
    are connected to the kept one.
    """
    with db.connect(dsn, f"scratch {name}") as conn:
        if not locks.try_scratch(conn, name):
            raise TransientError(f"scratch database {name} is in use by another run")
        try:
            _drop(conn, name)
            if template:
                of = Identifier(str(conninfo_to_dict(template)["dbname"]))
                conn.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), of))
            else:
                _create_empty(conn, name)
        except psycopg.errors.InsufficientPrivilege:
            raise ConfigError(
                f"role {conn.info.user} may not create scratch database {name} in the new shop's cluster: "
                f"ALTER ROLE {conn.info.user} CREATEDB"
            ) from None
        try:
            yield make_conninfo(dsn, dbname=name)
        finally:
            if _read_end(conn, name) is None:
                _drop(conn, name)


def _create_empty(conn: db.Connection, name: str) -> None:
    # Its text must sort and compare as the original's does, however the cluster's templates were made.
    found = conn.execute(_LOCALE).fetchone() or ("UTF8", "C", "C")
    create = SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}")
    conn.execute(create.format(Identifier(name), *map(Literal, found)))


def keep(conn: db.Connection, until: datetime) -> None:
    """Have the scratch database of this connection stay after its block, in the caller's transaction."""
    text = Literal(f"{_KEPT}{until.isoformat(timespec='seconds')}")
    conn.execute(SQL("COMMENT ON DATABASE {} IS {}").format(Identifier(conn.info.dbname), text))


def find_standing(conn: db.Connection, route: str) -> list[tuple[str, datetime | None]]:
    """Find the scratch databases of a route that no command works on: (name, until when it is kept).

    One that is not kept was left by a killed process: nobody is connected to it.
    """
    rows = conn.execute(
        """SELECT d.datname, EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid) FROM pg_database d
           WHERE d.datname = ANY(%s) ORDER BY 1""",
        ([name_scratch(route, use) for use in USES],),
    ).fetchall()
    found = [(name, _read_end(conn, name), used) for name, used in rows]
    return [(name, end) for name, end, used in found if (end or not used) and _is_free(conn, name)]


def drop_standing(conn: db.Connection, name: str, end: datetime | None) -> int:
    """Drop a scratch database as `find_standing` has found it; returns how many went.

    It stays while a command uses its name, or when it is another one by now, or when sessions are in it that we may not end;
    of a kept one no new sessions are let in then.
    """
    with db.open_another(conn, f"scratch {name}") as own:
        if not locks.try_scratch(own, name) or _read_end(own, name) != end:
            return 0
        try:
            if end:
                own.execute(SQL("ALTER DATABASE {} CONNECTION LIMIT 0").format(Identifier(name)))
                _drop(own, name)
            else:
                own.execute(SQL("DROP DATABASE IF EXISTS {}").format(Identifier(name)))
        except (psycopg.errors.ObjectInUse, TransientError):
            return 0
    return 1


def _drop(conn: db.Connection, name: str) -> None:
    """Drop it with the sessions in it. Raises TransientError where others are in it whose sessions we may not end."""
    try:
        conn.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
    except psycopg.errors.InsufficientPrivilege:
        row = conn.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", (name,)).fetchone()
        if not row or not row[0]:
            raise
        raise TransientError(
            f"scratch database {name} cannot be dropped while others look at it ({row[0]} sessions): have them leave it"
        ) from None


def _read_end(conn: db.Connection, name: str) -> datetime | None:
    """Read until when a database is kept; None where there is none, or it is not kept."""
    row = conn.execute(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", (name,)
    ).fetchone()
    text = str(row[0]) if row and row[0] else ""
    return datetime.fromisoformat(text.removeprefix(_KEPT)) if text.startswith(_KEPT) else None


def _is_free(conn: db.Connection, name: str) -> bool:
    with db.open_another(conn, f"scratch {name}") as own:
        return locks.try_scratch(own, name)
