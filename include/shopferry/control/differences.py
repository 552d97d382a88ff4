"""Differences: what verification found, until it is explained, repaired or gone. Values are kept as shapes only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from shopferry.control.schema import SQL
from shopferry.db import Connection, load_queries
from shopferry.shapes import mask

_Q = load_queries(SQL / "differences.sql")
_MEMORY = "6 hours"  # a verification that was broken off longer ago starts again from nothing
_KEPT = "30 days"  # what is gone or repaired, after it was settled
NO_KEY = "(no key)"  # of a check's rows without a key: who explained one would explain all that come later
EXAMPLES = 1_000  # of what a verification has found: one wrong mapping makes millions
STATES = ("open", "explained", "repaired", "gone")


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it should be. The values are as they are; `record` keeps their shapes only."""

    layer: str
    target: str
    key: str
    kind: str
    column: str = ""
    aggregate: str | None = None  # the key to be merged again
    expected: str | None = field(default=None, repr=False)
    found: str | None = field(default=None, repr=False)

    @property
    def where(self) -> str:
        """What to call it in a log."""
        return f"{self.layer}: {self.target} {self.key}{f' {self.column}' if self.column else ''} {self.kind}"


@dataclass(frozen=True)
class Entry:
    """One difference as recorded."""

    phase: str
    layer: str
    target: str
    key: str
    column_name: str
    kind: str
    aggregate: str | None
    expected: str | None
    found: str | None
    state: str
    first_seen: datetime
    last_seen: datetime
    settled: datetime | None
    explanation: str | None
    who: str | None

    @property
    def difference(self) -> Difference:
        """Without what became of it; its values are shapes."""
        return Difference(
            self.layer, self.target, self.key, self.kind, self.column_name, self.aggregate, self.expected, self.found
        )


@dataclass(frozen=True)
class Run:
    """One verification of a phase under way, and how far an earlier try of it had come: (layer, target) → last key.

    The last key is None where all of it is compared.
    """

    route: str
    phase: str
    at: datetime
    steps: dict[tuple[str, str], list[Any] | None]

    @property
    def _given(self) -> dict[str, Any]:
        return {"route": self.route, "phase": self.phase, "at": self.at}

    def done(self, layer: str, target: str) -> bool:
        """Whether it has compared all of it already."""
        return (layer, target) in self.steps and self.steps[layer, target] is None

    def after(self, layer: str, target: str) -> list[Any] | None:
        """The key up to which it has compared already; None: nothing yet."""
        return self.steps.get((layer, target))

    def book(
        self,
        conn: Connection,
        layer: str,
        target: str,
        found: Sequence[Difference],
        *,
        rows: int,
        seconds: float,
        high: Sequence[Any] | None,
    ) -> None:
        """Record that everything up to `high` is compared (None: all of it), and what was found there."""
        record(conn, self, found)
        step = {"layer": layer, "target": target, "high": None if high is None else Jsonb(list(high))}
        conn.execute(_Q["step"], self._given | step)
        conn.execute(_Q["progress"], self._given | {"rows": rows, "seconds": seconds})

    def finish(self, conn: Connection, accounting: Sequence[Any], seconds: float) -> tuple[int, int, float]:
        """End it; returns (rows compared, open differences, seconds) of all its tries. What it did not meet any more is gone."""
        conn.execute(_Q["finish"], self._given)
        given = self._given | {"accounting": Jsonb(list(accounting)), "seconds": seconds}
        row = conn.execute(_Q["finished"], given).fetchone()
        conn.execute(_Q["forget_steps"], self._given)
        return (int(row[0]), int(row[1]), float(row[2])) if row else (0, 0, 0.0)

    def open(self, conn: Connection) -> list[Difference]:
        """Load the first `EXAMPLES` of the differences that are not explained; call it once the run is finished."""
        return [e.difference for e in load(conn, self.route, self.phase, limit=EXAMPLES)]


