"""The verbs about people: their data and consents, what they ask, opt-outs, audits, and who is handed to whom."""

from __future__ import annotations

import argparse
import re
from datetime import date
from typing import Any

from shopferry.cli import activation, insight, looks, move, pairs, privacy, segments
from shopferry.cli import requests as request_verbs
from shopferry.cli.tree import add_group, add_verb, parse_count
from shopferry.control import optouts, requests
from shopferry.control.pairs import STATES


def add_privacy(verbs: Any) -> None:
    people = add_group(verbs, "privacy", "What the route holds of people.")
    add_verb(people, "draft", privacy.draft)
    add_verb(people, "sweep", privacy.sweep).add_argument(
        "--dry-run", action="store_true", help="show what would go, and remove nothing"
    )
    add_verb(people, "record", privacy.record).add_argument(
        "--html", metavar="FILE", help="write the record as one HTML page as well"
    )
    add_verb(people, "looks", looks.privacy_looks).add_argument(
        "--limit", type=parse_count, default=100, help="looks listed at most (100)"
    )


def add_consents(verbs: Any) -> None:
    """Add what can be asked of one person's consents."""
    whose = add_group(verbs, "consent", "What one person has agreed to or refused.")
    shown = add_verb(whose, "show", privacy.consent_show)
    shown.add_argument("--values", action="store_true", help="show IP addresses as they are")
    for made in (shown, add_verb(whose, "receipt", privacy.consent_receipt)):
        made.add_argument("key", help="the new shop's number of the person; `legacy:7`: of account 7 of legacy")
        looks.add_why(made, always=True)


def add_requests(verbs: Any) -> None:
    """Add what people ask of the data held on them."""
    whose = add_group(verbs, "person", "Who somebody is, in either store.")
    looks.add_why(add_verb(whose, "find", request_verbs.person_find), always=True)
    those = add_group(verbs, "request", "What people ask of the data held on them.")
    one = add_verb(those, "open", request_verbs.request_open)
    one.add_argument("kind", choices=requests.KINDS, help="what is asked for")
    one.add_argument(
        "keys", nargs="+", metavar="KEY", help="the accounts, as `person find` prints them: legacy:7, shop:103"
    )
    one.add_argument("--received", type=date.fromisoformat, help="the day on which it came in, as 2026-11-29 (today)")
    one.add_argument("--how", required=True, help="how it was made sure that it is they who ask")
    one.add_argument("--who", help="who made sure (the account that runs this)")
    add_verb(those, "list", request_verbs.request_list)
    decided = add_verb(those, "decide", request_verbs.request_decide)
    either = decided.add_mutually_exclusive_group(required=True)
    either.add_argument("--grant", action="store_true", help="it is granted")
    either.add_argument("--refuse", metavar="WHY", help="it is refused, and why")
    decided.add_argument("--despite", metavar="WHY", help="why it is granted although something stands in the way")
    running = add_verb(those, "run", request_verbs.request_run)
    closed = add_verb(those, "close", request_verbs.request_close)
    closed.add_argument("--what", required=True, metavar="TEXT", help="what was done, without a value of the person's")
    for made in (decided, running, closed):
        made.add_argument("--who", help="who decides, runs or closes it (the account that runs this)")
    for made in (add_verb(those, "show", request_verbs.request_show), decided, running, closed):
        made.add_argument("number", type=int, help="the request's number")
    add_verb(those, "reapply", request_verbs.request_reapply)


def add_optouts(verbs: Any) -> None:
    lists = add_group(verbs, "optout", "Opt-outs that other tools and registers keep.")
    one = add_verb(lists, "import", move.optout_import)
    one.add_argument("file", help="the file; `-`: standard input")
    one.add_argument("--from", dest="form", required=True, choices=optouts.FORMATS, help="whose export it is")
    one.add_argument("--source", type=_parse_source, help="whose list it is, as route.toml names it (as --from)")
    one.add_argument("--who", help="who imports it (the account that runs this)")


def add_audits(verbs: Any) -> None:
    """Add what counts how good the new shop's data is."""
    those = add_group(verbs, "audit", "What the new shop's data is like, and where it drifts.")
    counting = add_verb(those, "run", insight.audit_run)
    counting.add_argument("--who", help="who counts (the account that runs this)")
    add_verb(those, "list", insight.audit_list)
    add_verb(those, "show", insight.audit_show).add_argument("name", help="its file's name without the ending")


