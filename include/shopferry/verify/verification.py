"""Verify one phase: mirror = legacy, shop = mapping(mirror), identities, the accounts, and the business checks.

Online, and resumable: what is compared is booked stretch by stretch, and a verification that was broken off goes on
behind the last one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass

from shopferry import mirror
from shopferry.control import differences
from shopferry.control.differences import Difference, Run
from shopferry.db import Connection
from shopferry.mapping import Identity, Mapping, Route
from shopferry.verify import checks, checksums, differ, identities
from shopferry.verify.accounting import Account, account
from shopferry.verify.checks import Breach
from shopferry.verify.checksums import Part


@dataclass(frozen=True)
class Verification:
    """What was compared and found; differences that somebody has explained are not among them."""

    phase: str
    rows_compared: int
    differences: list[Difference]
    accounts: list[Account]
    warnings: list[Breach]  # of business checks that stop nothing
    seconds: float

    @property
    def clean(self) -> bool:
        """Whether nothing differs that is not explained, and every row is accounted for."""
        return not self.differences


def verify(
    legacy: Connection, shop: Connection, route: Route, phase: str, await_applied: Callable[[], object], *,
    rows_per_second: int | None = None,
) -> Verification:  # fmt: skip
    """Compare all layers of one phase online and record what differs in ferry.difference, the outcome in ferry.verification.

    Commits what it books itself, as the comparison spans several snapshots. One at a time: a second one waits.
    """
    lock = f"verify {route.name} {phase}"
    shop.execute("SELECT pg_advisory_lock(hashtext(%s))", (lock,))
    try:
        with shop.transaction():
            run = differences.begin(shop, route.name, phase)
        tables = mirror.load(shop)
        for name in route.tables_of(phase):
            if not run.done("mirror", name):
                after = run.after("mirror", name)
                parts = checksums.compare(legacy, shop, tables[name], await_applied, after)
                _book(shop, run, "mirror", name, parts, rows_per_second)
        for unit in route.of(phase):
            layer = "identity" if isinstance(unit, Identity) else "shop"
            if run.done(layer, unit.target):
                continue
            if isinstance(unit, Identity):
                _book(shop, run, layer, unit.target, _whole(shop, unit), rows_per_second)
            elif isinstance(unit, Mapping):
                parts = differ.compare(shop, unit, run.after(layer, unit.target))
                _book(shop, run, layer, unit.target, parts, rows_per_second)
        return _finish(shop, run, route)
    finally:
        if not shop.closed:
            shop.execute("SELECT pg_advisory_unlock(hashtext(%s))", (lock,))


def verify_rows(
    legacy: Connection, shop: Connection, route: Route, phase: str, found: Iterable[Difference],
    await_applied: Callable[[], object],
) -> list[Difference]:  # fmt: skip
    """What still differs, now and with its values, of the rows that these differences name; records nothing."""
    tables = mirror.load(shop)
    left: list[Difference] = []
    aggregates: dict[str, set[str]] = {}
    for d in found:
        if d.aggregate is not None:
            aggregates.setdefault(d.target, set()).add(d.aggregate)
    for name in route.tables_of(phase):
        if keys := aggregates.get(name):
            left += checksums.compare_keys(legacy, shop, tables[name], keys, await_applied)
    for unit in route.of(phase):
        if not (keys := aggregates.get(unit.target)):
            continue
        if isinstance(unit, Identity):
            left += identities.compare(shop, unit, sorted(keys))[1]
        elif isinstance(unit, Mapping):
            left += differ.compare_keys(shop, unit, sorted(keys))
    return left


def _whole(shop: Connection, unit: Identity) -> Iterator[Part]:
    rows, found = identities.compare(shop, unit)
    yield Part(rows, found, None)


def _book(
    shop: Connection, run: Run, layer: str, target: str, parts: Iterable[Part], rows_per_second: int | None
) -> None:
    """Book each part as it comes, and rest so long that no more rows are compared in a second than allowed."""
    started = time.monotonic()
    for part in parts:
        took = time.monotonic() - started
        with shop.transaction():
            run.book(
                shop, layer, target, part.found,
                rows=part.rows, seconds=took, high=part.high,
            )  # fmt: skip
        if rows_per_second:
            time.sleep(max(0.0, part.rows / rows_per_second - took))
        started = time.monotonic()


def judge(
    shop: Connection, route: Route, phase: str
) -> tuple[list[Account], list[Difference], list[Breach]]:
    """(accounts, what is wrong with them and with the business checks, what the checks only warn of) of a phase, now."""
    accounts = account(shop, route, phase)
    found = [
        Difference("accounting", a.table, "all rows", "unaccounted", found=str(a.unaccounted))
        for a in accounts
        if a.unaccounted
    ]
    breaches = checks.run(shop, route, phase)
    found += [
        Difference("check", b.target, b.key, "breach", b.check.name, found=b.found)
        for b in breaches
        if b.check.severity == "error"
    ]
    return accounts, found, [b for b in breaches if b.check.severity != "error"]


def _finish(shop: Connection, run: Run, route: Route) -> Verification:
    started = time.monotonic()
    accounts, found, warnings = judge(shop, route, run.phase)
    with shop.transaction():
        differences.record(shop, run, found)
        rows, seconds = run.finish(shop, [asdict(a) for a in accounts], time.monotonic() - started)
        return Verification(run.phase, rows, run.open(shop), accounts, warnings, seconds)
