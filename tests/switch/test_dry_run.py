"""A dry run of the cutover on the running stack: what it says, that it changes nothing, and what breaks it off."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from live import Flow
from looks import contents
from shopferry import cli, db
from shopferry.backup import dump
from shopferry.control import gates
from shopferry.cutover import gates as judging
from shopferry.cutover import sequences
from shopferry.cutover.dry_run import dry_run
from shopferry.db import Connection
from shopferry.errors import GateError, PhaseError
from shopferry.route import settings as route_settings
from shopferry.stores import fence
from waiting import until

pytestmark = pytest.mark.stack


def catalogue(dsn: str, conn: Connection, file: Path) -> str:
    """All that is defined in the database, as pg_dump writes it."""
    dump.dump(dsn, file, conn.info.server_version, "--schema-only", "--format=plain", "--compress=0")
    return re.sub(r"(?m)^\\(un)?restrict .*$", "", file.read_text())


def both(flow: Flow, tmp_path: Path) -> list[object]:
    told = []
    for dsn, conn in ((flow.settings.source_dsn, flow.legacy), (flow.settings.target_dsn, flow.shop)):
        told += [contents(conn), catalogue(dsn, conn, tmp_path / "schema.sql")]
    told.append(flow.ask("SELECT route, active, version FROM ferry.route"))
    return told


@contextmanager
def route_file(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The route with another route.toml."""
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / route_settings.FILE).write_text('owner = "a"\ncontact = "b"\n' + text)
    with monkeypatch.context() as patched:
        patched.setattr(route_settings, "routes_dir", lambda: tmp_path)
        yield


def unmet(flow: Flow) -> dict[str, str]:
    """The gates that are not met now, with their evidence."""
    return {g.gate: g.evidence for g in judging.judge(flow.settings) if not g.met}


@pytest.fixture(autouse=True)
def all_met(ready: Flow) -> None:
    """All that the gates ask for is so again, whatever the test before did."""
    ready.clean()
    until(lambda: not unmet(ready))


def test_it_says_what_a_cutover_would_do_and_changes_nothing(
    ready: Flow, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = both(ready, tmp_path)
    assert len(before[0]) > 5 and len(before[2]) > 30  # type: ignore[arg-type]
    assert cli.main(["cutover", "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ready"] and told["faults"] == []
    assert [s["step"] for s in told["steps"]] == ["gates", "look ahead", "applied", "last look", "sequences"]
    assert all(s["ms"] > 0 for s in told["steps"])
    assert len(told["gates"]) == len(gates.load(ready.shop, "demo")) >= 16
    assert all(g["met"] and g["evidence"] for g in told["gates"])
    [orders] = [n for n in told["sequences"] if n["sequence"] == "shop.customer_order_id_seq"]
    largest = ready.one("SELECT max(id) FROM shop.customer_order")
    assert orders == {"sequence": orders["sequence"], "next": 1, "largest_key": largest, "would_be_set_to": largest + 1}
    assert cli.main(["cutover", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "ready: nothing was locked or changed" in shown and "would be set to" in shown
    assert cli.main(["gates"]) == 0
    assert "stream caught up" in capsys.readouterr().out
    assert both(ready, tmp_path) == before


def test_writers_are_not_held_up_and_changes_under_way_are_no_fault(ready: Flow) -> None:
    ready.write("UPDATE customers SET phone = '601 000 777' WHERE id = (SELECT min(id) FROM customers)")
    with db.connect(ready.settings.source_dsn, "test") as writer, writer.transaction():
        writer.execute("UPDATE customers SET phone = '601 000 778' WHERE id = (SELECT max(id) FROM customers)")
        assert dry_run(ready.settings).ready  # with somebody's row lock held all the while
    ready.clean()


def test_rows_that_differ_although_all_is_applied_break_it_off(ready: Flow) -> None:
    ready.write("UPDATE customers SET phone = '601 000 123' WHERE id = (SELECT min(id) FROM customers)")
    ready.applied()
    kept = ready.one("SELECT phone FROM mirror.customers ORDER BY id LIMIT 1")
    ready.shop.execute("UPDATE mirror.customers SET phone = 'other' WHERE id = (SELECT min(id) FROM mirror.customers)")
    try:
        done = dry_run(ready.settings)
        assert not done.ready and done.faults == ["1 rows of customers differ from the mirror → run `shopferry verify`"]
        assert cli.main(["cutover", "--dry-run"]) == 1
    finally:
        ready.shop.execute(
            "UPDATE mirror.customers SET phone = %s WHERE id = (SELECT min(id) FROM mirror.customers)", (kept,)
        )
    ready.clean()


def test_a_stream_that_stands_still_is_told_and_the_rest_judged(
    ready: Flow, each_limit: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    each_limit("LAG_LIMIT_S", "SIGN_OF_LIFE_S")
    monkeypatch.setattr("shopferry.cutover.dry_run.LIMIT_S", 1.0)
    with ready.paused("sync"):
        done = dry_run(ready.settings)
        by_name = {g.gate: g for g in done.gates}
        lag = by_name["stream caught up"]
        assert not lag.met and f"waited {judging.LAG_LIMIT_S:.0f} s in vain" in lag.evidence
        assert "connector, broker, consumer" in lag.remedy
        assert by_name["phases verified"].met and len(done.gates) >= 16
        assert not done.ready and "waited 1 s in vain" in done.faults[0]
        until(lambda: "consumer alive" in unmet(ready))
        assert "last seen" in unmet(ready)["consumer alive"]


def test_the_routes_own_terms_count_up_to_the_last_moment(
    ready: Flow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shopferry.cutover import switch

    closed = (
        '[cutover]\nfree_disk_gib = 1000000\nway_back_losses_accepted_by = "test"\n'
        'pairs_left_by = "test"\n[cutover.window]\nlatest = 2020-01-01T00:00:00\nzone = "UTC"\n'
    )
    before = both(ready, tmp_path)
    with route_file(closed, monkeypatch, tmp_path):
        assert set(unmet(ready)) == {"window open", "disk to spare"}
        # As after an approval that came too late: the gates were met when somebody was asked.
        with pytest.raises(GateError, match=r"2 of \d+ gates not met: window open: to 2020-01-01 00:00 UTC; now"):
            switch.cut_over(ready.settings, "test")
    recorded = {g.gate: g for g in gates.load(ready.shop, "demo")}
    assert not recorded["window open"].met, "recorded with its evidence, as judged last"
    assert both(ready, tmp_path) == before and fence.find_fenced(ready.legacy) == []


def test_there_is_nothing_to_try_once_a_cutover_has_begun(ready: Flow) -> None:
    tables = [f"public.{t}" for t in ready.route.tables]
    with ready.legacy.transaction():
        fence.raise_fence(ready.legacy, tables, "demo")
    try:
        with pytest.raises(PhaseError, match="`shopferry cutover` completes it"):
            dry_run(ready.settings)
    finally:
        fence.lift_fence(ready.legacy, tables)
    ready.shop.execute("UPDATE ferry.route SET active = 'shop'")
    try:
        with pytest.raises(PhaseError, match="there is nothing to try"):
            dry_run(ready.settings)
    finally:
        ready.shop.execute("UPDATE ferry.route SET active = 'legacy'")


def test_a_consumer_that_was_killed_is_missed_until_it_is_back(ready: Flow) -> None:
    ready.kill("sync", signal.SIGKILL)
    until(lambda: not unmet(ready))
    assert sequences.gate(sequences.numberings(ready.shop, ready.route)).met
