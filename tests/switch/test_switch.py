"""The switch on the real stack: what keeps it out leaves legacy open, what kills it is completed, and all are told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial, wraps
from pathlib import Path
from typing import Any

import bouncer
import hooks
import psycopg
import pytest
from bouncer import Bouncer, Clients, read, write
from shopferry import db, phase_steps, stack
from shopferry.cdc import proof
from shopferry.cutover import deadline, locks, routing, section, switch
from shopferry.cutover.rollback import roll_back
from shopferry.cutover.turn import Turn
from shopferry.errors import GateError, ShopferryError, TransientError
from shopferry.report.standing import Step
from shopferry.route.route import Route
from shopferry.settings import Settings
from shopferry.stores import fence
from waiting import until

pytestmark = pytest.mark.stack
PAUSING = Path(__file__).resolve().parents[1] / "crash" / "pausing.py"


@pytest.fixture(autouse=True)
def begun_well(settings: Settings, proof_for_gates: None) -> None:
    """What the test before wrote is applied in both stores."""
    proof.await_both(settings)


@pytest.fixture
def front(settings: Settings) -> Iterator[Bouncer]:
    """A PgBouncer before the two stores."""
    with bouncer.running(settings.source_dsn, settings.target_dsn) as running:
        yield running


def row(dsn: str, query: str) -> Any:
    with db.connect(dsn, "test") as conn:
        found = conn.execute(query.encode()).fetchone()
    return found[0] if found else None


def assert_legacy_goes_on(settings: Settings, version: int) -> None:
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as new:
        assert fence.find_fenced(legacy) == []
        assert legacy.execute(
            "UPDATE customers SET phone = '601 000 002' WHERE id = (SELECT min(id) FROM customers)"
        ).rowcount
        now = routing.require_standing(new, settings.route)
        assert (now.active, now.version) == ("legacy", version)
        assert fence.find_fenced(new)


def after(monkeypatch: pytest.MonkeyPatch, name: str, then: Callable[[], object]) -> None:
    """Have something happen each time the switch has done a step of this name."""
    step = getattr(section, name)

    @wraps(step)
    def done(*args: Any, **kwargs: Any) -> Any:
        result = step(*args, **kwargs)
        then()
        return result

    monkeypatch.setattr(section, name, done)


class Clock:
    """Time that passes when it is told to, in the place of `time` and `threading` for the deadline."""

    Lock = staticmethod(threading.Lock)

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def monotonic(self) -> float:
        """The time now."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let so much time pass, and do what is due by then."""
        self.now += seconds
        for due, act in list(self.timers):
            if due <= self.now:
                act()

    def Timer(self, seconds: float, act: Callable[..., None], args: Sequence[object]) -> Clock.Timed:  # noqa: N802
        """As threading.Timer."""
        return Clock.Timed(self, (self.now + seconds, partial(act, *args)))

    @dataclass
    class Timed:
        """Something that is due at some time."""

        clock: Clock
        entry: tuple[float, Callable[[], None]]
        daemon: bool = False

        def start(self) -> None:
            """Wait for the time."""
            self.clock.timers.append(self.entry)

        def cancel(self) -> None:
            """Wait no more."""
            if self.entry in self.clock.timers:
                self.clock.timers.remove(self.entry)


def version(settings: Settings) -> int:
    return int(row(settings.target_dsn, "SELECT version FROM ferry.route"))


# -- what keeps the switch out changes nothing ------------------------------------------------------------------------


def test_a_writer_that_does_not_end_keeps_the_switch_out(settings: Settings, each_limit: Callable[..., None]) -> None:
    each_limit("LOCK_WAIT_S")
    given_up, failed = threading.Event(), list[psycopg.Error]()

    def other() -> None:
        with db.connect(settings.source_dsn, "test") as legacy:
            while not given_up.is_set() and not failed:
                try:
                    legacy.execute("UPDATE addresses SET street = street WHERE id = (SELECT min(id) FROM addresses)")
                except psycopg.Error as error:
                    failed.append(error)
                given_up.wait(0.05)  # without a pause it may be faster than the stream, which then never catches up

    with db.connect(settings.source_dsn, "test") as slow, slow.transaction():
        slow.execute("UPDATE customers SET phone = '601 000 003' WHERE id = (SELECT max(id) FROM customers)")
        waiting = threading.Thread(target=other)  # writers that come meanwhile may have to wait, and do not fail
        waiting.start()
        told = rf"a writer did not finish within {section.LOCK_WAIT_S:.0f} s \(.*\): nothing was changed"
        with pytest.raises(TransientError, match=told):
            switch.cut_over(settings, "test")
        given_up.set()
        waiting.join()
        assert failed == []
    assert_legacy_goes_on(settings, 1)


