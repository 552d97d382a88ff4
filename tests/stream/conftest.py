"""The hard cases on real servers: one embedded stack with a small shop, and one whose tables have every type.

All phases are live. Each test waits for the proof "applied up to W" instead of sleeping, and ends with a clean
verification.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from live import TOASTED, Flow, here, insert, running, until
from samples import CARRIED, LOSSY
from shopferry import phase_steps
from shopferry.demo import shop

ROUTES = Path(__file__).parent / "routes"


@pytest.fixture(scope="session")
def demo_stack() -> Iterator[Flow]:
    """The demo's shop with 60 customers, all phases verified and live."""
    with running(lambda flow: shop.seed(flow.settings, 60)) as found:
        yield found


@pytest.fixture
def flow(demo_stack: Flow) -> Iterator[Flow]:
    """The shared shop, for one test."""
    with here(demo_stack.environment):
        yield demo_stack


@pytest.fixture(scope="session")
def values_stack() -> Iterator[Flow]:
    """A stack whose route has every type; legacy holds each sample already before the copy."""

    def fill(flow: Flow) -> None:
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

    with running(fill, SHOPFERRY_ROUTES=str(ROUTES), SHOPFERRY_ROUTE="values") as found:
        yield found


@pytest.fixture
def values(values_stack: Flow) -> Iterator[Flow]:
    """That stack, for one test."""
    with here(values_stack.environment):
        yield values_stack
