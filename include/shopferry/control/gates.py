"""Gates: the conditions of the cutover, each recorded with its evidence and what would meet it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.rows import class_row

from shopferry.db import Connection


@dataclass(frozen=True)
class Gate:
    """One yes/no condition as last judged."""

    gate: str
    met: bool
    evidence: str
    remedy: str


def record(conn: Connection, route: str, gates: Sequence[Gate]) -> None:
    """Replace the route's gates by what was judged now."""
    conn.execute("DELETE FROM ferry.gate WHERE route = %s", (route,))
    with conn.cursor() as cur:
        cur.executemany(
            "INSERT INTO ferry.gate (route, gate, met, evidence, remedy) VALUES (%s, %s, %s, %s, %s)",
            [(route, g.gate, g.met, g.evidence, g.remedy) for g in gates],
        )


def load(conn: Connection, route: str) -> list[Gate]:
    """Load the gates as last judged, in the order they were judged in."""
    with conn.cursor(row_factory=class_row(Gate)) as cur:
        return cur.execute(
            "SELECT gate, met, evidence, remedy FROM ferry.gate WHERE route = %s ORDER BY at, gate", (route,)
        ).fetchall()
