"""The fingerprint of the key under which marks are made: marks of two keys never meet, so there is one key for good."""

from __future__ import annotations

from shopferry.control import schema
from shopferry.db import Connection, exists, load_queries

_Q = load_queries(schema.SQL / "mark_key.sql")


def record(conn: Connection, fingerprint: str) -> None:
    """Record the key that marks are made with; an earlier one stays."""
    conn.execute(_Q["record"], {"fingerprint": fingerprint})


def find(conn: Connection) -> str | None:
    """Find the fingerprint of the key that marks were made with; None before the first."""
    if not exists(conn, "ferry.mark_key"):
        return None
    row = conn.execute(_Q["find"]).fetchone()
    return row[0] if row else None
