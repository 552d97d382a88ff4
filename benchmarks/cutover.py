"""How long a shop that is switched there and back under the writer waits, and whether anything is lost.

    python benchmarks/cutover.py [--rounds 20] [--rate 500] [--open 6] [--customers 2000] [--broker HOST:PORT]
                                 [--connect URL] [--page FILE]

It brings up an embedded stack of its own, moves a generated shop, and then cuts over and rolls back, round after round, under
the writer; after each rollback the writer rests, and the phases are merged again and verified. In the end every
acknowledged write is looked up in both stores, and counted what a flow has written into the store that was open: what came
from there would have returned. `--open` is how many seconds the writer goes on before, between and after the two switches of
a round: 20 rounds of 55 are an hour of writer. `--broker` is an empty Kafka in the place of the embedded broker, which is not
made for hours, `--connect` a Kafka Connect in the place of the embedded connectors, which take twice its time. Prints one JSON
object; `--page` writes docs/reference/cutover-drill.md, if all rounds of a whole drill were made and nothing was lost.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import returns
from replay import own_stack
from returns import Stay
from shopferry import db, phase_steps
from shopferry.backup import backup
from shopferry.cdc import proof
from shopferry.cutover import switch, way_back
from shopferry.cutover.rollback import roll_back
from shopferry.cutover.section import Steps
from shopferry.demo import ledger, shop
from shopferry.demo.writer import run_beside
from shopferry.errors import GateError, TransientError
from shopferry.phase_steps import Options
from shopferry.route.route import Route
from shopferry.settings import Settings, data_dir

ROUNDS = 20  # a whole drill
RESTS_S = 3.0  # longer than any switch keeps it waiting: then it rested


def drill(
    settings: Settings, rounds: int, rate: float, open_s: float, book: Path
) -> tuple[dict[str, list[dict[str, float]]], list[Stay]]:
    """Switch there and back under the writer; returns the steps of each switch, in ms, and which store was open when."""
    steps: dict[str, list[dict[str, float]]] = {"cutover": [], "rollback": []}
    stays: list[Stay] = []
    for number in range(rounds):
        way_back.arm(settings)
        with run_beside(book, rate, workers=8, seed=number):
            since = datetime.now(UTC)
            for kind, closing, switched in (("cutover", "legacy", switch.cut_over), ("rollback", "shop", roll_back)):
                time.sleep(open_s)
                stays.append(Stay(closing, since, datetime.now(UTC)))
                steps[kind].append(dict(as_soon_as_met(partial(switched, settings, "drill")).steps))
                since = datetime.now(UTC)
            time.sleep(open_s)
        phase_steps.run_again(settings, "drill", lambda _: None)
        stays.append(Stay("legacy", since, datetime.now(UTC)))
        print(f"round {number + 1}", file=sys.stderr, flush=True)
    return steps, stays


def as_soon_as_met(switched: Callable[[], Steps]) -> Steps:
    """Switch once the gates are met: two cores that run all servers fall behind at times. What was refused is told."""
    while True:
        try:
            return switched()
        except (GateError, TransientError) as error:
            print(f"refused: {error}", file=sys.stderr, flush=True)
            time.sleep(1)


def settled(settings: Settings) -> int:
    """Wait for both flows, then compare all phases; returns how many rows differ."""
    proof.await_both(settings, 120.0)
    return sum(phase_steps.compare(settings, p).open for p in Route.load(settings.route).phases)


def quantiles(values: list[float]) -> dict[str, float]:
    """Median, 99th percentile (of few values: nearly the largest) and the largest."""
    ordered = sorted(values)
    return {
        "p50": round(statistics.median(ordered)),
        "p99": round(ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]),
        "max": round(ordered[-1]),
    }


def losses(found: dict[str, Any]) -> list[str]:
    """What must not have been, in words: writes that failed or are missing, rows that differ or came back."""
    counts = {
        "failed": "writes failed",
        "missing": "acknowledged writes are missing in either store",
        "differences": "rows differ in the end",
        "returned": "rows were carried back into the store they came from",
    }
    return [f"{found[name]} {what}" for name, what in counts.items() if found[name]]


def publish(found: dict[str, Any], path: Path) -> int:
    """Write the page after a whole drill without losses, else say what is missing; returns 1 after losses."""
    lost = losses(found)
    missing = [f"{found['rounds']} of {ROUNDS} rounds were made"] if found["rounds"] < ROUNDS else []
    if lost or missing:
        print(f"{path}: left as it is; {', '.join((*lost, *missing))}", file=sys.stderr)
    else:
        path.write_text(page(found))
        print(f"{path}: written", file=sys.stderr)
    return 1 if lost else 0


def page(found: dict[str, Any]) -> str:
    """The page for docs/reference."""
    lines = [
        "# Cutover drill",
        "",
        "Made by `make cutover-drill` (`benchmarks/cutover.py`); figures of one run, on "
        f"{found['machine']['cores']} cores with all servers on them, {found['broker']} among them.",
        "",
        f"{found['rounds']} cutovers and {found['rounds']} rollbacks of a shop of {found['customers']:,} customers, under a "
        f"writer that was asked for {found['asked_per_s']:g} writes per second and did {found['writes_per_s']:g}, for "
        f"{found['writer_minutes']} minutes. "
        f"{found['acknowledged']:,} writes acknowledged, {found['failed']} failed, {found['missing']} missing in either store, "
        f"{found['differences']} rows differ in the end. The flows carried {found['carried']:,} rows into the store that was "
        f"closed, and {found['returned']} into the one that was open.",
        "",
        "The longest time without an acknowledged write, or that one had to wait, in milliseconds, as the writer saw it:",
        "",
        "| | p50 | p99 | largest |",
        "|---|---|---|---|",
        *(f"| {name} | {q['p50']:,} | {q['p99']:,} | {q['max']:,} |" for name, q in found["gap_ms"].items()),
        "",
        "What it goes into, medians in milliseconds (the first five are before anybody waits):",
        "",
        "| step | cutover | rollback |",
        "|---|---|---|",
    ]
    of = found["steps_ms"]
    names = {
        "lock": "lock the store that closes",
        "make": "make the other one ready",
        "fence": "fence it",
        "open": "open the other",
    }
    steps = (
        "gates",
        "look ahead",
        "keep vacuum out",
        "await calm",
        "look again",
        "lock",
        "applied",
        "last look",
        "make",
        "echo applied",
        "fence",
        "open",
    )
    for step in steps:
        cells = [
            next((f"{ms:,}" for s, ms in of[kind].items() if s.split(" ")[0] == step or s == step), "–") for kind in of
        ]
        lines.append(f"| {names.get(step, step)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run it and print what was measured; returns an exit code, not 0 if anything was lost and a page was to be written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--open", type=float, default=6)
    parser.add_argument("--customers", type=int, default=2000)
    parser.add_argument("--broker")
    parser.add_argument("--connect")
    parser.add_argument("--page", type=Path)
    args = parser.parse_args()
    with own_stack(args.broker, args.connect) as settings:
        shop.seed(settings, args.customers)
        for phase in Route.load(settings.route).phases:
            phase_steps.run(settings, phase, "drill", Options(without_rehearsal="drill"), lambda _: None)
        backup.take_before_cutover(settings, "drill")
        book = data_dir() / "drill.jsonl"
        returns.watch(settings)
        steps, stays = drill(settings, args.rounds, args.rate, args.open, book)
        differences = settled(settings)
        carried, returned = returns.counted(settings, stays)
        with db.connect(settings.source_dsn, "drill") as legacy, db.connect(settings.target_dsn, "drill") as new:
            report = ledger.check(book, legacy, new)
        if report.missing or differences:
            (data_dir() / "keep").touch()
            print(f"kept for a look at what is missing: {data_dir()}", file=sys.stderr, flush=True)
        records = ledger.read(book)
        gaps = ledger.find_gaps_ms(records)
        starts = sorted(r["started"] for r in records)
        took = sum(b - a for a, b in itertools.pairwise(starts) if b - a < RESTS_S)
    found = {
        "machine": {"cores": len(os.sched_getaffinity(0)), "python": platform.python_version()},
        "broker": ("Apache Kafka" if args.broker else "the embedded broker")
        + (" and Kafka Connect" if args.connect else ""),
        "rounds": args.rounds,
        "customers": args.customers,
        "asked_per_s": args.rate,
        "writes_per_s": round(len(records) / took),
        "acknowledged": report.acknowledged,
        "failed": report.failed_for_the_user,
        "missing": len(report.missing),
        "differences": differences,
        "writer_minutes": round(took / 60),
        "carried": carried,
        "returned": returned,
        "gap_ms": {
            "cutover": quantiles([g for store, g in gaps if store == "shop"]),
            "rollback": quantiles([g for store, g in gaps if store == "legacy"]),
        },
        "steps_ms": {
            kind: {step: round(statistics.median(s[step] for s in of)) for step in of[0]} for kind, of in steps.items()
        },
        "examples_of_missing": report.missing[:10],
    }
    print(json.dumps(found, indent=2))
    return publish(found, args.page) if args.page else 0


if __name__ == "__main__":
    sys.exit(main())
