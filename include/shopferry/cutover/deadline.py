"""The time limit of the critical section: whatever a store or a network does, it ends, and everybody is let go."""

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

LIMIT_S = (
    10.0  # for all that keeps writers waiting before a store is fenced, then it goes on; and for what is left after
)


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
        """The time runs anew from here: what came before kept no writer waiting."""
        self.stop()
        self._until = time.monotonic() + self.seconds
        self._timer = threading.Timer(self.seconds, self._end, (self._past_no_return,))
        self._timer.daemon = True
        self._timer.start()

    def pass_no_return(self) -> None:
        """From here on there is only forward, with the time anew. Raises TransientError when it is too late for that."""
        with self._lock:
            if self._over:
                raise self.failure()
            self._past_no_return = True
        self.begin()

    def left(self) -> float:
        """Seconds until it is over."""
        return max(0.0, self._until - time.monotonic())

    def failure(self) -> TransientError:
        """What the block fails with when it was broken off."""
        told = (
            "one store may be closed and the other not open yet, the next try completes it"
            if self._past_no_return
            else "nothing was changed, writers go on as before"
        )
        return TransientError(f"the switch was not through within {self.seconds:.0f} s: {told}")

    def stop(self) -> None:
        """The time runs no more."""
        if self._timer:
            self._timer.cancel()

    @property
    def over(self) -> bool:
        """Whether the block was broken off."""
        return self._over

    def _end(self, past_no_return: bool) -> None:
        """Break off whatever the block is at, and let everybody go."""
        with self._lock:
            if self._past_no_return and not past_no_return:
                return  # it has just begun to go on
            self._over = True
        for conn in self.conns:
            # Not by a cancel: that would miss whoever is between two statements, or waits for a server that hangs.
            with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(conn.fileno())) as wire:
                wire.shutdown(socket.SHUT_RDWR)
        if not past_no_return:
            self.let_go()


@contextmanager
def limited(seconds: float, *conns: Connection, let_go: Callable[[], None]) -> Iterator[Deadline]:
    """Give the block so many seconds, the same anew from its `begin` and its `pass_no_return`; then its connections are cut.

    Raises TransientError in the place of what that leads to. The servers have the same limit for each statement and each
    pause in a transaction: should this machine vanish, or the network, they undo the block themselves.
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
