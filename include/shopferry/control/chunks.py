"""Chunks: planned once, claimed by a row lock, done in the transaction that did the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from shopferry.control.schema import SQL
from shopferry.db import Connection, load_queries

_Q = load_queries(SQL / "chunks.sql")


@dataclass(frozen=True)
class Chunk:
    """One key range: `low` exclusive, `high` inclusive, each a list of key values or None for open ends."""

    phase: str
    kind: str  # 'copy': of a legacy table, 'merge': of an entity's keys
    target: str
    position: int
    no: int
    low: list[Any] | None
    high: list[Any] | None
    state: str = "planned"
    rows: int = 0


@dataclass(frozen=True)
class Progress:
    """How far one target of a phase is, in chunks, rows and working seconds."""

    phase: str
    kind: str
    target: str
    done: int
    total: int
    rows: int
    seconds: float


@dataclass(frozen=True)
class Span:
    """A part of the plan for one worker: one target's chunks `first`..`last`; None means no limit."""

    target: str | None = None
    first: int | None = None
    last: int | None = None


EVERYTHING = Span()


def plan(conn: Connection, route: str, phase: str, kind: str, chunks: Sequence[Chunk]) -> None:
    """Replace the plan of this phase and kind."""
    conn.execute(_Q["forget"], {"route": route, "phase": phase, "kind": kind})
    add(conn, route, chunks)


def add(conn: Connection, route: str, chunks: Sequence[Chunk]) -> None:
    """Add chunks to the plan."""
    with conn.cursor() as cur:
        cur.executemany(
            _Q["plan"],
            [
                {
                    "route": route,
                    "phase": c.phase,
                    "kind": c.kind,
                    "target": c.target,
                    "position": c.position,
                    "no": c.no,
                    "low": Jsonb(c.low) if c.low is not None else None,
                    "high": Jsonb(c.high) if c.high is not None else None,
                }
                for c in chunks
            ],
        )


def claim(conn: Connection, route: str, phase: str, kind: str, span: Span = EVERYTHING) -> Chunk | None:
    """Claim the next chunk, which stays locked until this transaction ends; None if no chunk is free now."""
    given = {"route": route, "phase": phase, "kind": kind, **vars(span)}
    with conn.cursor(row_factory=class_row(Chunk)) as cur:
        return cur.execute(_Q["claim"], given).fetchone()


def mark_done(
    conn: Connection, route: str, chunk: Chunk, *, rows: int, seconds: float, worker: str, watermark: str | None = None
) -> None:
    """Book a chunk as done, with what it took; commits with the chunk's rows."""
    given = {"rows": rows, "seconds": seconds, "worker": worker, "watermark": watermark}
    keys = {"route": route, "phase": chunk.phase, "kind": chunk.kind, "target": chunk.target, "no": chunk.no}
    conn.execute(_Q["done"], {**keys, **given})


def has_open(conn: Connection, route: str, phase: str, kind: str, span: Span = EVERYTHING) -> bool:
    """Whether a chunk of the span is not done."""
    row = conn.execute(_Q["open"], {"route": route, "phase": phase, "kind": kind, **vars(span)}).fetchone()
    return bool(row and row[0])


def list_open(conn: Connection, route: str, phase: str, kind: str) -> set[str]:
    """List the targets of which a chunk is not done."""
    rows = conn.execute(_Q["open_targets"], {"route": route, "phase": phase, "kind": kind}).fetchall()
    return {target for (target,) in rows}


def is_merged(conn: Connection, route: str, phase: str, targets: Sequence[str]) -> bool:
    """Whether all of these targets are planned for the merge and every chunk of the plan is done."""
    row = conn.execute(_Q["merged"], {"route": route, "phase": phase, "targets": list(targets)}).fetchone()
    return bool(row and row[0])


def count_resyncing(conn: Connection, route: str) -> int:
    """Count the chunks that a resync has still to copy: until there are none, the mirror lacks what was lost."""
    row = conn.execute(_Q["resyncing"], {"route": route}).fetchone()
    return int(row[0]) if row else 0


def load_progress(conn: Connection, route: str) -> list[Progress]:
    """Load how far every phase and target of the route is."""
    with conn.cursor(row_factory=class_row(Progress)) as cur:
        return cur.execute(_Q["progress"], {"route": route}).fetchall()


def measure_rate(conn: Connection, route: str, phase: str, window: timedelta) -> float:
    """Measure the rows per second that all workers of the phase copied within the window."""
    row = conn.execute(_Q["rate"], {"route": route, "phase": phase, "window": window}).fetchone()
    return float(row[0]) / window.total_seconds() if row else 0.0
