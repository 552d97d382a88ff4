"""Short and long profiles of tests over random histories, and the book of what the long ones found.

The short profile is the same for everybody. `SHOPFERRY_SEED=<number>` repeats a run and `SHOPFERRY_SHRINK=1` then finds the
shortest history that fails; `SHOPFERRY_PROFILE=long` runs more and longer ones and shrinks; `SHOPFERRY_EXAMPLES=<number>`
says how many.
"""

from __future__ import annotations

import csv
import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

from hypothesis import HealthCheck, Phase, settings
from shopferry.settings import PROJECT

LONG = os.environ.get("SHOPFERRY_PROFILE") == "long"
_SHRINK = LONG or bool(os.environ.get("SHOPFERRY_SHRINK"))
_FIRST_SEED = int(os.environ.get("SHOPFERRY_SEED") or (random.SystemRandom().randrange(2**31) if LONG else 2026))
_BOOK = PROJECT / "docs" / "reference" / "histories.csv"


@dataclass
class Run:
    """One share of a profile: its seed, and how many histories have begun."""

    seed: int
    begun: int = 0


def choose(*, short: int, long: int, shares: int) -> settings:
    """Choose the settings of one share of so many histories."""
    examples = int(os.environ.get("SHOPFERRY_EXAMPLES") or (long if LONG else short))
    return settings(
        max_examples=-(-examples // shares),
        stateful_step_count=60 if LONG else 20,
        deadline=None,
        print_blob=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink) if _SHRINK else (Phase.generate,),
        database=None,
    )


@contextmanager
def book(share: int, of: str = "") -> Iterator[Run]:
    """Lend a run of that share; one of the long profile is entered in the book when it ends. `of` says of what it was."""
    run = Run(_FIRST_SEED + share)
    print(f"SHOPFERRY_SEED={_FIRST_SEED}, share {share}: seed {run.seed}")
    started, found = time.monotonic(), "broken off"
    try:
        yield run
        found = "nothing"
    except Exception as error:
        found = type(error).__name__
        raise
    finally:
        print(f"{run.begun} histories")
        if LONG:
            _enter(run, time.monotonic() - started, f"long{of and ' '}{of}", found)


def _enter(run: Run, seconds: float, profile: str, found: str) -> None:
    """Add a run to the book of histories."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    line = (date.today(), commit.stdout.strip(), run.seed, run.begun, round(seconds), profile, found)
    with _BOOK.open("a", newline="") as written:
        csv.writer(written, lineterminator="\n").writerow(line)
