"""The lock on legacy: writers wait for it and are never killed for it."""

from __future__ import annotations

import threading
import time

import pytest
from pair import ROUTE, Pair, connect
from shopferry.cutover import locks
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
                locks.lock(locked, TABLES, 600.0)
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
            locks.lock(locked, TABLES, 1.0)
        held = "SELECT count(*) FROM pg_locks WHERE pid = %s AND mode = 'ShareRowExclusiveLock'"
        assert filled.legacy.execute(held.encode(), (locked.info.backend_pid,)).fetchone() == (0,)
        filled.write(f"DELETE FROM {TABLES[0]} WHERE false")


@pytest.mark.fresh
def test_autovacuum_leaves_for_it_and_stays_away(filled: Pair) -> None:
    filled.write(
        "CREATE TABLE bulky (id integer, filler char(1000)) WITH (autovacuum_vacuum_threshold = 0, "
        "autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)",
        "INSERT INTO bulky SELECT generate_series(1, 5000), ''",
        "DELETE FROM bulky",
    )
    at_it = """SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
               WHERE l.relation = 'bulky'::regclass AND a.backend_type = 'autovacuum worker'"""
    filled.legacy.execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
    filled.legacy.execute("SELECT pg_reload_conf()")
    try:
        while filled.legacy.execute(at_it.encode()).fetchone() == (0,):
            time.sleep(0.1)
        with connect(dsns(filled)[0]) as locked, locked.transaction():
            locks.keep_vacuum_out(locked, ["public.bulky"], "legacy")
            assert filled.legacy.execute(at_it.encode()).fetchone() == (0,)
            filled.write("INSERT INTO bulky VALUES (1)")  # no writer notices
            locks.lock(locked, ["public.bulky"], 1.0)
    finally:
        filled.legacy.execute("ALTER SYSTEM RESET autovacuum_naptime")
        filled.legacy.execute("SELECT pg_reload_conf()")


def test_who_else_vacuums_or_alters_a_table_is_named(filled: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_YIELD_S", 0.5)
    with connect(dsns(filled)[0]) as other, connect(dsns(filled)[0]) as locked, other.transaction():
        other.execute("SET application_name = 'night job'")
        other.execute("LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE")
        with (
            pytest.raises(
                TransientError, match=r"legacy: a VACUUM, .* \(\d+ client backend night job\): nothing was changed"
            ),
            locked.transaction(),
        ):
            locks.keep_vacuum_out(locked, TABLES, "legacy")
