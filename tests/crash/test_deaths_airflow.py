"""Airflow's own processes die while its task cuts over: what the task had begun is undone or completed all the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest
from bridge import Bridge, Sentry
from cells import AIRFLOW_DEATHS, HELD, Death
from shopferry import db
from shopferry.demo.airflow_client import AirflowClient
from test_matrix import WHOLE
from waiting import until

pytestmark = [
    pytest.mark.stack,
    pytest.mark.airflow,
    pytest.mark.skipif(not WHOLE, reason="boots Airflow and waits for its time-outs: make death-table"),
]
PATIENCE_S = 1_800
# Before the lock there is nothing of ours to wait for but legacy's tables; after the fence, the row of the route.
_BLOCKS = {HELD[0]: "LOCK TABLE public.customers IN ROW EXCLUSIVE MODE", HELD[1]: "SELECT FROM ferry.route FOR UPDATE"}


@contextmanager
def held(bridge: Bridge, point: str) -> Iterator[int]:
    """Have the task of the cutover wait at this point; gives its process, once it waits."""
    dsn = bridge.settings.source_dsn if point == HELD[0] else bridge.settings.target_dsn
    with db.connect(dsn, "test") as looking, db.connect(dsn, "test") as blocking:
        until(lambda: _sessions(looking, "true"))  # the gates are judged first, and would see an old transaction
        with blocking.transaction():
            blocking.execute(_BLOCKS[point].encode())
            while not (waiting := _sessions(looking, "wait_event_type = 'Lock'")):
                blocking.execute(b"SELECT 1")  # nor is it idle
                time.sleep(0.05)
            ports = {port for (port,) in waiting}
            ours = [c for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port in ports]
            yield next(c.pid for c in ours if c.pid)


def _sessions(conn: db.Connection, where: str) -> list[tuple[int]]:
    return conn.execute(
        f"SELECT client_port FROM pg_stat_activity WHERE application_name LIKE 'shopferry cutover%%' AND {where}".encode()
    ).fetchall()


@pytest.mark.parametrize("cell", AIRFLOW_DEATHS, ids=str)
def test_airflow_death(
    bridge: Bridge, airflow: AirflowClient, cell: Death, record_property: Callable[[str, object], None]
) -> None:
    bridge.bring("cutover")
    with bridge.ground.writer() as book, Sentry(bridge.settings) as sentry:
        run = airflow.trigger("cutover")
        approving = threading.Thread(target=airflow.approve_and_await, args=("cutover", run, "approve", PATIENCE_S))
        approving.start()
        with held(bridge, cell.point) as pid:
            if cell.who == "scheduler":
                bridge.ground.strike("airflow-scheduler", "SIGKILL")
            else:
                task = psutil.Process(pid)
                (task if cell.who == "task's process" else task.parent()).kill()  # type: ignore[union-attr]
                until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
        ended = bridge.outcome(cell, sentry)
        record_property("ended", ended)
        if cell.who != "task's process":
            bridge.complete(cell)  # by hand: nobody waits until Airflow believes the task dead
        until(lambda: bridge.open() == ["shop"])
        bridge.ground.writes(book, 10)
        record_property("closed_s", round(sentry.longest_closed_s, 1))
        approving.join()
        airflow.await_end("cutover", run, PATIENCE_S)
        assert sentry.both == 0
    bridge.check(cell, book)
    bridge.whole = True
