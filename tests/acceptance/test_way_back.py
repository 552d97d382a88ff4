"""The way back on the real stack: armed, used under the writer there and back, completed when it died, and nothing lost."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from shopferry import backup, db, fence, passage, stack, watch
from shopferry.complaints import complaints
from shopferry.control import phases, quarantine
from shopferry.cutover import rollback, switch, way_back
from shopferry.cutover.rollback import roll_back
from shopferry.demo import ledger, shop
from shopferry.demo.writer import writing
from shopferry.errors import GateError, PhaseError
from shopferry.mapping import Route
from shopferry.passage import Options
from shopferry.settings import Settings
from shopferry.verify import differ
from test_move import RATE, differences, ferry, until

pytestmark = pytest.mark.stack
BACK = Route.load("demo_reverse")


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    """A stack with a small shop, all phases verified, both stores backed up, the way back armed."""
    home = Path(tempfile.mkdtemp(prefix="shopferry-back-"))
    home.chmod(0o755)  # the account of PostgreSQL must be able to enter it
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHOPFERRY_DATA", str(home))
        try:
            stack.up(without={"airflow"})
            ready = Settings.load()
            shop.seed(ready, 400)
            ferry(ready)
            backup.before_cutover(ready, "test")
            assert way_back.arm(ready) > 5_000
            yield ready
        finally:
            stack.down(purge=True)


def states(settings: Settings) -> tuple[set[str], set[str]]:
    """The states of the phases there and back."""
    with db.connect(settings.legacy_dsn, "test") as legacy, db.connect(settings.shop_dsn, "test") as new:
        return (
            {p.state for p in phases.all_phases(new, settings.route)},
            {p.state for p in phases.all_phases(legacy, BACK.name)},
        )


def open_stores(settings: Settings) -> list[str]:
    """The stores without a fence."""
    with db.connect(settings.legacy_dsn, "test") as legacy, db.connect(settings.shop_dsn, "test") as new:
        return [name for name, conn in (("legacy", legacy), ("shop", new)) if not fence.fenced(conn)]


def test_what_nobody_has_changed_would_stay_as_it_is(settings: Settings) -> None:
    """The mappings back make of the untouched shop what stands in legacy, to the letter; rows that never moved apart."""
    assert states(settings) == ({"verified"}, {"cut_over"})
    with db.connect(settings.legacy_dsn, "test") as legacy, db.connect(settings.shop_dsn, "test") as new:
        stayed = {
            (entity.removeprefix("shop."), key)
            for table in ("quarantine", "left_out")
            for entity, key in new.execute(f"SELECT entity, row_key FROM ferry.{table}".encode()).fetchall()
        }
        made_of = {m.counts.table: m.entity.removeprefix("shop.") for m in Route.load("demo").mappings if m.counts}
        for unit in BACK.mappings:
            table = unit.entity.removeprefix("public.")
            for found in (d for part in differ.compare(legacy, unit) for d in part.found):
                merged = table == "customers" or table == "consents"  # whose rows of merged accounts are led back to
                assert found.kind == "extra", found
                assert (made_of[table], found.key) in stayed or merged, found
        assert legacy.execute("SELECT count(*) FROM mirror.customer_order").fetchone() == new.execute(
            "SELECT count(*) FROM shop.customer_order"
        ).fetchone()


def test_the_gate_wants_a_marker_to_make_the_round(settings: Settings) -> None:
    gate = way_back.gate(settings)
    assert gate.met and "a marker went from the new shop to legacy in" in gate.evidence
    consumer = next(s.pid for s in stack.status() if s.name == "sync-reverse")
    assert consumer
    os.kill(consumer, signal.SIGSTOP)
    try:
        gate = way_back.gate(settings)
        assert not gate.met and "events behind" in gate.evidence
    finally:
        os.kill(consumer, signal.SIGCONT)
    until(lambda: way_back.gate(settings).met)


def test_somebody_accepts_by_name_what_cannot_be_carried(settings: Settings) -> None:
    route = Route.load("demo")
    lost = way_back.losses(BACK)
    assert len(lost) > 10
    with db.connect(settings.shop_dsn, "test") as new:
        for line in lost:
            schema, table, column = line.partition(" -- ")[0].split(".")
            assert new.execute(
                "SELECT FROM information_schema.columns WHERE (table_schema, table_name, column_name) = (%s, %s, %s)",
                (schema, table, column),
            ).fetchall(), line
    assert not way_back.accepted(route, None).met
    assert way_back.accepted(route, "Anna").evidence.endswith("accepted by Anna")


def test_there_and_back_and_there_again_loses_nothing(settings: Settings, tmp_path: Path) -> None:
    book = tmp_path / "ledger.jsonl"
    with writing(book, RATE):
        for _ in range(2):
            way_back.arm(settings)
            switch.cut_over(settings, "test")
            assert states(settings) == ({"cut_over"}, {"in_sync"})
            assert open_stores(settings) == ["shop"]
            with pytest.raises(PhaseError, match="the way back is in use"):
                way_back.arm(settings)
            time.sleep(4)
            health = watch.measure(settings)
            assert (health.route, health.watched, complaints(health)) == (BACK.name, True, [])
            assert health.events > 0 and health.written == "the legacy store"
            roll_back(settings, "test")
            assert states(settings) == ({"in_sync"}, {"cut_over"})
            assert open_stores(settings) == ["legacy"]
            with pytest.raises(GateError, match="phases verified: contacts is in_sync"):
                switch.cut_over(settings, "test")  # what was not carried back may differ: first merge_again
            passage.run_again(settings, "test", lambda _: None)
        switch.cut_over(settings, "test")
        time.sleep(2)
    way_back.await_both(settings)
    with db.connect(settings.legacy_dsn, "test") as legacy, db.connect(settings.shop_dsn, "test") as new:
        assert quarantine.counts(legacy) == []
        report = ledger.check(book, legacy, new)
    assert report.acknowledged > 400
    assert report.missing == []
    assert report.failed_for_the_user == 0
    assert [r["store"] for r in ledger.read(book) if r["acknowledged"]].count("shop") > 100
    roll_back(settings, "test")
    passage.run_again(settings, "test", lambda _: None)
    assert not differences(settings)


def test_a_rollback_that_died_is_completed_and_nothing_else_is_possible(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    way_back.arm(settings)
    switch.cut_over(settings, "test")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(rollback.sequences, "advance", die)
        roll_back(settings, "test")
    assert open_stores(settings) == []
    with pytest.raises(GateError, match="a rollback has begun and closed the new shop"):
        switch.cut_over(settings, "test")
    roll_back(settings, "test")
    assert open_stores(settings) == ["legacy"]
    for phase in Route.load(settings.route).phases:
        passage.run(settings, phase, "test", Options(), lambda _: None)