def add_segments(verbs: Any) -> None:
    """Add what is derived from the new shop."""
    those = add_group(verbs, "insight", "Profiles and segments of customers, derived from the new shop.")
    add_verb(those, "tick", segments.insight_tick).add_argument(
        "--day", type=date.fromisoformat, metavar="DATE", help="the day to move on to, as 2026-11-29 (today)"
    )
    add_verb(those, "segments", segments.insight_segments)
    add_verb(those, "breaks", segments.insight_breaks)
    add_verb(those, "hand-over", segments.insight_hand_over).add_argument("file", help="the file to write")


def add_activations(verbs: Any) -> None:
    """Add what goes to recipients outside the shop, and the lists of whom to ask for something."""
    those = add_group(verbs, "activate", "What recipients outside the shop are told of those who may be written to.")
    add_verb(those, "list", activation.activate_list)
    shown, handed = (
        add_verb(those, "preview", activation.activate_preview),
        add_verb(those, "run", activation.activate_run),
    )
    handed.add_argument("--approve", metavar="NAME", help="who has approved the first run to this recipient")
    lists = add_group(verbs, "campaign", "Whom to ask for something, why, and how they may be asked.")
    add_verb(lists, "list", activation.campaign_list)
    counted, written = (
        add_verb(lists, "preview", activation.campaign_preview),
        add_verb(lists, "run", activation.campaign_run),
    )
    for made in (shown, handed, counted, written):
        made.add_argument("name", help="its file's name without the ending")
    handed.add_argument(
        "--to",
        required=True,
        metavar="FOLDER|URL",
        help="where the files go, made where it is missing; for destination webhook also an https:// address "
        "(secret: SHOPFERRY_ACTIVATE_SECRET)",
    )
    written.add_argument("--to", required=True, metavar="FOLDER", help="where the files go; made where it is missing")
    for made in (shown, handed, written):
        looks.add_why(made, always=True)


def add_pairs(verbs: Any) -> None:
    """Add what looks for accounts that may be one person, and what people decide of them."""
    those = add_group(verbs, "pair", "Accounts that may be one person, beyond the same e-mail.")
    add_verb(those, "find", pairs.pair_find).add_argument(
        "--who", help="who looks for them (the account that runs this)"
    )
    listed = add_verb(those, "list", pairs.pair_list)
    listed.add_argument("--state", choices=STATES, help="pairs in this state (all)")
    listed.add_argument(
        "--above", type=_parse_share, default=0.0, metavar="SCORE", help="pairs that score so much or more (0)"
    )
    listed.add_argument("--limit", type=parse_count, default=100, help="pairs listed at most (100)")
    listed.add_argument("--values", action="store_true", help="show what is compared of both accounts")
    listed.add_argument(
        "--sample", action="store_true", help="show 20 undecided pairs of the rule, drawn by chance, with values"
    )
    looks.add_why(listed, always=False)
    listed.set_defaults(shows_values=lambda args: args.values or args.sample)
    decided = add_verb(those, "decide", pairs.pair_decide)
    either = decided.add_mutually_exclusive_group(required=True)
    for state, meaning in (
        ("same", "they are one person"),
        ("different", "they are different people"),
        ("later", "nobody can tell now"),
    ):
        either.add_argument(f"--{state}", dest="state", action="store_const", const=state, help=meaning)
    decided.add_argument(
        "--above", type=_parse_share, metavar="SCORE", help="with --rule: pairs that score so much or more"
    )
    for made in (listed, decided):
        made.add_argument(
            "--rule", metavar="NAME", help="pairs that this rule has found: its file's name without the ending"
        )
    undone = add_verb(those, "undo", pairs.pair_undo)
    decided.add_argument("keys", nargs="*", type=int, metavar="KEY", help="two accounts, by their numbers in legacy")
    undone.add_argument("keys", nargs=2, type=int, metavar="KEY", help="two accounts, by their numbers in legacy")
    for made in (decided, undone):
        made.add_argument("--why", required=True, metavar="TEXT", help="why, without a value of anybody's")
        made.add_argument("--who", help="who decides (the account that runs this)")


def _parse_share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no score from 0 to 1")
    return value


def _parse_source(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", text):
        raise argparse.ArgumentTypeError("write it in small letters, digits, - and _, at most 40")
    return text
