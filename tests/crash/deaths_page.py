"""Write docs/reference/death-table.md from the books of one run or more, if every cell is clean.

python tests/crash/deaths_page.py --page PAGE [--part] BOOK…
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from books import Books, arguments, publish
from cells import AIRFLOW_DEATHS, DEATHS, HELD, MORTAL, OF_AIRFLOW, SWITCHES, TASK, WIRES

_HEAD = """# Who dies when

A shop is switched there and back under the demo's writer, and at each point of the switch somebody is killed (`kill -9`), or
the task's network to one store is cut: nothing comes through any more, and nobody is told for 25 s, which is when either end's
system gives up a connection that is silent. The task goes on at once, against a server that is just dying. This page is made
by `make death-table`, which runs `tests/crash/test_deaths.py` and `test_deaths_airflow.py`; do not edit it by hand.

What came of that try, and for how long no store took a write, restarts of killed servers and what is left to the next try
included:

- *stays*: it was given up, and the store that was open takes writes as before. The next try went through.
- *through*: it went through all the same.
- *next try*: it had closed the one and not opened the other; the next try, made at once, completed it.

A cell stands here only if at no moment both stores took a write (somebody tries all the time), no write of the writer failed,
every write that was acknowledged is found by the ledger, and after a rollback and its merge nothing differs. Of a task that
is killed the tests demand *stays* up to the fence, and *next try* or *through* from its commit on.

The broker of the embedded stack keeps everything in memory: its death is a gap, which the consumers mend by a resync.
"""
_AIRFLOW = """
## In Airflow

Here the DAG `cutover` runs, and its task is made to wait for somebody's lock. What is killed is the task's process, the
worker that supervises it, or the scheduler with all its workers. After the task's own death Airflow tries again by itself;
of a worker's it learns only after a minute, so the switch was completed by hand (`shopferry cutover`), as the
[runbook](../runbooks/cutover.md) says. The run that had begun it came to its end, too.
"""


NAMES = ("switch", "point", "who")
CELLS = [(d.switch, d.point, d.who) for d in (*DEATHS, *AIRFLOW_DEATHS)]


def page(read: Books) -> str:
    """The page as Markdown; every cell must be in the books."""
    lines = [_HEAD, read.told(len(CELLS)), ""]
    who = (TASK, *MORTAL, *WIRES)
    for switch, points in SWITCHES.items():
        lines += [f"## {switch.capitalize()}", "", *_table(switch, list(points), who, read), ""]
    lines += [_AIRFLOW, *_table("cutover", list(HELD), OF_AIRFLOW, read), ""]
    return "\n".join(lines)


def _table(switch: str, points: Sequence[str], who: Sequence[str], read: Books) -> list[str]:
    rows = [f"| {p} | " + " | ".join(_told(read.cells[switch, p, w]) for w in who) + " |" for p in points]
    return [f"| when | {' | '.join(who)} |", "|---" * (len(who) + 1) + "|", *rows]


def _told(cell: dict[str, Any]) -> str:
    return f"{cell['ended']}, {cell['closed_s']} s"


def main() -> int:
    """Write the page, or say why not."""
    given = arguments(__doc__)
    read = Books.read(given.books, NAMES)
    return publish(read, CELLS, given.page, lambda: page(read), given.part)


if __name__ == "__main__":
    sys.exit(main())
