"""Masking: what a value looks like, without what it says."""

from __future__ import annotations

_SHOWN = 60  # characters: a shape longer than that tells nobody more


def masked(value: str | None) -> str | None:
    """The value's shape: letters as x or X, digits as 9, all else as it stands; cut when long. None stays None."""
    if value is None:
        return None
    shape = "".join("9" if c.isdigit() else "X" if c.isupper() else "x" if c.isalpha() else c for c in value[:_SHOWN])
    return shape if len(value) <= _SHOWN else f"{shape}… ({len(value)} characters)"
