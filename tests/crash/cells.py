"""The cells of the crash matrix: which process, at which point, gets which signal."""

from __future__ import annotations

from dataclasses import dataclass

SIGNALS = ("SIGKILL", "SIGTERM", "SIGSTOP")

# Where our own processes are paused, by what they were about to do or had just done.
CONSUMER = {
    "polled": "shopferry.cdc.replay:Replay.apply#before",
    "offsets advanced": "shopferry.control.offsets:advance#after",
    "mirror written": "shopferry.cdc.replay:Replay._mirror#after",
    "merged": "shopferry.merge:Merger.propagate#after",
    "before commit": "shopferry.control.offsets:record_batch#after",
    "committed, Kafka not told": "shopferry.cdc.replay:Replay.apply#after",
    "resync: positions moved, nothing copied": "shopferry.backfill:copy_next#before",
    "resync: chunk loaded, not committed": "shopferry.mirror:load_chunk#after",
}
CHUNK = {
    "claimed": "shopferry.control.chunks:claim#after",
    "copied, not loaded": "shopferry.backfill:relay#after",
    "loaded, not committed": "shopferry.mirror:load_chunk#after",
    "chunk committed": "shopferry.backfill:copy_next#after",
    "live, nothing merged": "shopferry.backfill:begin_merge#after",
    "merge chunk before commit": "shopferry.merge:Merger.merge#after",
    "in sync, not verified": "shopferry.passage:verify_phase#before",
    "verified, not finished": "shopferry.passage:verify_phase#after",
}
# Servers are not ours to pause: their points are states of the flow.
SERVERS = {"connector": "connector", "broker": "broker", "legacy": "legacy-db", "shop": "shop-db"}
ONLY_WRITER = "only the writer at work"
LARGE = "in the middle of a large transaction"
IN_CONSUMER = "the consumer inside its transaction"
IN_CHUNK = "a chunk being copied"
STATES = (ONLY_WRITER, LARGE, IN_CONSUMER, IN_CHUNK)
SCHEDULER = "scheduler"
TASKS = ("a task copies", "a task merges")


@dataclass(frozen=True)
class Cell:
    """One experiment."""

    process: str
    point: str
    signal: str

    def __str__(self) -> str:
        return f"{self.process}, {self.point}, {self.signal}"


def cells(processes: dict[str, tuple[str, ...]]) -> list[Cell]:
    """Every signal at every point of these processes."""
    return [Cell(p, point, s) for p, points in processes.items() for point in points for s in SIGNALS]


OURS = cells({"consumer": tuple(CONSUMER), "chunk worker": tuple(CHUNK)})
THEIRS = cells(dict.fromkeys(SERVERS, STATES))
AIRFLOW = cells({SCHEDULER: TASKS})
# What `make test` tries of it: where most is at stake.
SHORT = (
    Cell("consumer", "before commit", "SIGKILL"),
    Cell("consumer", "committed, Kafka not told", "SIGKILL"),
    Cell("consumer", "resync: positions moved, nothing copied", "SIGKILL"),
    Cell("chunk worker", "loaded, not committed", "SIGKILL"),
    Cell("chunk worker", "merge chunk before commit", "SIGTERM"),
    Cell("shop", IN_CONSUMER, "SIGKILL"),
)
