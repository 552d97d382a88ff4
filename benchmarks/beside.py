"""What a first load feels of a shop that goes on, and the stream of the load.

    python benchmarks/beside.py [--customers 30000] [--rate 50]

It brings up an embedded stack of its own for each of two loads of the same generated shop, the first alone, the second beside the
writer. Prints one JSON object: the seconds of all phases without verification, the ratio of the two, the lag of the stream while
the phases ran, how many rows differ in the end and how many acknowledged writes are missing.
"""

from __future__ import annotations

import argparse
import json
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cutover import quantiles, settled
from erasures import read_lags
from peers import measure_machine, time_phases
from replay import own_stack
from shopferry import db, phase_steps
from shopferry.cdc import proof
from shopferry.cutover import way_back
from shopferry.demo import ledger, shop
from shopferry.demo.writer import run_beside
from shopferry.engine.pair import open_stores


def load(customers: int, rate: float) -> dict[str, Any]:
    """Load a generated shop, beside `rate` writes a second."""
    with own_stack() as settings, TemporaryDirectory() as folder:
        book = Path(folder) / "ledger.jsonl"
        rows = sum(shop.seed(settings, customers).values())
        phase_steps.install(settings)
        with run_beside(book, rate) if rate else nullcontext():
            with open_stores(settings, "benchmark") as s, proof.broker_ends(s, settings) as ends:
                proof.await_applied(s, ends, 60.0)  # the stream has come up
            since = datetime.now(UTC)
            moved, verified, by_phase = time_phases(settings)
            lags = read_lags(settings, since)
            if rate:
                way_back.arm(settings)
        found = {"rows": rows, "moved_s": round(moved, 1), "verified_s": round(verified, 1), "by_phase": by_phase}
        if rate:
            found["differences"] = settled(settings)
            with (
                db.connect(settings.source_dsn, "benchmark") as legacy,
                db.connect(settings.target_dsn, "benchmark") as new,
            ):
                checked = ledger.check(book, legacy, new)
            found |= {"lag_ms": quantiles(lags), "acknowledged": checked.acknowledged, "missing": len(checked.missing)}
        return found


def main() -> None:
    """Run it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--customers", type=int, default=30_000)
    options.add_argument("--rate", type=float, default=50.0)
    given = options.parse_args()
    alone, beside = load(given.customers, 0), load(given.customers, given.rate)
    ratio = round(alone["moved_s"] / beside["moved_s"], 2)
    print(json.dumps({"additions_s": measure_machine(), "alone": alone, "beside": beside, "ratio": ratio}, indent=2))


if __name__ == "__main__":
    main()
