"""The shop's application, as the migration sees it: writes all day, to the store that the route names.

    python -m shopferry.demo.writer --rate 50 --ledger PATH [--stop-file PATH]

Its router tells it which (see `router`). Every acknowledged write is noted in the ledger with what must be found from then
on (see `ledger`). A write that is refused because the store is fenced, or whose connection breaks, is tried again for 30 s;
then it has failed for the user. SIGTERM, SIGINT or the stop file end it cleanly: writes under way are finished and noted.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final, TextIO

import psycopg

from shopferry import db, logs, signals
from shopferry.demo.router import MOVED, Router
from shopferry.errors import StackError
from shopferry.retry import describe, is_transient
from shopferry.settings import SQL_ROOT, Settings

log = logging.getLogger(__name__)

GIVE_UP_AFTER_S = 30.0
WORKERS = 4  # one blocked write must not hide the others
_RETRY_S = 0.1
_WEIGHTS: Final = {
    "sign_up": 12,
    "change_phone": 5,
    "change_email": 4,
    "leave": 1,
    "add_address": 6,
    "change_address": 5,
    "delete_address": 2,
    "consent": 6,
    "withdraw": 3,
    "wish": 3,
    "order": 22,
    "status": 24,
    "delete_order": 1,
    "earn": 6,
    "spend": 4,
    "reward": 3,
    "take_reward": 2,
    "promotion": 1,
    "use_promotion": 2,
}
_GIVEN = ("Anna", "Jan", "Zofia", "Łukasz", "Małgorzata", "Stanisław", "Żaneta", "Paweł")
_FAMILY = ("Kowalska", "Nowak", "Wiśniewska", "Wójcik", "Żółtowska", "Lewandowski", "Dąbrowska", "Szymański")
_PLACES = (
    ("00-950", "Warszawa"),
    ("31-001", "Kraków"),
    ("80-001", "Gdańsk"),
    ("90-001", "Łódź"),
    ("50-001", "Wrocław"),
)


@dataclass
class Ledger:
    """The file of acknowledged writes, one JSON object a line, safe to use from several threads."""

    file: TextIO
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, record: dict[str, Any]) -> None:
        """Append one record and hand it to the operating system: a killed writer loses none that it noted."""
        with self._lock:
            self.file.write(json.dumps(record, ensure_ascii=False) + "\n")
            self.file.flush()


@dataclass
class Worker:
    """One connection's worth of the application: it does one write after the other and owns the rows of its number."""

    number: int
    workers: int
    settings: Settings
    ledger: Ledger
    stop: threading.Event
    rng: Random
    _router: Router = field(init=False)
    _connections: dict[str, db.Connection] = field(default_factory=dict)
    _queries: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._router = Router(self.settings.target_dsn, self.settings.route)
        self._queries = {
            store: db.load_queries(SQL_ROOT / self.settings.route / f"writer_{store}.sql")
            for store in ("legacy", "shop")
        }

    def run(self, rate: float) -> None:
        """Write at `rate` per second until told to stop; what could not be done in time is not caught up."""
        due = time.monotonic()
        while not self.stop.is_set():
            self.write()
            due = max(due + 1 / rate, time.monotonic())
            self.stop.wait(due - time.monotonic())
        for connection in self._connections.values():
            connection.close()
        self._router.close()

    def write(self) -> None:
        """Do one action, tried again until it is acknowledged or the user would have gone, and note it."""
        kind = self.rng.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        started, clock = time.time(), time.monotonic()
        attempts, error = 0, None
        facts: list[Any] = []
        xact: int | None = None
        while True:
            attempts += 1
            store = self._router.ask_store()
            version = self._router.version
            try:
                facts, xact = self._attempt(store, kind)
                error = None
                break
            except (psycopg.Error, OSError) as fault:
                error = describe(fault)
                self._drop_broken(fault)
                if not (is_transient(fault) or _is_moved(fault)) or time.monotonic() - clock > GIVE_UP_AFTER_S:
                    log.warning("failed for the user: %s", error, extra={"kind": kind})
                    break
                self._router.wait(_RETRY_S)
        if not facts and error is None:
            return  # there was nothing to do it to
        self.ledger.note(
            {
                "write": uuid.uuid4().hex[:12],
                "kind": kind,
                "store": store,
                "version": version,
                "worker": self.number,
                "xact": xact,
                "facts": facts,
                "started": round(started, 4),
                "acknowledged": None if error else round(time.time(), 4),
                "ms": round((time.monotonic() - clock) * 1000, 1),
                "attempts": attempts,
                "error": error,
            }
        )

    def _attempt(self, store: str, kind: str) -> tuple[list[Any], int]:
        """Do it in a transaction of its own; returns the facts and the transaction's number in that store."""
        postcode, city = self.rng.choice(_PLACES)
        token = uuid.uuid4().hex[:14]
        values = {
            "worker": self.number,
            "workers": self.workers,
            "dice": self.rng.random(),
            "token": token,
            "email": f"{token}@writer.example.com",
            "given": self.rng.choice(_GIVEN),
            "family": self.rng.choice(_FAMILY),
            "phone": f"+48601{self.rng.randrange(1_000_000):06d}",
            "street": f"ul. Świętojańska {self.rng.randrange(1, 999)}",
            "postcode": postcode,
            "city": city,
            "hash": f"$2y$10${token:.<53}",
            "channel": self.rng.choice(("sms", "phone", "post")),
            "frequency": self.rng.choice(("never", "monthly", "weekly", "all")),
            "price": self.rng.randrange(500, 20_000) / 100,
            "points": self.rng.randrange(1, 30),
        }
        conn = self._connect(store)
        with conn.transaction(), conn.pipeline():
            facts = conn.execute(self._queries[store][kind], values, prepare=True)
            xact = conn.execute("SELECT pg_current_xact_id()::text::bigint", prepare=True)
        return [fact for (fact,) in facts.fetchall()], xact.fetchall()[0][0]

    def _connect(self, store: str) -> db.Connection:
        if store not in self._connections or self._connections[store].closed:
            dsn = self.settings.source_dsn if store == "legacy" else self.settings.target_dsn
            self._connections[store] = db.connect(dsn, f"demo writer {self.number}")
        return self._connections[store]

    def _drop_broken(self, fault: BaseException) -> None:
        """Give up connections that may be broken, so that the next attempt opens new ones."""
        if isinstance(fault, (psycopg.OperationalError, psycopg.InterfaceError, OSError)):
            for store, connection in list(self._connections.items()):
                if connection.closed or connection.broken:
                    del self._connections[store]


