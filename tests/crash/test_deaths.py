"""Whoever dies in a switch, there or back: one store is open, never both, and no write is lost.

`make test-switch` tries a few, `make death-table` all of them; the results are docs/reference/death-table.md.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bridge import Bridge, Sentry
from cells import DEATHS, SHORT_DEATHS, SWITCHES, TASK, Death
from test_matrix import WHOLE

pytestmark = pytest.mark.stack


@pytest.mark.parametrize("cell", [d for d in DEATHS if WHOLE or d in SHORT_DEATHS], ids=str)
def test_death(bridge: Bridge, cell: Death, record_property: Callable[[str, object], None]) -> None:
    bridge.bring(cell.switch)
    with bridge.ground.writer() as book, Sentry(bridge.settings) as sentry:
        with bridge.switching(cell, SWITCHES[cell.switch][cell.point]) as (task, wires):
            bridge.strike(cell.who, task, wires)
        outcome = bridge.outcome(cell, sentry)
        record_property("ended", outcome)
        if cell.who == TASK:
            assert (outcome == "stays") == cell.returns, outcome
        bridge.complete(cell)
        bridge.ground.writes(book, 10)
        record_property("closed_s", round(sentry.longest_closed_s, 1))
        assert sentry.both == 0
    bridge.check(cell, book)
    bridge.whole = True
