"""docs/reference/crash-matrix.md out of the books of one run or more: python tests/crash/page.py BOOK… > PAGE"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from cells import AIRFLOW, OURS, SIGNALS, THEIRS

_HEAD = """# Crash matrix

Every process of the flow, at named points, under the demo's writer, gets each of three signals: `SIGKILL`; `SIGTERM`;
`SIGSTOP` for longer than a consumer group waits, then `SIGCONT`. Afterwards a cell is clean (✓) only if verification finds
no difference in any phase, every phase is verified, and every write that was acknowledged is found by the ledger. This page
is made by `make crash-matrix`, which runs `tests/crash`; do not edit it by hand.

Our own processes are stopped exactly at a point, which the tests attach to the function that is named in
`tests/crash/cells.py`. The points of servers that are not ours are states of the flow. A PostgreSQL that gets SIGTERM waits
for its clients; three seconds later it gets SIGINT, a fast shutdown, as on-call would do.

The broker of the embedded stack keeps everything in memory: each of its deaths is a gap, which the consumer notices and
mends by a resync.
"""


def page(books: Sequence[Path]) -> str:
    """The page as Markdown; of a cell that several books have, the last one's outcome."""
    read = [[json.loads(line) for line in book.read_text().splitlines()] for book in books]
    made = read[-1][0]
    outcomes = {(c["process"], c["point"], c["signal"]): c["outcome"] for lines in read for c in lines[1:]}
    whole = [*OURS, *THEIRS, *AIRFLOW]
    points = list(dict.fromkeys((c.process, c.point) for c in whole))
    sign = {"passed": "✓", "failed": "✗", "skipped": "not run", None: "not run"}
    rows = [
        f"| {process} | {point} | " + " | ".join(sign[outcomes.get((process, point, s))] for s in SIGNALS) + " |"
        for process, point in points
    ]
    clean = sum(o == "passed" for o in outcomes.values())
    missing = len(whole) - sum(o != "skipped" for o in outcomes.values())
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    head = "| process | point | " + " | ".join(SIGNALS) + " |"
    rule = "|---|---|" + "---|" * len(SIGNALS)
    runs = "Run" if len(read) == 1 else f"{len(read)} runs, the last"
    run = f"{runs} on {made['date']}: {clean} of {len(whole)} cells clean, {missing} not run. {versions}."
    return "\n".join([_HEAD, run, "", head, rule, *rows, ""])


if __name__ == "__main__":
    sys.stdout.write(page([Path(book) for book in sys.argv[1:]]))
