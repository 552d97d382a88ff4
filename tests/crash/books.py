"""The books of runs of the crash matrix or the death table: what came of each cell, and what a page says of the runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
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
        """Read the books; `names` are the fields that name a cell."""
        read = [[json.loads(line) for line in book.read_text().splitlines()] for book in books]
        ran = [c for lines in read for c in lines[1:] if c["outcome"] != "skipped"]
        made = read[-1][0]
        return cls({tuple(c[n] for n in names): c for c in ran}, len(read), made["date"], made["versions"])

    def told(self, whole: int) -> str:
        """How many of all cells are clean, when and with what they ran."""
        clean = sum(c["outcome"] == "passed" for c in self.cells.values())
        runs = "Run" if self.runs == 1 else f"{self.runs} runs, the last"
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return f"{runs} on {self.date}: {clean} of {whole} cells clean, {whole - len(self.cells)} not run. {versions}."
