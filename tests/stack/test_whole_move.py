"""A whole move, small and quick: all phases with a kill, the cutover, the way back, and every write found."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from live import Flow, acknowledged
from shopferry import db, phase_steps
from shopferry.cdc import proof
from shopferry.control import phases
from shopferry.cutover import gates, switch
from shopferry.cutover.rollback import roll_back
from shopferry.demo import ledger, shop
from shopferry.demo.writer import run_beside
from waiting import until

pytestmark = [pytest.mark.stack, pytest.mark.move]
RATE = 10.0  # writes per second


def kill_while_copying(flow: Flow, phase: str) -> None:
    """Kill the consumer once this phase is copied, while another thread brings it through."""
    with db.connect(flow.settings.target_dsn, "test") as conn:
        until(lambda: phases.load(conn, flow.settings.route, phase).state in {"copying", "merging"})
    flow.kill("sync")


def test_a_shop_moves_there_and_back_though_the_consumer_is_killed(empty: Flow, tmp_path: Path) -> None:
    settings, book = empty.settings, tmp_path / "ledger.jsonl"
    shop.seed(settings, 40)
    phase_steps.install(settings)
    with run_beside(book, RATE):
        killing = threading.Thread(target=kill_while_copying, args=(empty, "orders"))
        killing.start()
        empty.ferry()
        killing.join()
        assert empty.prepare_switch() > 0
        until(lambda: all(g.met for g in gates.judge(settings)))
        assert switch.cut_over(settings, "test").version == 2
        until(lambda: acknowledged(book, "shop") >= 20)
        assert roll_back(settings, "test").version == 3
        enough = acknowledged(book, "legacy") + 10
        until(lambda: acknowledged(book, "legacy") >= enough)
    phase_steps.run_again(settings, "test", lambda _: None)
    assert not empty.differences()
    proof.await_both(settings)
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as new:
        report = ledger.check(book, legacy, new)
    assert report.acknowledged >= 30
    assert report.missing == []
    assert report.failed_for_the_user == 0
