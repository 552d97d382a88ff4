"""The steps of a phase: the CLI runs them in a row, Airflow runs each as a task.

Each step opens its own connections, is safe to repeat, and leaves everything it knows in the control tables.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import takewhile

from shopferry import db, installation
from shopferry.backup import backup
from shopferry.cdc import proof, slot
from shopferry.cdc.proof import Watermark, broker_ends
from shopferry.control import chunks, continuity, differences, locks, phases, rehearsals, routes
from shopferry.control.chunks import Span
from shopferry.control.differences import Difference
from shopferry.control.phases import State
from shopferry.engine import backfill, changed_settings, erased, merge_chunks, mirror, pace
from shopferry.engine.pair import open_stores
from shopferry.errors import VerificationError
from shopferry.retry import retrying
from shopferry.route.route import Route
from shopferry.settings import Settings
from shopferry.verify import repair as mending
from shopferry.verify.repair import Repair
from shopferry.verify.verification import Verification, verify, verify_rows

WORKERS = 2  # two servers and two workers saturate the small machines this was measured on
_GROUPS = 2  # copy groups per table at most: a task costs seconds to start, and its chunks are what is retried


@dataclass(frozen=True)
class Options:
    """The options of a run: rows per chunk, rows per second (None: unthrottled), sample rows (None: all).

    `without_rehearsal` names the person who decided that the first phase starts though no rehearsal was green.
    """

    chunk_size: int = 10_000
    rows_per_second: int | None = None
    sample: int | None = None
    without_rehearsal: str | None = None


def install(settings: Settings) -> None:
    """Make both stores ready: control tables, mirror, publication, fence. Idempotent.

    What reads a setting that was changed is merged again.
    """
    with open_stores(settings, "install") as s:
        installation.install(s.source, s.target, s.route)
        changed_settings.merge_readers(s)


def begin(settings: Settings, phase: str, holder: str, options: Options) -> None:
    """Take the phase and start it.

    Raises PhaseError when it is out of order, held, or already cut over, and for the first phase, unless it is live or run
    as a sample, when no rehearsal of these mappings was green and `without_rehearsal` names no one.
    """
    with open_stores(settings, f"begin {phase}") as s, s.target.transaction():
        s.route.of(phase)
        phases.require_start(s.target, s.route.name, phase)
        phases.hold(s.target, s.route.name, phase, holder)
        phases.configure(
            s.target,
            s.route.name,
            phase,
            chunk_size=options.chunk_size,
            rows_per_second=options.rows_per_second,
            sample=options.sample,
        )
        if not State(phases.load(s.target, s.route.name, phase).state).live:
            if phase == s.route.phases[0] and options.sample is None:
                rehearsals.require_green(s.target, s.route.name, phase, s.route.fingerprint, options.without_rehearsal)
            phases.move(s.target, s.route.name, phase, State.COPYING)


def plan(settings: Settings, phase: str) -> list[Span]:
    """Plan the copy and return it in groups, one for each worker task. A live phase is not copied again."""
    with open_stores(settings, f"plan {phase}") as s:
        if State(phases.load(s.target, s.route.name, phase).state).live:
            return []
        proof.await_slot(s.source, s.route.publication, timeout_s=60.0)
        if not chunks.has_open(s.target, s.route.name, phase, "copy"):
            backfill.plan_copy(s, phase)
        groups = []
        for target in chunks.load_progress(s.target, s.route.name):
            if target.phase == phase and target.kind == "copy":
                size = max(1, -(-target.total // _GROUPS))
                groups += [
                    Span(target.target, no, min(no + size, target.total) - 1) for no in range(0, target.total, size)
                ]
        return groups


def copy(
    settings: Settings, phase: str, worker: str, span: Span = chunks.EVERYTHING, stop: threading.Event | None = None
) -> int:
    """Copy the span's chunks until none is open, or until told to stop; returns the rows that all workers have copied."""
    rows = 0
    with open_stores(settings, f"copy {phase}") as s:
        while not (stop and stop.is_set()):
            pace.keep(s, phase)
            if retrying(lambda: backfill.copy_next(s, phase, worker, span), s.source, s.target):
                continue
            if not chunks.has_open(s.target, s.route.name, phase, "copy", span):
                break
            time.sleep(0.2)  # another worker holds the last ones
        rows = sum(
            p.rows for p in chunks.load_progress(s.target, s.route.name) if p.phase == phase and p.kind == "copy"
        )
    return rows


def go_live(settings: Settings, phase: str) -> None:
    """Make the phase's entities live: the stream merges them from now on, and the merge is planned."""
    # First, else an event would merge its row by values without a verdict; what comes meanwhile is judged after it.
    _judge(settings, phase, moved=False)
    with open_stores(settings, f"go live {phase}") as s:
        merge_chunks.begin_merge(s, phase)


