"""Write docs/reference/crash-matrix.md from the books of one run or more, if every cell is clean.

python tests/crash/page.py --page PAGE [--part] BOOK…
"""

from __future__ import annotations

import sys

from books import Books, arguments, publish
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


NAMES = ("process", "point", "signal")
WHOLE = [(c.process, c.point, c.signal) for c in (*OURS, *THEIRS, *AIRFLOW)]


def page(read: Books) -> str:
    """The page as Markdown; every cell of the whole must be in the books."""
    signs = {"passed": "✓"}  # a page with any other outcome is not written
    points = dict.fromkeys((process, point) for process, point, _ in WHOLE)
    rows = [
        f"| {process} | {point} | "
        + " | ".join(signs[read.cells[process, point, s]["outcome"]] for s in SIGNALS)
        + " |"
        for process, point in points
    ]
    head = "| process | point | " + " | ".join(SIGNALS) + " |"
    rule = "|---|---|" + "---|" * len(SIGNALS)
    return "\n".join([_HEAD, read.told(len(WHOLE)), "", head, rule, *rows, ""])


def main() -> int:
    """Write the page, or say why not."""
    given = arguments(__doc__)
    read = Books.read(given.books, NAMES)
    return publish(read, WHOLE, given.page, lambda: page(read), given.part)


if __name__ == "__main__":
    sys.exit(main())
