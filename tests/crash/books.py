"""The books of runs of the crash matrix or the death table: what came of each cell, and what a page says of the runs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Books:
    """Each cell by what names it, as the last run left it that has it; `runs` books, the last with `date` and `versions`."""

    cells: dict[tuple[str, ...], dict[str, Any]]
    runs: int
    date: str
    versions: dict[str, str]

    @classmethod
    def read(cls, books: Sequence[Path], names: Sequence[str]) -> Books:
        """Read the books; `names` are the fields that name a cell. A run that ended before its first cell has no book."""
        read = [[json.loads(line) for line in book.read_text().splitlines()] for book in books if book.exists()]
        ran = [c for lines in read for c in lines[1:] if c["outcome"] != "skipped"]
        made: dict[str, Any] = read[-1][0] if read else {"date": "no day", "versions": {}}
        return cls({tuple(c[n] for n in names): c for c in ran}, len(read), made["date"], made["versions"])

    def told(self, whole: int) -> str:
        """How many of all cells are clean, when and with what they ran."""
        clean = sum(c["outcome"] == "passed" for c in self.cells.values())
        runs = "Run" if self.runs == 1 else f"{self.runs} runs, the last"
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return f"{runs} on {self.date}: {clean} of {whole} cells clean. {versions}."

    def failed(self) -> list[str]:
        """The cells that failed, by name."""
        return [", ".join(cell) for cell, found in self.cells.items() if found["outcome"] != "passed"]

    def not_run(self, whole: Sequence[tuple[str, ...]]) -> list[str]:
        """Which of the whole's cells did not run, by name."""
        return [", ".join(cell) for cell in whole if cell not in self.cells]


def publish(read: Books, whole: Sequence[tuple[str, ...]], page: Path, text: Callable[[], str], part: bool) -> int:
    """Write the page if every cell of the whole is clean; else say which are not, and leave the page alone.

    Returns an exit code: 1 if a cell failed, or did not run although more than a `part` was to run.
    """
    failed, missing = read.failed(), read.not_run(whole)
    if not failed and not missing:
        page.write_text(text())
        print(f"{page}: written, {len(whole)} cells clean")
        return 0
    print(
        f"{page}: left as it is; of {len(whole)} cells {len(failed)} failed and {len(missing)} did not run",
        file=sys.stderr,
    )
    for word, cells in (("failed", failed), ("did not run", missing)):
        for cell in cells:
            print(f"  {word}: {cell}", file=sys.stderr)
    return 1 if failed or not part else 0


def arguments(description: str | None) -> argparse.Namespace:
    """What the command line of a page's program says: `page`, `part` and `books`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--page", type=Path, required=True, help="the page to be written")
    parser.add_argument("--part", action="store_true", help="cells that did not run are no fault")
    parser.add_argument("books", type=Path, nargs="+", help="the books of one run or more")
    return parser.parse_args()
