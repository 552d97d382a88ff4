"""The stack that a drill runs on: both stores, the servers, and the commands that a person has."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shopferry import db, stack
from shopferry.cdc.proof import await_applied, broker_ends
from shopferry.cutover import gates
from shopferry.db import Connection
from shopferry.engine.pair import open_stores
from shopferry.errors import ShopferryError
from shopferry.health import measure, problems
from shopferry.settings import Settings
from shopferry.stack import State, supervisor

_LOOK_S = 0.5


@dataclass(frozen=True)
class Ground:
    """A running stack whose shop is ready for the cutover; `say` prints a line for those who watch."""

    settings: Settings
    state: State
    say: Callable[[str], None]

    @contextmanager
    def legacy(self) -> Iterator[Connection]:
        """Connect to legacy as the shop's application does."""
        with db.connect(self.settings.source_dsn, "drill") as conn:
            yield conn

    @contextmanager
    def shop(self) -> Iterator[Connection]:
        """Connect to the new shop as its application does."""
        with db.connect(self.settings.target_dsn, "drill") as conn:
            yield conn

    def damage(self, *statements: str) -> None:
        """Write past the new shop's fence, as a script does that claims to be ours."""
        with self.shop() as shop, shop.transaction():
            shop.execute("SET LOCAL shopferry.writer = 'ferry'")
            for statement in statements:
                shop.execute(statement.encode())

    def run(self, *words: str) -> int:
        """Run a verb as a person does in another terminal; returns its exit code."""
        self.say(f"$ shopferry {' '.join(words)}")
        command = [str(Path(sys.executable).with_name("shopferry")), *words]
        return subprocess.run(command, env=os.environ, capture_output=True).returncode

    def list_complaints(self) -> set[str]:
        """List the problems that `shopferry status` tells, by their codes."""
        return {problem.code for problem in problems.find_problems(measure.measure(self.settings))}

    def list_unmet(self) -> list[str]:
        """List the gates that `shopferry gates` says are not met."""
        return [gate.gate for gate in gates.judge(self.settings) if not gate.met]

    def flows(self) -> bool:
        """Tell whether a change of legacy reaches the new shop now."""
        try:
            with open_stores(self.settings, "drill") as stores, broker_ends(stores, self.settings) as ends:
                await_applied(stores, ends, timeout_s=gates.LAG_LIMIT_S)
        except ShopferryError:
            return False
        return True

    def find_process(self, server: str) -> int | None:
        """Find a server's process; None while it does not run."""
        return next(service.pid for service in stack.status() if service.name == server)

    def stop(self, server: str) -> None:
        """Stop a server, so that its supervisor does not start it again."""
        supervisor.rpc(self.state).stopProcess(server)


def await_true(ask: Callable[[], bool], patience_s: float) -> bool:
    """Ask until the answer is yes, or the patience is over; returns the last answer."""
    until = time.monotonic() + patience_s
    while not (answer := ask()) and time.monotonic() < until:
        time.sleep(_LOOK_S)
    return answer
