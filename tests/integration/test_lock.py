"""The lock on legacy: writers wait for it and are never killed for it."""

from __future__ import annotations

import threading
import time

import pytest
from pair import ROUTE, Pair, connect
from shopferry.cutover import switch
from shopferry.errors import TransientError
from test_backfill import dsns

TABLES = [f"public.{t}" for t in ROUTE.tables]


def test_a_writer_that_goes_the_other_way_round_is_not_killed_for_a_deadlock(filled: Pair) -> None:
    """It holds the last of the tables and, when the lock has long looked for a deadlock and found none, wants the first."""
    first, last = TABLES[0], TABLES[-1]
    with connect(dsns(filled)[0]) as writer, connect(dsns(filled)[0]) as locked:
        taken, release = threading.Event(), threading.Event()
        for conn in (writer, locked):
            conn.execute(b"SET deadlock_timeout = '200ms'")

        def lock() -> None:
            with locked.transaction():
                switch.lock(locked, TABLES, 600.0)
                taken.set()
                release.wait()

        thread = threading.Thread(target=lock)
        with writer.transaction():
            writer.execute(f"DELETE FROM {last} WHERE false".encode())
            thread.start()
            waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE pid = %s AND NOT granted)"
            while filled.legacy.execute(waiting.encode(), (locked.info.backend_pid,)).fetchone() != (True,):
                pass
            time.sleep(0.4)
            writer.execute(f"DELETE FROM {first} WHERE false".encode())
            assert not taken.is_set()
        taken.wait()
        release.set()
        thread.join()


def test_a_lock_that_is_not_had_leaves_none_behind(filled: Pair) -> None:
    with connect(dsns(filled)[0]) as writer, connect(dsns(filled)[0]) as locked, writer.transaction():
        writer.execute(f"DELETE FROM {TABLES[-1]} WHERE false".encode())
        with pytest.raises(TransientError, match="did not finish within 1 s"), locked.transaction():
            switch.lock(locked, TABLES, 1.0)
        held = "SELECT count(*) FROM pg_locks WHERE pid = %s AND mode = 'ShareRowExclusiveLock'"
        assert filled.legacy.execute(held.encode(), (locked.info.backend_pid,)).fetchone() == (0,)
        filled.write(f"DELETE FROM {TABLES[0]} WHERE false")
