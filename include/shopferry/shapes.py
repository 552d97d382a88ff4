"""Masking: what a value looks like, without what it says."""

from __future__ import annotations

import re

_LETTER, _DIGIT = re.compile(r"[^\W\d_]"), re.compile(r"\d")
_SHOWN = 60  # characters: a longer shape tells no more


def shape(text: str, *, capital: str = "x") -> str:
    """The text with every letter as x (a capital one as `capital`) and every digit as 9; all else as it stands."""
    return _DIGIT.sub("9", _LETTER.sub(lambda m: capital if m[0].isupper() else "x", text))


def mask(value: str | None) -> str | None:
    """Reduce a value to its shape, in which capitals are X; cut when long. None stays None."""
    if value is None:
        return None
    cut = shape(value[:_SHOWN], capital="X")
    return cut if len(value) <= _SHOWN else f"{cut}… ({len(value)} characters)"
