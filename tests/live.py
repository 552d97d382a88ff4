"""A running stack under test: both stores, the servers between them, and what must hold of them."""

from __future__ import annotations

import os
import signal
import time
import xmlrpc.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from pair import Pair
from psycopg.sql import SQL, Identifier
from shopferry import db, phase_steps, stack
from shopferry.backup import backup
from shopferry.cdc import proof
from shopferry.control import differences, offsets
from shopferry.control.differences import Difference
from shopferry.cutover import way_back
from shopferry.db import Connection
from shopferry.demo import ledger, shop
from shopferry.engine.pair import Stores
from shopferry.errors import TransientError
from shopferry.health import measure
from shopferry.health.problems import Limits, find_problems
from shopferry.phase_steps import Options
from shopferry.retry import retrying
from shopferry.route.route import Route
from shopferry.settings import Settings
from shopferry.stack import State, supervisor
from shopferry.verify.accounting import Account
from waiting import PATIENCE_S, until

LONG = " ".join(f"{(n * 7919) % 99991:x}" for n in range(1, 1800))
OTHER = " ".join(f"{(n * 104729) % 99991:x}" for n in range(1, 1800))
NOISE = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 400) i)"
TOASTED = {  # long values of each type that PostgreSQL keeps out of line
    "carried": {
        "words": NOISE,
        "docb": f"to_jsonb({NOISE})",
        "doc": f"to_json({NOISE})",
        "raw": f"convert_to({NOISE}, 'UTF8')",
        "exact": "(SELECT string_agg(((i * 7919) % 99991)::text, '')::numeric FROM generate_series(1, 4000) i)",
    },
    "lossy": {
        "words": f"ARRAY[{NOISE}, NULL]",
        "words2": NOISE,
        "numbers": "(SELECT array_agg((i * 7919) % 99991) FROM generate_series(1, 9000) i)",
    },
}
RATE = 40.0  # writes per second of the shop's application
OPTIONS = Options(chunk_size=500, without_rehearsal="test")  # of a phase


def order(number: int, status: str = "NEW", customer: int = 0) -> str:
    """A statement that inserts a good order of a guest, or of a customer."""
    return (
        "INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, payment_code, delivery_code, "
        f"created_at) VALUES ({number}, 'T-{number}', {customer}, 'guest{number}@example.com', '{status}', 10, 'PLN', "
        "'CARD', 'DPD', '2024-03-01 10:00')"
    )


def insert(legacy: Connection, table: str, number: int, sample: dict[str, object]) -> None:
    """One row of a table, with a sample's columns."""
    columns = [Identifier(c) for c in ("id", *sample)]
    legacy.execute(
        SQL("INSERT INTO {} ({}) VALUES ({})").format(
            Identifier(table), SQL(", ").join(columns), SQL(", ").join(SQL("%s") for _ in columns)
        ),
        (number, *sample.values()),
    )


def acknowledged(book: Path, store: str = "") -> int:
    """How many writes, to one store or to either, a writer's ledger says were acknowledged so far."""
    written = ledger.read(book) if book.exists() else []
    return sum(r["acknowledged"] and store in ("", r["store"]) for r in written)


