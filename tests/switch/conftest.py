"""A shop that is ready to be switched, and what stands in the place of the gates in tests of what comes after them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from live import Flow
from shopferry.cutover import gates
from shopferry.settings import Settings
from shops import READY
from stacks import SharedStack
from switching import prove


@pytest.fixture(scope="module")
def ready(shared_stack: SharedStack) -> Iterator[Flow]:
    """A shop of 400 customers, all phases verified, both stores backed up, the way back armed; one for the whole module."""
    with shared_stack.lent(READY) as flow:
        yield flow


@pytest.fixture(scope="module")
def settings(ready: Flow) -> Settings:
    """The settings of that shop's stack."""
    return ready.settings


@pytest.fixture
def proof_for_gates(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of all gates, only the proof that all is applied: what comes after the gates builds on that alone."""
    monkeypatch.setattr(gates, "require", prove)
    monkeypatch.setattr(gates, "require_back", prove)
