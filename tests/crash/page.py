"""docs/reference/crash-matrix.md out of the books of one run or more: python tests/crash/page.py BOOK… > PAGE"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from books import Books
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
    read = Books.read(books, ("process", "point", "signal"))
    whole = [*OURS, *THEIRS, *AIRFLOW]
    points = list(dict.fromkeys((c.process, c.point) for c in whole))
    signs = {"passed": "✓", "failed": "✗"}

    def sign(*cell: str) -> str:
        return signs[read.cells[cell]["outcome"]] if cell in read.cells else "not run"

    rows = [
        f"| {process} | {point} | " + " | ".join(sign(process, point, s) for s in SIGNALS) + " |"
        for process, point in points
    ]
    head = "| process | point | " + " | ".join(SIGNALS) + " |"
    rule = "|---|---|" + "---|" * len(SIGNALS)
    return "\n".join([_HEAD, read.told(len(whole)), "", head, rule, *rows, ""])


if __name__ == "__main__":
    sys.stdout.write(page([Path(book) for book in sys.argv[1:]]))
