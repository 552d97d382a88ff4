"""The command line: a tree of verbs. Plain tables by default, `--json` for machines, the exit code is the verdict.

Exit codes: 0 done, or all is well; 1 refused, different or failed, with the reason on stderr; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import re
import socket
import sys
from collections.abc import Sequence
from datetime import date
from typing import Any

import psycopg

from shopferry import logs
from shopferry.cli import authoring, check, embedded, looks, move, people
from shopferry.cli.tree import add_group, add_verb, parse_count
from shopferry.control import differences
from shopferry.errors import ShopferryError
from shopferry.retry import describe
from shopferry.route.settings import STORES

_LONGEST_KEPT_H = 168  # a week: what is looked at for longer is rehearsed again


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code, which the console script passes on."""
    args = build_parser().parse_args(argv)
    logs.configure()
    try:
        looks.require_why(args)
        return int(args.run(args))
    except ShopferryError as error:
        print(f"shopferry: {error}", file=sys.stderr)
    except psycopg.Error as error:
        # Not asked by each verb beforehand: of most it is known only in the store that the direction writes to.
        where = "; nothing is installed there yet: run `shopferry phase init`" if _lacks_ours(error) else ""
        print(f"shopferry: {describe(error)}{where}", file=sys.stderr)
    except KeyboardInterrupt:
        print("shopferry: interrupted", file=sys.stderr)
    return 1


def _lacks_ours(error: psycopg.Error) -> bool:
    """Tell whether a table of ours is not there."""
    named = re.search(r'"(ferry|mirror|shopferry)[."]', error.diag.message_primary or "")
    return error.sqlstate in {"42P01", "3F000"} and named is not None


