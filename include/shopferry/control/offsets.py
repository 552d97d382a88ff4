"""Kafka offsets in the shop's database: the position that commits together with the rows it stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from psycopg.rows import class_row

from shopferry.control.schema import SQL
from shopferry.db import Connection, load_queries
from shopferry.errors import FencedError

_Q = load_queries(SQL / "offsets.sql")
Partition: TypeAlias = tuple[str, int]  # topic, partition
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_KEPT = timedelta(days=1)  # of booked batches, a million rows on a busy day
_MEMORY = timedelta(seconds=10)  # of new life after which the reason of the last stop is forgotten


@dataclass(frozen=True)
class Consumer:
    """A consumer's sign of life: seconds since it was last seen, and the error it stopped with, if it did."""

    consumer: str
    age_s: float
    stopped: str | None


@dataclass(frozen=True)
class Position:
    """How far the newest change applied reaches in legacy's log, when legacy committed it, and how long ago that is."""

    lsn: str
    committed: datetime
    age_s: float


@dataclass(frozen=True)
class Tally:
    """What one batch applied of one partition: events, their bytes, the newest position (bytes of log) and commit."""

    events: int
    bytes: int
    lsn: int
    committed_ms: int


@dataclass(frozen=True)
class SyncFigures:
    """Events replayed and percentiles of their lag (commit in legacy → applied), in milliseconds."""

    events: int
    lag_ms_p50: int
    lag_ms_p99: int


def load(conn: Connection, route: str) -> dict[Partition, int]:
    """Load the next offset to apply of each partition that was ever applied."""
    rows = conn.execute(_Q["stored"], {"route": route}).fetchall()
    return {(topic, partition): offset for topic, partition, offset in rows}


def begin(conn: Connection, route: str, partition: Partition, offset: int) -> None:
    """Book where a partition begins that was never applied before; leaves a known one alone."""
    conn.execute(_Q["first"], {"route": route, "topic": partition[0], "partition": partition[1], "next": offset})


def load_topic_ids(conn: Connection, route: str) -> dict[str, str]:
    """Load the broker's id of each topic that was looked at since its positions were begun."""
    return dict(conn.execute(_Q["topic_ids"], {"route": route}).fetchall())


def recognise(conn: Connection, route: str, topic: str, topic_id: str) -> None:
    """Remember the broker's id of a topic, for those of its partitions that have none yet."""
    conn.execute(_Q["recognise"], {"route": route, "topic": topic, "topic_id": topic_id})


def advance(conn: Connection, route: str, steps: Mapping[Partition, tuple[int, int]]) -> None:
    """Move partitions from the expected to the next offset. Raises FencedError when one is not where we left it."""
    ordered = sorted(steps.items())
    given = {
        "route": route,
        "topics": [topic for (topic, _), _ in ordered],
        "partitions": [number for (_, number), _ in ordered],
        "expected": [expected for _, (expected, _) in ordered],
        "next": [following for _, (_, following) in ordered],
    }
    moved = set(conn.execute(_Q["advance"], given).fetchall())
    for (topic, partition), (expected, _) in ordered:
        if (topic, partition) not in moved:
            raise FencedError(
                f"{topic}[{partition}] is not at offset {expected} any more: another consumer has advanced it; "
                "this one stops and reads the positions anew"
            )


def reset(conn: Connection, route: str, ends: Callable[[], Mapping[Partition, int]]) -> None:
    """Forget all positions and go on from `ends` (a resync follows); no consumer can advance from the asking to the commit."""
    conn.execute(_Q["hold"])
    following = ends()
    conn.execute(_Q["reset"], {"route": route})
    for partition, offset in sorted(following.items()):
        begin(conn, route, partition, offset)


def record_batch(conn: Connection, route: str, *, events: int, lag_ms: Sequence[int], apply_ms: int) -> None:
    """Book one replayed batch with a sample of its lags."""
    conn.execute(_Q["batch"], {"route": route, "events": events, "lag_ms": list(lag_ms), "apply_ms": apply_ms})


def count(conn: Connection, route: str, tallies: Mapping[Partition, Tally]) -> None:
    """Book per partition what one batch took in."""
    ordered = sorted(tallies.items())
    given = {
        "route": route,
        "topics": [topic for (topic, _), _ in ordered],
        "partitions": [number for (_, number), _ in ordered],
        "events": [t.events for _, t in ordered],
        "bytes": [t.bytes for _, t in ordered],
        "lsns": [f"{t.lsn >> 32:X}/{t.lsn & 0xFFFFFFFF:X}" for _, t in ordered],
        "committed": [t.committed_ms for _, t in ordered],
    }
    conn.execute(_Q["tally"], given)


def forget_batches(conn: Connection, route: str) -> None:
    """Forget what was booked of batches more than a day ago."""
    conn.execute(_Q["forget"], {"route": route, "kept": _KEPT})


def load_applied(conn: Connection, route: str) -> dict[str, tuple[int, int]]:
    """Load how many changes were applied of each topic, and their bytes, since its positions were first booked."""
    rows = conn.execute(_Q["applied"], {"route": route}).fetchall()
    return {topic: (events, size) for topic, events, size in rows}


def load_position(conn: Connection, route: str) -> Position | None:
    """Load how far the applied changes reach; None before the first."""
    with conn.cursor(row_factory=class_row(Position)) as cur:
        return cur.execute(_Q["position"], {"route": route}).fetchone()


def report_alive(conn: Connection, route: str, consumer: str, stopped: str | None = None) -> str | None:
    """Leave a sign of life, or the error this consumer stopped with; returns the error that others see now.

    The error of a stop is shown for the first ten seconds of the next life too: who stops again and again is not well
    in between.
    """
    given = {"route": route, "consumer": consumer, "stopped": stopped, "memory": _MEMORY}
    row = conn.execute(_Q["alive"], given).fetchone()
    return row[0] if row else None


def report_seen(conn: Connection, route: str, consumer: str) -> str | None:
    """Leave a sign of life and let stand what it stopped with, which is returned: it has still to get past that."""
    row = conn.execute(_Q["seen"], {"route": route, "consumer": consumer}).fetchone()
    return row[0] if row else None


def list_consumers(conn: Connection, route: str) -> list[Consumer]:
    """List all consumers ever seen, the latest first."""
    with conn.cursor(row_factory=class_row(Consumer)) as cur:
        return cur.execute(_Q["consumers"], {"route": route}).fetchall()


def measure(conn: Connection, route: str, since: datetime = BEGINNING) -> SyncFigures:
    """Measure events and lag percentiles since a moment."""
    row = conn.execute(_Q["sync"], {"route": route, "since": since}).fetchone()
    return SyncFigures(*row) if row else SyncFigures(0, 0, 0)


def measure_trend(conn: Connection, route: str, recent: timedelta, before: timedelta) -> tuple[int | None, int | None]:
    """Measure the median lag, in ms, of what was replayed within `recent`, and within `before` that; None for nothing."""
    row = conn.execute(_Q["trend"], {"route": route, "recent": recent, "before": before}).fetchone()
    return (row[0], row[1]) if row else (None, None)
