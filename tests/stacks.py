"""One running stack for a whole test session: reset from copies of its stores instead of booted again.

A shop that tests begin with is made once, from a stack with two empty stores. What it consists of is then copied while its
servers are down: both PostgreSQL clusters, and the files that belong to them. So a reset brings back not only rows, but also
slots, origins, the servers' own settings and the log's positions. The broker keeps nothing on disk: after a reset it is empty,
and both flows begin with no position, as after an installation.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import xmlrpc.client
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from live import Flow
from looks import Look, differing, look
from shopferry import stack
from shopferry.cdc import proof
from shopferry.settings import SQL_ROOT, Settings, stack_state
from shopferry.stack import airflow, state, supervisor
from waiting import until

_STORES = ("legacy", "shop")
# Of the data directory, what is the stack's own and not a shop's.
_STANDING = {
    "airflow",
    "lock",
    "log",
    "pg",
    "run",
    "stack.json",
    "supervisor.conf",
    "supervisor.pid",
    "supervisor.sock",
}


@dataclass(frozen=True)
class Shop:
    """What both stores hold when a test begins. `fill` makes it from empty ones; `environment` is what its stack runs with."""

    name: str
    fill: Callable[[Flow], object]
    environment: Mapping[str, str] = field(default_factory=dict)


EMPTY = Shop("empty", lambda flow: None)


@contextmanager
def here(environment: Mapping[str, str]) -> Iterator[None]:
    """This process belongs to the stack that these variables name, for as long as the block lasts."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


