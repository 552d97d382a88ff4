"""What the ledger of erasures costs replay: events a second with none and with 100,000 rows in it, in turns, in one run.

    python benchmarks/erased.py [--customers 5000] [--changes 20000] [--turns 8] [--rows 100000] [--seconds 170]

It brings up an embedded stack of its own, moves a generated shop through all phases and stops the consumer. In each turn it
makes so many changes, waits until the broker has them, and applies them in this process: in odd turns with the ledger full, in
even ones with it empty. One row in a hundred has a key that the stream brings, and marks of what another row held there, so that
marks are made and nothing is barred. No turn begins after so many seconds. Prints one JSON object; the goal is a ratio of 0.98.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

from replay import CHANGES, applied, await_broker, batches, own_stack, polled
from shopferry import db, phase_steps
from shopferry.control import mark_key
from shopferry.db import Connection
from shopferry.demo import shop
from shopferry.engine import marks
from shopferry.phase_steps import Options
from shopferry.route.route import Route
from shopferry.stack import supervisor

_FILL = """
INSERT INTO shopferry.erased (route, relation, key, marks, clears, request)
SELECT %(route)s, (ARRAY['legacy.customers', 'legacy.orders', 'legacy.order_items'])[1 + n %% 3],
       CASE WHEN n %% 100 = 0 THEN 1 + n / 100 ELSE 1000000000 + n END::text,
       ARRAY[md5('a' || n), md5('b' || n), md5('c' || n)], NULL, 1
FROM generate_series(1, %(rows)s) n
"""


def main() -> None:
    """Run it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--customers", type=int, default=5_000)
    options.add_argument("--changes", type=int, default=20_000)
    options.add_argument("--turns", type=int, default=8)
    options.add_argument("--rows", type=int, default=100_000)
    options.add_argument("--seconds", type=float, default=170)
    given = options.parse_args()
    began = time.monotonic()
    rates: dict[str, list[int]] = {"with": [], "without": []}
    applying: dict[str, list[int]] = {"with": [], "without": []}
    with own_stack() as settings:
        route = Route.load(settings.route)
        shop.seed(settings, given.customers)
        for phase in route.phases:
            phase_steps.run(settings, phase, "benchmark", Options(without_rehearsal="benchmark"), lambda _: None)
        servers = supervisor.rpc(json.loads((Path(os.environ["SHOPFERRY_DATA"]) / "stack.json").read_text()))
        servers.stopProcess("sync")
        with (
            db.connect(settings.source_dsn, "benchmark") as legacy,
            db.connect(settings.target_dsn, "benchmark") as new,
        ):
            mark_key.record(new, marks.require_same(new))
            legacy.execute(CHANGES.encode())
            for turn in range(given.turns + 1):
                if time.monotonic() - began > given.seconds:
                    break
                _fill((legacy, new), route.name, given.rows if turn % 2 else 0)
                legacy.execute("CALL change_shop(%s, 10)", (given.changes,))
                await_broker(settings)
                events, _ = polled(settings)
                since = time.time()
                rate = events / applied(settings)
                seen = batches(settings, since)
                if turn:  # the first one fills caches
                    which = "with" if turn % 2 else "without"
                    rates[which].append(round(rate))
                    applying[which].append(round(1000 * seen["events"] / (seen["batches"] * seen["apply_ms"])))
            _fill((legacy, new), route.name, 0)
    found = {
        "changes": given.changes,
        "rows": given.rows,
        "events_per_s": rates,  # from the start of the consumer, which compares the two ledgers first
        "events_per_s_applied": applying,  # within its batches
        "ratio": _divide(rates),
        "ratio_applied": _divide(applying),
    }
    print(json.dumps(found, indent=2))


def _divide(rates: dict[str, list[int]]) -> float | None:
    """Divide the median with a full ledger by that with an empty one; None where a turn is missing."""
    if not all(rates.values()):
        return None
    return round(statistics.median(rates["with"]) / statistics.median(rates["without"]), 3)


def _fill(stores: tuple[Connection, ...], route: str, rows: int) -> None:
    """Have the ledger of both stores hold so many rows."""
    for conn in stores:
        conn.execute("TRUNCATE shopferry.erased")
        conn.execute(_FILL, {"route": route, "rows": rows})
        conn.execute("ANALYZE shopferry.erased")


if __name__ == "__main__":
    main()
