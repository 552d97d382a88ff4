"""Verbs of requests: who somebody is, what they ask, what was decided and done. Identifiers are never arguments."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from datetime import date
from pathlib import Path

from shopferry import shapes
from shopferry.cli import looks
from shopferry.cli.output import name_who, show
from shopferry.control import requests
from shopferry.control.requests import Opening
from shopferry.engine.pair import open_stores
from shopferry.errors import ConfigError, PhaseError
from shopferry.privacy import erasure, export, reception, restored
from shopferry.settings import Settings

_LISTED = ("id", "kind", "received", "due", "days_left", "state", "decided_by")


def person_find(args: argparse.Namespace) -> int:
    """Find the accounts of an e-mail or a number, which is asked for, or read from standard input; books who was found."""
    typed = (getpass.getpass("e-mail or number: ") if sys.stdin.isatty() else sys.stdin.readline()).strip()
    if not typed:
        raise ConfigError("nothing was typed: give the e-mail or the number on standard input")
    with open_stores(Settings.load(), "person find") as s:
        found = reception.find(s, typed)
    looks.book(
        args, {f"{store}.person": [a.key for a in found if a.store == store] for store in {a.store for a in found}}
    )
    show(args, [{"key": f"{a.store}:{a.key}", "called": shapes.mask(a.called)} for a in found])
    return 0


def request_open(args: argparse.Namespace) -> int:
    """Open a request about accounts, as `person find` names them; prints its number."""
    given = Opening(args.kind, args.received or date.today(), name_who(args), args.how)
    with open_stores(Settings.load(), "request") as s:
        number = reception.open_request(s, given, reception.read_keys(args.keys))
    print(number)
    return 0


def request_list(args: argparse.Namespace) -> int:
    """List all requests, with the days that are left."""
    with open_stores(Settings.load(), "request") as s:
        found = requests.load_all(s.target, s.route.base_name)
    left = [{"days_left": (r.due - date.today()).days if r.closed is None else None} for r in found]
    show(args, [vars(r) | more for r, more in zip(found, left, strict=True)], _LISTED)
    return 0


def request_show(args: argparse.Namespace) -> int:
    """Show one request: its keys, its steps, its certificate."""
    with open_stores(Settings.load(), "request") as s:
        found = requests.load(s.target, s.route.base_name, args.number)
        told = vars(found) | {
            "persons": requests.load_persons(s.target, args.number),
            "steps": requests.load_steps(s.target, args.number),
        }
    print(json.dumps(told, indent=2, default=str, ensure_ascii=False))
    return 0


def request_decide(args: argparse.Namespace) -> int:
    """Grant or refuse an open request, by name."""
    with open_stores(Settings.load(), "request") as s:
        if args.refuse:
            reception.refuse(s, args.number, name_who(args), args.refuse)
        else:
            reception.grant(s, args.number, name_who(args), args.despite)
    return 0


def request_run(args: argparse.Namespace) -> int:
    """Run a granted erasure or access request, or go on with it; prints the certificate, of access the file and its password."""
    settings, who = Settings.load(), name_who(args)
    with open_stores(settings, "request") as s:
        kind = requests.load(s.target, s.route.base_name, args.number).kind
    if kind == "access":
        return _export(args, settings, who)
    if kind != "erasure":
        raise PhaseError(
            f"request {args.number} is {kind}: people do that in the shop, and then `shopferry request close {args.number} "
            "--what …` closes it"
        )
    done = erasure.run(settings, args.number, who, _say)
    print(json.dumps(done, indent=2, ensure_ascii=False))
    return 0


def _export(args: argparse.Namespace, settings: Settings, who: str) -> int:
    """Export; the password is printed here, once, and kept nowhere."""
    made: dict[str, str] = {}

    def hand_over(file: Path, password: str) -> None:
        made.update(file=str(file), password=password)
        if not args.json:
            print(f"file      {file}\npassword  {password}", flush=True)

    certificate = export.run(settings, args.number, who, hand_over, _say)
    if args.json:
        print(json.dumps({**made, "certificate": certificate}, indent=2, ensure_ascii=False))
    elif not made:
        print(json.dumps(certificate, indent=2, ensure_ascii=False))
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def request_close(args: argparse.Namespace) -> int:
    """Close a granted rectification, restriction or objection, which people have done in the shop; prints the certificate."""
    with open_stores(Settings.load(), "request") as s:
        done = reception.close(s, args.number, name_who(args), args.what)
    print(json.dumps(done, indent=2, ensure_ascii=False))
    return 0


def request_reapply(args: argparse.Namespace) -> int:
    """Erase again in a store that was restored from a backup whoever the ledger of either store names; prints the rows."""
    for store, count in restored.reapply(Settings.load()).items():
        print(f"{store}: {count} rows erased again")
    return 0
