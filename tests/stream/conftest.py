"""The hard cases on real servers: one embedded stack with a small shop whose phases are live, shared by the modules.

Each test waits for the proof "applied up to W" instead of sleeping, and ends with a clean verification.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from live import Flow, here, running
from shopferry.demo import shop


@pytest.fixture(scope="session")
def demo_stack() -> Iterator[Flow]:
    """The demo's shop with 60 customers, all phases verified and live."""
    with running(lambda settings: shop.seed(settings, 60)) as found:
        yield found


@pytest.fixture
def flow(demo_stack: Flow) -> Iterator[Flow]:
    """The shared stack, for one test."""
    with here(demo_stack.environment):
        yield demo_stack
