"""Verbs that move the shop: rehearsal, phases, stream, backups, cutover and rollback."""

from __future__ import annotations

import argparse
import getpass
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import psycopg

from shopferry import db, signals
from shopferry.cli.output import name_who, publish_report, show
from shopferry.control import backups, chunks, phases, routes, target_shape
from shopferry.control.gates import Gate
from shopferry.errors import ConfigError, GapError, ShopferryError
from shopferry.retry import describe, is_transient, retrying
from shopferry.route.route import Route
from shopferry.route.settings import STORES
from shopferry.settings import Settings

_ARMED_S = 0.5  # between two looks whether there is a way back already
_REHEARSED = (
    "phase",
    "rows",
    "legacy_rows",
    "copy_s",
    "merge_s",
    "verify_s",
    "expected_s",
    "differences",
    "breaches",
    "quarantined",
    "left_out",
)
_BACKUP = ("id", "store", "taken", "keep_until", "removed", "reason", "bytes", "encrypted", "tested", "problem", "file")


def rehearse(args: argparse.Namespace) -> int:
    """Take a sample of legacy through all phases into scratch databases and verify it; exit 1 when it is not green."""
    from shopferry.rehearsal import rehearsal

    form = rehearsal.Form(args.customers, args.real_data, args.keep)
    done = rehearsal.rehearse(Settings.load(), name_who(args), form, lambda text: print(text, file=sys.stderr))
    show(args, done.phases, _REHEARSED)
    if not args.json:
        print(done.told)
    return 0 if done.green else 1


def phase_init(args: argparse.Namespace) -> int:
    """Install control tables, mirror, publication and the new shop's fence; idempotent."""
    from shopferry import phase_steps
    from shopferry.privacy import roles

    settings = Settings.load()
    phase_steps.install(settings)
    route = Route.load(settings.route)
    with db.connect(settings.target_dsn, "init") as shop:
        added = target_shape.find_added(shop, route.name, route.entities, required=False)
        looking = roles.create(shop, route) if args.roles else []
    listed = [
        {"installed": "captured tables of legacy", "names": route.tables},
        {"installed": "tables of the new shop that the route fills", "names": route.entities},
    ]
    if added:
        listed.append({"installed": "columns of these that have come since, and no mapping fills", "names": added})
    listed += [{"installed": f"role that {sees}", "names": [name]} for name, sees in looking]
    show(args, listed)
    return 0


def phase_run(args: argparse.Namespace) -> int:
    """Run one phase from copy to verification, without Airflow, unless the assessment finds what blocks it."""
    from shopferry import assess, phase_steps

    signals.exit_on_signals()  # it still lets go of the phase
    settings = Settings.load()
    for finding in assess.require_fit(settings):
        print(finding, file=sys.stderr)
    options = phase_steps.Options(args.chunk_size, args.rows_per_second, args.sample, args.without_rehearsal)
    holder = f"cli:{getpass.getuser()}:{os.getpid()}"
    outcome = phase_steps.run(settings, args.phase, holder, options, lambda text: print(text, file=sys.stderr))
    if outcome is None:
        print("the sample is in the new shop to look at; run the phase without --sample to go on", file=sys.stderr)
    else:
        show(args, outcome.accounts)
        publish_report(f"after phase {args.phase}")
    return 0


def optout_import(args: argparse.Namespace) -> int:
    """Take opt-outs from a file, before the cutover; only their marks are kept. The same file twice changes nothing."""
    from shopferry.engine import pair
    from shopferry.privacy import optout_files, optouts

    name = "standard input" if args.file == "-" else args.file
    with pair.open_stores(Settings.load(), "opt-outs") as s:
        optouts.require_wanted(s)
        try:
            content = sys.stdin.buffer.read() if args.file == "-" else Path(args.file).read_bytes()
        except OSError as error:
            raise ConfigError(f"cannot read {name}: {error.strerror}") from None
        file = optout_files.read(content, name, args.form)
        done = optouts.take(s, file, args.source or args.form, args.form, name_who(args))
    show(args, [{"lines": file.lines} | asdict(done)])
    return 0


