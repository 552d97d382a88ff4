"""What of the legacy store may stay behind, and why: the route's `signed_off.txt`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from shopferry.errors import MappingError
from shopferry.route.headed import read_lines
from shopferry.route.identifiers import NamePattern, read_pattern
from shopferry.route.route import Route
from shopferry.settings import routes_dir

FILE = "signed_off.txt"
_LINE = re.compile(r"^(?P<name>\S.*?)\s+--\s+(?P<reason>\S.*)$")
_PUBLIC = read_pattern("public")[0]


@dataclass(frozen=True)
class SignedOff:
    """One line: what may stay behind, and why. `column` is None for a whole table."""

    schema: NamePattern
    table: NamePattern
    column: NamePattern | None
    reason: str
    line: int

    @property
    def written(self) -> str:
        """The name as the file has it, without the schema where that is `public`."""
        parts = [self.schema, self.table, self.column] if self.schema is not _PUBLIC else [self.table, self.column]
        return ".".join(part.written for part in parts if part)

    def covers(self, table: str, column: str | None, schema: str = "public") -> bool:
        """Tell whether it settles this column, or this table (column None); a table's line settles its columns."""
        if not (self.schema.covers(schema) and self.table.covers(table)):
            return False
        return self.column is None or (column is not None and self.column.covers(column))


def load(route: Route, root: Path | None = None) -> tuple[SignedOff, ...]:
    """Read the route's signed_off.txt; none when there is no such file. Raises MappingError with file and line."""
    lines = []
    for number, text in read_lines((root or routes_dir()) / route.name / FILE):
        where, match = f"{route.name}/{FILE}:{number}", _LINE.match(text)
        if not match:
            raise MappingError(f"{where}: wants `table.column -- reason` or `table -- reason`, not {text!r}")
        try:
            lines.append(_read(match["name"], match["reason"], number))
        except ValueError as error:
            raise MappingError(f"{where}: {error}") from None
    return tuple(lines)


def _read(name: str, reason: str, line: int) -> SignedOff:
    """Read `table`, `table.column`, or `schema.table.column` of a table that is not in `public`; there `*` is the whole table."""
    match read_pattern(name):
        case [table]:
            return SignedOff(_PUBLIC, table, None, reason, line)
        case [table, column]:
            return SignedOff(_PUBLIC, table, column, reason, line)
        case [schema, table, column]:
            return SignedOff(schema, table, None if column.is_any else column, reason, line)
    raise ValueError(f"{name!r} is neither table, table.column nor schema.table.column")
