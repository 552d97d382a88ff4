"""Connections to the two stores, named so that on-call recognises them in pg_stat_activity."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import psycopg

from shopferry.errors import ConfigError

Connection: TypeAlias = psycopg.Connection[Any]
NEVER_BY_ITSELF = 2**31 - 1  # as many executions until psycopg prepares a statement unasked
_TRIES = 20
PREPARED = 3_000  # a route's statements, with room: one that must go has to be planned again

# A value's text, and a SELECT that casts, must mean the same on both servers and in every process, so ours count.
TEXT_FORM = (
    "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'; "
    "SET extra_float_digits = 1; SET client_encoding = 'UTF8'"
)
_SESSION = (
    f"{TEXT_FORM}; "
    # These are for the application: a copy or a merge may take longer, and what is too long is ours to judge.
    "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0; "
    # When our machine or the network is gone, the server lets go of our locks within half a minute, not after two hours.
    "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; "
    # A policy must not hide rows from a copy: it is refused instead. A lock that was waited for must show what it guarded.
    "SET row_security = off; SET default_transaction_isolation = 'read committed'; SET standard_conforming_strings = on; "
    # What a name or a type is called, and what `= NULL` means, is the database's matter and not the role's.
    "SET quote_all_identifiers = off; SET transform_null_equals = off; SET default_transaction_read_only = off; "
    "SELECT set_config('search_path', concat_ws(', ', 'public', string_agg(DISTINCT quote_ident(n.nspname), ', ')), false) "
    "FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE n.nspname NOT IN ('public', 'pg_catalog'); "
    # A fence that a crash forgets would leave two stores open. Younger time-outs are not known to every server.
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local'); "
    "SELECT set_config(name, '0', false) FROM unnest(ARRAY['transaction_timeout', 'idle_session_timeout']) AS t (name) "
    "WHERE current_setting(name, true) IS NOT NULL"
)
_REMEDIES = {
    "42704": "create its extension or type in the new shop too",
    "54011": "read fewer columns of it: what no mapping reads is not mirrored",
}
# What libpq says where the server answers, and its certificate or ours is not accepted: another try mends nothing.
_UNPROVEN = (
    "certificate verify failed",
    "does not match host name",
    "could not get server's host name",
    "server does not support SSL",
    "root certificate file",
    "could not load client certificate",
    "certificate present, but not private key",
    "could not load private key file",
    "private key file",
    "alert unknown ca",
    "requires a valid client certificate",
)
# And when a server is gone, we notice.
_ALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}


def connect(dsn: str, role: str, **options: Any) -> Connection:
    """Open an autocommit connection; transactions are then the visible `with conn.transaction():` blocks.

    `role` becomes the application name `shopferry <role>`. Raises psycopg.OperationalError when the server cannot
    be reached (transient), ConfigError when the DSN cannot be parsed or leads to a pooler, or a certificate is not accepted.
    """
    try:
        conn = psycopg.connect(
            dsn,
            autocommit=True,
            application_name=f"shopferry {role}",
            connect_timeout=10,
            # Only what asks for it is prepared: elsewhere temp tables of the same name come and go with other columns,
            # and a plan would not survive that.
            prepare_threshold=NEVER_BY_ITSELF,
            **_ALIVE | options,
        )
        conn.prepared_max = PREPARED
        _begin(conn)
        _require_server(conn, role)
        return conn
    except psycopg.ProgrammingError as error:
        raise ConfigError(f"the DSN of the {role} connection cannot be parsed: {error}") from None
    except psycopg.OperationalError as error:
        if not any(words in str(error) for words in _UNPROVEN):
            raise
        said = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"{said}: check sslmode, sslrootcert and host in the DSN (with verify-full the server's certificate must have the "
            "name that the DSN calls it by), and sslcert and sslkey where the server asks for ours"
        ) from None


def _require_server(conn: Connection, role: str) -> None:
    """Refuse a pooler: what sessions of ours say of themselves, such as whose writes they make, would stay with others."""
    row = conn.execute("SELECT pg_backend_pid()").fetchone()
    if row and row[0] != conn.info.backend_pid:
        conn.close()
        raise ConfigError(f"the DSN of the {role} connection leads to a pooler: give the address of the server itself")


def _begin(conn: Connection) -> None:
    for _ in range(_TRIES):
        try:
            conn.execute(_SESSION.encode())
            return
        except psycopg.errors.QueryCanceled:  # until it is said, a time-out of the database's own holds for it too
            continue
    conn.execute(_SESSION.encode())


@contextmanager
def blaming(what: str) -> Iterator[None]:
    """Name what is made in the block, where PostgreSQL's own sentence about it is all that there is to say.

    Raises ConfigError for an error about names, types and limits; others go up as they are, rights among them.
    """
    try:
        yield
    except psycopg.Error as error:
        if isinstance(error, psycopg.errors.InsufficientPrivilege) or (error.sqlstate or "")[:2] not in {
            "42",
            "54",
            "0A",
        }:
            raise
        hint = _REMEDIES.get(error.sqlstate or "", error.diag.message_hint)
        raise ConfigError(f"{what}: {error.diag.message_primary}{f': {hint}' if hint else ''}") from None


def open_another(conn: Connection, role: str) -> Connection:
    """Open one more connection to where this one leads."""
    return connect(conn.info.dsn, role, password=conn.info.password)


def make_read_only(conn: Connection, patience: str) -> None:
    """Forbid a connection to write, and break off what takes longer than `patience`, e.g. '60s'."""
    conn.execute("SET default_transaction_read_only = on")
    conn.execute(f"SET statement_timeout = '{patience}'".encode())


def exists(conn: Connection, relation: str) -> bool:
    """Whether there is such a table or view; `relation` is schema-qualified."""
    row = conn.execute("SELECT to_regclass(%s) IS NOT NULL", (relation,)).fetchone()
    return bool(row and row[0])


def describe_error(error: psycopg.Error) -> str | None:
    """Repeat PostgreSQL's own words if they name columns and functions; those of any other error could quote a value."""
    return error.diag.message_primary if isinstance(error, psycopg.ProgrammingError) else type(error).__name__


def load_queries(file: Path) -> dict[str, str]:
    """Read a file of named queries: each begins with `-- name: <name>`, ends where the next begins."""
    found: dict[str, str] = {}
    for block in file.read_text().split("-- name: ")[1:]:
        name, _, body = block.partition("\n")
        found[name.strip()] = body.strip()
    return found
