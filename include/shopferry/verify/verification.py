"""Verify one phase: mirror = legacy, shop = mapping(mirror), and the accounts add up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from psycopg.types.json import Jsonb

from shopferry import mirror
from shopferry.db import Connection
from shopferry.mapping import Mapping, Route
from shopferry.verify import checksums, differ
from shopferry.verify.accounting import Account, account
from shopferry.verify.checksums import Difference


@dataclass(frozen=True)
class Verification:
    """What was compared and found, per layer; differences are keys only, never values."""

    phase: str
    rows_compared: int
    differences: list[tuple[str, Difference]]  # (layer, difference)
    accounts: list[Account]
    seconds: float

    @property
    def clean(self) -> bool:
        """Whether nothing differs and every row is accounted for."""
        return not self.differences


def verify(
    legacy: Connection, shop: Connection, route: Route, phase: str, await_applied: Callable[[], object]
) -> Verification:
    """Compare all layers of one phase online and record the outcome in ferry.verification and ferry.difference.

    Commits its record itself, as the comparison spans several snapshots.
    """
    started = time.monotonic()
    compared = 0
    found: list[tuple[str, Difference]] = []
    tables = mirror.load(shop)
    for name in route.tables_of(phase):
        rows, differences = checksums.compare(legacy, shop, tables[name], await_applied)
        compared += rows
        found += [("mirror", d) for d in differences]
    for unit in route.of(phase):
        if isinstance(unit, Mapping):
            rows, differences = differ.compare(shop, unit)
            compared += rows
            found += [("shop", d) for d in differences]
    accounts = account(shop, route, phase)
    found += [
        ("accounting", Difference(a.table, f"{a.unaccounted} rows", "unaccounted")) for a in accounts if a.unaccounted
    ]
    outcome = Verification(phase, compared, found, accounts, time.monotonic() - started)
    with shop.transaction():
        _record(shop, route.name, outcome)
    return outcome


def _record(shop: Connection, route: str, outcome: Verification) -> None:
    shop.execute("DELETE FROM ferry.difference WHERE route = %s AND phase = %s", (route, outcome.phase))
    with shop.cursor() as cur:
        cur.executemany(
            "INSERT INTO ferry.difference (route, phase, layer, target, key, kind) VALUES (%s, %s, %s, %s, %s, %s) "
            "ON CONFLICT DO NOTHING",
            [(route, outcome.phase, layer, d.target, d.key, d.kind) for layer, d in outcome.differences],
        )
    shop.execute(
        "INSERT INTO ferry.verification (route, phase, rows_compared, differences, seconds, accounting) "
        "VALUES (%s, %s, %s, %s, %s, %s)",
        (
            route, outcome.phase, outcome.rows_compared, len(outcome.differences), outcome.seconds,
            Jsonb([asdict(a) for a in outcome.accounts]),
        ),
    )  # fmt: skip
