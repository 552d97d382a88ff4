"""Looks at people's data: who has read whose values, by which verb, and why. What is booked is never changed.

A look is booked before anything of it is shown. It names rows by their keys alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from shopferry.control import locks, schema
from shopferry.db import Connection, exists, load_queries

_Q = load_queries(schema.SQL / "looks.sql")

Seen = Mapping[str, Sequence[str]]  # the keys that are shown, by relation


@dataclass(frozen=True)
class Look:
    """One look; `role` is the database's role, `taken_back` the looks just before it that a ROLLBACK or a crash has removed."""

    id: int
    at: datetime
    who: str
    role: str
    verb: str
    relation: str
    keys: tuple[str, ...]
    why: str
    taken_back: int


def book(conn: Connection, route: str, who: str, verb: str, why: str, seen: Seen) -> None:
    """Book a look in the new shop, within the caller's transaction.

    After `finish` the audit log takes it; before `phase init` the table is made alone. Raises ConfigError when schema ferry is
    not ours.
    """
    listed = [{"relation": relation, "keys": list(keys)} for relation, keys in seen.items()]
    given = {"route": route, "who": who, "verb": verb, "why": why, "seen": json.dumps(listed)}
    standing = exists(conn, "ferry.looked") or exists(conn, "ferry.meta")
    if not standing and exists(conn, "shopferry_audit.entry"):
        conn.execute(_Q["book_after_finish"], given)
        return
    if not standing:
        locks.lock_schema(conn)
        schema.require_free(conn, "ferry")
        conn.execute((schema.SQL / "looked.sql").read_bytes())
    conn.execute(_Q["book"], given)


def load(conn: Connection, limit: int) -> list[Look]:
    """Load the latest looks, the newest first."""
    with conn.cursor(row_factory=class_row(Look)) as cur:
        return cur.execute(_Q["list"], {"limit": limit}).fetchall()
