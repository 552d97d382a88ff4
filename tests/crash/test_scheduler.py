"""Airflow's scheduler dies, is ended or sleeps while a phase runs: the run it had begun comes to its end all the same."""

from __future__ import annotations

import pytest
from cells import AIRFLOW, TASKS, Cell
from ground import Ground
from shopferry import db
from shopferry.control import chunks, phases
from shopferry.demo.airflow_client import AirflowClient
from shopferry.route.route import Route
from test_matrix import WHOLE
from waiting import until

pytestmark = [
    pytest.mark.stack,
    pytest.mark.airflow,
    pytest.mark.skipif(not WHOLE, reason="boots Airflow and waits for its time-outs: make crash-matrix"),
]
# Small chunks, and so slow that the copy is under way when it is looked at.
FORM = {"chunk_size": 100, "rows_per_second": 100, "without_rehearsal": "test"}
PATIENCE_S = 1_800


def under_way(land: Ground, kind: str) -> bool:
    """Whether the first phase has begun this kind of work."""
    with db.connect(land.settings.target_dsn, "test") as conn:
        if kind == "merge":
            return phases.load(conn, land.settings.route, "contacts").state == "merging"
        return any(p.done for p in chunks.load_progress(conn, land.settings.route) if p.phase == "contacts")


@pytest.mark.parametrize("cell", AIRFLOW, ids=str)
def test_scheduler(land: Ground, airflow: AirflowClient, cell: Cell) -> None:
    land.unmove()
    names = Route.load(land.settings.route).phases
    before = {name: airflow.find_newest_run(name) for name in names}
    with land.writer() as book:
        airflow.trigger(names[0], FORM)
        until(lambda: under_way(land, "merge" if cell.point == TASKS[1] else "copy"))
        land.strike("airflow-scheduler", cell.signal)
        for name in names:
            until(lambda n=name: airflow.find_newest_run(n) != before[n])  # type: ignore[misc]
            airflow.await_end(name, str(airflow.find_newest_run(name)), PATIENCE_S)
    land.check(book)
