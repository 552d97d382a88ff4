"""The time limit of the critical section: one for all its steps, and when it is over everybody is let go."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg

from shopferry.db import Connection
from shopferry.errors import TransientError


@dataclass
class Limit:
    """What is left of the time; `close` says that the point of no return is next."""

    seconds: float
    conns: tuple[Connection, ...]
    let_go: Callable[[], None]
    _until: float = 0.0
    _over: bool = False
    _closed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def left(self) -> float:
        """Seconds until it is over."""
        return max(0.0, self._until - time.monotonic())

    def close(self) -> None:
        """From here on nothing is broken off any more. Raises TransientError when it is too late."""
        with self._lock:
            if self._over:
                raise self.failure()
            self._closed = True
        for conn in self.conns:
            conn.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")

    def failure(self) -> TransientError:
        """What the block fails with when it was broken off."""
        return TransientError(
            f"the switch was not through within {self.seconds:.0f} s: nothing was changed, writers go on as before"
        )

    def end(self) -> None:
        """Break off whatever the block is at, and let everybody go; nothing after `close`."""
        with self._lock:
            if self._closed:
                return
            self._over = True
        for conn in self.conns:
            # Not by a cancel: that would miss whoever is between two statements, or waits for a server that hangs.
            with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(conn.fileno())) as wire:
                wire.shutdown(socket.SHUT_RDWR)
        self.let_go()

    @property
    def over(self) -> bool:
        """Whether the block was broken off."""
        return self._over


@contextmanager
def limited(seconds: float, *conns: Connection, let_go: Callable[[], None]) -> Iterator[Limit]:
    """Give the block so many seconds until it calls `close`; then its connections are cut, whatever they wait for.

    Raises TransientError in the place of what that leads to. The servers have the same limit for each statement and each
    pause between two: should this machine vanish, they undo the block themselves.
    """
    limit = Limit(seconds, conns, let_go)
    for conn in conns:
        ms = int(seconds * 1000)
        conn.execute(f"SET statement_timeout = {ms}; SET idle_in_transaction_session_timeout = {ms}".encode())
    limit._until = time.monotonic() + seconds
    timer = threading.Timer(seconds, limit.end)
    timer.daemon = True
    timer.start()
    try:
        yield limit
    except (psycopg.Error, OSError):
        if limit.over:
            raise limit.failure() from None
        raise
    finally:
        timer.cancel()
