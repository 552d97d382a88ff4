"""What of the legacy store may stay behind, and why: the route's `signed_off.txt`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from shopferry.errors import MappingError
from shopferry.route.headed import read_lines
from shopferry.route.route import Route
from shopferry.settings import routes_dir

FILE = "signed_off.txt"
_LINE = re.compile(r"^(?P<table>[a-z0-9_*?]+)(?:\.(?P<column>[a-z0-9_*?]+))?\s+--\s+(?P<reason>\S.*)$")


@dataclass(frozen=True)
class SignedOff:
    """One line: what may stay behind, and why. `column` is None for a whole table; both may be patterns."""

    table: str
    column: str | None
    reason: str
    line: int

    def covers(self, table: str, column: str | None) -> bool:
        """Tell whether it settles this column, or this table (column None); a table's line settles its columns."""
        if not fnmatchcase(table, self.table):
            return False
        return self.column is None or (column is not None and fnmatchcase(column, self.column))


def load(route: Route, root: Path | None = None) -> tuple[SignedOff, ...]:
    """Read the route's signed_off.txt; none when there is no such file. Raises MappingError with file and line."""
    lines = []
    for number, text in read_lines((root or routes_dir()) / route.name / FILE):
        match = _LINE.match(text)
        if not match:
            raise MappingError(
                f"{route.name}/{FILE}:{number}: wants `table.column -- reason` or `table -- reason`, not {text!r}"
            )
        lines.append(SignedOff(match["table"], match["column"], match["reason"], number))
    return tuple(lines)
