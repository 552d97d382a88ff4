"""The way back: the same engine with the stores exchanged, armed before a cutover, live from legacy's fence on.

Armed means that legacy holds a mirror of the new shop which the stream keeps, and that nothing is merged: until the switch
all that the new shop gets comes from legacy. Phases of the way back stand at `cut_over` then, as those of the way there do
after the switch: the store that they would write is the one that owns the data.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from psycopg.sql import SQL, Identifier, Literal

from shopferry import db, installation, phase_steps
from shopferry.cdc import proof, slot
from shopferry.cdc.proof import await_applied, broker_ends
from shopferry.control import chunks, offsets, phases, routes
from shopferry.control.gates import Gate
from shopferry.control.phases import State
from shopferry.cutover import sequences
from shopferry.cutover.sequences import Numbering
from shopferry.db import Connection
from shopferry.engine import backfill
from shopferry.engine.pair import Stores, open_stores
from shopferry.engine.relay import relay
from shopferry.errors import MappingError, ShopferryError
from shopferry.route import headed as headed_files
from shopferry.route.route import Route, find_folder
from shopferry.settings import Settings

SIGN_OF_LIFE_S = 15.0
PATIENCE_S = 60.0  # for connector and consumer, which begin when there is something to follow
ROUND_TRIP_S = 10.0
KEYS = "keys.sql"
_NUMBERS = re.compile(r"(\S+)\((\S+)\) as (\S+)")
_GATE = "way back armed"
_ARMED = {State.CUT_OVER, State.IN_SYNC}


def arm(settings: Settings, say: Callable[[str], None] = lambda _: None) -> int:
    """Have legacy hold all that the new shop holds, and follow it; idempotent. Returns the rows copied this time.

    Nothing is done before all phases are verified (the gates say so), and of a route without mappings that lead back. While
    the new shop is the active store, the way back is in use: mappings that were mended since are installed, and no more.
    """
    route = Route.load(settings.route)
    if not route.has_way_back:
        say("nothing to arm: the route has no mappings that lead back (folder reverse)")
        return 0
    back = settings.reversed
    with db.connect(settings.target_dsn, "arm") as shop:
        known = phases.load_all(shop, route.name) if routes.is_installed(shop) else []
        if known and routes.find_active(shop, route.name) == "shop":
            say("the way back is in use: installing its mappings as they are now")
            _install(back)
            return 0
        if not known or any(p.state != State.VERIFIED for p in known):
            say("not all phases are verified: the way back is armed after them")
            return 0
    say("installing the way back")
    _install(back)
    rows = 0
    for phase in Route.load(back.route).phases:
        if _begin(back, phase):
            say(f"copying {phase} into legacy's mirror of the new shop")
            phase_steps.in_threads(lambda worker, stop, p=phase: phase_steps.copy(back, p, worker, stop=stop))  # type: ignore[misc]
            rows += _copied(back, phase)
            _analyze(back, phase)
    say("copying what the libraries made of old values")
    _copy_standardized(settings)
    with open_stores(back, "arm") as s:
        with broker_ends(s, back) as ends:
            await_applied(s, ends, PATIENCE_S)
        with s.target.transaction():
            for phase in s.route.phases:
                phases.move(s.target, s.route.name, phase, State.CUT_OVER)
    return rows


def gate(s: Stores | None, settings: Settings) -> Gate:
    """Whether the way back is armed, by a marker that makes the round now; `s` leads back, None where there is no way."""
    if s is None:
        return Gate(_GATE, True, "the route has no mappings that lead back: its first write closes the way back", "")
    remedy = "run `shopferry arm`, start `shopferry sync reverse` and its connector, read their logs"
    if not routes.is_current(s.target, s.route.name, s.route.fingerprint):
        return Gate(_GATE, False, "it is not installed, or was for other mappings", remedy)
    states = {p.phase: p.state for p in phases.load_all(s.target, s.route.name)}
    if late := [f"{p} is {states.get(p, 'unknown')}" for p in s.route.phases if states.get(p) not in _ARMED]:
        return Gate(_GATE, False, ", ".join(late), remedy)
    try:
        _following(s.target, s.route)
        with broker_ends(s, settings) as ends:
            passed = await_applied(s, ends, ROUND_TRIP_S)
    except ShopferryError as error:
        return Gate(_GATE, False, str(error), remedy)
    seen = offsets.list_consumers(s.target, s.route.name)
    if not seen or seen[0].age_s > SIGN_OF_LIFE_S or seen[0].stopped:
        why = (
            "no consumer was seen lately"
            if not seen or not seen[0].stopped
            else f"its consumer stopped: {seen[0].stopped}"
        )
        return Gate(_GATE, False, why, remedy)
    took = (passed.connector_s + passed.consumer_s) * 1000
    return Gate(
        _GATE, True, f"a marker went from the new shop to legacy in {took:.0f} ms, {datetime.now(UTC):%H:%M:%S} UTC", ""
    )


def turn(conn: Connection, route: Route | None, *, live: bool) -> None:
    """Have a route's phases be merged from this commit on, or no more; `conn` is to the store that the route writes.

    They are in sync then, and not verified: what the other direction could not carry may differ.
    """
    for phase in route.phases if route else ():
        phases.move(conn, route.name, phase, State.IN_SYNC if live else State.CUT_OVER)  # type: ignore[union-attr]


def numberings(legacy: Connection, route: Route) -> list[Numbering]:
    """The sequences that number legacy's tables; none where nothing leads back. A rollback sets them, a cutover reads them."""
    back = route.back
    return sequences.numberings(legacy, back) if back else []


