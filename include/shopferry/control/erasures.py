"""The ledger of erasures: rows that were erased, in each store, by key and keyed marks of what they held."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shopferry.control.schema import SQL
from shopferry.db import Connection, exists, load_queries

_Q = load_queries(SQL / "erasures.sql")


@dataclass(frozen=True)
class Erased:
    """One row: what takes the place of which column, or None where the row goes; `marks` are of its values."""

    relation: str
    key: str
    marks: frozenset[str]
    clears: Mapping[str, Any] | None  # a text, an object where the column is JSON, or None for nothing


def note(conn: Connection, route: str, request: int, rows: Sequence[Erased]) -> None:
    """Note rows as erased by this request; of those that are noted already the marks are added."""
    listed = [{"relation": r.relation, "key": r.key, "marks": sorted(r.marks), "clears": r.clears} for r in rows]
    conn.execute(_Q["note"], {"route": route, "request": request, "rows": json.dumps(listed)})


def has_any(conn: Connection, route: str) -> bool:
    """Tell whether any row is noted."""
    return bool(
        conn.execute("SELECT FROM shopferry.erased WHERE route = %s LIMIT 1", (route,), prepare=True).fetchall()
    )


def load_joined(conns: Sequence[Connection], route: str, but: Collection[int] = ()) -> dict[tuple[str, str], Erased]:
    """Load what the ledgers of both stores say together, by relation and key; requests in `but` are left out."""
    found: dict[tuple[str, str], Erased] = {}
    for conn in conns:
        for number, rows in load(conn, route).items() if exists(conn, "shopferry.erased") else ():
            for row in rows if number not in but else ():
                same = found.setdefault((row.relation, row.key), row)
                found[row.relation, row.key] = replace(row, marks=same.marks | row.marks)
    return found


def count_lacking(conn: Connection, other: Connection, route: str, but: Collection[int] = ()) -> int:
    """Count the rows that one store's ledger lacks, wholly or some of their marks, while the other's has them."""
    if _sum_up(conn, route, but) == _sum_up(other, route, but):
        return 0
    own = load_joined((conn,), route, but)
    joined = load_joined((conn, other), route, but)
    return sum(key not in own or own[key].marks != row.marks for key, row in joined.items())


def _sum_up(conn: Connection, route: str, but: Collection[int]) -> tuple[int, int]:
    """Sum a ledger up, so that two of a hundred thousand rows are compared without being read."""
    given = {"route": route, "but": list(but)}
    row = conn.execute(_Q["sum"], given).fetchone() if exists(conn, "shopferry.erased") else None
    return (int(row[0]), int(row[1])) if row else (0, 0)


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
