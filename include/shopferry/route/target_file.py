"""What the target's tables are like in the version of its application for which a route was written: `target.txt`.

The first line is the version, as people call it; the others name a column each: `public.customer.email`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from shopferry.errors import ConfigError
from shopferry.route.headed import read_lines
from shopferry.route.route import Route, find_folder

FILE = "target.txt"
_COLUMN = re.compile(r"^\w+\.\w+\.\w+$")


@dataclass(frozen=True)
class WrittenFor:
    """The version, and the columns that it has, each with the line that names it."""

    version: str
    columns: dict[str, int]


def load(route: Route) -> WrittenFor | None:
    """Read the file; None where the route has none. Raises ConfigError with file and line."""
    lines = list(read_lines(find_folder(route.name) / FILE))
    if not lines:
        return None
    (_, version), *rest = lines
    for number, text in rest:
        if not _COLUMN.match(text):
            raise ConfigError(f"{route.name}/{FILE}:{number}: wants `schema.table.column`, not {text!r}")
    return WrittenFor(version, {text: number for number, text in rest})