def test_a_stream_that_does_not_catch_up_keeps_the_switch_out(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        section, "LOOK_S", section.LIMIT_S - 10.0
    )  # ten seconds for the stream, long before the deadline
    consumer = next(s.pid for s in stack.status() if s.name == "sync")
    assert consumer
    after(monkeypatch, "lock", lambda: os.kill(consumer, signal.SIGSTOP))
    try:
        with pytest.raises(TransientError, match=r"in vain: the consumer is \d+ events behind"):
            switch.cut_over(settings, "test")
    finally:
        os.kill(consumer, signal.SIGCONT)
    assert_legacy_goes_on(settings, 1)


def test_a_last_look_that_takes_too_long_keeps_the_switch_out(
    settings: Settings, each_limit: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    each_limit("LIMIT_S")
    with db.connect(settings.target_dsn, "test") as busy, busy.transaction():
        lock = "LOCK TABLE mirror.loyalty_redemptions IN ACCESS EXCLUSIVE MODE"
        after(monkeypatch, "await_applied", lambda: busy.execute(lock))
        told = f"not through within {section.LIMIT_S:.0f} s: nothing was changed, writers go on as before"
        with pytest.raises(TransientError, match=told):
            switch.cut_over(settings, "test")
        assert_legacy_goes_on(settings, 1)


def test_what_keeps_nobody_waiting_may_take_longer_than_the_switch(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked() -> None:
        raise GateError("so far it came")

    clock = Clock()
    monkeypatch.setattr(deadline, "time", clock)
    monkeypatch.setattr(deadline, "threading", clock)
    looks = iter([0.0, 0.6])  # ahead, and again
    after(monkeypatch, "_await_calm", lambda: clock.advance(0.6 * section.LIMIT_S))
    after(monkeypatch, "look_ahead", lambda: clock.advance(next(looks) * section.LIMIT_S))
    after(monkeypatch, "lock", locked)
    with pytest.raises(GateError, match="so far it came"):
        switch.cut_over(settings, "test")
    assert_legacy_goes_on(settings, 1)


@pytest.mark.parametrize("moved", ["before", "while it was looked ahead", "in a transaction that was open then"])
def test_a_row_that_moved_last_and_differs_keeps_the_switch_out(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, moved: str
) -> None:
    with (
        db.connect(settings.source_dsn, "test") as legacy,
        db.connect(settings.source_dsn, "test") as writer,
        db.connect(settings.target_dsn, "test") as new,
    ):
        last = "UPDATE customers SET phone = '601 000 %s' WHERE id = (SELECT max(id) FROM customers)"
        wrong = "UPDATE mirror.customers SET phone = 'other' WHERE id = (SELECT max(id) FROM mirror.customers)"
        if moved == "before":
            legacy.execute((last % "003").encode())
            after(
                monkeypatch, "within_deadline", lambda: new.execute(wrong)
            )  # made before anybody looks, all applied by the gates
        elif moved == "while it was looked ahead":
            after(monkeypatch, "look_ahead", lambda: legacy.execute((last % "004").encode()))
            after(monkeypatch, "await_applied", lambda: new.execute(wrong))
        else:  # written before the positions that are applied by either look ahead, and not there yet
            steps: list[str] = []
            after(monkeypatch, "within_deadline", lambda: writer.execute(f"BEGIN; {last % '005'}".encode()))
            after(monkeypatch, "look_ahead", lambda: steps.append("looked"))
            after(monkeypatch, "look_ahead", lambda: steps.count("looked") == 2 and writer.execute("COMMIT"))
            after(monkeypatch, "lock", lambda: steps.append("locked"))
            after(monkeypatch, "await_applied", lambda: "locked" in steps and new.execute(wrong))
        try:
            with pytest.raises(
                GateError, match="given up, writers go on as before: 1 rows of customers differ from the mirror"
            ):
                switch.cut_over(settings, "test")
        finally:
            [(phone,)] = legacy.execute("SELECT phone FROM customers ORDER BY id DESC LIMIT 1").fetchall()
            new.execute(wrong.replace("'other'", "%s").encode(), (phone,))
    assert_legacy_goes_on(settings, 1)


def test_a_broker_that_hangs_holds_up_us_and_no_writer(
    settings: Settings, front: Bouncer, short_limit: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own process sits in a call that knows no limit: legacy and PgBouncer's clients go on all the same."""
    short_limit("LIMIT_S")
    with Clients(front.dsn(), write) as clients:
        after(
            monkeypatch, "await_applied", lambda: clients.more(20, "legacy")
        )  # does not return before they write again
        with pytest.raises(TransientError, match=f"not through within {section.LIMIT_S:.0f} s"):
            switch.cut_over(front.before(settings), "test")
        assert not front.paused
    assert clients.errors == []
    assert_legacy_goes_on(settings, 1)


def test_a_client_of_pgbouncer_that_does_not_end_keeps_the_switch_out(
    settings: Settings, front: Bouncer, each_limit: Callable[..., None]
) -> None:
    each_limit("LOCK_WAIT_S")
    with (
        psycopg.connect(front.dsn(), autocommit=True, prepare_threshold=None) as slow,
        Clients(front.dsn(), write) as clients,
    ):
        with slow.transaction():
            slow.execute(b"SELECT 1")
            told = f"transaction in PgBouncer's app did not end within {section.LOCK_WAIT_S:.0f} s"
            with pytest.raises(TransientError, match=told):
                switch.cut_over(front.before(settings), "test")
        clients.more(20, "legacy")
        assert not front.paused
    assert clients.errors == []
    assert_legacy_goes_on(settings, 1)


# -- what kills it is completed, and everybody is told ----------------------------------------------------------------


@dataclass
class Killed:
    """Our command line, killed at a pause point."""

    code: int
    log: str


def killed(settings: Settings, at: str, tmp_path: Path, how: signal.Signals, *command: str) -> Killed:
    """Run our command line until it reaches the pause point, and kill it there."""
    flag, go, log = tmp_path / "flag", tmp_path / "go", tmp_path / "log"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(folder) for folder in Path(__file__).parents[:2]),
        "SHOPFERRY_PGBOUNCER": settings.pgbouncer,
        "SHOPFERRY_HOOK": settings.hook,
        "SHOPFERRY_PGBOUNCER_DATABASES": settings.pgbouncer_databases,
    }
    points = ["--at", at, "--flag", str(flag), "--go", str(go)]
    for one, other in (
        ("gates:require", "switching:prove"),
        ("section:LIMIT_S", "limits:PATIENT_S"),
        ("section:_CALM_S", "limits:CALM_S"),
        ("section:_CALM_MS", "limits:CALM_MS"),
    ):
        points += ["--replace", f"shopferry.cutover.{one}={other}"]
    line = [sys.executable, str(PAUSING), *points, "--", *command]
    with log.open("w") as output:
        process = subprocess.Popen(line, stdout=output, stderr=output, env=environment)
        try:
            until(lambda: flag.exists() or process.poll() is not None)
            assert flag.exists(), log.read_text()
            process.send_signal(how)
            process.wait()
        finally:
            process.kill()
    return Killed(process.returncode, log.read_text())


@contextmanager
def ear(settings: Settings) -> Iterator[Callable[[], list[tuple[str, int]]]]:
    """Listens; the call returns what was notified since."""
    with db.connect(settings.target_dsn, "test") as conn:
        conn.execute("LISTEN shopferry_demo")

        def heard() -> list[tuple[str, int]]:
            told = [json.loads(note.payload) for note in conn.notifies(timeout=0.5)]
            return [(t["store"], t["version"]) for t in told]

        yield heard


def test_killed_after_the_fence_the_next_try_completes_it_and_goes_on_until_the_hook_is_told(
    settings: Settings, tmp_path: Path, short_limit: Callable[..., None]
) -> None:
    short_limit("PATIENCE_S", "ANSWER_S")
    at = "shopferry.stores.fence:lift_fence#before"
    assert killed(settings, at, tmp_path, signal.SIGKILL, "cutover").code == -signal.SIGKILL
    with db.connect(settings.source_dsn, "test") as legacy, pytest.raises(psycopg.DatabaseError) as refused:
        legacy.execute("UPDATE customers SET phone = NULL")
    assert refused.value.sqlstate == fence.MOVED
    assert json.loads(refused.value.diag.message_detail or "") == {"route": "demo", "store": "shop", "version": 2}
    with ear(settings) as heard:
        with hooks.silent() as url, pytest.raises(TransientError, match="the switch is done, writes go to shop"):
            switch.cut_over(Settings(**{**vars(settings), "hook": url}), "test")
        assert heard() == [("shop", 2)]
        assert row(settings.target_dsn, "SELECT count(*) FROM ferry.cutover_step WHERE version = 2") > 0
        with hooks.serving(503) as hook:
            told = Settings(**{**vars(settings), "hook": hook.url})
            assert switch.cut_over(told, "test").steps == []
            assert switch.cut_over(told, "test").steps == []
            assert [(t["store"], t["version"]) for t in hook.accepted] == [("shop", 2)] * 2
            assert heard() == [("shop", 2)] * 2
            assert roll_back(told, "test").version == 3
            assert roll_back(told, "test") == section.Steps(3)  # nothing left to do but to tell it again
            assert [(t["store"], t["version"]) for t in hook.accepted[2:]] == [("legacy", 3)] * 2
            assert heard() == [("legacy", 3)] * 2
    assert_legacy_goes_on(settings, 3)
    phase_steps.run_again(settings, "test", lambda _: None)


def test_rollback_takes_the_clients_of_pgbouncer_back(settings: Settings, front: Bouncer) -> None:
    given = front.before(settings)
    with Clients(front.dsn(), read) as clients:
        switch.cut_over(given, "test")
        clients.more(20, "shop")
        roll_back(given, "test")
        clients.more(20, "legacy")
    assert clients.errors == []
    assert [clients.stores(n) for n in range(clients.count)] == [["legacy", "shop", "legacy"]] * clients.count
    phase_steps.run_again(settings, "test", lambda _: None)
    with Clients(front.dsn(), write) as clients:
        clients.more(20, "legacy")
    assert clients.errors == []


def test_ended_from_outside_it_lets_everybody_go(settings: Settings, front: Bouncer, tmp_path: Path) -> None:
    given, at = front.before(settings), "shopferry.cutover.section:lock#after"
    with Clients(front.dsn(), write) as clients:
        assert killed(given, at, tmp_path, signal.SIGTERM, "cutover").code == 128 + signal.SIGTERM
        clients.more(20, "legacy")
    assert clients.errors == []
    assert not front.paused
    assert_legacy_goes_on(settings, version(settings))


def test_clients_of_pgbouncer_see_a_pause_and_no_error_though_the_first_try_is_killed(
    settings: Settings, front: Bouncer, tmp_path: Path
) -> None:
    given = front.before(settings)
    before = version(settings)
    with Clients(front.dsn(), write) as clients:
        at = "shopferry.cutover.section:lock#after"
        assert killed(given, at, tmp_path, signal.SIGKILL, "cutover").code == -signal.SIGKILL
        assert front.paused  # nobody is there to let them go: they wait, and legacy is open to everybody else
        assert_legacy_goes_on(settings, before)
        done = switch.cut_over(given, "test")
        clients.more(40, "shop")
    assert clients.errors == []
    assert [clients.stores(n) for n in range(clients.count)] == [["legacy", "shop"]] * clients.count
    assert [step for step, _ in done.steps][:7] == [
        "gates",
        "look ahead",
        "keep vacuum out",
        "await calm",
        "look again",
        "hold clients",
        "lock legacy",
    ]
    # And the report counts as downtime what comes after.
    counted = [step for step, _ in done.steps if Step(1, step, datetime.now(UTC), 0, "test").closed]
    assert counted == [step for step, _ in done.steps][5:]
    assert not front.paused
    with Clients(front.dsn(), write) as clients:
        back = roll_back(given, "test")
        clients.more(40, "legacy")
    assert clients.errors == []
    assert [clients.stores(n) for n in range(clients.count)] == [["shop", "legacy"]] * clients.count
    assert [step for step, _ in back.steps][:7] == [
        "gates",
        "look ahead",
        "keep vacuum out",
        "await calm",
        "look again",
        "hold clients",
        "lock the new shop",
    ]
    assert not front.paused
    with pytest.raises(ShopferryError, match="under way"), Turn.forward(settings):
        switch.cut_over(given, "test")


def test_a_vacuum_of_the_store_that_opens_keeps_the_switch_out(
    settings: Settings, each_limit: Callable[..., None]
) -> None:
    each_limit("_YIELD_S")
    with db.connect(settings.target_dsn, "night job") as other, other.transaction():
        other.execute("LOCK TABLE shop.payment IN SHARE UPDATE EXCLUSIVE MODE")
        told = rf"the new shop: a VACUUM, .* within {locks._YIELD_S:.0f} s \(.* client backend shopferry night job"
        with pytest.raises(TransientError, match=told):
            switch.cut_over(settings, "test")
    assert_legacy_goes_on(settings, version(settings))


def test_whoever_reads_the_store_that_opens_is_in_nobodys_way(settings: Settings) -> None:
    phase_steps.run_again(settings, "test", lambda _: None)
    with db.connect(settings.target_dsn, "report") as reader, reader.transaction():
        for entity in Route.load(settings.route).entities:
            reader.execute(f"SELECT FROM {entity} LIMIT 1".encode())
        before = version(settings)
        switch.cut_over(settings, "test")
        assert version(settings) == before + 1
    with db.connect(settings.source_dsn, "report") as reader, reader.transaction():
        reader.execute("SELECT FROM customers, orders, addresses LIMIT 1")
        roll_back(settings, "test")
    assert_legacy_goes_on(settings, before + 2)
