"""The verbs that show people's data, with the arguments that have them do it."""

from __future__ import annotations

SHOWING: dict[str, tuple[str, ...]] = {
    "route try": ("customer", "--values"),
    "consent show": ("1",),
    "consent receipt": ("1",),
    "person find": (),
    "difference list": ("--values",),
    "activate preview": ("marketing_email_klaviyo",),
    "activate run": ("marketing_email_klaviyo", "--to", "exports", "--approve", "anna"),
    "pair list": ("--values",),
    "campaign run": ("password_to_be_set", "--to", "exports"),
}
