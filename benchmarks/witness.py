"""What the witness costs replay: events a second with and without it, in turns, in one run.

    python benchmarks/witness.py [--customers 5000] [--changes 20000] [--turns 6]

It brings up an embedded stack of its own, moves a generated shop through all phases and stops the consumer. In each turn it
makes so many changes (a fifth of them of customers, whose columns are witnessed), waits until the broker has them, and applies
them in this process: in odd turns as they are, in even ones without booking a state. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from pathlib import Path
from unittest import mock

import psycopg
from replay import CHANGES, applied, await_broker, own_stack, polled
from shopferry import phase_steps
from shopferry.cdc.replay import Replay
from shopferry.demo import shop
from shopferry.phase_steps import Options
from shopferry.route.route import Route
from shopferry.stack import supervisor


def main() -> None:
    """Run it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--customers", type=int, default=5_000)
    options.add_argument("--changes", type=int, default=20_000)
    options.add_argument("--turns", type=int, default=6)
    given = options.parse_args()
    rates: dict[str, list[float]] = {"with": [], "without": []}
    with own_stack() as settings:
        shop.seed(settings, given.customers)
        for phase in Route.load(settings.route).phases:
            phase_steps.run(settings, phase, "benchmark", Options(without_rehearsal="benchmark"), lambda _: None)
        servers = supervisor.rpc(json.loads((Path(os.environ["SHOPFERRY_DATA"]) / "stack.json").read_text()))
        servers.stopProcess("sync")
        with psycopg.connect(settings.source_dsn, autocommit=True) as legacy:
            legacy.execute(CHANGES.encode())
            for turn in range(given.turns + 1):
                legacy.execute("CALL change_shop(%s, 10)", (given.changes,))
                await_broker(settings)
                events, _ = polled(settings)
                if turn % 2:
                    rate = events / applied(settings)
                else:
                    with mock.patch.object(Replay, "_book_witnessed", lambda *_: {}):
                        rate = events / applied(settings)
                if turn:  # the first one fills caches
                    rates["with" if turn % 2 else "without"].append(round(rate))
    found = {
        "changes": given.changes,
        "events_per_s": rates,
        "ratio": round(statistics.median(rates["with"]) / statistics.median(rates["without"]), 3),
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
