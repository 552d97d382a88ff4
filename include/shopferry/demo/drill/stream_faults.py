"""Faults of servers and of the stream: what stands still, what is held open, what went beside the log."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field

import psutil
import psycopg

from shopferry.demo.drill.fault import CUTOVER
from shopferry.demo.drill.ground import Ground
from shopferry.health.problems import RUNBOOK, Code
from shopferry.route.route import Route
from shopferry.verify.unlogged import find_unlogged


@dataclass
class ConsumerStopped:
    """Somebody has stopped the consumer, and nobody starts it again."""

    title: str = "the consumer does not run: nothing is replayed into the new shop"
    shows: str = "`shopferry status`: consumer … was last seen … s ago; gate *consumer alive*"
    remedy: str = "start it, `shopferry stack up --without airflow`: it goes on exactly where it stopped"
    runbook: str = f"{RUNBOOK}#{Code.CONSUMER_SILENT}"

    def plant(self, ground: Ground) -> None:
        ground.stop("sync")

    def is_seen(self, ground: Ground) -> bool:
        return bool({Code.CONSUMER_SILENT, Code.CONSUMER_STOPPED} & ground.list_complaints())

    def mend(self, ground: Ground) -> None:
        ground.run("stack", "up", "--without", "airflow")

    def is_gone(self, ground: Ground) -> bool:
        return ground.find_process("sync") is not None and ground.flows()


@dataclass
class ConnectorFrozen:
    """The connector's process is there and does nothing, as after a SIGSTOP or on a host that swaps."""

    title: str = "the connector runs and sends nothing: changes stay in legacy's log"
    shows: str = (
        "`shopferry gates`: *stream caught up* not met, though `shopferry stack status` says RUNNING; `ps` says T"
    )
    remedy: str = "let it go on (`kill -CONT PID`) or end it (`kill -9 PID`: it is started again); no change is lost"
    runbook: str = f"{RUNBOOK}#{Code.SLOT_INACTIVE}"
    _pid: int = 0

    def plant(self, ground: Ground) -> None:
        self._pid = ground.find_process("connector") or 0
        os.kill(self._pid, signal.SIGSTOP)

    def is_seen(self, ground: Ground) -> bool:
        return "stream caught up" in ground.list_unmet()

    def mend(self, ground: Ground) -> None:
        ground.say(f"$ kill -CONT {self._pid}")
        os.kill(self._pid, signal.SIGCONT)

    def is_gone(self, ground: Ground) -> bool:
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(self._pid).status() == psutil.STATUS_STOPPED:
                return False
        return ground.flows()


@dataclass
class OldTransaction:
    """A report has begun a transaction in legacy and forgot it: the lock would wait for it in vain."""

    title: str = "an old transaction is open in legacy: the critical section could not get its lock"
    shows: str = "`shopferry gates`: *no old transaction in legacy*, with the session's number"
    remedy: str = "end it, in legacy: `SELECT pg_terminate_backend(NUMBER)`, once you know whose it is"
    runbook: str = f"{CUTOVER}#the-gates"
    _name: str = "monthly report"
    _held: list[psycopg.Connection[tuple[object, ...]]] = field(default_factory=list)

    def plant(self, ground: Ground) -> None:
        conn = psycopg.connect(ground.settings.source_dsn, application_name=self._name)  # no session of ours
        conn.execute("SELECT count(*) FROM orders")
        self._held.append(conn)

    def is_seen(self, ground: Ground) -> bool:
        return "no old transaction in legacy" in ground.list_unmet()

    def mend(self, ground: Ground) -> None:
        number = self._held[-1].info.backend_pid
        ground.say(f"legacy=# SELECT pg_terminate_backend({number})")
        with ground.legacy() as legacy:
            legacy.execute("SELECT pg_terminate_backend(%s)", (number,))

    def is_gone(self, ground: Ground) -> bool:
        try:
            self._held[-1].execute("SELECT 1")
        except psycopg.Error:
            return True
        return False


@dataclass
class BesideTheLog:
    """Somebody has rewritten a whole table of legacy, of which no log tells."""

    title: str = "a table of legacy was rewritten beside its log since the verification"
    shows: str = "`shopferry status`: has changed beside its log; gate *nothing beside the log*"
    remedy: str = "`shopferry verify` compares all of it, and `shopferry repair` mends what differs"
    runbook: str = f"{RUNBOOK}#{Code.BESIDE_LOG}"

    def plant(self, ground: Ground) -> None:
        with ground.legacy() as legacy:
            legacy.execute("VACUUM FULL addresses")

    def is_seen(self, ground: Ground) -> bool:
        return Code.BESIDE_LOG in ground.list_complaints()

    def mend(self, ground: Ground) -> None:
        ground.run("verify")

    def is_gone(self, ground: Ground) -> bool:
        with ground.legacy() as legacy, ground.shop() as shop:
            return not find_unlogged(legacy, shop, Route.load(ground.settings.route))