def build_parser() -> argparse.ArgumentParser:
    """Build the whole tree of verbs; docs/reference/cli.md is made from it."""
    top = argparse.ArgumentParser(
        prog="shopferry", description="Moves a running online shop from its old database to its new one."
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    for add in (
        _add_embedded,
        _add_route,
        _add_reports,
        people.add_privacy,
        people.add_consents,
        people.add_requests,
        _add_phases,
        _add_sync,
        _add_verification,
        people.add_audits,
        people.add_segments,
        _add_quarantine,
        people.add_optouts,
        people.add_activations,
        people.add_pairs,
        _add_backup,
        _add_switch,
    ):
        add(verbs)
    return top


def _add_embedded(verbs: Any) -> None:
    """Add the embedded stack, and the shop it is filled with."""
    stacks = add_group(verbs, "stack", "The servers of the embedded stack.")
    up = add_verb(stacks, "up", embedded.stack_up)
    up.add_argument("--without", action="append", choices=["airflow", "sync"], help="leave a part out (repeatable)")
    up.add_argument("--broker", metavar="HOST:PORT", help="use an existing Kafka instead of the embedded broker")
    add_verb(stacks, "down", embedded.stack_down).add_argument(
        "--purge", action="store_true", help="remove all data as well"
    )
    add_verb(stacks, "status", embedded.stack_status)

    show_all = add_verb(verbs, "demo", embedded.demo)
    show_all.add_argument(
        "shop",
        nargs="?",
        choices=["generated", "oscar-medusa"],
        default="generated",
        help="oscar-medusa: the two real applications, which need node and npm (generated)",
    )
    show_all.add_argument("--customers", type=parse_count, help="size of the shop (20000; of oscar-medusa 40)")
    show_all.add_argument(
        "--rate", type=parse_count, help="writes per second of the running shop (50; of oscar-medusa 4)"
    )
    show_all.add_argument("--exit", action="store_true", help="stop the stack at the end")
    show_all.add_argument("--report", help="where the report of the generated shop goes (demo-report.json)")
    evening = add_verb(verbs, "drill", embedded.drill)
    evening.add_argument("--faults", type=parse_count, default=3, help="how many faults are drawn, of ten (3)")
    evening.add_argument("--seed", type=int, help="the same seed draws the same faults (by chance)")
    evening.add_argument("--auto", action="store_true", help="play it by the book, to watch or to try the drill itself")
    fill = add_verb(verbs, "seed", embedded.seed)
    fill.add_argument("--customers", type=parse_count, default=20_000, help="size of the shop (20000)")
    fill.add_argument("--seed", type=int, default=7, help="the same seed gives the same shop (7)")


def _add_route(verbs: Any) -> None:
    """Add what helps a route's author before anything moves."""
    those = add_group(verbs, "route", "A route's files: check them, try a mapping, run its cases, draft a new one.")
    add_verb(those, "check", authoring.route_check)
    one = add_verb(those, "try", authoring.route_try)
    one.add_argument("entity", help="the mapping: shop.customer, identity.customer, or its file contacts/customer")
    one.add_argument(
        "--keys",
        type=lambda text: text.split(","),
        metavar="A,B",
        help="these keys, as legacy has them (a few at random)",
    )
    one.add_argument(
        "--sample", type=parse_count, default=5, help="how many to show of 200 at random, the odd ones first (5)"
    )
    one.add_argument("--explain", action="store_true", help="print PostgreSQL's plan for these keys as well")
    one.add_argument("--values", action="store_true", help="show values of people as they are")
    looks.add_why(one, always=False)
    tested = add_verb(those, "test", authoring.route_test)
    tested.add_argument("case", nargs="*", help="only these: a phase, phase/entity or phase/entity/case (all)")
    drafted = add_verb(those, "new", authoring.route_new)
    drafted.add_argument("name", help="the route's name, which is its folder's")
    drafted.add_argument("--legacy", metavar="DSN", help="the legacy store (SHOPFERRY_LEGACY_DSN)")
    drafted.add_argument("--shop", metavar="DSN", help="the new shop (SHOPFERRY_SHOP_DSN)")


def _add_reports(verbs: Any) -> None:
    """Add what looks at the whole: status, assessment, rehearsal, report."""
    add_verb(verbs, "status", check.status)
    add_verb(verbs, "assess", check.assess).add_argument(
        "--html", metavar="FILE", help="write the report as one HTML page as well"
    )
    trial = add_verb(verbs, "rehearse", move.rehearse)
    trial.add_argument(
        "--customers", type=parse_count, default=200, help="customers at random; the oddest come beside them (200)"
    )
    trial.add_argument(
        "--real-data",
        type=_parse_name,
        metavar="NAME",
        help="put real names, addresses, phones and e-mails into scratch; NAME decided it (pseudonyms)",
    )
    trial.add_argument(
        "--keep",
        type=_parse_hours,
        metavar="HOURS",
        help="keep the rehearsed shop, with pseudonyms, so many hours for teams to look at, at most 168 (none)",
    )
    trial.add_argument("--who", help="who holds it (the account that runs this)")

    reporting = add_verb(verbs, "report", check.report)
    reporting.add_argument("--html", metavar="FILE", help="write the report as one HTML page as well")
    reporting.add_argument(
        "--evaluation",
        action="store_true",
        help="after the cutover, usually in thirty days: what became of people, requests, quarantine and quality since",
    )


def _add_phases(verbs: Any) -> None:
    those = add_group(verbs, "phase", "The phases of the migration.")
    init = add_verb(those, "init", move.phase_init)
    init.add_argument(
        "--roles", action="store_true", help="also make the roles of those who look, and their masked views"
    )
    one = add_verb(those, "run", move.phase_run)
    one.add_argument("phase", help="contacts, orders, loyalty, …")
    one.add_argument("--chunk-size", type=parse_count, default=10_000, help="rows per chunk (10000)")
    one.add_argument("--rows-per-second", type=parse_count, help="throttle of the copy (none)")
    one.add_argument("--sample", type=parse_count, help="copy and merge only about so many rows per table, to look at")
    one.add_argument(
        "--without-rehearsal",
        metavar="NAME",
        help="start the first phase though no rehearsal was green; NAME decided it",
    )
    add_verb(those, "status", move.phase_status)


def _add_sync(verbs: Any) -> None:
    flows = add_group(verbs, "sync", "The stream of changes.")
    for flow in (add_verb(flows, "forward", move.sync_forward), add_verb(flows, "reverse", move.sync_reverse)):
        flow.add_argument("--no-resync", action="store_true", help="stop after a gap instead of copying anew")
        flow.add_argument(
            "--name",
            default=socket.gethostname(),
            help="who this consumer is, where two run on one host (the host's name)",
        )
    again = add_verb(flows, "resync", move.sync_resync)
    again.add_argument("--reverse", action="store_true", help="of the way back")
    again.add_argument(
        "--renew-slot",
        action="store_true",
        help="make the slot anew too, where an event in it can never pass (too large for the broker)",
    )


def _add_verification(verbs: Any) -> None:
    """Verification, repair, and the differences that were found."""
    checking = add_verb(verbs, "verify", check.verify)
    checking.add_argument("phase", nargs="?", help="one phase only")
    checking.add_argument("--rows-per-second", type=parse_count, help="throttle of the comparison (none)")
    mending = add_verb(verbs, "repair", check.repair)
    mending.add_argument("phase", nargs="?", help="one phase only")
    mending.add_argument("--target", help="only this table, entity or identity")
    found = add_group(verbs, "difference", "What verification found.")
    differing = add_verb(found, "list", check.difference_list)
    differing.add_argument(
        "--rows", action="store_true", help="list rows, with the shapes of values, instead of counts"
    )
    differing.add_argument("--values", action="store_true", help="read the rows again and show their values")
    looks.add_why(differing, always=False)
    differing.add_argument(
        "--state", action="append", choices=differences.STATES, help="of this state (open; repeatable)"
    )
    differing.add_argument("--phase", help="only this phase")
    differing.add_argument("--target", help="only this table, entity or identity")
    differing.add_argument("--limit", type=parse_count, default=100, help="rows listed at most (100)")
    explaining = add_verb(found, "explain", check.difference_explain)
    explaining.add_argument("target", help="the table, entity or identity")
    explaining.add_argument("key", nargs="?", help="one row only")
    explaining.add_argument("--why", required=True, help="why it may be so")
    for made in (mending, explaining):
        made.add_argument("--who", help="who decided it (the account that runs this)")


def _add_quarantine(verbs: Any) -> None:
    held = add_group(verbs, "quarantine", "Rows that may not enter the new shop yet.")
    listing = add_verb(held, "list", check.quarantine_list)
    listing.add_argument("--rows", action="store_true", help="list keys instead of counts")
    listing.add_argument("--limit", type=parse_count, default=100, help="rows listed at most (100)")
    dropping = add_verb(held, "drop", check.quarantine_drop)
    dropping.add_argument("--row", help="only this row, as `quarantine list --rows` names it")
    dropping.add_argument("--why", required=True, help="why it may be lost")
    dropping.add_argument("--who", help="who decided it (the account that runs this)")
    for made in (listing, add_verb(held, "release", check.quarantine_release), dropping):
        made.add_argument("--entity", help="only this entity, e.g. shop.customer_order")
        made.add_argument("--reason", help="only this reason code")
        made.add_argument("--reverse", action="store_true", help="what legacy does not take of the way back")


def _add_backup(verbs: Any) -> None:
    saved = add_verb(verbs, "backup", move.backup_take)
    saved.add_argument("--store", choices=STORES, help="only this store (both)")
    saved.add_argument("--test-restore", action="store_true", help="restore into a scratch database and compare")
    saved.add_argument("--who", help="who takes it (the account that runs this)")
    add_verb(saved.add_subparsers(dest="subverb", metavar="VERB"), "list", move.backup_list)


def _add_switch(verbs: Any) -> None:
    """Add what moves the shop: the way back, gates, cutover, rollback, the end."""
    add_verb(verbs, "arm", move.arm)
    taken = add_verb(verbs, "accept", move.accept)
    taken.add_argument("area", help="the area, as [cutover.acceptance] in route.toml names it")
    taken.add_argument("--note", required=True, help="what was looked at")
    taken.add_argument("--who", help="who accepts it (the account that runs this)")
    add_verb(verbs, "gates", move.gates)
    switch = add_verb(verbs, "cutover", move.cutover)
    switch.add_argument(
        "--dry-run", action="store_true", help="all of it but the lock: what would happen, how long it takes"
    )
    for made in (switch, add_verb(verbs, "rollback", move.rollback)):
        made.add_argument("--who", help="who decided it (the account that runs this)")
    ending = add_verb(verbs, "finish", move.finish)
    ending.add_argument("route", help="the route's name, so that nobody ends another one")
    ending.add_argument(
        "--keep-dumps",
        type=_parse_name,
        metavar="NAME",
        help="who keeps the dumps beyond the end (no one: they are deleted)",
    )
    ending.add_argument("--until", type=date.fromisoformat, metavar="DATE", help="the last day on which they are kept")
    ending.add_argument("--approved-by", nargs=2, required=True, metavar="NAME", help="the two people who approved it")


def _parse_name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty: say who decided it")
    return text.strip()


def _parse_hours(text: str) -> int:
    value = int(text.removesuffix("h"))
    if not 1 <= value <= _LONGEST_KEPT_H:
        raise argparse.ArgumentTypeError(f"{text} is not a number of hours from 1 to {_LONGEST_KEPT_H}")
    return value
