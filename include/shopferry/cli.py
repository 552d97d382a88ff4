"""The command line: a tree of verbs. Plain tables by default, `--json` for machines, the exit code is the verdict.

Exit codes: 0 done, or all is well; 1 refused, different or failed, with the reason on stderr; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import getpass
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import psycopg

from shopferry import db, logs
from shopferry.control import backups, chunks, differences, phases, quarantine
from shopferry.errors import GapError, ShopferryError
from shopferry.mapping import Route
from shopferry.retry import describe, retrying
from shopferry.settings import Settings

Verb = Callable[[argparse.Namespace], int]
_REHEARSED = ("phase", "rows", "legacy_rows", "copy_s", "merge_s", "verify_s", "expected_s", "differences", "breaches",
              "quarantined", "left_out")  # fmt: skip
_BACKUP = ("id", "store", "taken", "reason", "bytes", "seconds", "tested", "problem", "file")  # columns of the table


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code, which the console script passes on."""
    args = parser().parse_args(argv)
    logs.configure()
    try:
        return int(args.run(args))
    except ShopferryError as error:
        print(f"shopferry: {error}", file=sys.stderr)
    except psycopg.Error as error:
        print(f"shopferry: {describe(error)}", file=sys.stderr)
    except KeyboardInterrupt:
        print("shopferry: interrupted", file=sys.stderr)
    return 1


def show(args: argparse.Namespace, rows: Sequence[Any], columns: Sequence[str] | None = None) -> None:
    """Print rows (mappings or dataclasses) as a table, or as JSON."""
    plain = [asdict(r) if is_dataclass(r) and not isinstance(r, type) else dict(r) for r in rows]
    if args.json:
        print(json.dumps(plain, indent=2, default=str, ensure_ascii=False))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    names = columns or list(plain[0]) if plain else list(columns or ())
    table = Table(*(n.replace("_", " ") for n in names), box=SIMPLE_HEAD, pad_edge=False)
    for row in plain:
        table.add_row(*(_cell(row.get(n)) for n in names))
    width = None if sys.stdout.isatty() else 160
    Console(width=width, highlight=False).print(table if plain else "nothing to show")


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {v}" for k, v in value.items()) or "–"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


def _who(args: argparse.Namespace) -> str:
    return str(args.who or getpass.getuser())


def stack_up(args: argparse.Namespace) -> int:
    """Start the embedded stack and wait until it is ready."""
    from shopferry import stack

    state = stack.up(without=frozenset(args.without or ()), broker=args.broker)
    shown = {k: v for k, v in state.items() if k in {"kafka", "airflow_url", "route", "legacy_dsn", "shop_dsn"}}
    show(args, [{"what": k, "where": v} for k, v in shown.items()])
    return 0


def stack_down(args: argparse.Namespace) -> int:
    """Stop every server of the embedded stack; its data stays, unless --purge."""
    from shopferry import stack

    stack.down(purge=args.purge)
    return 0


def stack_status(args: argparse.Namespace) -> int:
    """Show every server of the embedded stack; exit 1 when one is not running."""
    from shopferry import stack

    services = stack.status()
    show(args, services)
    return 0 if services and all(s.state == "RUNNING" for s in services) else 1


def demo(args: argparse.Namespace) -> int:
    """Move a generated shop under live writes, cut it over, and prove that nothing was lost."""
    from shopferry.demo import run

    return run.run(customers=args.customers, rate=args.rate, leave_up=not args.exit, report_to=Path(args.report))


def rehearse(args: argparse.Namespace) -> int:
    """Take a sample of legacy through all phases into scratch databases and verify it; exit 1 when it is not green."""
    from shopferry import rehearsal

    form = rehearsal.Form(args.customers, args.pseudonymise)
    done = rehearsal.rehearse(Settings.load(), _who(args), form, lambda text: print(text, file=sys.stderr))
    show(args, done.phases, _REHEARSED)
    if not args.json:
        print(done.told)
    return 0 if done.green else 1


