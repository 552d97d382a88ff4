"""The hard cases on real servers: a small shop whose phases are live, and one whose tables have every type.

Each test waits for the proof "applied up to W" instead of sleeping, and ends with a clean verification: so the next one may
go on with the same stores. After one that failed they are reset.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from live import TOASTED, Flow, insert
from samples import CARRIED, LOSSY
from shopferry import phase_steps
from shops import SMALL
from stacks import SharedStack, Shop
from waiting import until

ROUTES = Path(__file__).parent / "routes"
_PASSED = pytest.StashKey[bool]()


def fill_values(flow: Flow) -> None:
    """Legacy holds each sample already before the copy."""
    flow.legacy.execute((ROUTES / "values" / "legacy.sql").read_bytes())
    flow.shop.execute((ROUTES / "values" / "shop.sql").read_bytes())
    # A server may be set up like this; what is mirrored must not depend on it.
    for name, value in {
        "DateStyle": "German",
        "IntervalStyle": "sql_standard",
        "bytea_output": "escape",
        "TimeZone": "Europe/Warsaw",
    }.items():
        flow.legacy.execute(f"ALTER DATABASE legacy SET {name} = '{value}'".encode())
    for table, samples in (("carried", CARRIED), ("lossy", LOSSY)):
        for number, sample in enumerate(samples.values(), 1):
            insert(flow.legacy, table, number, sample)
        for number in (901, 902):
            flow.write(
                f"INSERT INTO {table} (id, {', '.join(TOASTED[table])}) "
                f"VALUES ({number}, {', '.join(TOASTED[table].values())})"
            )
    # Before the copy, the stream brings a change of rows whose long values it does not carry.
    phase_steps.install(flow.settings)
    until(lambda: flow.legacy.execute("SELECT FROM pg_replication_slots").fetchall())
    for table, change in (("carried", "small = 1"), ("lossy", "bit1 = B'1'")):
        flow.write(f"UPDATE {table} SET {change} WHERE id = 901")
        flow.applied()
        mirrored = flow.one(f"SELECT count(*) FROM legacy.{table}")
        flow.notes[table] = {"early": 901, "copied": 902, "mirrored": mirrored}
    flow.ferry()


VALUES = Shop("values", fill_values, {"SHOPFERRY_ROUTES": str(ROUTES), "SHOPFERRY_ROUTE": "values"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What works on the values comes last: so the stack is changed from the one shop to the other once."""
    here = Path(__file__).parent
    items.sort(key=lambda item: item.path.parent == here and "values" in getattr(item, "fixturenames", ()))


@pytest.fixture
def flow(shared_stack: SharedStack, request: pytest.FixtureRequest) -> Iterator[Flow]:
    """The demo's shop with 60 customers, all phases verified and live."""
    yield from _shared(shared_stack, SMALL, request)


@pytest.fixture
def values(shared_stack: SharedStack, request: pytest.FixtureRequest) -> Iterator[Flow]:
    """A stack whose route has every type."""
    yield from _shared(shared_stack, VALUES, request)


def _shared(shared_stack: SharedStack, shop: Shop, request: pytest.FixtureRequest) -> Iterator[Flow]:
    with shared_stack.lent(shop, fresh=False) as flow:
        yield flow
        flow.whole = request.node.stash.get(_PASSED, False)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Note whether the test has passed."""
    report = (yield).get_result()
    if report.when == "call":
        item.stash[_PASSED] = report.passed
