"""Kafka offsets in the shop's database: the position that commits together with the rows it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from psycopg.rows import class_row

from shopferry.control.schema import SQL
from shopferry.db import Connection, queries
from shopferry.errors import FencedError

_Q = queries(SQL / "offsets.sql")
Partition: TypeAlias = tuple[str, int]  # topic, partition
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Consumer:
    """A consumer's sign of life: seconds since it was last seen, and the error it stopped with, if it did."""

    consumer: str
    age_s: float
    stopped: str | None


@dataclass(frozen=True)
class SyncFigures:
    """Events replayed and percentiles of their lag (commit in legacy → applied), in milliseconds."""

    events: int
    lag_ms_p50: int
    lag_ms_p99: int


def stored(conn: Connection, route: str) -> dict[Partition, int]:
    """The next offset to apply, per partition that was ever applied."""
    rows = conn.execute(_Q["stored"], {"route": route}).fetchall()
    return {(topic, partition): offset for topic, partition, offset in rows}


def begin(conn: Connection, route: str, partition: Partition, offset: int) -> None:
    """Book where a partition begins that was never applied before; leaves a known one alone."""
    conn.execute(_Q["first"], {"route": route, "topic": partition[0], "partition": partition[1], "next": offset})


def advance(conn: Connection, route: str, steps: Mapping[Partition, tuple[int, int]]) -> None:
    """Move partitions from the expected to the next offset. Raises FencedError when one is not where we left it."""
    ordered = sorted(steps.items())
    given = {
        "route": route, "topics": [topic for (topic, _), _ in ordered], "partitions": [number for (_, number), _ in ordered],
        "expected": [expected for _, (expected, _) in ordered], "next": [following for _, (_, following) in ordered],
    }  # fmt: skip
    moved = set(conn.execute(_Q["advance"], given).fetchall())
    for (topic, partition), (expected, _) in ordered:
        if (topic, partition) not in moved:
            raise FencedError(
                f"{topic}[{partition}] is not at offset {expected} any more: another consumer has advanced it; "
                "this one stops and reads the positions anew"
            )


def reset(conn: Connection, route: str) -> None:
    """Forget all positions: the broker is another one now (a resync follows)."""
    conn.execute(_Q["reset"], {"route": route})


def record_batch(conn: Connection, route: str, *, events: int, lag_ms: Sequence[int], apply_ms: int) -> None:
    """Book one replayed batch with a sample of its lags."""
    conn.execute(_Q["batch"], {"route": route, "events": events, "lag_ms": list(lag_ms), "apply_ms": apply_ms})


def alive(conn: Connection, route: str, consumer: str, stopped: str | None = None) -> None:
    """Leave a sign of life, or the error this consumer stopped with."""
    conn.execute(_Q["alive"], {"route": route, "consumer": consumer, "stopped": stopped})


def seen(conn: Connection, route: str, consumer: str) -> None:
    """Leave a sign of life and let stand what it stopped with: it has still to show that it gets past that."""
    conn.execute(_Q["seen"], {"route": route, "consumer": consumer})


def consumers(conn: Connection, route: str) -> list[Consumer]:
    """All consumers ever seen, the latest first."""
    with conn.cursor(row_factory=class_row(Consumer)) as cur:
        return cur.execute(_Q["consumers"], {"route": route}).fetchall()


def figures(conn: Connection, route: str, since: datetime = BEGINNING) -> SyncFigures:
    """Events and lag percentiles since a moment."""
    row = conn.execute(_Q["sync"], {"route": route, "since": since}).fetchone()
    return SyncFigures(*row) if row else SyncFigures(0, 0, 0)
