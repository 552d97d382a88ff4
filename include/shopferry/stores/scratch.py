"""Scratch databases: made in the new shop's cluster for a test or a rehearsal, and dropped in every case."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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
_LOCALE = (
    """SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = current_database()"""
)


def name_scratch(route: str, use: str) -> str:
    """Name a route's scratch database for one of `USES`."""
    return f"{f'shopferry_{route}'[:40]}_{use}"


@contextmanager
def create(dsn: str, name: str, template: str | None = None) -> Iterator[str]:
    """Create a database `name` beside the one of `dsn`, for as long as the block lasts; yields its DSN.

    It is empty, or a copy of the database of the DSN `template`, to which nobody is connected. One that a killed process left
    is dropped first. Raises ConfigError when the role may not create databases, TransientError while another run has the
    scratch database of this name.
    """
    drop = SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name))
    with db.connect(dsn, f"scratch {name}") as conn:
        if not locks.try_scratch(conn, name):
            raise TransientError(f"scratch database {name} is in use by another run")
        try:
            conn.execute(drop)
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
            conn.execute(drop)


def _create_empty(conn: db.Connection, name: str) -> None:
    # Its text must sort and compare as the original's does, however the cluster's templates were made.
    found = conn.execute(_LOCALE).fetchone() or ("UTF8", "C", "C")
    create = SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}")
    conn.execute(create.format(Identifier(name), *map(Literal, found)))


def find_left(conn: db.Connection, route: str) -> list[str]:
    """Find the scratch databases of a route that a killed process has left: nobody has their lock or is connected to them."""
    names = [name_scratch(route, use) for use in USES]
    rows = conn.execute(
        """SELECT d.datname FROM pg_database d
           WHERE d.datname = ANY(%s) AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid) ORDER BY 1""",
        (names,),
    ).fetchall()
    return [name for (name,) in rows if _is_free(conn, name)]


def drop_left(conn: db.Connection, name: str) -> int:
    """Drop a scratch database that was left, unless somebody uses its name by now; returns how many went."""
    with db.open_another(conn, f"scratch {name}") as own:
        if not locks.try_scratch(own, name):
            return 0
        try:
            own.execute(SQL("DROP DATABASE IF EXISTS {}").format(Identifier(name)))
        except psycopg.errors.ObjectInUse:
            return 0
    return 1


def _is_free(conn: db.Connection, name: str) -> bool:
    with db.open_another(conn, f"scratch {name}") as own:
        return locks.try_scratch(own, name)
