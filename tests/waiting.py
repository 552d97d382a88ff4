"""Waiting for what another process is about to do."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 120.0  # far longer than anything here takes on a busy machine
_EVERY_S = 0.05
T = TypeVar("T")


def until(check: Callable[[], T | None], patience_s: float = PATIENCE_S) -> T:
    """Return what `check` returns, once that is true.

    Fails after `patience_s` seconds with the source of `check`, which says what was waited for. What `check` raises is
    raised.
    """
    started = time.monotonic()
    while not (found := check()):
        if time.monotonic() - started > patience_s:
            raise AssertionError(f"waited {patience_s:.0f} s in vain for: {_source(check)}; it is still {found!r}")
        time.sleep(_EVERY_S)
    return found


def _source(check: Callable[[], object]) -> str:
    """The text of a check, on one line."""
    try:
        return " ".join(inspect.getsource(check).split())
    except (OSError, TypeError):  # of a method of C, or of no file
        return repr(check)
