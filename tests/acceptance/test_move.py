"""A whole move on the real stack, without Airflow: phases under live writes, kills, cutover, way back, every write found."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import real_input
from shopferry import db, phase_steps, stack
from shopferry.backup import backup
from shopferry.control import phases
from shopferry.control.gates import Gate
from shopferry.cutover import gates, switch, way_back
from shopferry.cutover.rollback import roll_back
from shopferry.demo import ledger, shop
from shopferry.demo.writer import run_beside
from shopferry.engine import mirror
from shopferry.errors import GateError, PhaseError
from shopferry.phase_steps import Options
from shopferry.retry import retrying
from shopferry.route.route import Route
from shopferry.settings import Settings
from shopferry.stores import fence
from shopferry.verify import checksums
from shopferry.verify.accounting import Account

pytestmark = pytest.mark.stack
RATE = 40.0  # writes per second
OPTIONS = Options(chunk_size=500, without_rehearsal="test")


@pytest.fixture
def settings() -> Iterator[Settings]:
    """A stack of this test's own, both stores empty."""
    home = Path(tempfile.mkdtemp(prefix="shopferry-move-"))
    home.chmod(0o755)  # the account of PostgreSQL must be able to enter it
    before = os.environ.get("SHOPFERRY_DATA")
    os.environ["SHOPFERRY_DATA"] = str(home)
    try:
        stack.up(without={"airflow"})
        yield Settings.load()
    finally:
        stack.down(purge=True)
        os.environ.pop("SHOPFERRY_DATA")
        if before is not None:
            os.environ["SHOPFERRY_DATA"] = before


def until(check: Callable[[], object]) -> None:
    while not check():
        time.sleep(0.05)


def kill(name: str) -> None:
    """Kill a server of the stack the hard way and wait until the supervisor has another in its place."""
    old = next(s.pid for s in stack.status() if s.name == name)
    assert old
    os.kill(old, signal.SIGKILL)
    until(lambda: any(s.name == name and s.state == "RUNNING" and s.pid != old for s in stack.status()))


def judged(settings: Settings) -> list[Gate]:
    """The gates, as soon as both stores answer again."""
    return retrying(lambda: gates.judge(settings))


def ferry(settings: Settings) -> list[Account]:
    """All phases; returns the accounts of all tables, which must add up with no difference anywhere."""
    accounts = []
    for phase in Route.load(settings.route).phases:
        outcome = phase_steps.run(settings, phase, "test", OPTIONS, lambda _: None)
        assert outcome is not None and outcome.clean
        accounts += outcome.accounts
    for a in accounts:
        assert a.legacy_rows == a.migrated + a.quarantined + sum(a.left_out.values()), a
        assert a.unaccounted == 0, a
    return accounts


def differences(settings: Settings) -> list[object]:
    """What differs in any phase, compared online."""
    return [d for p in Route.load(settings.route).phases for d in phase_steps.compare(settings, p).differences]


def frozen_differences(settings: Settings) -> list[object]:
    """What differs between the fenced legacy store and the mirror."""
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as new:
        tables = mirror.load(new).values()
        return [d for t in tables for part in checksums.compare(legacy, new, t, lambda: None) for d in part.found]


@pytest.mark.move
def test_nothing_is_lost_whoever_is_killed(settings: Settings, tmp_path: Path) -> None:
    book = tmp_path / "ledger.jsonl"
    shop.seed(settings, 200)
    phase_steps.install(settings)
    with pytest.raises(PhaseError, match="contacts comes first and is new"):
        phase_steps.begin(settings, "orders", "test", OPTIONS)
    with pytest.raises(GateError, match="phases verified"):
        gates.require(settings)
    with run_beside(book, RATE):
        ferry(settings)
        for name in ("sync", "connector", "broker", "shop-db", "legacy-db"):
            kill(name)
        until(lambda: all(g.met for g in judged(settings) if g.gate in {"consumer alive", "stream caught up"}))
        assert not differences(settings)
        with pytest.raises(GateError, match="backup fresh and restored: legacy: none, shop: none"):
            gates.require(settings)
        backup.take_before_cutover(settings, "test")
        way_back.arm(settings)
        done = switch.cut_over(settings, "test")
        assert [step for step, _ in done.steps][-1] == "open the new shop"
        assert switch.cut_over(settings, "test").steps == []  # once more: nothing left to do
        time.sleep(3)
    way_back.await_both(settings)
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


def test_rollback_before_the_first_write_gives_the_shop_back(settings: Settings) -> None:
    shop.seed(settings, 50)
    ferry(settings)
    backup.take_before_cutover(settings, "test")
    way_back.arm(settings)
    switch.cut_over(settings, "test")
    done = roll_back(settings, "test")
    assert done.version == 3
    with db.connect(settings.source_dsn, "test") as legacy:
        assert fence.find_fenced(legacy) == []
        legacy.execute("UPDATE customers SET phone = '601 000 001' WHERE id = (SELECT min(id) FROM customers)")
    assert not differences(settings)
    phase_steps.run_again(settings, "test", lambda _: None)
    assert switch.cut_over(settings, "test").version == 4


@pytest.mark.skipif(not real_input.available(), reason="the real input is not beside the project (../shared/data)")
def test_real_shops_move_under_live_writes(settings: Settings, tmp_path: Path) -> None:
    book = tmp_path / "ledger.jsonl"
    shop.seed(settings, 50)
    with db.connect(settings.source_dsn, "test") as legacy:
        real_input.load(legacy)
    with run_beside(book, RATE):
        accounts = ferry(settings)
        backup.take_before_cutover(settings, "test")
        way_back.arm(settings)
        switch.cut_over(settings, "test")
        time.sleep(2)
    way_back.await_both(settings)
    assert not frozen_differences(settings)
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as new:
        report = ledger.check(book, legacy, new)
    assert report.missing == []
    assert report.failed_for_the_user == 0
    orders = next(a for a in accounts if a.table == "orders")
    assert orders.legacy_rows > 5_000
    assert orders.migrated > 0.9 * orders.legacy_rows
