"""What stands in the place of the gates in tests of what comes after them."""

from __future__ import annotations

from shopferry.cdc.proof import await_applied, broker_ends
from shopferry.control.gates import Gate
from shopferry.cutover.turn import Turn

_PATIENCE_S = 60.0


def prove(turn: Turn) -> list[Gate]:
    """Prove that all is applied. Of all that the gates say, the critical section builds on this alone."""
    assert turn.flow
    with broker_ends(turn.flow, turn.settings) as ends:
        await_applied(turn.flow, ends, _PATIENCE_S)
    return []
