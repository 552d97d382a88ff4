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

_LOCALE = (
    """SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = current_database()"""
)


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
