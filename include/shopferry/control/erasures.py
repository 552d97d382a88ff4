"""The ledger of erasures: rows that were erased, in each store, by key and keyed marks of what they held."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shopferry.control.schema import SQL
from shopferry.db import Connection, load_queries

_Q = load_queries(SQL / "erasures.sql")


@dataclass(frozen=True)
class Erased:
    """One row: what takes the place of which column, or None where the row goes; `marks` are of its values."""

    relation: str
    key: str
    marks: frozenset[str]
    clears: Mapping[str, str | None] | None


def note(conn: Connection, route: str, request: int, rows: Sequence[Erased]) -> None:
    """Note rows as erased by this request; of those that are noted already the marks are added."""
    listed = [{"relation": r.relation, "key": r.key, "marks": sorted(r.marks), "clears": r.clears} for r in rows]
    conn.execute(_Q["note"], {"route": route, "request": request, "rows": json.dumps(listed)})


def has_any(conn: Connection, route: str) -> bool:
    """Tell whether any row is noted."""
    return bool(
        conn.execute("SELECT FROM shopferry.erased WHERE route = %s LIMIT 1", (route,), prepare=True).fetchall()
    )


def find(conn: Connection, route: str, rows: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Erased]:
    """Find which of these rows, as (relation, key), are noted."""
    given = {"route": route, "relations": [r for r, _ in rows], "keys": [k for _, k in rows]}
    return {(r, k): Erased(r, k, frozenset(m), c) for r, k, m, c in conn.execute(_Q["find"], given, prepare=True)}


def load(conn: Connection, route: str, request: int | None = None) -> dict[int, list[Erased]]:
    """Load what is noted, all or what one request has noted, by the number of the request."""
    found: dict[int, list[Erased]] = {}
    for relation, key, marks, clears, number in conn.execute(
        _Q["list"], {"route": route, "request": request}
    ).fetchall():
        found.setdefault(number, []).append(Erased(relation, key, frozenset(marks), clears))
    return found