def seed(args: argparse.Namespace) -> int:
    """Fill the legacy store with a generated shop, and give the new shop its tables; both must be empty."""
    from shopferry.demo import shop

    settings = Settings.load()
    show(args, [{"table": t, "rows": n} for t, n in shop.seed(settings, args.customers, args.seed).items()])
    return 0


def status(args: argparse.Namespace) -> int:
    """Show on one screen what is wrong, the phases, what waits, slot, position, rate, quarantine; exit 1 when something is."""
    from shopferry import complaints, screen, watch

    health = watch.measure(Settings.load())
    wrong = complaints.complaints(health)
    if args.json:
        found = {
            **asdict(health), "watched": health.watched, "lag_s": health.lag_s,
            "complaints": [{"code": c.code, "text": c.text, "runbook": c.anchor} for c in wrong],
        }  # fmt: skip
        print(json.dumps(found, indent=2, default=str, ensure_ascii=False))
        return 1 if wrong else 0
    from rich.console import Console
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    for line in screen.lines(health, wrong, console.width):
        console.print(Text(line, "bold red" if line.startswith("!") else ""), soft_wrap=True)
    return 1 if wrong else 0


def assess(args: argparse.Namespace) -> int:
    """Look at both stores, the broker and the mappings before anything moves; changes nothing. Exit 1 when blocked."""
    from shopferry import assess, pages
    from shopferry.assess import report

    found = assess.assess(Settings.load())
    if args.html:
        pages.write(report.as_html(found), Path(args.html))
    if args.json:
        print(json.dumps(report.as_json(found), indent=2, default=str, ensure_ascii=False))
    else:
        from rich.console import Console

        report.show(found, Console(width=None if sys.stdout.isatty() else 120, highlight=False))
    return 1 if found.blocked else 0


def report(args: argparse.Namespace) -> int:
    """Say what moved, what did not and why, what the sums are before and after, and what comes next. Exit 1 when they differ."""
    from shopferry import pages
    from shopferry.report import build, rendering

    made = build(Settings.load())
    if args.html:
        pages.write(rendering.as_html(made), Path(args.html))
    if args.json:
        print(json.dumps(rendering.as_json(made), indent=2, ensure_ascii=False))
    else:
        from rich.console import Console

        rendering.show(made, Console(width=None if sys.stdout.isatty() else 120, highlight=False))
    return 1 if made.open_differences or made.unbalanced else 0


def phase_init(args: argparse.Namespace) -> int:
    """Install control tables, mirror, publication and the new shop's fence; idempotent."""
    from shopferry import passage

    passage.install(Settings.load())
    return 0


def phase_run(args: argparse.Namespace) -> int:
    """Run one phase from copy to verification, without Airflow."""
    from shopferry import passage

    # Ended from outside, it still lets go of the phase.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    options = passage.Options(args.chunk_size, args.rows_per_second, args.sample, args.without_rehearsal)
    holder = f"cli:{getpass.getuser()}:{os.getpid()}"
    outcome = passage.run(Settings.load(), args.phase, holder, options, lambda text: print(text, file=sys.stderr))
    if outcome is None:
        print("the sample is in the new shop to look at; run the phase without --sample to go on", file=sys.stderr)
    else:
        show(args, outcome.accounts)
        _written(f"after phase {args.phase}")
    return 0


def phase_status(args: argparse.Namespace) -> int:
    """Show every phase, its state, holder and progress."""
    settings = Settings.load()
    with db.connect(settings.shop_dsn, "status") as shop:
        show(args, phases.all_phases(shop, settings.route), ["phase", "state", "holder", "chunk_size", "seconds"])
        if not args.json:
            show(args, chunks.progress(shop, settings.route))
    return 0


def sync_forward(args: argparse.Namespace) -> int:
    """Replay legacy's changes into the new shop until SIGTERM; after a gap, resync and go on."""
    from shopferry import passage
    from shopferry.cdc import metrics
    from shopferry.cdc.forward import Forward

    settings = Settings.load()
    log = logging.getLogger("shopferry.sync")
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    with metrics.serving(settings.metrics, settings.route):
        while not stop.is_set():
            try:
                retrying(lambda: passage.finish_resync(settings, "sync forward"))
                Forward(settings, stop, args.name).run()
            except GapError as error:
                if args.no_resync:
                    raise
                log.error("resyncing after a gap: %s", error)
                if passage.resync(settings, "sync forward") is None:
                    log.info("another consumer has resynced, looking again")
            except (ShopferryError, psycopg.Error) as error:
                log.error("stopped: %s", describe(error))
                return 1
    return 0


