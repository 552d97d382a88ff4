"""One run of the route's audits: count in the new shop, judge by the runs before, book."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

import psycopg

from shopferry import db
from shopferry.control import audits as books
from shopferry.control import phases
from shopferry.control.audits import Counted
from shopferry.control.phases import State
from shopferry.db import Connection
from shopferry.errors import MappingError
from shopferry.insight import trend
from shopferry.insight.audits import COLUMNS, Audit, load
from shopferry.insight.trend import Judged
from shopferry.route.route import Route

PATIENCE = "300s"  # for one audit
_FILLED = {State.IN_SYNC, State.VERIFIED, State.CUT_OVER}
_MOST_SEGMENTS = 50  # a segment is a label of a metric
_LONGEST = 60  # characters of a segment
_NUMBER = re.compile(r"\d{6}")


@dataclass(frozen=True)
class Run:
    """What one run found; `broken` names the audits that could not be counted, with file and line."""

    number: int
    judged: tuple[Judged, ...]
    broken: tuple[str, ...]
    seconds: float

    @property
    def changed(self) -> list[Judged]:
        """The values whose state is another than before, the worst first."""
        return trend.order_worst_first([j for j in self.judged if j.changed])

    @property
    def wrong(self) -> bool:
        """Whether an audit is in error, or could not be counted."""
        return bool(self.broken) or any(j.state == "error" for j in self.judged)


def find_due(shop: Connection, route: Route) -> list[Audit]:
    """Find the audits whose phase has filled the new shop; none before `phase init` and after `finish`."""
    if not db.exists(shop, "ferry.phase"):
        return []
    filled = {p.phase for p in phases.load_all(shop, route.base_name) if p.state in _FILLED}
    return [a for a in load(route) if a.phase in filled]


def run(shop: Connection, route: Route, due: Sequence[Audit], who: str, now: datetime) -> Run:
    """Run these audits and book what they count as of `now`; one that cannot be counted does not keep the others from it.

    Commits itself: each audit is a transaction that may only read, the booking is one more.
    """
    started = time.monotonic()
    counted: list[tuple[Audit, Counted]] = []
    broken: list[str] = []
    for audit in due:
        try:
            counted += [(audit, one) for one in count(shop, audit)]
        except MappingError as error:
            broken.append(str(error))
    seconds = time.monotonic() - started
    with shop.transaction():
        number, judged = book(shop, route, counted, who, now, seconds)
    return Run(number, tuple(judged), tuple(broken), seconds)


def book(
    shop: Connection,
    route: Route,
    counted: Sequence[tuple[Audit, Counted]],
    who: str,
    now: datetime,
    seconds: float,
) -> tuple[int, list[Judged]]:
    """Judge what was counted by the runs before `now`, and book it; returns the run's number and the verdicts."""
    before = books.load_before(shop, route.base_name, now, trend.RUNS)
    judged = [trend.judge(audit, one, before.get((one.audit, one.segment), [])) for audit, one in counted]
    number = books.book(shop, route.base_name, now, who, seconds, [(j.counted, j.state) for j in judged])
    return number, judged


def tell(shop: Connection, route: Route, number: int) -> list[Judged]:
    """Find what has changed in a run since on-call was told last, the worst first, and note that they are told now.

    Runs by hand lie between, and a run that is told once more has the same news.
    """
    told = books.load_told(shop, route.base_name, number)
    values = books.load_run(shop, number)
    before = books.load_before(shop, route.base_name, values[0].at, trend.RUNS) if values else {}
    loaded = {a.name: a for a in load(route)}
    found = []
    for value in values:
        if audit := loaded.get(value.audit):
            key = value.audit, value.segment
            one = Counted(value.audit, value.segment, value.bad, value.of)
            judged = trend.judge(audit, one, before.get(key, []))
            found.append(replace(judged, state=value.state, was=told.get(key)))
    books.note_told(shop, number)
    return trend.order_worst_first([j for j in found if j.changed])


def count(shop: Connection, audit: Audit) -> list[Counted]:
    """Run an audit's SELECT, which may only read. Raises MappingError with file and line where it does not run or fit."""
    try:
        with shop.transaction():
            shop.execute("SET TRANSACTION READ ONLY")
            shop.execute(f"SET LOCAL statement_timeout = '{PATIENCE}'".encode())
            cursor = shop.execute(audit.body.encode())
            names, rows = tuple(c.name for c in cursor.description or ()), cursor.fetchall()
    except psycopg.errors.QueryCanceled:
        raise _make_error(audit, f"takes longer than {PATIENCE}: give what it reads an index, or count less") from None
    except psycopg.errors.ReadOnlySqlTransaction:
        raise _make_error(audit, "writes: an audit may only read") from None
    except (psycopg.ProgrammingError, psycopg.DataError) as error:
        at = int(error.diag.statement_position or 1) - 1
        raise _make_error(audit, f"{db.describe_error(error)}", at) from None
    if names != COLUMNS:
        raise _make_error(audit, f"yields the columns {', '.join(names)}, not {', '.join(COLUMNS)}")
    return _read_rows(audit, rows)


def _read_rows(audit: Audit, rows: Sequence[tuple[object, ...]]) -> list[Counted]:
    """Turn rows into counts; no text names a segment that may be a person."""
    if len(rows) > _MOST_SEGMENTS:
        raise _make_error(
            audit, f"yields {len(rows)} segments, more than {_MOST_SEGMENTS}: a segment is a group, not a row"
        )
    found: dict[str, Counted] = {}
    for number, (segment, bad, of) in enumerate(rows, 1):
        if not isinstance(segment, str) or not 0 < len(segment) <= _LONGEST:
            raise _make_error(audit, f"row {number}: segment wants to be a text of 1 to {_LONGEST} characters")
        if "@" in segment or _NUMBER.search(segment):
            raise _make_error(audit, f"row {number}: segment looks like a person's: a segment is a group")
        if segment in found:
            raise _make_error(audit, f"row {number}: its segment came before")
        parts = _read_count(bad), _read_count(of)
        if parts[0] is None or parts[1] is None or parts[0] > parts[1]:
            raise _make_error(audit, f"row {number}: wants whole numbers with 0 <= bad <= of")
        found[segment] = Counted(audit.name, segment, parts[0], parts[1])
    return list(found.values())


def _read_count(value: object) -> int | None:
    """Read a count, which PostgreSQL gives as integer or numeric; None where it is none."""
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        value = int(value)
    return value if isinstance(value, int) and value >= 0 else None


def _make_error(audit: Audit, what: str, at: int = 0) -> MappingError:
    return MappingError(f"{audit.file}:{audit.line + audit.body[:at].count(chr(10))}: {what}")
