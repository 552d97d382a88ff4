"""A whole move on the real stack, without Airflow: phases under live writes, kills, cutover, way back, every write found."""

from __future__ import annotations

from pathlib import Path

import pytest
import real_input
from live import OPTIONS, RATE, Flow, acknowledged
from shopferry import db, phase_steps
from shopferry.cdc import proof
from shopferry.control import phases
from shopferry.control.gates import Gate
from shopferry.cutover import gates, switch
from shopferry.cutover.rollback import roll_back
from shopferry.demo import ledger, shop
from shopferry.demo.writer import run_beside
from shopferry.engine import mirror
from shopferry.errors import GateError, PhaseError
from shopferry.retry import retrying
from shopferry.route.route import Route
from shopferry.settings import Settings
from shopferry.stores import fence
from shopferry.verify import checksums
from waiting import until

pytestmark = pytest.mark.stack


def judged(settings: Settings) -> list[Gate]:
    """The gates, as soon as both stores answer again."""
    return retrying(lambda: gates.judge(settings))


def frozen_differences(settings: Settings) -> list[object]:
    """What differs between the fenced legacy store and the mirror."""
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as new:
        tables = mirror.load(new).values()
        return [d for t in tables for part in checksums.compare(legacy, new, t, lambda: None) for d in part.found]


def test_nothing_is_lost_whoever_is_killed(empty: Flow, tmp_path: Path) -> None:
    settings = empty.settings
    book = tmp_path / "ledger.jsonl"
    shop.seed(settings, 200)
    phase_steps.install(settings)
    with pytest.raises(PhaseError, match="contacts comes first and is new"):
        phase_steps.begin(settings, "orders", "test", OPTIONS)
    with pytest.raises(GateError, match="phases verified"):
        switch.cut_over(settings, "test")
    with run_beside(book, RATE):
        empty.ferry()
        for name in ("sync", "connector", "broker", "shop-db", "legacy-db"):
            empty.kill(name)
        until(lambda: all(g.met for g in judged(settings) if g.gate in {"consumer alive", "stream caught up"}))
        assert not empty.differences()
        with pytest.raises(GateError, match="backup fresh and restored: legacy: none; shop: none"):
            switch.cut_over(settings, "test")
        empty.prepare_switch()
        done = switch.cut_over(settings, "test")
        assert [step for step, _ in done.steps][-1] == "open the new shop"
        assert switch.cut_over(settings, "test").steps == []  # once more: nothing left to do
        until(lambda: acknowledged(book, "shop") >= 80)
    proof.await_both(settings)
    assert not frozen_differences(settings)
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as new:
        report = ledger.check(book, legacy, new)
        assert len(fence.find_fenced(legacy)) == len(Route.load(settings.route).tables)
        assert {p.state for p in phases.load_all(new, settings.route)} == {"cut_over"}
    assert report.acknowledged > 0
    assert report.missing == []
    assert report.failed_for_the_user == 0
    stores = {r["store"] for r in ledger.read(book) if r["acknowledged"]}
    assert stores == {"legacy", "shop"}


def test_rollback_before_the_first_write_gives_the_shop_back(empty: Flow) -> None:
    settings = empty.settings
    shop.seed(settings, 50)
    empty.ferry()
    empty.prepare_switch()
    switch.cut_over(settings, "test")
    done = roll_back(settings, "test")
    assert done.version == 3
    with db.connect(settings.source_dsn, "test") as legacy:
        assert fence.find_fenced(legacy) == []
        legacy.execute("UPDATE customers SET phone = '601 000 001' WHERE id = (SELECT min(id) FROM customers)")
    assert not empty.differences()
    phase_steps.run_again(settings, "test", lambda _: None)
    assert switch.cut_over(settings, "test").version == 4


@pytest.mark.skipif(not real_input.available(), reason="the real input is not beside the project (../shared/data)")
def test_real_shops_move_under_live_writes(empty: Flow, tmp_path: Path) -> None:
    settings = empty.settings
    book = tmp_path / "ledger.jsonl"
    shop.seed(settings, 50)
    with db.connect(settings.source_dsn, "test") as legacy:
        real_input.load(legacy)
    with run_beside(book, RATE):
        accounts = empty.ferry()
        empty.prepare_switch()
        switch.cut_over(settings, "test")
        until(lambda: acknowledged(book, "shop") >= 60)
    proof.await_both(settings)
    assert not frozen_differences(settings)
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as new:
        report = ledger.check(book, legacy, new)
    assert report.missing == []
    assert report.failed_for_the_user == 0
    orders = next(a for a in accounts if a.table == "orders")
    assert orders.legacy_rows > 5_000
    assert orders.migrated > 0.9 * orders.legacy_rows