def phase_status(args: argparse.Namespace) -> int:
    """Show every phase, its state, holder and progress."""
    settings = Settings.load()
    with db.connect(settings.target_dsn, "status") as shop:
        show(args, phases.load_all(shop, settings.route), ["phase", "state", "holder", "chunk_size", "seconds"])
        if not args.json:
            show(args, chunks.load_progress(shop, settings.route))
    return 0


def sync_forward(args: argparse.Namespace) -> int:
    """Replay legacy's changes into the new shop until SIGTERM; after a gap, resync and go on."""
    settings = Settings.load()
    return _sync(args, settings, settings)


def sync_reverse(args: argparse.Namespace) -> int:
    """The same for the way back: replay the new shop's changes into legacy; waits until the way back is armed."""
    settings = Settings.load()
    return _sync(args, settings, settings.reversed)


def _sync(args: argparse.Namespace, route: Settings, settings: Settings) -> int:
    from shopferry import phase_steps
    from shopferry.cdc import metrics
    from shopferry.cdc.flow import Flow

    log = logging.getLogger("shopferry.sync")
    stop = signals.set_on_signals()
    with metrics.serve(settings.metrics, settings.route):
        while not stop.is_set():
            try:
                if retrying(lambda: phase_steps.is_finished(route), stop=stop):
                    log.info("the migration is finished: there is nothing to do, this service may be removed")
                    stop.wait()
                    break
                if settings is not route and not retrying(lambda: phase_steps.is_installed(settings), stop=stop):
                    stop.wait(_ARMED_S)
                    continue
                retrying(lambda: phase_steps.finish_resync(settings, args.name), stop=stop)
                Flow(settings, stop, args.name).run()
            except GapError as error:
                if args.no_resync:
                    raise
                log.error("resyncing after a gap: %s", error)
                if phase_steps.resync(settings, args.name) is None:
                    log.info("another consumer has resynced, looking again")
            except (ShopferryError, psycopg.Error) as error:
                if stop.is_set() and is_transient(error):
                    break  # it would have been tried again
                log.error("stopped: %s", describe(error))
                return 1
    return 0


def sync_resync(args: argparse.Namespace) -> int:
    """Copy anew all that the stream has to keep, after changes were lost; waits for another one under way."""
    from shopferry import phase_steps

    settings = Settings.load()
    way = settings.reversed if args.reverse else settings
    show(args, [{"rows": phase_steps.resync(way, "cli", renewed=args.renew_slot)}])
    return 0


def backup_take(args: argparse.Namespace) -> int:
    """Back up both stores, or one, below the data directory; with --test-restore try each by restoring it."""
    from shopferry.backup import backup

    settings = Settings.load()
    stores = [args.store] if args.store else STORES
    made = [backup.take(settings, name_who(args), store, test_restore=args.test_restore) for store in stores]
    show(args, made, _BACKUP)
    return 0


def backup_list(args: argparse.Namespace) -> int:
    """Show the backups taken, the newest first, and whether each was ever restored."""
    settings = Settings.load()
    with db.connect(settings.target_dsn, "backup") as shop:
        show(args, backups.list_all(shop, settings.route), _BACKUP)
    return 0


def arm(args: argparse.Namespace) -> int:
    """Arm the way back: legacy gets a mirror of the new shop and follows it; idempotent, merges nothing."""
    from shopferry.cutover import way_back

    rows = way_back.arm(Settings.load(), lambda text: print(text, file=sys.stderr))
    show(args, [{"rows": rows}])
    return 0


def accept(args: argparse.Namespace) -> int:
    """Accept what was moved of one area, by name; the cutover asks it of each area that route.toml names."""
    from shopferry.cutover import acceptance

    acceptance.accept(Settings.load(), args.area, args.note, name_who(args))
    print(f"{args.area} is accepted by {name_who(args)}")
    return 0


