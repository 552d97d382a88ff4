"""What becomes of each column of the new shop that the way back does not carry: the route's `reverse/losses.txt`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from shopferry.errors import ConfigError
from shopferry.route.headed import read_lines
from shopferry.route.route import Route, find_folder

FILE = "losses.txt"
_LINE = re.compile(
    r"^(?P<table>\w+\.\w+)\.(?P<column>[\w*]+) -- (?P<how>carried|cut|blocking|kept beyond (?P<width>[1-9]\d*)): \S"
)


@dataclass(frozen=True)
class Decision:
    """One line of `losses.txt`: what becomes of a column of the new shop, or of those that a pattern names."""

    table: str
    column: str  # `*` stands for any characters
    how: str  # carried, cut, blocking, or kept beyond a width
    width: int | None  # in characters, where it is kept

    @property
    def name(self) -> str:
        """As the file names it."""
        return f"{self.table}.{self.column}"

    def settles(self, table: str, column: str) -> bool:
        """Tell whether it says what becomes of this column."""
        return table == self.table and fnmatchcase(column, self.column)


def load_decisions(back: Route) -> list[Decision]:
    """Read what becomes of all that no mapping back carries as it is. Raises ConfigError for a line that says nothing."""
    file = find_folder(back.name) / FILE
    decisions = []
    for number, line in read_lines(file):
        match = _LINE.match(line)
        if not match or (match["width"] and "*" in match["column"]):
            raise ConfigError(
                f"{file.parent.parent.name}/reverse/{FILE}:{number}: wants `shop.table.column -- cut: why` (or `carried:`, "
                f"`blocking:`, `kept beyond 255:` of one column), not {line!r}"
            )
        width = int(match["width"]) if match["width"] else None
        decisions.append(Decision(match["table"], match["column"], match["how"].partition(" ")[0], width))
    return decisions
