"""The shops that tests with a whole stack begin with; each is made once a session."""

from __future__ import annotations

from live import Flow
from stacks import Shop


def _ready(flow: Flow) -> None:
    flow.move(400)
    assert flow.prepare_switch() > 5_000


SMALL = Shop("small", lambda flow: flow.move(60))  # all phases verified and live
READY = Shop("ready", _ready)  # ready to be switched: both stores backed up, the way back armed