def _is_moved(fault: BaseException) -> bool:
    return isinstance(fault, psycopg.Error) and fault.sqlstate == MOVED


def run(
    settings: Settings,
    ledger: Path,
    *,
    rate: float = 50.0,
    stop: threading.Event,
    workers: int = WORKERS,
    seed: int = 7,
) -> None:
    """Write at `rate` per second to the active store until `stop` is set; appends to the ledger file."""
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with ledger.open("a", encoding="utf-8") as file:
        book = Ledger(file)
        crew = [
            Worker(number, workers, settings, book, stop, Random(f"{seed}/{number}"))  # noqa: S311
            for number in range(workers)
        ]
        threads = [threading.Thread(target=w.run, args=(rate / workers,), name=f"writer {w.number}") for w in crew]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


@contextmanager
def run_beside(
    ledger: Path, rate: float, *, workers: int = WORKERS, seed: int = 7, environment: Mapping[str, str] = os.environ
) -> Iterator[None]:
    """Run the writer in a process of its own for as long as the block lasts, which begins once it has written.

    Its log is `writer.log` beside the ledger. Raises StackError when it ends before the block does.
    """
    ledger.parent.mkdir(parents=True, exist_ok=True)
    told = ledger.with_name("writer.log")
    before = ledger.stat().st_size if ledger.exists() else 0
    command = [
        sys.executable,
        "-m",
        "shopferry.demo.writer",
        "--ledger",
        str(ledger),
        "--rate",
        str(rate),
        "--workers",
        str(workers),
        "--seed",
        str(seed),
    ]
    with told.open("a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        while process.poll() is None and not (ledger.exists() and ledger.stat().st_size > before):
            time.sleep(0.05)
        yield
        if process.poll() is not None:
            raise StackError(f"the writer ended with exit code {process.returncode}: see {told}")
    finally:
        process.terminate()
        process.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the writer as a process until SIGTERM, SIGINT or the stop file."""
    parser = argparse.ArgumentParser(prog="python -m shopferry.demo.writer", description=__doc__)
    parser.add_argument("--rate", type=float, default=50.0, help="writes per second")
    parser.add_argument("--ledger", type=Path, required=True, help="JSON lines file of acknowledged writes")
    parser.add_argument("--stop-file", type=Path, help="end when this file exists")
    parser.add_argument("--workers", type=int, default=WORKERS, help="connections that write at once")
    parser.add_argument("--seed", type=int, default=7, help="of the dice")
    options = parser.parse_args(arguments)
    logs.configure()
    stop = signals.set_on_signals()
    runner = threading.Thread(
        target=run,
        args=(Settings.load(), options.ledger),
        kwargs={"rate": options.rate, "stop": stop, "workers": options.workers, "seed": options.seed},
    )
    runner.start()
    while runner.is_alive():
        runner.join(0.1)
        if options.stop_file and options.stop_file.exists():
            stop.set()


if __name__ == "__main__":
    main()