def number(legacy: Connection, shop: Connection, route: Route) -> None:
    """Let the new shop give legacy's own numbers to what is born there, from where legacy stands; never backwards."""
    if (back := route.back) is None:
        return
    for sequence, following in _following(legacy, back).items():
        shop.execute(
            SQL(
                "SELECT setval({}::regclass, greatest({}, (SELECT last_value + is_called::integer FROM {})), false)"
            ).format(Literal(sequence), Literal(following), Identifier(*sequence.split(".")))
        )


def number_back(shop: Connection, legacy: Connection, route: Route) -> None:
    """Let legacy go on behind all numbers that it or the new shop has given out; never backwards.

    A row that stays behind in the new shop keeps its number: legacy must not give it to another.
    """
    if (back := route.back) is None:
        return
    given_out = {}
    for table, column, sequence in _numbers(back):
        following = SQL("SELECT last_value + is_called::integer FROM {}").format(Identifier(*sequence.split(".")))
        [(given_out[f"{table}.{column}"],)] = shop.execute(following).fetchall()
    sequences.advance(legacy, back, given_out)


def _following(legacy: Connection, back: Route) -> dict[str, int]:
    """Where each of the new shop's sequences for legacy's numbers has to go on. Raises MappingError when that cannot be told."""
    standing = {column: n for n in sequences.numberings(legacy, back) for column in n.columns}
    found = {}
    for table, column, sequence in _numbers(back):
        one = standing.get(f"{table}.{column}")
        if one is None or one.following is None:
            raise MappingError(
                f"{back.name}/{KEYS}: {table}.{column} is not numbered by a sequence that we may read and set"
            )
        found[sequence] = one.following
    return found


def _numbers(back: Route) -> list[tuple[str, str, str]]:
    """Read what gets its legacy key at birth: (legacy table, column, the new shop's sequence).

    Raises MappingError for a line of another form.
    """
    file, found = find_folder(back.name) / KEYS, []
    if not file.exists():
        return []
    headed = headed_files.read(file, Path(f"{back.name}/{KEYS}"), {"numbers"})
    for header in headed.all("numbers"):
        form = _NUMBERS.fullmatch(header.value)
        if not form:
            raise headed.error(
                header.line, "wants `-- numbers: <legacy table>(<column>) as <sequence of the new shop>`"
            )
        found.append((form[1], form[2], form[3]))
    return found


def _install(back: Settings) -> None:
    with open_stores(back, "arm") as s:
        installation.install(s.source, s.target, s.route)
        file = find_folder(s.route.name) / KEYS
        # The forward flow writes the new shop now, and goes on when these short locks are gone.
        if file.exists():  # not where all keys are the same in both stores
            with s.source.transaction():
                s.source.execute(file.read_bytes())
        name = s.route.publication
        proof.await_slot(s.source, name, timeout_s=PATIENCE_S)
        slot.await_reader(s.source, name, PATIENCE_S)


def _begin(back: Settings, phase: str) -> bool:
    """Plan the copy of a phase that has none; whether there is something to copy."""
    with open_stores(back, f"arm {phase}") as s:
        if phases.load(s.target, s.route.name, phase).state == State.NEW:
            with s.target.transaction():
                phases.move(s.target, s.route.name, phase, State.COPYING)
            backfill.plan_copy(s, phase)
        return bool(chunks.has_open(s.target, s.route.name, phase, "copy"))


def _analyze(back: Settings, phase: str) -> None:
    """Tables that were just filled have no statistics, and the way back reads them from its first batch on."""
    with open_stores(back, f"arm {phase}") as s:
        for name in s.route.tables_of(phase):
            s.target.execute(SQL("ANALYZE {}").format(Identifier("mirror", name)))


def _copied(back: Settings, phase: str) -> int:
    with open_stores(back, f"arm {phase}") as s:
        return sum(
            p.rows for p in chunks.load_progress(s.target, s.route.name) if p.phase == phase and p.kind == "copy"
        )


def _copy_standardized(settings: Settings) -> None:
    """Tell legacy what was made of its values: where the new shop still holds just that, the old value is left alone."""
    with (
        closing(db.connect(settings.target_dsn, "arm")) as shop,
        closing(db.connect(settings.source_dsn, "arm")) as legacy,
        legacy.transaction(),
    ):
        legacy.execute("CREATE TEMP TABLE told (LIKE ferry.standardized) ON COMMIT DROP")
        relay(
            shop,
            SQL("COPY ferry.standardized TO STDOUT (FORMAT binary)").format(),
            legacy,
            SQL("COPY pg_temp.told FROM STDIN (FORMAT binary)").format(),
        )
        legacy.execute("INSERT INTO ferry.standardized SELECT * FROM told ON CONFLICT DO NOTHING")
    with closing(db.connect(settings.source_dsn, "arm")) as legacy:
        legacy.execute("ANALYZE ferry.standardized")
