"""How an application learns where to write: a small router to copy from.

Ask `where()` ahead of each piece of work. It costs no round trip: the database tells by NOTIFY when the shop has moved,
and only once a second the table is read, in case that telling was lost with a connection. When a store refuses a
write with SQLSTATE SF001, the work has not been done: call `wait()` and do it again, where `where()` says by then.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import psycopg

MOVED = "SF001"
POLL_S = 1.0


@dataclass
class Router:
    """The route as one thread of the application knows it; `dsn` is that of the new shop, where the route is kept."""

    dsn: str
    route: str
    store: str = "legacy"  # where to write until we know better
    version: int = 0
    _conn: psycopg.Connection | None = None  # in no transaction, ever: NOTIFY is heard between transactions only
    _read: float = float("-inf")

    def ask_store(self) -> str:
        """Return the store to write to now: 'legacy' or 'shop'."""
        self._listen(0.0)
        if time.monotonic() - self._read >= POLL_S:
            self._read_table()
        return self.store

    def wait(self, seconds: float) -> None:
        """After a refusal: wait for the shop to move, not longer than that, and then know where it is."""
        # While both stores refuse, the switch is under way; it takes about a second.
        if not self._listen(seconds):
            self._read_table()

    def close(self) -> None:
        """Let the connection go."""
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def _listen(self, seconds: float) -> bool:
        """Take in what was notified by now, or will be within these seconds; whether anything was."""
        heard = False
        if self._conn is None and time.monotonic() - self._read < POLL_S:
            time.sleep(seconds)  # the new shop was away just now: a write to legacy must not wait for it each time
            return heard
        try:
            for note in self._connect().notifies(timeout=seconds, stop_after=1):
                told = json.loads(note.payload)
                self._learn(told["store"], told["version"])
                heard = True
        except psycopg.OperationalError:
            self._go_on_without(seconds)
        return heard

    def _read_table(self) -> None:
        """Read the table."""
        try:
            row = (
                self._connect()
                .execute("SELECT active, version FROM ferry.route WHERE route = %s", (self.route,))
                .fetchone()
            )
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            row = None  # nothing is installed there yet: nothing has moved
        except psycopg.OperationalError:
            return self._go_on_without(0.0)
        self._read = time.monotonic()
        if row:
            self._learn(*row)

    def _learn(self, store: str, version: int) -> None:
        # The version only grows: an older word that arrives late is no news.
        if version >= self.version:
            self.store, self.version = store, version

    def _connect(self) -> psycopg.Connection:
        if self._conn is None or self._conn.closed:
            self._conn = psycopg.connect(self.dsn, autocommit=True, connect_timeout=10, application_name="demo router")
            self._conn.execute(f'LISTEN "shopferry_{self.route}"'.encode())
            self._read = float("-inf")  # what was notified before we listened, only the table knows
        return self._conn

    def _go_on_without(self, seconds: float) -> None:
        """Go on with what we know. Should it be wrong, the store that is closed refuses us, and nothing is lost."""
        self.close()
        self._read = time.monotonic()
        time.sleep(seconds)
