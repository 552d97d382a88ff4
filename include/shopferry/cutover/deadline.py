"""The deadline of the critical section: it ends in time, whatever a store or a network does, and writers go on."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg
from psycopg.pq import TransactionStatus

from shopferry.db import Connection
from shopferry.errors import TransientError

# For all that keeps writers waiting before a store is fenced, and as much again for what is left after that.
LIMIT_S = 10.0


@dataclass
class Deadline:
    """One time limit for all steps up to the point of no return, and as much again for those after it."""

    seconds: float
    conns: tuple[Connection, ...]
    let_go: Callable[[], None]
    _until: float = float("inf")
    _over: bool = False
    _past_no_return: bool = False
    _timer: threading.Timer | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self) -> None:
        """Start the time again from here: what came before kept no writer waiting."""
        self.stop()
        for conn in self.conns:
            # A transaction that has waited for others meanwhile is not idle to us, and its server counts from its last statement.
            if conn.info.transaction_status is TransactionStatus.INTRANS:
                conn.execute("SELECT 1")
        self._until = time.monotonic() + self.seconds
        self._timer = threading.Timer(self.seconds, self._end, (self._past_no_return,))
        self._timer.daemon = True
        self._timer.start()

    def pass_no_return(self) -> None:
        """Pass the point of no return, and start the time again. Raises TransientError when the time is over."""
        with self._lock:
            if self._over:
                raise self.failure()
            self._past_no_return = True
        self.begin()

    def left(self) -> float:
        """Seconds that are left."""
        return max(0.0, self._until - time.monotonic())

    def failure(self) -> TransientError:
        """The error of a block that was broken off."""
        told = (
            "one store may be closed and the other not open yet, the next try completes it"
            if self._past_no_return
            else "nothing was changed, writers go on as before"
        )
        return TransientError(f"the switch was not through within {self.seconds:.0f} s: {told}")

    def stop(self) -> None:
        """Stop the time."""
        if self._timer:
            self._timer.cancel()

    @property
    def over(self) -> bool:
        """Whether the block was broken off."""
        return self._over

    def _end(self, past_no_return: bool) -> None:
        """Break off what the block is doing, and let waiting writers go."""
        with self._lock:
            if self._past_no_return and not past_no_return:
                return  # the point of no return was passed just now, and the time runs again
            self._over = True
        for conn in self.conns:
            # Not by a cancel: that would miss a connection between two statements, or one that waits for a server that hangs.
            with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(conn.fileno())) as wire:
                wire.shutdown(socket.SHUT_RDWR)
        if not past_no_return:
            self.let_go()


@contextmanager
def limited(seconds: float, *conns: Connection, let_go: Callable[[], None]) -> Iterator[Deadline]:
    """Give the block so many seconds, again from `begin` and from `pass_no_return`; then its connections are cut.

    Raises TransientError instead of the errors that the cut leads to. The servers have the same limit for each statement and
    each pause in a transaction: if this machine or the network vanishes, they undo the block themselves.
    """
    deadline = Deadline(seconds, conns, let_go)
    deadline.begin()
    ms = int(seconds * 1000)
    try:
        for conn in conns:
            conn.execute(f"SET statement_timeout = {ms}; SET idle_in_transaction_session_timeout = {ms}".encode())
        yield deadline
    except (psycopg.Error, OSError):
        if deadline.over:
            raise deadline.failure() from None
        raise
    finally:
        deadline.stop()
