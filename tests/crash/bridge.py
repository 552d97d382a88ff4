"""The ground of the death table: the shop is switched there and back under the writer, and somebody dies meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
from cells import MORTAL, TASK, WIRES, Death
from ground import Ground, Paused
from shopferry import db, phase_steps
from shopferry.backup import backup
from shopferry.cdc import proof
from shopferry.control import phases
from shopferry.cutover import switch, way_back
from shopferry.cutover.rollback import roll_back
from shopferry.demo import ledger
from shopferry.errors import ShopferryError
from shopferry.retry import retrying
from shopferry.route.route import Route
from shopferry.settings import Settings
from shopferry.stores import fence
from waiting import until
from wire import Wire

_OLD = {"cutover": "legacy", "rollback": "shop"}
_NEW = {"cutover": _OLD["rollback"], "rollback": _OLD["cutover"]}
_TRY: dict[str, Callable[[Settings, str], object]] = {"cutover": switch.cut_over, "rollback": roll_back}
_TABLE = {"legacy": "public.customers", "shop": "shop.customer"}
_AGAIN_S = 0.2


@dataclass
class Sentry:
    """Looks all the time which stores would take a write, as the application that writes without asking would."""

    settings: Settings
    both: int = 0  # times that both did
    longest_closed_s: float = 0.0
    open_now: set[str] = field(default_factory=set)
    _conns: dict[str, db.Connection] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Sentry:
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for conn in self._conns.values():
            conn.close()

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._stop.wait(0.02):
            legacy, shop = self._takes("legacy"), self._takes("shop")
            # Both at one moment: legacy before and after the new shop did.
            self.both += legacy and shop and self._takes("legacy")
            self.open_now = {name for name, takes in (("legacy", legacy), ("shop", shop)) if takes}
            if self.open_now:
                last = time.monotonic()
            self.longest_closed_s = max(self.longest_closed_s, time.monotonic() - last)

    def _takes(self, store: str) -> bool:
        try:
            if store not in self._conns or self._conns[store].closed:
                dsn = self.settings.source_dsn if store == "legacy" else self.settings.target_dsn
                self._conns[store] = db.connect(dsn, "sentry")
                self._conns[store].execute("SET lock_timeout = '50ms'")
            self._conns[store].execute(f"UPDATE {_TABLE[store]} SET id = id WHERE false".encode())  # its triggers fire
        except psycopg.Error:
            return False
        return True


@dataclass
class Bridge:
    """Both stores, armed in both directions; made once, every experiment finds it whole or makes it so."""

    ground: Ground
    whole: bool = False

    @property
    def settings(self) -> Settings:
        return self.ground.settings

    def bring(self, to: str) -> None:
        """The route where this switch begins, with all that its gates ask for."""
        if not self.whole:
            self.ground.whole = False  # nobody knows what a failure has left
            self.ground.prepare()
            backup.take_before_cutover(self.settings, "test")
        self.whole = self.ground.whole = False
        if self.open() != [_OLD[to]]:
            self.again("rollback" if to == "cutover" else "cutover")
        if to == "cutover":
            self._merged()
            way_back.arm(self.settings)

    def open(self) -> list[str]:
        """The stores without a fence, as soon as both answer."""

        def look() -> list[str]:
            with (
                db.connect(self.settings.source_dsn, "test") as legacy,
                db.connect(self.settings.target_dsn, "test") as new,
            ):
                return [name for name, conn in (("legacy", legacy), ("shop", new)) if not fence.find_fenced(conn)]

        return retrying(look)

    def again(self, what: str) -> None:
        """Try this switch until it is through, as whoever is called at night does."""
        while True:
            if what == "cutover" and self.open() == ["legacy"]:
                retrying(lambda: way_back.arm(self.settings))
            try:
                _TRY[what](self.settings, "test")
                return
            except (ShopferryError, psycopg.OperationalError):
                time.sleep(_AGAIN_S)

    @contextmanager
    def switching(self, death: Death, at: str) -> Iterator[tuple[Paused, dict[str, Wire]]]:
        """The switch, paused at a point, on wires of its own; begun again where a gate was not met yet."""
        wires = {"legacy": Wire(self.settings.source_dsn), "shop": Wire(self.settings.target_dsn)}
        environment = {f"SHOPFERRY_{name.upper()}_DSN": wire.dsn for name, wire in wires.items()}
        try:
            while True:
                with self.ground.paused(at, death.switch, **environment) as task:
                    until(lambda t=task: t.flag.exists() or t.process.poll() is not None)  # type: ignore[misc]
                    if task.flag.exists():
                        yield task, wires
                        return
                # Such as right after a broker's death, whose gap the way back has just noticed.
                assert "gates not met" in task.log.read_text(), task.log.read_text()
        finally:
            for wire in wires.values():
                wire.close()

    def strike(self, who: str, task: Paused, wires: dict[str, Wire]) -> None:
        """Kill somebody, or cut a wire; the task goes on at once, and is waited for."""
        if who == TASK:
            task.process.kill()
            task.process.wait()
        elif who in WIRES:
            wires[WIRES[who]].cut()
            task.end()
        else:
            name = MORTAL[who]
            old = self.ground.pid(name)
            killer = threading.Thread(target=self.ground.strike, args=(name, "SIGKILL"))
            killer.start()
            until(lambda: not psutil.pid_exists(old))
            task.end()
            killer.join()

    def outcome(self, death: Death, sentry: Sentry) -> str:
        """What came of the try, by what is open now; what is open is also written to."""
        standing = self.open()
        if standing == [_NEW[death.switch]] and self._route() == _NEW[death.switch]:
            return "through"
        if standing == [_OLD[death.switch]]:
            until(lambda: sentry.open_now == {_OLD[death.switch]})
            return "stays"
        return "next try"

    def complete(self, death: Death) -> None:
        """The next try, and after a rollback what it does next."""
        self.again(death.switch)
        if death.switch == "rollback":
            self._merged()

    def check(self, death: Death, book: Path) -> None:
        """Both flows are at their end, nothing differs where that can be said, no write is lost or has failed."""
        retrying(lambda: proof.await_both(self.settings))
        if death.switch == "rollback":
            for phase in Route.load(self.settings.route).phases:
                found = retrying(lambda p=phase: phase_steps.compare(self.settings, p))  # type: ignore[misc]
                assert found.clean, found.differences
        with (
            db.connect(self.settings.source_dsn, "test") as legacy,
            db.connect(self.settings.target_dsn, "test") as new,
        ):
            report = ledger.check(book, legacy, new)
        assert report.missing == [], report.missing
        assert report.failed_for_the_user == 0
        assert {r["store"] for r in ledger.read(book) if r["acknowledged"]} == {"legacy", "shop"}

    def _route(self) -> str:
        with db.connect(self.settings.target_dsn, "test") as new:
            row = new.execute("SELECT active FROM ferry.route WHERE route = %s", (self.settings.route,)).fetchone()
        return str(row[0]) if row else ""

    def _merged(self) -> None:
        """After a rollback: every phase merged again and verified."""

        def verified() -> bool:
            with db.connect(self.settings.target_dsn, "test") as new:
                return {p.state for p in phases.load_all(new, self.settings.route)} == {"verified"}

        while not verified():
            self.ground.expire_leases()
            try:
                phase_steps.run_again(self.settings, "test", lambda _: None)
            except (ShopferryError, psycopg.OperationalError):
                time.sleep(_AGAIN_S)