def sync_resync(args: argparse.Namespace) -> int:
    """Copy anew all that the stream has to keep, after changes were lost; waits for another one under way."""
    from shopferry import passage

    show(args, [{"rows": passage.resync(Settings.load(), "cli")}])
    return 0


def verify(args: argparse.Namespace) -> int:
    """Compare legacy, mirror and new shop of one phase or all; exit 1 when anything differs."""
    from shopferry import passage

    settings = Settings.load()
    route = Route.load(settings.route)
    rows, different = [], False
    for phase in [args.phase] if args.phase else route.phases:
        outcome = passage.compare(settings, phase, args.rows_per_second)
        different |= not outcome.clean
        rows.append(
            {"phase": phase, "rows_compared": outcome.rows_compared, "differences": len(outcome.differences),
             "warnings": len(outcome.warnings), "seconds": outcome.seconds}
        )  # fmt: skip
    show(args, rows)
    return 1 if different else 0


def repair(args: argparse.Namespace) -> int:
    """Mend the open differences of one phase or all, and look at them again; exit 1 when some are left."""
    from shopferry import passage

    settings = Settings.load()
    rows, left = [], False
    for phase in [args.phase] if args.phase else Route.load(settings.route).phases:
        done = passage.repair(settings, phase, _who(args), args.target)
        left |= bool(done.remaining)
        rows.append(
            {"phase": phase, "differed": done.differences, "repaired": done.repaired,
             "remaining": done.differences - done.repaired, "seconds": done.seconds}
        )  # fmt: skip
    show(args, rows)
    return 1 if left else 0


def difference_list(args: argparse.Namespace) -> int:
    """Show what verification found: counts, or with --rows the keys and the values' shapes, with --values the values."""
    from shopferry import passage

    settings = Settings.load()
    with db.connect(settings.shop_dsn, "differences") as shop:
        if not (args.rows or args.values):
            show(args, differences.counts(shop, settings.route))
            return 0
        found = differences.entries(
            shop, settings.route, args.phase, states=args.state or ("open",), target=args.target, limit=args.limit
        )
    if not args.values:
        columns = (
            "layer", "target", "key", "column_name", "kind", "expected", "found", "state", "first_seen", "explanation", "who",
        )
        show(args, found, columns)
        return 0
    now = []
    for phase in dict.fromkeys(e.phase for e in found):
        now += passage.values(settings, phase, [e.difference for e in found if e.phase == phase])
    show(args, now, ["layer", "target", "key", "column", "kind", "expected", "found"])
    return 0


def difference_explain(args: argparse.Namespace) -> int:
    """Have open differences count as explained, by name: they no longer close the gate. Exit 1 when there are none."""
    settings = Settings.load()
    with db.connect(settings.shop_dsn, "differences") as shop, shop.transaction():
        count = differences.explain(shop, settings.route, args.target, args.key, args.why, _who(args))
    show(args, [{"explained": count}])
    return 0 if count else 1


def quarantine_list(args: argparse.Namespace) -> int:
    """Show what is in quarantine: counts by reason, or with --rows the keys. Never values."""
    settings = Settings.load()
    with db.connect(settings.shop_dsn, "quarantine") as shop:
        if args.rows:
            found = quarantine.entries(shop, entity=args.entity, reason=args.reason, limit=args.limit)
            show(args, found)
        else:
            counts = [
                {"entity": e, "reason": r, "rows": n}
                for e, r, n in quarantine.counts(shop)
                if args.entity in {None, e} and args.reason in {None, r}
            ]
            show(args, counts)
    return 0