def gates(args: argparse.Namespace) -> int:
    """Judge every gate of the cutover now, or after it of the rollback, with its evidence and what would meet it; exit 1
    when one is not met."""
    from shopferry.cutover import gates

    settings = Settings.load()
    with db.connect(settings.target_dsn, "gates") as shop:
        cut_over = routes.is_installed(shop) and routes.find_active(shop, settings.route) == "shop"
    judged = gates.judge_back(settings) if cut_over else gates.judge(settings)
    show(args, judged if args.json else _list_gates(judged))
    return 0 if all(g.met for g in judged) else 1


def _list_gates(judged: Sequence[Gate]) -> list[dict[str, object]]:
    """Return the gates as rows of a table, in which one that is met needs no remedy."""
    return [asdict(g) | ({"remedy": None} if g.met else {}) for g in judged]


def cutover(args: argparse.Namespace) -> int:
    """Judge the gates, then move the shop's writes to the new shop; --dry-run does all of it but lock, and changes nothing."""
    from shopferry.cutover import switch

    settings = Settings.load()
    if args.dry_run:
        return _dry_run(args, settings)
    signals.exit_on_signals()  # it still lets PgBouncer's clients go
    done = switch.cut_over(settings, name_who(args))
    show(args, [{"step": step, "ms": ms} for step, ms in done.steps])
    print("cut over: the new shop is open for writes, legacy is closed", file=sys.stderr)
    publish_report("after the cutover")
    return 0


def _dry_run(args: argparse.Namespace, settings: Settings) -> int:
    from shopferry.cutover.dry_run import dry_run

    done = dry_run(settings)
    steps = [{"step": step, "ms": ms} for step, ms in done.steps]
    numbers = [
        {"sequence": n.sequence, "next": n.next, "largest_key": n.largest, "would_be_set_to": n.following}
        for n in done.sequences
    ]
    if args.json:
        found = {"ready": done.ready, "gates": list(map(asdict, done.gates)), "steps": steps, "sequences": numbers}
        print(json.dumps(found | {"faults": done.faults}, indent=2, ensure_ascii=False))
        return 0 if done.ready else 1
    for rows in (_list_gates(done.gates), steps, numbers):
        show(args, rows)
    for fault in done.faults:
        print(f"would break it off: {fault}")
    print("ready: nothing was locked or changed" if done.ready else "not ready: nothing was locked or changed")
    return 0 if done.ready else 1


def rollback(args: argparse.Namespace) -> int:
    """Give the shop back to legacy, with every write that the new shop has acknowledged; then merge the phases again."""
    from shopferry import phase_steps
    from shopferry.cutover.rollback import roll_back

    signals.exit_on_signals()
    settings = Settings.load()
    done = roll_back(settings, name_who(args))
    show(args, [{"step": step, "ms": ms} for step, ms in done.steps])
    phase_steps.run_again(settings, f"cli:{name_who(args)}", lambda text: print(text, file=sys.stderr))
    publish_report("after the rollback")
    return 0


def finish(args: argparse.Namespace) -> int:
    """Drop all of shopferry's in both stores, the broker and the backups but the audit log, and print the close-out certificate;
    refused while the way back is promised."""
    from shopferry.cutover.close_out import Keeper
    from shopferry.cutover.finish import finish as end

    settings = Settings.load()
    if (args.keep_dumps is None) != (args.until is None):
        raise ConfigError("--keep-dumps and --until go together: who keeps the dumps, and until which day")
    keeper = Keeper(args.keep_dumps, args.until) if args.keep_dumps else None
    first, second = args.approved_by
    done = end(settings, args.route, first, second, keeper=keeper)
    if args.json:
        print(json.dumps(done.certificate, indent=2, ensure_ascii=False))
    else:
        show(args, [{"dropped": what} for what in done.dropped])
        show(args, done.certificate["stays"])
    print(f"close-out certificate: {done.file}", file=sys.stderr)
    for warning in done.warnings:
        print(warning, file=sys.stderr)
    return 0