def begin(conn: Connection, route: str, phase: str, files: Mapping[str, int]) -> Run:
    """Begin the verification of a phase, or go on with one that was broken off. Forgets what was settled long ago.

    `files` are the numbers of the files that hold the source's tables now; one that goes on keeps those it began with.
    """
    conn.execute(_Q["forget"], {"route": route, "phase": phase, "kept": _KEPT})
    row = conn.execute(
        _Q["begin"], {"route": route, "phase": phase, "memory": _MEMORY, "files": Jsonb(dict(files))}
    ).fetchone()
    assert row
    steps = conn.execute(_Q["steps"], {"route": route, "phase": phase, "at": row[0]}).fetchall()
    return Run(route, phase, row[0], {(layer, target): high for layer, target, high in steps})


def record(conn: Connection, run: Run, found: Sequence[Difference]) -> None:
    """Record differences as met by this verification."""
    unique = {(d.layer, d.target, d.key, d.column): d for d in found}.values()
    if not unique:
        return
    conn.execute(
        _Q["found"],
        {
            "route": run.route,
            "phase": run.phase,
            "at": run.at,
            "layers": [d.layer for d in unique],
            "targets": [d.target for d in unique],
            "keys": [d.key for d in unique],
            "columns": [d.column for d in unique],
            "kinds": [d.kind for d in unique],
            "aggregates": [d.aggregate for d in unique],
            "expecteds": [_kept(d, d.expected) for d in unique],
            "founds": [_kept(d, d.found) for d in unique],
        },
    )


def _kept(d: Difference, value: str | None) -> str | None:
    # Accounts and checks speak of counts and sums; all other values are somebody's.
    return value if d.layer in {"accounting", "check"} else mask(value)


def load(
    conn: Connection,
    route: str,
    phase: str | None = None,
    *,
    states: Sequence[str] = ("open",),
    target: str | None = None,
    limit: int = 10_000_000,
) -> list[Entry]:
    """Load the recorded differences, by phase, layer, target and key."""
    given = {"route": route, "phase": phase, "states": list(states), "target": target, "limit": limit}
    with conn.cursor(row_factory=class_row(Entry)) as cur:
        return cur.execute(_Q["entries"], given).fetchall()


@dataclass(frozen=True)
class Latest:
    """The last verification of a phase that came to its end."""

    phase: str
    at: datetime
    age_h: float
    rows_compared: int
    differences: int
    seconds: float
    accounting: list[dict[str, Any]]
    files: dict[str, int] | None  # None of one that was before they were noted


def load_latest(conn: Connection, route: str) -> dict[str, Latest]:
    """Load the last finished verification of each phase, by phase."""
    with conn.cursor(row_factory=class_row(Latest)) as cur:
        return {v.phase: v for v in cur.execute(_Q["latest"], {"route": route}).fetchall()}


def count(conn: Connection, route: str) -> list[dict[str, Any]]:
    """Count differences by phase, layer, target, kind and state, and say since when they are there."""
    names = ("phase", "layer", "target", "kind", "state", "differences", "since")
    return [dict(zip(names, row, strict=True)) for row in conn.execute(_Q["counts"], {"route": route}).fetchall()]


def load_explainers(conn: Connection, route: str) -> dict[str, int]:
    """Load who has explained what still differs, and how much of it."""
    return dict(conn.execute(_Q["explainers"], {"route": route}).fetchall())


def explain(conn: Connection, route: str, target: str, key: str | None, why: str, who: str) -> int:
    """Mark differences of a target, or of one of its rows, as explained; returns how many. One without a key stays open."""
    given = {"route": route, "target": target, "key": key, "why": why, "who": who, "no_key": NO_KEY}
    return len(conn.execute(_Q["explain"], given).fetchall())


def record_repair(
    conn: Connection,
    route: str,
    phase: str,
    rows: Sequence[tuple[str, str, str]],
    remaining: int,
    seconds: float,
    who: str,
) -> None:
    """Record a repair: these rows, by (layer, target, key), are as they should be again; so many are not."""
    given = {
        "route": route,
        "phase": phase,
        "who": who,
        "layers": [r[0] for r in rows],
        "targets": [r[1] for r in rows],
        "keys": [r[2] for r in rows],
        "repaired": len(rows),
        "remaining": remaining,
        "differences": len(rows) + remaining,
        "seconds": seconds,
    }
    conn.execute(_Q["repaired"], given)
    conn.execute(_Q["record_repair"], given)
