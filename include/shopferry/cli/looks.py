"""Verbs that show people's values: each asks why, and books who looks at which keys before anything is printed."""

from __future__ import annotations

import argparse
import sys

from shopferry import db
from shopferry.cli.output import name_who, show
from shopferry.control import looks
from shopferry.control.looks import Seen
from shopferry.errors import ConfigError
from shopferry.settings import Settings

_LISTED = ("id", "at", "who", "role", "verb", "relation", "keys", "why")


def add_why(made: argparse.ArgumentParser, *, always: bool) -> None:
    """Have a verb ask why somebody looks: always, or with --values; a test holds each verb against this."""
    made.add_argument("--why", metavar="TEXT", help="why it is looked at" + ("" if always else "; --values wants it"))
    made.add_argument("--who", help="who looks (the account that runs this)")
    made.set_defaults(shows_values=(lambda _: True) if always else (lambda args: args.values))


def require_why(args: argparse.Namespace) -> None:
    """Raise ConfigError when a verb would show people's values, and nobody says why."""
    shows = getattr(args, "shows_values", None)
    if shows and shows(args) and not (args.why or "").strip():
        raise ConfigError(
            f"`shopferry {_name_verb(args)}` shows people's data: say why with --why TEXT. Who looks at which keys is booked, "
            "and the data protection officer reads it"
        )


def book(args: argparse.Namespace, seen: Seen) -> None:
    """Book what the verb is about to show."""
    settings = Settings.load()
    with db.connect(settings.target_dsn, "look") as shop, shop.transaction():
        looks.book(shop, settings.route, name_who(args), _name_verb(args), args.why, seen)


def privacy_looks(args: argparse.Namespace) -> int:
    """List who has looked at whose data by verbs and by functions of `ferry_masked`, and why, the newest first."""
    with db.connect(Settings.load().target_dsn, "looks") as shop:
        found = looks.load(shop, args.limit)
    show(args, found, _LISTED)
    if lost := sum(look.taken_back for look in found):
        print(
            f"{lost} numbers are missing: these looks were taken back by a ROLLBACK, or lost in a crash of the server; "
            "its log names them (`shopferry: … looks at`)",
            file=sys.stderr,
        )
    return 0


def _name_verb(args: argparse.Namespace) -> str:
    return f"{args.verb} {args.subverb}"
