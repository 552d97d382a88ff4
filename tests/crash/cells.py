"""The cells of the crash matrix and of the death table: who, at which point, gets which signal."""

from __future__ import annotations

from dataclasses import dataclass

SIGNALS = ("SIGKILL", "SIGTERM", "SIGSTOP")

# Where our own processes are paused, by what they were about to do or had just done.
CONSUMER = {
    "polled": "shopferry.cdc.replay:Replay.apply#before",
    "offsets advanced": "shopferry.control.offsets:advance#after",
    "mirror written": "shopferry.cdc.replay:Replay._mirror#after",
    "merged": "shopferry.engine.merge:Merger.propagate#after",
    "before commit": "shopferry.control.offsets:record_batch#after",
    "committed, Kafka not told": "shopferry.cdc.replay:Replay.apply#after",
    "ran ahead, nothing merged": "shopferry.cdc.behind:MergeBehind.take#before",
    "ran ahead, merged, not committed": "shopferry.cdc.behind:NotedKeys._book#before",
    "resync: positions moved, nothing copied": "shopferry.engine.backfill:copy_next#before",
    "resync: chunk loaded, not committed": "shopferry.engine.mirror_rows:load_chunk#after",
}
CHUNK = {
    "claimed": "shopferry.control.chunks:claim#after",
    "copied, not loaded": "shopferry.engine.backfill:relay#after",
    "loaded, not committed": "shopferry.engine.mirror_rows:load_chunk#after",
    "chunk committed": "shopferry.engine.backfill:copy_next#after",
    "live, nothing merged": "shopferry.engine.merge_chunks:begin_merge#after",
    "unit planned, not committed": "shopferry.control.loads:begin#after",
    "merge chunk before commit": "shopferry.engine.first_load:load#after",
    "unit loaded, not live": "shopferry.control.loads:finish#after",
    "in sync, not verified": "shopferry.phase_steps:verify_phase#before",
    "verified, not finished": "shopferry.phase_steps:verify_phase#after",
}
ERASURE = {
    "found, nothing noted": "shopferry.privacy.person:stage#after",
    "noted in one ledger, not committed": "shopferry.control.erasures:note#after",
    "erased in the open store, not committed": "shopferry.privacy.erasure:execute#after",
    "erased, the stream not awaited": "shopferry.cdc.proof:await_both#before",
    "erased in the other store, not committed": "shopferry.privacy.erasure:erase_noted#after",
    "states of witnesses gone": "shopferry.privacy.copies:forget_states#after",
    "verdicts gone": "shopferry.privacy.copies:forget_verdicts#after",
    "topics not trimmed": "shopferry.cdc.broker:trim#before",
    "one store searched": "shopferry.privacy.search:search_store#after",
    "certificate not committed": "shopferry.control.requests:close#after",
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
ERASURES = cells({"erasure": tuple(ERASURE)})
SHORT_ERASURES = (
    Cell("erasure", "erased in the open store, not committed", "SIGKILL"),
    Cell("erasure", "erased, the stream not awaited", "SIGTERM"),
    Cell("erasure", "certificate not committed", "SIGSTOP"),
)
# What `make test-stack` tries of it: where most is at stake.
SHORT = (
    Cell("consumer", "before commit", "SIGKILL"),
    Cell("consumer", "committed, Kafka not told", "SIGKILL"),
    Cell("consumer", "ran ahead, merged, not committed", "SIGKILL"),
    Cell("consumer", "resync: positions moved, nothing copied", "SIGKILL"),
    Cell("chunk worker", "loaded, not committed", "SIGKILL"),
    Cell("chunk worker", "merge chunk before commit", "SIGTERM"),
    Cell("shop", IN_CONSUMER, "SIGKILL"),
)


# The switch and its way back: where the task is paused while somebody dies.
_SECTION = "shopferry.cutover.section"
CUTOVER = {
    "gates met": "shopferry.cutover.gates:require#after",
    "vacuum kept out": f"{_SECTION}:keep_vacuum_out#after",
    "legacy locked": f"{_SECTION}:lock#after",
    "all applied": f"{_SECTION}:look_last#before",
    "sequences set": "shopferry.cutover.way_back:number#after",
    "legacy's fence not committed": "shopferry.cutover.way_back:turn#after",
    "legacy fenced": f"{_SECTION}:close#after",
    "new shop's opening not committed": f"{_SECTION}:record#after",
    "new shop open, nobody told": "shopferry.cutover.routing:announce#before",
}
ROLLBACK = {
    "gates met": "shopferry.cutover.gates:require_back#after",
    "new shop locked": f"{_SECTION}:lock#after",
    "all applied": f"{_SECTION}:look_last#before",
    "sequences set": "shopferry.cutover.way_back:number_back#after",
    "new shop's fence not committed": "shopferry.cutover.way_back:turn#after",
    "new shop fenced": f"{_SECTION}:close#after",
    "legacy's opening not committed": "shopferry.stores.fence:lift_fence#after",
    "legacy open, route not turned": f"{_SECTION}:flip#before",
    "route turned, nobody told": "shopferry.cutover.routing:announce#before",
}
SWITCHES = {"cutover": CUTOVER, "rollback": ROLLBACK}
NO_RETURN = {"cutover": "legacy fenced", "rollback": "new shop fenced"}
TASK = "task"
WIRES = {"network to legacy": "legacy", "network to the new shop": "shop"}
MORTAL = {
    "legacy": "legacy-db",
    "new shop": "shop-db",
    "broker": "broker",
    "connector": "connector",
    "consumer": "sync",
    "connector back": "connector-reverse",
    "consumer back": "sync-reverse",
}
# Airflow's own processes cannot be paused at a point: the task is made to wait there for somebody's lock.
HELD = ("waits for legacy's lock", "waits to open the new shop")
OF_AIRFLOW = ("task's process", "worker", "scheduler")


@dataclass(frozen=True)
class Death:
    """One experiment of the death table."""

    switch: str
    point: str
    who: str  # whoever is killed; or which wire is cut, for as long as the task lasts

    def __str__(self) -> str:
        return f"{self.switch}, {self.point}, {self.who}"

    @property
    def returns(self) -> bool:
        """Whether the store that was open is to stay so if the task dies here."""
        points = list(SWITCHES[self.switch])
        return points.index(self.point) < points.index(NO_RETURN[self.switch])


# There and back by turns: where one ends the next begins.
DEATHS = [
    Death(switch, point, who)
    for points in zip(CUTOVER, ROLLBACK, strict=True)
    for who in (TASK, *MORTAL, *WIRES)
    for switch, point in zip(SWITCHES, points, strict=True)
]
AIRFLOW_DEATHS = [Death("cutover", point, who) for point in HELD for who in OF_AIRFLOW]
SHORT_DEATHS = (
    Death("cutover", "all applied", "network to legacy"),
    Death("cutover", "legacy fenced", TASK),
    Death("rollback", "new shop's fence not committed", TASK),
    Death("rollback", "legacy open, route not turned", "network to the new shop"),
)