@dataclass
class SharedStack:
    """The run's stack; `directory` is its data directory."""

    directory: Path
    made: dict[str, Look] = field(default_factory=dict)  # what each shop looked like before anything was reset
    _notes: dict[str, dict[str, Any]] = field(default_factory=dict)  # of each shop, what was seen while it was filled
    _last: Shop | None = None
    _flow: Flow | None = None  # of a test that has left all as it found it
    _compared: bool = False

    @contextmanager
    def lent(self, shop: Shop, *, fresh: bool = True) -> Iterator[Flow]:
        """The stack with this shop as it was made, whatever was done to it before.

        Without `fresh` it may be as another test has left it that borrowed the same shop, and says that it left all `whole`.
        """
        with here(self._environment(shop)):
            if fresh or self._flow is None or self._last is not shop:
                self._end_airflow()
                self.reset(shop)
            flow = self._flow or Flow(
                Settings.load(), stack_state(), self._environment(shop), self._notes.get(shop.name, {})
            )
            self._flow, flow.whole = None, False
            try:
                yield flow
            finally:
                flow.close()
                self._flow = flow if flow.whole else None

    def reset(self, shop: Shop) -> None:
        """Bring that shop back, made first where this run has none; returns when the connector streams.

        Airflow goes on, if it runs.
        The first time it compares what came back with what was made.
        """
        self._flow, self._last = None, shop
        again = (self._kept / shop.name).exists()
        if again:
            self._rest()
            self._restore(self._kept / shop.name)
        else:
            self.make(shop)
        stack.up(without={"airflow"})
        if again and not self._compared:
            self.compare(shop)
            self._compared = shop.name in self.made

    def compare(self, shop: Shop) -> None:
        """Fail where the stack, just reset, is another than the one in which this shop was made."""
        if shop.name in self.made:
            flow = Flow(Settings.load(), stack_state(), self._environment(shop))
            try:
                self._catch_up(flow)
                found = differing(self.made[shop.name], look(flow))
                assert not found, found
            finally:
                flow.close()

    def make(self, shop: Shop) -> None:
        """Fill empty stores with this shop and keep a copy; its servers are down then."""
        if shop is EMPTY:
            made = state.prepare(None, running=False)
            for name in _STORES:
                state.cluster(made, name).init()
        else:
            self.reset(EMPTY)
            self._fill(shop)
            self._last = shop
        for name in self._files():
            _copy(self.directory / name, self._kept / shop.name / name)

    def end(self) -> None:
        """Compare a last reset with what was made, stop all that runs, remove its data."""
        if self._last is None:
            return
        with here(self._environment(self._last)):
            try:
                if self._compared:
                    self._end_airflow()  # no shop was made with it
                    self.reset(self._last)
                    self.compare(self._last)
            finally:
                stack.down(purge=True)

    @property
    def _kept(self) -> Path:
        return self.directory.with_name(f"{self.directory.name}-kept")

    def _environment(self, shop: Shop) -> dict[str, str]:
        own = {"SHOPFERRY_DATA": str(self.directory), "SHOPFERRY_ROUTE": "demo", "SHOPFERRY_ROUTES": str(SQL_ROOT)}
        return own | dict(shop.environment)

    def _fill(self, shop: Shop) -> None:
        flow = Flow(Settings.load(), stack_state(), self._environment(shop))
        try:
            shop.fill(flow)
            self._catch_up(flow)
            self.made[shop.name] = look(flow)
        finally:
            flow.close()
        self._notes[shop.name] = flow.notes
        self._rest(lambda: self._forget_positions(flow.settings))

    def _files(self) -> list[str]:
        """What a shop consists of, below the data directory."""
        own = sorted(f.name for f in self.directory.iterdir() if f.name not in _STANDING)
        return [*(f"pg/{name}" for name in _STORES), *own]

    def _restore(self, copy: Path) -> None:
        for name in self._files():
            there = self.directory / name
            shutil.rmtree(there) if there.is_dir() else there.unlink(missing_ok=True)
        for name in (*(f"pg/{name}" for name in _STORES), *(f.name for f in copy.iterdir() if f.name != "pg")):
            _copy(copy / name, self.directory / name)

    @staticmethod
    def _catch_up(flow: Flow) -> None:
        """Both flows, or the one that is installed, have applied all."""
        flow.applied()
        if flow.armed():
            proof.await_both(flow.settings)

    @staticmethod
    def _forget_positions(settings: Settings) -> None:
        """The broker will be another: both flows begin with it."""
        for dsn in (settings.source_dsn, settings.target_dsn):
            with psycopg.connect(dsn, autocommit=True) as conn:
                if conn.execute("SELECT to_regclass('ferry.kafka_offset')").fetchone() != (None,):
                    conn.execute("DELETE FROM ferry.kafka_offset")
                for _ in range(2):  # the log before it is of no use, and would be copied each time
                    conn.execute("SELECT pg_switch_wal()")
                    conn.execute("CHECKPOINT")

    @staticmethod
    def _end_airflow() -> None:
        """Who borrows the stack begins without Airflow, whatever the one before had started."""
        if supervisor.is_running(stack_state()):
            _stop(supervisor.rpc(stack_state()), list(airflow.PROGRAMS))

    def _rest(self, meanwhile: Callable[[], None] | None = None) -> None:
        """Stop the servers of both flows, then the stores; between the two goes what is done `meanwhile`."""
        if not supervisor.is_running(stack_state()):
            return
        server = supervisor.rpc(stack_state())
        names = [s.name for s in stack.status() if not s.name.startswith("airflow")]
        if meanwhile:
            _stop(server, [n for n in names if n not in {f"{name}-db" for name in _STORES}])
            meanwhile()
        _stop(server, names)
        for name in names:
            with suppress(xmlrpc.client.Fault):  # it never ran
                server.clearProcessLogs(name)


def _stop(server: Any, names: list[str]) -> None:
    """Stop these servers at the same time, whatever the supervisor is about to do with them."""

    def stopped() -> bool:
        left = [i["name"] for i in server.getAllProcessInfo() if i["statename"] not in {"STOPPED", "FATAL"}]
        for name in (left := [name for name in left if name in names]):
            with suppress(xmlrpc.client.Fault):  # it is stopping, or between two starts
                server.stopProcess(name, False)
        return not left

    until(stopped)


def _copy(source: Path, target: Path) -> None:
    """With the owners, since PostgreSQL's files may belong to another account."""
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)
