"""Keys that a batch which ran ahead has noted, and that wait to be merged."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from shopferry.control import loads, locks
from shopferry.db import Connection
from shopferry.errors import TransientError
from shopferry.route.route import Route

_PATIENCE_S = 60.0
_LOOK_EVERY_S = 0.02


def find_waiting(target: Connection, route: Route) -> list[str]:
    """Find the units of which such keys wait; what the stream touched during a load is the affair of that load's workers."""
    return loads.list_waiting(target, route.name, [u.name for u in route.units])


@contextmanager
def keep_together(target: Connection, route: Route) -> Iterator[None]:
    """Have each snapshot show mirror and shop as they belong together, for as long as the block lasts.

    No batch runs ahead meanwhile, and what was noted before is merged. Raises TransientError when that does not come to an end.
    """
    with locks.keeping_together(target, route.name):
        until = time.monotonic() + _PATIENCE_S
        while units := find_waiting(target, route):
            if time.monotonic() > until:
                raise TransientError(
                    f"waited {_PATIENCE_S:.0f} s in vain: keys that events affect wait to be merged, of {', '.join(units)}; "
                    "is the consumer running?"
                )
            time.sleep(_LOOK_EVERY_S)
        yield
