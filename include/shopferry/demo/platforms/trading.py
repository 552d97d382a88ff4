"""Oscar in use beside the move: a process that trades, and the ledger of what it was told is done."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shopferry.demo.platforms.provision import OSCAR, Platforms, oscar_environment
from shopferry.errors import StackError


@dataclass(frozen=True)
class Write:
    """A write that Oscar has acknowledged."""

    what: str
    key: str
    values: dict[str, Any]


@dataclass
class Booked:
    """The ledger, read: of each thing the last word that was acknowledged."""

    orders: dict[str, dict[str, Any]] = field(default_factory=dict)  # by number
    states: dict[str, str] = field(default_factory=dict)
    paid: dict[str, str] = field(default_factory=dict)
    refunded: dict[str, str] = field(default_factory=dict)
    events: dict[str, set[str]] = field(default_factory=dict)
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)  # by key, without those that were deleted
    deleted: set[str] = field(default_factory=set)  # e-mails
    addresses: dict[str, dict[str, Any]] = field(default_factory=dict)
    writes: int = 0

    def note(self, write: Write) -> None:
        """Take in one more write."""
        key, values = write.key, write.values
        self.writes += 1
        if write.what == "order":
            self.orders[key] = values
        elif write.what == "state":
            self.states[key] = values["status"]
        elif write.what == "payment":
            self.paid[key] = values["paid"]
        elif write.what == "refund":
            self.refunded[key] = values["refunded"]
        elif write.what == "shipping":
            self.events.setdefault(key, set()).add(values["event"])
        elif write.what in {"account", "password"}:
            self.accounts[key] = self.accounts.get(key, {}) | values
        elif write.what == "address":
            self.addresses[key] = values
        elif write.what == "deletion":
            gone = self.accounts.pop(key)["email"]
            self.deleted.add(gone)
            self.addresses = {k: a for k, a in self.addresses.items() if a["email"] != gone}
        else:
            raise ValueError(f"the ledger has a write of an unknown kind: {write.what}")


def read_ledger(file: Path) -> Booked:
    """Read the ledger's file."""
    booked = Booked()
    for line in file.read_text().splitlines():
        found = json.loads(line)
        booked.note(Write(found["what"], found["key"], found["values"]))
    return booked


@dataclass
class Trade:
    """A process of Oscar's that people trade in; `done` counts its acts, once it has ended."""

    process: subprocess.Popen[str]
    done: dict[str, int] = field(default_factory=dict)

    def end(self) -> None:
        """Wait until it has ended: of itself where its store is closed."""
        output, errors = self.process.communicate(timeout=120)
        if self.process.returncode:
            raise StackError(f"Oscar ended with {self.process.returncode}: {errors[-3000:]}")
        self.done = json.loads(output)


@contextmanager
def trading(platforms: Platforms, dsn: str, ledger: Path, *, rate: float, seed: int) -> Iterator[Trade]:
    """Let people trade in Oscar for as long as the block lasts, or until the store is closed."""
    command = [str(platforms.oscar_python), str(OSCAR / "run.py"), "trade", "--ledger", str(ledger)]
    process = subprocess.Popen(
        [*command, "--rate", str(rate), "--seed", str(seed)],
        env=oscar_environment(dsn),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    trade = Trade(process)
    try:
        yield trade
    except BaseException:
        process.kill()
        process.communicate()
        raise
    process.send_signal(signal.SIGTERM)
    trade.end()
