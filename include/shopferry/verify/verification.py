"""Verify one phase: mirror = legacy, shop = mapping(mirror), identities, the accounts, and the business checks.

Online, and resumable: what is compared is booked stretch by stretch, and a verification that was broken off goes on
behind the last one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

from psycopg.sql import SQL, Literal

from shopferry import db
from shopferry.control import differences, locks, target_shape
from shopferry.control.differences import Difference, Run
from shopferry.db import Connection
from shopferry.engine import mirror
from shopferry.engine.noted import keep_together
from shopferry.errors import PhaseError
from shopferry.route.entities import EntityMapping, IdentityMapping, Unit
from shopferry.route.route import Route
from shopferry.verify import checks, checksums, differ, identities, returned, unlogged
from shopferry.verify.accounting import Account, account, list_counting
from shopferry.verify.checks import Breach
from shopferry.verify.checksums import Part

T = TypeVar("T")
WORKERS = 2  # targets compared at a time: as many as the backfill has workers


@dataclass(frozen=True)
class Verification:
    """What was compared and found; differences that are explained are not among them."""

    phase: str
    rows_compared: int
    open: int
    differences: list[Difference]  # the first of them
    accounts: list[Account]
    warnings: list[Breach]  # of business checks that stop nothing
    seconds: float

    @property
    def clean(self) -> bool:
        """Whether nothing differs that is not explained, and every row is accounted for."""
        return not self.open


@dataclass(frozen=True)
class _Target:
    """One table of the mirror, identity or entity; `parts` compares it on a connection to each store."""

    layer: str
    name: str
    parts: Callable[[Connection, Connection], Iterator[Part]]


def verify(
    source: Connection,
    target: Connection,
    route: Route,
    phase: str,
    await_applied: Callable[[], object],
    *,
    rows_per_second: int | None = None,
) -> Verification:
    """Compare all layers of one phase online and record what differs in ferry.difference, the outcome in ferry.verification.

    Raises ConfigError without the key of marks where somebody was erased. Commits what it books itself, as the comparison
    spans several snapshots. One of a phase at a time: a second one waits.
    """
    with locks.verifying(target, route.name, phase), keep_together(target, route):
        if lost := target_shape.find_lost(target, route.name, [u.target for u in route.of(phase)]):
            raise PhaseError(
                f"the tables that phase {phase} fills are others than when it was installed: {'; '.join(lost)}. Mend the "
                "mapping and `shopferry phase init`, or give the column back"
            )
        returned.require_key(source, target, route)
        files = unlogged.load_files(source, route, route.tables_of(phase))
        with target.transaction():
            run = differences.begin(target, route.name, phase, files)
        _compare_all(source, target, run, _find_targets(target, route, run, await_applied), rows_per_second)
        return _finish(source, target, run, route)


def _find_targets(target: Connection, route: Route, run: Run, await_applied: Callable[[], object]) -> list[_Target]:
    """Find what is still to be compared."""
    tables = mirror.load(target)

    def parts_of(unit: Unit, target: Connection) -> Iterator[Part]:
        if isinstance(unit, IdentityMapping):
            rows, found = identities.compare(target, unit)
            yield Part(rows, found, None)
        elif isinstance(unit, EntityMapping):
            yield from differ.compare(target, unit, run.after("shop", unit.target))

    found = [
        _Target(
            "mirror",
            name,
            lambda legacy, target, n=name: checksums.compare(  # type: ignore[misc]
                legacy, target, tables[n], await_applied, run.after("mirror", n)
            ),
        )
        for name in route.tables_of(run.phase)
    ]
    found += [
        _Target(
            "identity" if isinstance(u, IdentityMapping) else "shop",
            u.target,
            lambda _, target, u=u: parts_of(u, target),  # type: ignore[misc]
        )
        for u in route.of(run.phase)
    ]
    return [t for t in found if not run.done(t.layer, t.name)]


def _compare_all(
    source: Connection, target: Connection, run: Run, wanted: Sequence[_Target], rows_per_second: int | None
) -> None:
    """Compare the targets, some at a time, on connections of their own; the first failure is raised.

    The mirror's tables come one after the other: the stream is waited for on connections of the caller's.
    """
    work = deque([[t for t in wanted if t.layer == "mirror"], *([t] for t in wanted if t.layer != "mirror")])
    throttle, stop = rows_per_second / WORKERS if rows_per_second else None, threading.Event()

    def lane() -> None:
        with db.open_another(source, "verify") as theirs, db.open_another(target, "verify") as ours:
            while work and not stop.is_set():
                try:
                    some = work.popleft()
                except IndexError:  # the other lane was faster
                    return
                for one in some:
                    if stop.is_set():
                        return
                    _book(ours, run, one, one.parts(theirs, ours), throttle, stop)

    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            for done in as_completed([pool.submit(lane) for _ in range(WORKERS)]):
                done.result()
        except BaseException:
            stop.set()
            raise


def verify_rows(
    source: Connection,
    target: Connection,
    route: Route,
    phase: str,
    found: Iterable[Difference],
    await_applied: Callable[[], object],
) -> list[Difference]:
    """Compare again, now and with values, of the rows that these differences name; records nothing."""
    tables = mirror.load(target)
    left: list[Difference] = []
    aggregates: dict[str, set[str]] = {}
    for d in found:
        if d.aggregate is not None:
            aggregates.setdefault(d.target, set()).add(d.aggregate)
    with keep_together(target, route):
        for name in route.tables_of(phase):
            for keys in _cut_slices(aggregates.get(name, ())):
                left += checksums.compare_keys(source, target, tables[name], keys, await_applied)
        for unit in route.of(phase):
            for keys in _cut_slices(aggregates.get(unit.target, ())):
                if isinstance(unit, IdentityMapping):
                    left += identities.compare(target, unit, keys)[1]
                elif isinstance(unit, EntityMapping):
                    left += differ.compare_keys(target, unit, keys)
    return left


def _cut_slices(keys: Iterable[str]) -> Iterator[list[str]]:
    """Cut the keys, in order, into as many as are compared at once."""
    listed = sorted(keys)
    for n in range(0, len(listed), differ.KEYS):
        yield listed[n : n + differ.KEYS]


def _book(
    target: Connection,
    run: Run,
    one: _Target,
    parts: Iterable[Part],
    rows_per_second: float | None,
    stop: threading.Event,
) -> None:
    """Book each part as it comes, and rest so long that no more rows are compared in a second than allowed."""
    started = time.monotonic()
    for part in parts:
        took = time.monotonic() - started
        with target.transaction():
            run.book(target, one.layer, one.name, part.found, rows=part.rows, seconds=took, high=part.high)
        if stop.is_set():
            return
        if rows_per_second:
            stop.wait(max(0.0, part.rows / rows_per_second - took))
        started = time.monotonic()


def judge(
    source: Connection, target: Connection, route: Route, phase: str
) -> tuple[list[Account], list[Difference], list[Breach]]:
    """(accounts, what is wrong with them and with the business checks, what the checks only warn of) of a phase, now.

    All in one snapshot, in which mirror and shop belong together; whether somebody who was erased is back is asked of both
    stores as they are now. Raises MappingError for a check that does not run.
    """
    with one_snapshot(target) as ask:
        counted = [ask(partial(account, mapping=m)) for m in list_counting(route, phase)]
        checked = [ask(partial(checks.find_breaches, check=c)) for c in checks.load(route) if c.phase == phase]
        accounts, breaches = [c.result() for c in counted], [b for c in checked for b in c.result()]
    found = [
        Difference("accounting", a.table, "all rows", "unaccounted", found=str(a.unaccounted))
        for a in accounts
        if a.unaccounted
    ]
    found += [
        Difference("check", b.target, b.key, "breach", b.check.name, found=b.found)
        for b in breaches
        if b.check.severity == "error"
    ]
    found += returned.find_breaches(source, target, route, phase)
    return accounts, found, [b for b in breaches if b.check.severity != "error"]


@contextmanager
def one_snapshot(target: Connection) -> Iterator[Callable[[Callable[[Connection], T]], Future[T]]]:
    """Yield what asks a question of one snapshot, on connections of its own, as many at a time as targets are compared."""
    mode = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
    free: SimpleQueue[Connection] = SimpleQueue()
    with target.transaction(), ExitStack() as stack:
        target.execute(mode)
        [(snapshot,)] = target.execute("SELECT pg_export_snapshot()").fetchall()
        for _ in range(WORKERS):
            conn = stack.enter_context(db.open_another(target, "verify"))
            stack.enter_context(conn.transaction())
            conn.execute(mode)
            conn.execute(SQL("SET TRANSACTION SNAPSHOT {}").format(Literal(snapshot)))
            free.put(conn)
        pool = stack.enter_context(ThreadPoolExecutor(WORKERS))

        def ask(question: Callable[[Connection], T]) -> T:
            conn = free.get()
            try:
                return question(conn)
            finally:
                free.put(conn)

        try:
            yield lambda question: pool.submit(ask, question)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # what is still to be asked is not waited for
            raise


def _finish(source: Connection, target: Connection, run: Run, route: Route) -> Verification:
    started = time.monotonic()
    accounts, found, warnings = judge(source, target, route, run.phase)
    with target.transaction():
        differences.record(target, run, found)
        rows, found_open, seconds = run.finish(target, [asdict(a) for a in accounts], time.monotonic() - started)
        return Verification(run.phase, rows, found_open, run.open(target), accounts, warnings, seconds)