@dataclass
class Flow:
    """A running stack: both stores, the servers between them, and what must hold of them."""

    settings: Settings
    state: State
    environment: Mapping[str, str]
    notes: dict[str, Any] = field(default_factory=dict)  # what was seen while it was filled
    whole: bool = False  # said by a test that leaves all as the next one may find it
    _conns: dict[str, Connection] = field(default_factory=dict)

    def close(self) -> None:
        """Let the stores go."""
        for conn in self._conns.values():
            conn.close()

    # -- the stores ------------------------------------------------------------------------------------------------

    def _conn(self, name: str, dsn: str) -> Connection:
        """A connection that is opened again when a test has restarted its server."""
        held = self._conns.get(name)
        if held is not None:
            try:
                held.execute("SELECT 1")
            except psycopg.Error:
                held.close()
        if held is None or held.closed:
            self._conns[name] = retrying(lambda: db.connect(dsn, "test"))
        return self._conns[name]

    @property
    def legacy(self) -> Connection:
        """The legacy store."""
        return self._conn("legacy", self.settings.source_dsn)

    @property
    def shop(self) -> Connection:
        """The new shop."""
        return self._conn("shop", self.settings.target_dsn)

    @property
    def directory(self) -> Path:
        """The stack's data directory."""
        return Path(self.environment["SHOPFERRY_DATA"])

    def installed(self) -> bool:
        """Whether the mirror is there, and with it something for the stream to bring."""
        return phase_steps.is_installed(self.settings)

    def armed(self) -> bool:
        """Whether the way back is installed."""
        return self.route.has_way_back and phase_steps.is_installed(self.settings.reversed)

    def move(self, customers: int) -> None:
        """A generated shop of that size in legacy, and all its phases verified and live."""
        shop.seed(self.settings, customers)
        self.ferry()

    def ferry(self) -> list[Account]:
        """Bring all phases through; returns the accounts of all tables, which must add up with no difference anywhere."""
        accounts = []
        for phase in self.route.phases:
            outcome = phase_steps.run(self.settings, phase, "test", OPTIONS, lambda _: None)
            assert outcome is not None and outcome.clean
            accounts += outcome.accounts
        for a in accounts:
            assert a.legacy_rows == a.migrated + a.quarantined + sum(a.left_out.values()), a
            assert a.unaccounted == 0, a
        return accounts

    def prepare_switch(self) -> int:
        """Both stores backed up, the way back armed: all that the gates ask for; returns the rows that arming copied."""
        backup.take_before_cutover(self.settings, "test")
        return way_back.arm(self.settings)

    @property
    def route(self) -> Route:
        """The route's mappings."""
        return Route.load(self.settings.route)

    @property
    def stores(self) -> Stores:
        """Both stores, as the engine's parts want them."""
        return Stores(self.legacy, self.shop, self.route)

    @property
    def slot(self) -> str:
        """The replication slot, and the publication."""
        return self.route.publication

    def write(self, *statements: str) -> None:
        """One transaction in legacy."""
        legacy = self.legacy
        with legacy.transaction():
            for statement in statements:
                legacy.execute(statement.encode())

    def ask(self, query: str, *args: object) -> list[tuple[Any, ...]]:
        """Rows of the new shop's database."""
        return self.shop.execute(query.encode(), args or None).fetchall()

    def one(self, query: str, *args: object) -> Any:
        """The one value of the one row; None when there is no row."""
        row = self.shop.execute(query.encode(), args or None).fetchone()
        return row[0] if row else None

    # -- the stream ------------------------------------------------------------------------------------------------

    def applied(self) -> None:
        """Return when all that legacy has committed by now is applied, and proved to be."""
        stores, waited, patience_s = self.stores, time.monotonic(), 3 * PATIENCE_S
        while True:
            try:
                with proof.broker_ends(stores, self.settings) as ends:
                    proof.await_applied(stores, ends, 5.0)
                return
            except TransientError:
                # What it stopped with stands until it is past it.
                assert not self.stopped() or time.monotonic() - waited < 30, self.stopped()
                if time.monotonic() - waited > patience_s:
                    raise

    def differences(self) -> list[Difference]:
        """What any phase's verification finds, all of it."""
        for phase in self.route.phases:
            phase_steps.compare(self.settings, phase)
        with db.connect(self.settings.target_dsn, "test") as conn:
            return [e.difference for e in differences.load(conn, self.route.name)]

    def clean(self) -> None:
        """All is applied, nothing differs anywhere, every row is accounted for."""
        self.applied()
        assert self.differences() == []

    def like_from_scratch(self) -> None:
        """The shop is what the same mappings make of the mirror when they begin with nothing."""
        self.applied()
        pair = Pair(self.legacy, self.shop)  # type: ignore[arg-type]
        live = self.route.phases
        with self.paused("sync"):
            here, there = pair.exported(live), pair.exported_from_scratch(live)
        for what in here:
            assert here[what] == there[what], what

    def find_problems(self) -> list[str]:
        """What `shopferry status` would complain of now."""
        return [str(c) for c in find_problems(measure.measure(self.settings), Limits(grace_s=0))]

    def stopped(self) -> str | None:
        """Why the consumer stopped, if it has."""
        seen = offsets.list_consumers(self.shop, self.route.name)
        return seen[0].stopped if seen else None

    def batches(self) -> int:
        """Batches applied so far."""
        return int(self.one("SELECT coalesce(max(id), 0) FROM ferry.replay_batch"))

    # -- the servers -----------------------------------------------------------------------------------------------

    def pid(self, name: str) -> int | None:
        """A server's process, while it runs."""
        return next(s.pid for s in stack.status() if s.name == name)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Signal a server and wait until the supervisor has another in its place."""
        old = until(lambda: self.pid(name))
        os.kill(old, number)
        until(lambda: self.pid(name) not in (None, old))

    def log(self, name: str) -> str:
        """What a server has written so far."""
        file = next(s.log for s in stack.status() if s.name == name)
        return file.read_text() if file.exists() else ""

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Without this server for as long as the block lasts."""
        server = supervisor.rpc(self.state)

        def stopped() -> bool:
            try:
                return bool(server.stopProcess(name))
            except xmlrpc.client.Fault:  # it has just ended by itself, and is not yet started again
                return False

        until(stopped)
        try:
            yield
        finally:
            supervisor.rpc(self.state).startProcess(name, False)  # by a connection of its own: the other may have ended
            until(lambda: self.pid(name))

    def resync(self) -> None:
        """What on-call does after changes were lost: stop the consumer, copy anew, start it again."""
        with self.paused("sync"):
            phase_steps.resync(self.settings, "test")
