"""The ground of the crash matrix: one embedded stack with a small shop, a writer, and what must hold after a crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psutil
from live import Flow
from shopferry import db, phase_steps, stack
from shopferry.cdc.broker import EndOffsets, topics
from shopferry.cdc.proof import has_reached, send_mark
from shopferry.control import phases
from shopferry.demo import ledger, shop, writer
from shopferry.phase_steps import Options
from shopferry.retry import retrying
from shopferry.route.route import Route
from shopferry.settings import Settings
from shopferry.stack import supervisor
from shopferry.stack.state import CLUSTERS, cluster
from stacks import SharedStack, Shop
from waiting import until

CUSTOMERS = 120
RATE = 20.0
STOPPED_S = 12.0  # longer than a consumer group waits for a sign of life
OPTIONS = Options(chunk_size=100, without_rehearsal="test")
PAUSING = Path(__file__).with_name("pausing.py")
_SMART_S = 3.0
_INSTALLED = "installed"  # the new shop's database as it is before the first phase


def _fill(flow: Flow) -> None:
    """A small shop with all phases verified, and beside it the new shop's database as it was before the first phase."""
    shop.seed(flow.settings, CUSTOMERS)
    phase_steps.install(flow.settings)
    with (
        flow.paused("sync"),
        flow.paused("connector-reverse"),
        flow.paused("sync-reverse"),
        db.connect(cluster(flow.state, "shop").dsn(), "test") as conn,
    ):
        # Of those who were stopped the server may not know yet, and somebody else may look in.
        conn.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (CLUSTERS["shop"],)
        )
        conn.execute(f"CREATE DATABASE {_INSTALLED} TEMPLATE {CLUSTERS['shop']}".encode())
    for phase in flow.route.phases:
        phase_steps.run(flow.settings, phase, "test", OPTIONS, lambda _: None)


SHOP = Shop("crash", _fill)


@dataclass
class Paused:
    """Our command line, stopped at a pause point or on its way there."""

    process: subprocess.Popen[bytes]
    flag: Path
    go: Path
    log: Path

    def reach(self) -> None:
        """Wait until it is there."""
        until(lambda: self.flag.exists() or self.process.poll() is not None)
        assert self.flag.exists(), self.log.read_text()

    def end(self) -> int:
        """Let it go on and wait for its end; returns its exit code."""
        self.go.touch()
        return self.process.wait()