def quarantine_release(args: argparse.Namespace) -> int:
    """Merge quarantined rows again after their cause was mended; exit 1 when some are still refused."""
    from shopferry import passage
    from shopferry.release import release

    with passage.stores(Settings.load(), "release") as s:
        tried, left = release(s, entity=args.entity, reason=args.reason)
    show(args, [{"tried": tried, "released": tried - left, "still_in_quarantine": left}])
    return 1 if left else 0


def backup_take(args: argparse.Namespace) -> int:
    """Back up both stores, or one, below the data directory; with --test-restore try each by restoring it."""
    from shopferry import backup

    settings = Settings.load()
    stores = [args.store] if args.store else backups.STORES
    made = [backup.take(settings, _who(args), store, test_restore=args.test_restore) for store in stores]
    show(args, made, _BACKUP)
    return 0


def backup_list(args: argparse.Namespace) -> int:
    """Show the backups taken, the newest first, and whether each was ever restored."""
    settings = Settings.load()
    with db.connect(settings.shop_dsn, "backup") as shop:
        show(args, backups.taken(shop, settings.route), _BACKUP)
    return 0


def cutover(args: argparse.Namespace) -> int:
    """Judge the gates, then move the shop's writes to the new shop; --dry-run stops after the gates."""
    from shopferry.cutover import gates, switch

    settings = Settings.load()
    if args.dry_run:
        judged = gates.judge(settings)
        show(args, judged)
        return 0 if all(g.met for g in judged) else 1
    done = switch.cut_over(settings, _who(args))
    show(args, [{"step": step, "ms": ms} for step, ms in done.steps])
    _written("after the cutover")
    return 0


def rollback(args: argparse.Namespace) -> int:
    """Give the shop back to legacy; refused once the new shop has accepted writes."""
    from shopferry.cutover.rollback import roll_back

    done = roll_back(Settings.load(), _who(args))
    show(args, [{"route version": done.version, "active": "legacy"}])
    _written("after the rollback")
    return 0


def _written(occasion: str) -> None:
    """Write the report people read, and say where; what was done is done, whether or not that succeeds."""
    from shopferry.report import rendering

    try:
        print(f"report: {rendering.publish(Settings.load(), occasion)}", file=sys.stderr)
    except (ShopferryError, psycopg.Error, OSError) as error:
        print(f"no report was written: {describe(error)}", file=sys.stderr)