def standardize(settings: Settings, phase: str) -> int:
    """Judge the raw values that have come while the phase went live; returns how many were new."""
    return _judge(settings, phase, moved=True)


def _judge(settings: Settings, phase: str, *, moved: bool) -> int:
    """Judge raw values of the phase, some kinds beside others."""
    kinds, judged = iter(backfill.list_columns(Route.load(settings.route), phase)), list[int]()

    def judge(worker: str, stop: threading.Event) -> int:
        with open_stores(settings, f"standardize {phase}") as s:
            judged.append(backfill.judge(s, takewhile(lambda _: not stop.is_set(), kinds), moved=moved))
        return 0

    in_threads(judge)
    return sum(judged)


def merge(settings: Settings, phase: str, worker: str, stop: threading.Event | None = None) -> int:
    """Merge chunks until the whole phase is merged, beside other workers, or until told to stop; returns this worker's chunks."""
    merged = 0
    with open_stores(settings, f"merge {phase}") as s:
        while not (stop and stop.is_set()) and not merge_chunks.is_merged(s, phase):
            pace.keep(s, phase)
            chunk = retrying(lambda: merge_chunks.merge_next(s, phase, worker), s.target)
            if chunk is None:
                time.sleep(0.05)  # another worker has what the next is built on
            else:
                merged += 1
    return merged


def is_installed(settings: Settings) -> bool:
    """Whether the mirror stands in the store that the route writes."""
    with db.connect(settings.target_dsn, "sync") as target:
        return bool(mirror.load(target))


def is_finished(settings: Settings) -> bool:
    """Whether the migration is over and shopferry gone from the new shop, but for its audit log."""
    with db.connect(settings.target_dsn, "sync") as target:
        return routes.is_finished(target, settings.route)


def resync(settings: Settings, worker: str, *, renewed: bool = False) -> int | None:
    """Copy all that the stream keeps once more, after changes were lost on the way; returns the rows looked at.

    Slot and publication are made again first where they are missing, or in any case if `renewed`. Returns None when another
    process was resyncing and is done by now: a caller that still misses something may look again.
    """
    with open_stores(settings, "resync") as s, broker_ends(s, settings) as ends:
        erased.require_joined(s.source, s.target, s.route)
        if not locks.try_resync(s.target, s.route.name):
            locks.await_resync(s.target, s.route.name)
            return None
        name, tables = s.route.publication, mirror.load(s.target)
        if renewed or slot.find_faults(s.source, name, tables) or continuity.load(s.target, s.route.name).lost:
            with s.source.transaction():
                installation.publish(s.source, s.route, tables)
            # Also a slot that stands: what was committed without the publication cannot be decoded with it.
            slot.renew_slot(s.source, name)
            slot.await_reader(s.source, name, patience_s=30.0)
        return backfill.resync(s, worker, ends)


def finish_resync(settings: Settings, worker: str) -> None:
    """Finish a resync that was broken off, before replay begins; does nothing before the first phase."""
    with open_stores(settings, "resync") as s:
        if mirror.load(s.target):
            erased.require_joined(s.source, s.target, s.route)
            backfill.finish_resync(s, worker)


def is_sample(settings: Settings, phase: str) -> bool:
    """Whether the phase's present run copies a sample only; such a run ends after the merge, without sync."""
    with open_stores(settings, f"look at {phase}") as s:
        return phases.load(s.target, s.route.name, phase).sample is not None


def await_sync(settings: Settings, phase: str, timeout_s: float = 300.0) -> Watermark:
    """Wait for the stream to pass the copy's high watermark; then the phase is in sync."""
    with open_stores(settings, f"await sync {phase}") as s:
        with broker_ends(s, settings) as ends:
            passed = proof.await_applied(s, ends, timeout_s)
        with s.target.transaction():
            phases.move(s.target, s.route.name, phase, State.IN_SYNC)
        return passed


def compare(settings: Settings, phase: str, rows_per_second: int | None = None) -> Verification:
    """Verify the phase online and record the outcome; differences are the caller's to judge."""
    with open_stores(settings, f"verify {phase}") as s, broker_ends(s, settings) as ends:
        return verify(
            s.source,
            s.target,
            s.route,
            phase,
            lambda: proof.await_applied(s, ends, 60.0),
            rows_per_second=rows_per_second,
        )


def verify_phase(settings: Settings, phase: str) -> Verification:
    """Verify the phase online. Raises VerificationError when anything differs that is not explained."""
    outcome = compare(settings, phase)
    if not outcome.clean:
        raise VerificationError(
            f"phase {phase}: {outcome.open} differences, the first in {outcome.differences[0].where}; "
            f"`shopferry difference list` shows all, `shopferry repair {phase}` mends them"
        )
    return outcome