@dataclass
class Ground:
    """The stack and the two stores; made once, every cell finds it whole or makes it so."""

    state: stack.State
    settings: Settings
    directory: Path
    shared: SharedStack
    whole: bool = False
    _serial: Iterator[int] = field(default_factory=lambda: count(1))

    # -- from nothing, and back to it ------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Both stores as they were made, all phases verified; nothing to do when the last cell left it so."""
        if not self.whole:
            self.shared.reset(SHOP)

    def unmove(self) -> None:
        """The new shop as it was before the first phase; legacy, connector and broker as they are."""
        self.stop("sync")
        server = cluster(self.state, "shop")
        server.drop_database(CLUSTERS["shop"])
        server.create_database(CLUSTERS["shop"], _INSTALLED)
        phase_steps.resync(
            self.settings, "test"
        )  # nothing is copied yet: only the positions begin at the broker's present ends
        self.start("sync")

    def ferry(self) -> None:
        """Bring every phase through that is not."""
        for phase in Route.load(self.settings.route).phases:
            with db.connect(self.settings.target_dsn, "test") as conn:
                done = phases.load(conn, self.settings.route, phase).state == "verified"
            if not done:
                retrying(lambda p=phase: phase_steps.run(self.settings, p, "test", OPTIONS, lambda _: None))  # type: ignore[misc]

    def expire_leases(self) -> None:
        """Ten minutes later: nobody holds a phase who is not there any more."""
        with db.connect(self.settings.target_dsn, "test") as conn:
            conn.execute(b"UPDATE ferry.phase SET held_until = now() WHERE holder IS NOT NULL")

    # -- processes -------------------------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Have a server of the stack run."""
        if not self._runs(name):
            supervisor.rpc(self.state).startProcess(name, False)
        until(lambda: self._runs(name))

    def stop(self, name: str) -> None:
        """Have a server of the stack not run."""
        if self._info(name)["statename"] not in {"STOPPED", "EXITED", "FATAL"}:
            supervisor.rpc(self.state).stopProcess(name)

    def pile_up(self) -> None:
        """More changes wait in the broker than a batch takes at first."""
        slot = Route.load(self.settings.route).publication
        with db.connect(self.settings.source_dsn, "test") as legacy:
            for _ in range(1 + 2_000 // CUSTOMERS):
                legacy.execute("UPDATE customers SET last_login = coalesce(last_login, now()) + interval '1 second'")
            due = send_mark(legacy)
            until(lambda: send_mark(legacy) and has_reached(legacy, slot, due.lsn))

    def empty_broker(self) -> None:
        """The broker forgets everything; the connector goes on from what it had acknowledged."""
        self.stop("broker")
        self.start("broker")
        until(lambda: self._runs("connector"))

    @contextmanager
    def paused(self, at: str, *command: str, **environment: str) -> Iterator[Paused]:
        """Our command line, started with a pause point; killed at the end if it is still there."""
        name = str(next(self._serial))
        log = self.directory / f"{name}.log"
        flag, go = self.directory / f"{name}.flag", self.directory / f"{name}.go"
        line = [sys.executable, str(PAUSING), "--at", at, "--flag", str(flag), "--go", str(go), "--", *command]
        with log.open("w") as output:
            process = subprocess.Popen(line, stdout=output, stderr=output, env=os.environ | environment)
        try:
            yield Paused(process, flag, go, log)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    def strike(self, name: str, how: str) -> None:
        """Send a signal to all processes of a server and wait until it is back."""
        old = self._info(name)["pid"]
        family = [psutil.Process(old), *psutil.Process(old).children(recursive=True)]
        if how == "SIGSTOP":
            self.doze(family)
            return
        if how == "SIGKILL":
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        else:
            family[0].terminate()
            gone, _ = psutil.wait_procs(family[:1], timeout=_SMART_S)
            if not gone and name.endswith("-db"):
                # To PostgreSQL that means: wait for your clients. Whoever has waited long enough asks for a fast shutdown.
                with suppress(psutil.NoSuchProcess):
                    family[0].send_signal(signal.SIGINT)
        until(lambda: self._runs(name) and self._info(name)["pid"] != old)
        if name.endswith("-db"):
            until(cluster(self.state, name.removesuffix("-db")).ready)

    @staticmethod
    def doze(family: list[psutil.Process]) -> None:
        """Stop processes for longer than anybody waits for them, and let them go on."""
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        time.sleep(STOPPED_S)
        for process in reversed(family):
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def pid(self, name: str) -> int:
        """The process of a server of the stack."""
        return int(self._info(name)["pid"])

    def _info(self, name: str) -> dict[str, object]:
        return dict(supervisor.rpc(self.state).getProcessInfo(name))

    def _runs(self, name: str) -> bool:
        return self._info(name)["statename"] == "RUNNING"

    # -- writes ----------------------------------------------------------------------------------------------------

    @contextmanager
    def writer(self) -> Iterator[Path]:
        """The shop's application at work; gives the ledger of what was acknowledged."""
        number = next(self._serial)
        book = self.directory / f"{number}.jsonl"
        stop = threading.Event()
        thread = threading.Thread(
            target=writer.run, args=(self.settings, book), kwargs={"rate": RATE, "stop": stop, "seed": number}
        )
        thread.start()
        try:
            self.writes(book, 10)
            yield book
            self.writes(book, 10)  # and it still can
        finally:
            stop.set()
            thread.join()

    @staticmethod
    def writes(book: Path, more: int) -> None:
        """Wait until so many more writes are acknowledged."""
        goal = more + (len(ledger.read(book)) if book.exists() else 0)
        until(lambda: book.exists() and len(ledger.read(book)) >= goal)

    @contextmanager
    def large_transaction(self, *, committed: bool) -> Iterator[None]:
        """Go on in its middle: before its commit, or once a part of it has come to the broker."""
        begun, written = threading.Event(), threading.Event()

        def write() -> None:
            with db.connect(self.settings.source_dsn, "test") as conn, conn.transaction():
                for n in range(12):
                    conn.execute(f"UPDATE order_status_log SET note = 'n{n}'".encode())
                    if n > 3:
                        begun.set()
            written.set()

        topic = f"{self.settings.route}.public.order_status_log"
        ends = EndOffsets(self.settings, tuple(topics(Route.load(self.settings.route), ["order_status_log"])))
        before = sum(n for (t, _), n in ends().items() if t == topic)
        thread = threading.Thread(target=lambda: retrying(write))
        thread.start()
        if committed:
            written.wait()
            until(lambda: sum(n for (t, _), n in ends().items() if t == topic) > before + 100)
        else:
            begun.wait()
        try:
            yield
        finally:
            thread.join()
            ends.close()

    # -- what must hold --------------------------------------------------------------------------------------------

    def check(self, book: Path) -> None:
        """Every phase verified, no difference anywhere, every acknowledged write where it belongs."""
        route = Route.load(self.settings.route)
        for phase in route.phases:
            outcome = retrying(lambda p=phase: phase_steps.compare(self.settings, p))  # type: ignore[misc]
            assert outcome.clean, outcome.differences
        with (
            db.connect(self.settings.source_dsn, "test") as legacy,
            db.connect(self.settings.target_dsn, "test") as new,
        ):
            assert {p.phase: p.state for p in phases.load_all(new, route.name)} == dict.fromkeys(
                route.phases, "verified"
            )
            found = ledger.check(book, legacy, new)
        assert found.acknowledged > 0
        assert found.missing == []


@contextmanager
def ground(shared: SharedStack) -> Iterator[Ground]:
    """The run's stack with the matrix's shop."""
    with shared.lent(SHOP) as flow:
        made = flow.directory.with_name("crash")
        made.mkdir()
        yield Ground(flow.state, flow.settings, made, shared, whole=True)
