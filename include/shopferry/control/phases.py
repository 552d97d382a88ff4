"""The phase state machine: legal transitions only, one holder at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from psycopg.rows import class_row

from shopferry.control import routes
from shopferry.control.schema import SQL
from shopferry.db import Connection, load_queries
from shopferry.errors import PhaseError

_Q = load_queries(SQL / "phases.sql")
LEASE = timedelta(minutes=10)


class State(StrEnum):
    """Where a phase is; the glosses stand in control/sql/schema.sql."""

    NEW = "new"
    COPYING = "copying"
    MERGING = "merging"
    IN_SYNC = "in_sync"
    VERIFIED = "verified"
    CUT_OVER = "cut_over"

    @property
    def live(self) -> bool:
        """Whether the stream merges this phase's entities."""
        return self in {State.MERGING, State.IN_SYNC, State.VERIFIED}


# target → the states it may be reached from
TRANSITIONS = {
    State.COPYING: {State.NEW, State.COPYING},
    State.MERGING: {State.COPYING, State.MERGING, State.IN_SYNC, State.VERIFIED},
    State.IN_SYNC: {
        State.MERGING,
        State.IN_SYNC,
        State.VERIFIED,
        State.CUT_OVER,
    },  # the last: a switch turns the flow round
    State.VERIFIED: {State.IN_SYNC, State.VERIFIED, State.CUT_OVER},
    # From `copying`: the way back is armed and was never merged; from `in_sync`: it is given up by a rollback.
    State.CUT_OVER: {State.VERIFIED, State.CUT_OVER, State.COPYING, State.IN_SYNC},
}


@dataclass(frozen=True)
class Phase:
    """One row of ferry.phase; `held` says whether its holder is alive, `ran_by` who was the last to hold it."""

    phase: str
    position: int
    state: str
    holder: str | None
    held_since: datetime | None
    held: bool | None
    chunk_size: int
    rows_per_second: int | None
    sample: int | None
    generation: int
    started: datetime | None
    finished: datetime | None
    seconds: float
    ran_by: str | None


def register(conn: Connection, route: str, phases: tuple[str, ...]) -> None:
    """Make the route and its phases known; idempotent."""
    routes.register(conn, route)
    for position, phase in enumerate(phases):
        conn.execute(_Q["register"], {"route": route, "phase": phase, "position": position})


def load_all(conn: Connection, route: str) -> list[Phase]:
    """Load every phase of the route, in order."""
    with conn.cursor(row_factory=class_row(Phase)) as cur:
        return cur.execute(_Q["all"], {"route": route}).fetchall()


def load(conn: Connection, route: str, phase: str) -> Phase:
    """Load one phase. Raises PhaseError when the route has none of that name or was never initialised."""
    for found in load_all(conn, route):
        if found.phase == phase:
            return found
    raise PhaseError(f"phase {phase!r} of route {route!r} is not known: run `shopferry phase init` first")


def move(conn: Connection, route: str, phase: str, target: State) -> None:
    """Take one legal step to `target`. Raises PhaseError naming the state the phase is in."""
    sources = [str(s) for s in TRANSITIONS[target]]
    given = {"route": route, "phase": phase, "target": str(target), "sources": sources}
    if conn.execute(_Q["move"], given).fetchone() is None:
        now = load(conn, route, phase).state
        raise PhaseError(f"phase {phase} is {now}, it can become {target} only from {' or '.join(sorted(sources))}")


def require_start(conn: Connection, route: str, phase: str) -> None:
    """Refuse a phase out of order: all earlier ones must be verified. Raises PhaseError saying what is missing."""
    if load(conn, route, phase).state == State.CUT_OVER:
        raise PhaseError(f"phase {phase} is cut over: the new shop owns its data, nothing is copied any more")
    for earlier in load_all(conn, route):
        if earlier.phase == phase:
            return
        if earlier.state != State.VERIFIED:
            raise PhaseError(
                f"phase {phase} cannot start: {earlier.phase} comes first and is {earlier.state}, not verified; "
                f"run `shopferry phase run {earlier.phase}`"
            )


def hold(conn: Connection, route: str, phase: str, holder: str) -> None:
    """Take the phase for this run, or renew it. Raises PhaseError naming who holds it since when."""
    given = {"route": route, "phase": phase, "holder": holder, "lease": LEASE}
    if conn.execute(_Q["hold"], given).fetchone() is None:
        found = load(conn, route, phase)
        raise PhaseError(
            f"phase {phase} is held by {found.holder} since {found.held_since:%Y-%m-%d %H:%M:%S}; "
            f"should that one be dead, its hold ends by itself within {LEASE.total_seconds() / 60:.0f} minutes"
        )


def renew(conn: Connection, route: str, phase: str) -> None:
    """Keep the holder's lease alive while work on the phase goes on."""
    conn.execute(_Q["renew"], {"route": route, "phase": phase, "lease": LEASE})


def release(conn: Connection, route: str, phase: str, holder: str) -> None:
    """Let go of a phase this holder held."""
    conn.execute(_Q["release"], {"route": route, "phase": phase, "holder": holder})


def configure(
    conn: Connection, route: str, phase: str, *, chunk_size: int, rows_per_second: int | None, sample: int | None
) -> None:
    """Set how the next run of the phase goes about it: rows per chunk, throttle, sample (None: no limit)."""
    given = {"chunk_size": chunk_size, "rows_per_second": rows_per_second, "sample": sample}
    conn.execute(_Q["settings"], {"route": route, "phase": phase, **given})


def add_seconds(conn: Connection, route: str, phase: str, seconds: float) -> None:
    """Book working time of the phase."""
    conn.execute(_Q["add_seconds"], {"route": route, "phase": phase, "seconds": seconds})


def lock(conn: Connection, route: str) -> list[tuple[str, State, int]]:
    """Hold the states of all phases still until this transaction ends: (phase, state, generation), in order."""
    rows = conn.execute(_Q["lock_all"], {"route": route}).fetchall()
    return [(phase, State(state), generation) for phase, state, generation in rows]


def share(conn: Connection, route: str) -> list[tuple[str, State]]:
    """Keep out those who want all phases for themselves, until this transaction ends: (phase, state), in order.

    Unlike `lock` it lets a state change meanwhile: who changes one would else wait for two sessions that take turns.
    """
    rows = conn.execute(_Q["share_all"], {"route": route}).fetchall()
    return [(phase, State(state)) for phase, state in rows]


def next_generation(conn: Connection, route: str, phase: str) -> int:
    """Begin the next generation of this phase's mirror rows (a resync)."""
    row = conn.execute(_Q["next_generation"], {"route": route, "phase": phase}).fetchone()
    if row is None:
        raise PhaseError(f"phase {phase!r} of route {route!r} is not known")
    return int(row[0])
