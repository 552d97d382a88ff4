"""The deadline of the critical section: what each start of the time gives to our clock and to the servers'."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from pair import connect
from shopferry.cutover.deadline import limited
from shopferry.errors import TransientError


def test_the_servers_count_from_each_start_too(make_db: Callable[..., str]) -> None:
    """Each store ends a transaction that is idle for the limit: it must not count what came before the time began again."""
    dsn = make_db()
    with connect(dsn) as looking, connect(dsn) as closes, connect(dsn) as opens:
        pids = [closes.info.backend_pid, opens.info.backend_pid]
        idle = "SELECT pid, state_change FROM pg_stat_activity WHERE pid = ANY(%s) AND state = 'idle in transaction' ORDER BY 1"
        with limited(60.0, closes, opens, let_go=lambda: None) as deadline, closes.transaction(), opens.transaction():
            before = dict(looking.execute(idle, (pids,)).fetchall())
            assert set(before) == set(pids)
            deadline.begin()
            after = dict(looking.execute(idle, (pids,)).fetchall())
            assert all(after[pid] > before[pid] for pid in pids)


def test_a_block_that_takes_too_long_is_cut_and_lets_writers_go(make_db: Callable[..., str]) -> None:
    let_go: list[bool] = []
    with (
        connect(make_db()) as conn,
        pytest.raises(TransientError, match="not through within 1 s: nothing was changed, writers go on as before"),
        limited(1.0, conn, let_go=lambda: let_go.append(True)),
    ):
        time.sleep(1.5)
        conn.execute("SELECT 1")
    assert let_go == [True]
