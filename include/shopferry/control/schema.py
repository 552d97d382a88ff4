"""Create the control tables in the store that is written and the marker tables in the one that is read."""

from __future__ import annotations

from pathlib import Path

from shopferry.control import locks
from shopferry.db import Connection, exists
from shopferry.errors import ConfigError

VERSION = 18
SQL = Path(__file__).parent / "sql"


def install_control(conn: Connection) -> None:
    """Create schemas ferry and mirror in the store that is written; does nothing where they stand.

    Raises ConfigError when a newer shopferry has already changed them, or when a schema of that name is not ours:
    the end of the migration would drop it.
    """
    locks.lock_schema(conn)
    if not exists(conn, "ferry.meta"):
        require_free(conn, "ferry", "mirror")
    else:
        row = conn.execute("SELECT version FROM ferry.meta").fetchone()
        if row and row[0] > VERSION:
            raise ConfigError(f"control schema is version {row[0]}, this shopferry knows {VERSION}: upgrade shopferry")
    _require_fence_ours(conn)
    for file in ("schema.sql", "looked.sql", "fence.sql", "erased.sql"):
        conn.execute((SQL / file).read_bytes())
    conn.execute(
        "INSERT INTO ferry.meta (version) VALUES (%s) ON CONFLICT (singleton) DO UPDATE SET version = excluded.version",
        (VERSION,),
    )


def is_current(conn: Connection) -> bool:
    """Whether schema ferry stands as this version makes it."""
    if not exists(conn, "ferry.meta"):
        return False
    row = conn.execute("SELECT version = %s FROM ferry.meta", (VERSION,)).fetchone()
    return bool(row and row[0])


def install_markers(conn: Connection) -> None:
    """Create schema shopferry with the marker and heartbeat tables and the fence in the store that is read; idempotent.

    Raises ConfigError when a schema of that name is not ours.
    """
    locks.lock_schema(conn)
    _require_fence_ours(conn)
    for file in ("markers.sql", "fence.sql", "erased.sql"):
        conn.execute((SQL / file).read_bytes())


def _require_fence_ours(conn: Connection) -> None:
    if not conn.execute("SELECT FROM pg_proc WHERE oid = to_regproc('shopferry.refuse_write')").fetchall():
        require_free(conn, "shopferry")


def require_free(conn: Connection, *names: str) -> None:
    """Raises ConfigError when the database has a schema by one of these names, which are to be ours.

    One that holds nothing but the book of looks is ours: a mapping may be tried on legacy's rows before anything is installed.
    """
    rows = conn.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname = ANY(%s) AND NOT (nspname = 'ferry' "
        "AND coalesce(obj_description(to_regclass('ferry.looked'), 'pg_class') LIKE 'Table of shopferry:%%', false)) ORDER BY 1",
        (list(names),),
    ).fetchall()
    if rows:
        raise ConfigError(
            f"database {conn.info.dbname} has a schema {rows[0][0]} of its own, which shopferry needs for itself: rename it, or "
            "drop it where it is left of an earlier try"
        )