def find_comparable(settings: Settings) -> list[str]:
    """Find the phases whose stores should be equal: those in sync or verified."""
    with open_stores(settings, "look at phases") as s:
        standing = {
            p.phase for p in phases.load_all(s.target, s.route.name) if p.state in {State.IN_SYNC, State.VERIFIED}
        }
        return [p for p in s.route.phases if p in standing]


def count_open_differences(settings: Settings, phase: str) -> int:
    """Count the differences of a phase that are neither settled nor explained."""
    with open_stores(settings, f"look at {phase}") as s:
        counted = differences.count(s.target, s.route.name)
        return sum(c["differences"] for c in counted if (c["phase"], c["state"]) == (phase, "open"))


def repair(settings: Settings, phase: str, who: str, target: str | None = None) -> Repair:
    """Mend the phase's open differences, or those of one target, and look at them again."""
    with open_stores(settings, f"repair {phase}") as s, broker_ends(s, settings) as ends:
        return mending.repair(s, phase, lambda: proof.await_applied(s, ends, 60.0), who, target)


def read_values(settings: Settings, phase: str, found: Iterable[Difference]) -> list[Difference]:
    """Read what differs now of the rows that these differences name, with the values, which are kept nowhere."""
    with open_stores(settings, f"look at {phase}") as s, broker_ends(s, settings) as ends:
        return verify_rows(s.source, s.target, s.route, phase, found, lambda: proof.await_applied(s, ends, 60.0))


def finish(settings: Settings, phase: str, holder: str) -> None:
    """Mark the phase verified and let go of it: the next one may start."""
    with open_stores(settings, f"finish {phase}") as s, s.target.transaction():
        phases.move(s.target, s.route.name, phase, State.VERIFIED)
        phases.release(s.target, s.route.name, phase, holder)


def abandon(settings: Settings, phase: str, holder: str) -> None:
    """Let go of a phase after a failure; what is done stays done."""
    with open_stores(settings, f"abandon {phase}") as s, s.target.transaction():
        phases.release(s.target, s.route.name, phase, holder)


def book(settings: Settings, phase: str, seconds: float) -> None:
    """Add working time to the phase."""
    with open_stores(settings, f"book {phase}") as s, s.target.transaction():
        phases.add_seconds(s.target, s.route.name, phase, seconds)


def in_threads(work: Callable[[str, threading.Event], int], workers: int = WORKERS) -> None:
    """Run `work` in so many threads, each with a name of its own; the first failure is raised.

    A failure or a signal sets the event: the other threads then end after the chunk that they are at.
    """
    from concurrent.futures import ThreadPoolExecutor, as_completed

    stop = threading.Event()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for done in as_completed([pool.submit(work, f"worker {n + 1}", stop) for n in range(workers)]):
                done.result()
        except BaseException:
            stop.set()
            raise


def run_again(settings: Settings, holder: str, say: Callable[[str], None]) -> None:
    """Merge and verify every phase again after a rollback, online. Raises what stopped it, after letting the phase go.

    What differs then is not mended here: a row that no row of legacy makes may be one that the way back did not carry.
    """
    names = Route.load(settings.route).phases
    for n, phase in enumerate(names):
        say(f"{phase} again")
        try:
            run(settings, phase, holder, Options(), say)
        except VerificationError as error:
            rest = ", ".join(f"`shopferry phase run {name}`" for name in names[n:])
            raise VerificationError(
                f"{error}. Legacy is open and the stream goes on. After a rollback `extra` are rows that were born in the new "
                "shop and that legacy's rows make under another key: see by `shopferry difference list --rows` which, and that "
                f"legacy has them; then `shopferry repair {phase}`, then {rest} (in Airflow clear `merge_again` instead)"
            ) from None


def run(
    settings: Settings, phase: str, holder: str, options: Options, say: Callable[[str], None]
) -> Verification | None:
    """Run all steps of a phase without Airflow; None when it was a sample. Raises what stopped it, after letting the phase go."""
    started = time.monotonic()
    install(settings)
    begin(settings, phase, holder, options)
    try:
        if backed_up := backup.take_before_merge(settings, holder):
            say(f"the new shop held rows, backed up before the first merge: {backed_up.file}")
        groups = plan(settings, phase)
        if groups:
            say(f"copying {len({g.target for g in groups})} tables")
            in_threads(lambda worker, stop: copy(settings, phase, worker, stop=stop))
        say("merging")
        go_live(settings, phase)
        standardize(settings, phase)
        in_threads(lambda worker, stop: merge(settings, phase, worker, stop))
        if options.sample:
            abandon(settings, phase, holder)
            return None
        say("waiting for the stream")
        await_sync(settings, phase)
        say("verifying")
        outcome = verify_phase(settings, phase)
        finish(settings, phase, holder)
        return outcome
    except BaseException:
        abandon(settings, phase, holder)
        raise
    finally:
        book(settings, phase, time.monotonic() - started)
