"""The evening of a drill from its beginning to its debrief: a shop is made ready, faults are planted, played, and scored."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from shopferry import db, phase_steps, stack
from shopferry.backup import backup
from shopferry.cdc import proof, slot
from shopferry.control import acceptances, routes
from shopferry.cutover import acceptance, way_back
from shopferry.demo import ledger, shop
from shopferry.demo.drill.debrief import Debrief, Played
from shopferry.demo.drill.fault import Fault
from shopferry.demo.drill.ground import Ground, await_true
from shopferry.demo.drill.paper_faults import AcceptanceStale, BackupTooOld
from shopferry.demo.drill.players import Player
from shopferry.demo.drill.row_faults import ImportRunsWild, OrdersDiffer, RefusalLost, StoreOpen
from shopferry.demo.drill.stream_faults import BesideTheLog, ConnectorFrozen, ConsumerStopped, OldTransaction
from shopferry.demo.writer import run_beside
from shopferry.engine.pair import open_stores
from shopferry.errors import ConfigError, StackError
from shopferry.phase_steps import Options
from shopferry.route import settings as route_settings
from shopferry.route.route import Route
from shopferry.settings import SQL_ROOT, Settings, data_dir, stack_state

CUSTOMERS, RATE = 400, 4  # a small shop, which is in use
_PATIENCE_S = 120.0  # until all gates are met again
_CALM_S = (5.0, 20.0)  # before a fault, by chance
_AREAS = '\n[cutover.acceptance]\ncontacts = "care"\npoints = "marketing"\n'


def list_faults() -> tuple[Fault, ...]:
    """List all faults, in the order of the menu."""
    return (
        ConsumerStopped(),
        ConnectorFrozen(),
        OldTransaction(),
        BesideTheLog(),
        StoreOpen(),
        OrdersDiffer(),
        RefusalLost(),
        ImportRunsWild(),
        BackupTooOld(),
        AcceptanceStale(),
    )


def run(player: Player, *, seed: int, count: int, say: Callable[[str], None]) -> Debrief:
    """Play an evening with so many faults, drawn by the seed, on a stack of its own; the stack is gone afterwards.

    Raises ConfigError for a count that the menu has not, StackError when the shop cannot be made ready.
    """
    menu, chance = list_faults(), random.Random(seed)  # noqa: S311
    if not 1 <= count <= len(menu):
        raise ConfigError(f"--faults {count}: write a number from 1 to {len(menu)}")
    home = data_dir() / "drill"
    foreign = _move_to(home)
    try:
        say("a shop is being made ready for its cutover: two or three minutes")
        ground = make_ready(say)
        book = home / "evening" / "ledger.jsonl"
        book.unlink(missing_ok=True)
        with run_beside(book, RATE):
            say(f"in another terminal: {_tell_environment(home, foreign)}")
            played = play(ground, menu, chance.sample(menu, count), player, chance)
            cut_over = _close(ground, player)
        return _check(ground, Debrief(seed, tuple(played), cut_over), book)
    finally:
        stack.down(purge=True)


def _move_to(home: Path) -> list[str]:
    """Let the drill have a stack and a route of its own; returns the variables that would have led it to other stores.

    They are taken out of this process: its faults must reach no store but its own.
    """
    own = {"SHOPFERRY_DATA": str(home), "SHOPFERRY_ROUTE": "demo", "SHOPFERRY_ROUTES": str(home / "routes")}
    foreign = sorted(name for name in os.environ if name.startswith("SHOPFERRY_") and name not in own)
    for name in foreign:
        del os.environ[name]
    os.environ |= own
    if stack_state():  # of a drill that was killed
        stack.down(purge=True)
    shutil.copytree(SQL_ROOT / "demo", home / "routes" / "demo")
    with (home / "routes" / "demo" / route_settings.FILE).open("a", encoding="utf-8") as file:
        file.write(_AREAS)
    return foreign


def _tell_environment(home: Path, foreign: Sequence[str]) -> str:
    """Tell what to type in another terminal, so that each command there is of the drill's shop."""
    unset = f"unset {' '.join(foreign)}; " if foreign else ""
    return f"{unset}export SHOPFERRY_DATA={home} SHOPFERRY_ROUTE=demo SHOPFERRY_ROUTES={home / 'routes'}"


def make_ready(say: Callable[[str], None]) -> Ground:
    """Bring up the stack with a shop of which all gates of the cutover are met."""
    state = stack.up(without={"airflow"})
    settings = Settings.load()
    shop.seed(settings, CUSTOMERS)
    phase_steps.install(settings)
    route = Route.load(settings.route)
    with db.connect(settings.source_dsn, "drill") as legacy:
        slot.await_reader(legacy, route.publication, patience_s=60.0)
    for phase in route.phases:
        say(f"phase {phase}")
        phase_steps.run(settings, phase, "drill", Options(without_rehearsal="drill"), lambda _: None)
    say("backups, and the way back")
    backup.take_before_cutover(settings, "drill")
    way_back.arm(settings)
    return Ground(settings, state, say)


def play(
    ground: Ground, menu: Sequence[Fault], drawn: Sequence[Fault], player: Player, chance: random.Random
) -> list[Played]:
    """Plant one fault after the other and have each found and mended; what is given up is mended by the book."""
    played = []
    for number, fault in enumerate(drawn, 1):
        settle(ground)
        ground.say(f"all is well; fault {number} of {len(drawn)} comes soon")
        time.sleep(chance.uniform(*_CALM_S))
        fault.plant(ground)
        ground.say("something is wrong now: look in the other terminal, and say what it is")
        began, wrong = time.monotonic(), 0
        while (said := player.name(menu, fault, ground)) not in (None, fault):
            wrong += 1
            ground.say("that is not it")
        noticed = time.monotonic()
        mended = said is not None and player.mend(fault, ground)
        ended = time.monotonic()
        played.append(Played(fault, wrong, noticed - began if said else None, ended - noticed if mended else None))
        if not mended:
            ground.say("it is mended by the book:")
            fault.mend(ground)
    return played


def settle(ground: Ground) -> None:
    """Wait until all gates are met; the areas look again and accept, as they would after each verification.

    Raises StackError naming the gates that stay unmet.
    """
    unmet: list[str] = []

    def is_well() -> bool:
        _accept(ground)
        unmet[:] = ground.list_unmet()
        return not unmet

    if not await_true(is_well, _PATIENCE_S):
        raise StackError(f"the evening cannot go on: {', '.join(unmet)} not met after {_PATIENCE_S:.0f} s")


def _accept(ground: Ground) -> None:
    terms = route_settings.load(ground.settings.route).cutover
    with open_stores(ground.settings, "drill") as stores:
        if not acceptance.judge(stores, terms).met:
            for area, who in terms.acceptance.items():
                acceptances.record(stores.target, ground.settings.route, area, "looked again in the drill", who)


def _close(ground: Ground, player: Player) -> bool:
    """Have the player cut over; returns whether the new shop is open."""
    settle(ground)
    player.cut_over(ground)
    with ground.shop() as conn:
        return routes.find_active(conn, ground.settings.route) == "shop"


def _check(ground: Ground, made: Debrief, book: Path) -> Debrief:
    """Look up every write that was acknowledged in the evening, once all is applied in both directions."""
    if not made.cut_over:
        return made
    proof.await_both(ground.settings)
    with ground.legacy() as legacy, ground.shop() as new:
        found = ledger.check(book, legacy, new)
    return Debrief(made.seed, made.played, made.cut_over, found.acknowledged, len(found.missing))