def parser() -> argparse.ArgumentParser:
    """The whole tree of verbs; docs/reference/cli.md is made from it."""
    top = argparse.ArgumentParser(
        prog="shopferry", description="Moves a running online shop from its old database to its new one."
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(under: Any, name: str, run: Verb) -> argparse.ArgumentParser:
        text = (run.__doc__ or "").strip()
        made: argparse.ArgumentParser = under.add_parser(name, help=text, description=text)
        made.add_argument("--json", action="store_true", help="print JSON instead of a table")
        made.set_defaults(run=run)
        return made

    def group(name: str, text: str) -> Any:
        made = verbs.add_parser(name, help=text, description=text)
        return made.add_subparsers(dest="subverb", required=True, metavar="VERB")

    servers = group("stack", "The servers of the embedded stack.")
    up = verb(servers, "up", stack_up)
    up.add_argument("--without", action="append", choices=["airflow", "sync"], help="leave a part out (repeatable)")
    up.add_argument("--broker", metavar="HOST:PORT", help="use an existing Kafka instead of the embedded broker")
    verb(servers, "down", stack_down).add_argument("--purge", action="store_true", help="remove all data as well")
    verb(servers, "status", stack_status)

    show_all = verb(verbs, "demo", demo)
    show_all.add_argument("--customers", type=_count, default=20_000, help="size of the shop (20000)")
    show_all.add_argument("--rate", type=_count, default=50, help="writes per second of the running shop (50)")
    show_all.add_argument("--exit", action="store_true", help="stop the stack at the end")
    show_all.add_argument("--report", default="demo-report.json", help="where the report goes (demo-report.json)")
    fill = verb(verbs, "seed", seed)
    fill.add_argument("--customers", type=_count, default=20_000, help="size of the shop (20000)")
    fill.add_argument("--seed", type=int, default=7, help="the same seed gives the same shop (7)")

    verb(verbs, "status", status)
    verb(verbs, "assess", assess).add_argument("--html", metavar="FILE", help="write the report as one HTML page as well")
    trial = verb(verbs, "rehearse", rehearse)
    trial.add_argument("--customers", type=_count, default=200, help="customers at random; the oddest come beside them (200)")
    trial.add_argument("--pseudonymise", action="store_true", help="no real names, addresses, phones and e-mails in scratch")
    trial.add_argument("--who", help="who holds it (the account that runs this)")

    verb(verbs, "report", report).add_argument("--html", metavar="FILE", help="write the report as one HTML page as well")

    passages = group("phase", "The phases of the migration.")
    verb(passages, "init", phase_init)
    one = verb(passages, "run", phase_run)
    one.add_argument("phase", help="contacts, orders, loyalty, …")
    one.add_argument("--chunk-size", type=_count, default=10_000, help="rows per chunk (10000)")
    one.add_argument("--rows-per-second", type=_count, help="throttle of the copy (none)")
    one.add_argument("--sample", type=_count, help="copy and merge only about so many rows per table, to look at")
    one.add_argument(
        "--without-rehearsal", metavar="NAME", help="start the first phase though no rehearsal was green; NAME decided it"
    )
    verb(passages, "status", phase_status)

    flows = group("sync", "The stream of changes.")
    forward = verb(flows, "forward", sync_forward)
    forward.add_argument("--no-resync", action="store_true", help="stop after a gap instead of copying anew")
    forward.add_argument(
        "--name", default=socket.gethostname(), help="who this consumer is, where two run on one host (the host's name)"
    )
    verb(flows, "resync", sync_resync)

    checking = verb(verbs, "verify", verify)
    checking.add_argument("phase", nargs="?", help="one phase only")
    checking.add_argument("--rows-per-second", type=_count, help="throttle of the comparison (none)")
    mending = verb(verbs, "repair", repair)
    mending.add_argument("phase", nargs="?", help="one phase only")
    mending.add_argument("--target", help="only this table, entity or identity")
    found = group("difference", "What verification found.")
    differing = verb(found, "list", difference_list)
    differing.add_argument("--rows", action="store_true", help="list rows, with the shapes of values, instead of counts")
    differing.add_argument("--values", action="store_true", help="read the rows again and show their values")
    differing.add_argument("--state", action="append", choices=differences.STATES, help="of this state (open; repeatable)")
    differing.add_argument("--phase", help="only this phase")
    differing.add_argument("--target", help="only this table, entity or identity")
    differing.add_argument("--limit", type=_count, default=100, help="rows listed at most (100)")
    explaining = verb(found, "explain", difference_explain)
    explaining.add_argument("target", help="the table, entity or identity")
    explaining.add_argument("key", nargs="?", help="one row only")
    explaining.add_argument("--why", required=True, help="why it may be so")

    held = group("quarantine", "Rows that may not enter the new shop yet.")
    listing = verb(held, "list", quarantine_list)
    listing.add_argument("--rows", action="store_true", help="list keys instead of counts")
    listing.add_argument("--limit", type=_count, default=100, help="rows listed at most (100)")
    for made in (listing, verb(held, "release", quarantine_release)):
        made.add_argument("--entity", help="only this entity, e.g. shop.customer_order")
        made.add_argument("--reason", help="only this reason code")

    saved = verb(verbs, "backup", backup_take)
    saved.add_argument("--store", choices=backups.STORES, help="only this store (both)")
    saved.add_argument("--test-restore", action="store_true", help="restore into a scratch database and compare")
    saved.add_argument("--who", help="who takes it (the account that runs this)")
    verb(saved.add_subparsers(dest="subverb", metavar="VERB"), "list", backup_list)

    switch = verb(verbs, "cutover", cutover)
    switch.add_argument("--dry-run", action="store_true", help="judge the gates and stop")
    for made in (switch, verb(verbs, "rollback", rollback), mending, explaining):
        made.add_argument("--who", help="who decided it (the account that runs this)")
    return top


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


if __name__ == "__main__":
    sys.exit(main())
