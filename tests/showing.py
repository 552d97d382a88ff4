"""The verbs that show people's data, with the arguments that have them do it."""

from __future__ import annotations

SHOWING: dict[str, tuple[str, ...]] = {
    "route try": ("customer", "--values"),
    "consent show": ("1",),
    "consent receipt": ("1",),
    "person find": (),
    "difference list": ("--values",),
}
