"""One thing that an assessment found: how bad it is, how often, what follows from it and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import psycopg

from shopferry.db import Connection
from shopferry.engine.texts import MISREAD
from shopferry.errors import MappingError
from shopferry.shapes import shape

EXAMPLES = 3  # of single values; groups are shown up to GROUPS
GROUPS = 12
_LONGEST = 60  # characters of a masked example


class Severity(StrEnum):
    """How bad a finding is; the order is that of the report."""

    BLOCKING = "blocking"  # no phase starts before it is mended or decided
    WARNING = "warning"  # rows will be refused or changed, or the move may fail under way
    NOTE = "note"  # worth knowing; nothing has to be done

    @property
    def rank(self) -> int:
        """Position in the report, the worst first."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class Example:
    """One place where it was found: the row's key, or a group's name; the value masked; rows it stands for."""

    key: str
    masked: str = ""
    rows: int = 1

    def __str__(self) -> str:
        shown = f"{self.key} {self.masked}".strip()
        return f"{shown} ({self.rows:,})" if self.rows > 1 else shown


@dataclass(frozen=True)
class Finding:
    """One thing found; `count` is of rows where rows are meant (None: it is not a matter of rows)."""

    subject: str
    severity: Severity
    text: str
    consequence: str
    remedy: str
    count: int | None = None
    about: bool = False  # the count is extrapolated from a sample
    examples: tuple[Example, ...] = ()

    @property
    def blocking(self) -> bool:
        """Whether it must be mended before a phase can start."""
        return self.severity is Severity.BLOCKING

    @property
    def number(self) -> str:
        """The count in words of the report: `12`, `about 1,200`, or nothing."""
        if self.count is None:
            return ""
        return f"{'about ' if self.about else ''}{self.count:,}"

    def __str__(self) -> str:
        """Return one line for a log: never an example, not even a masked one."""
        number = f"{self.number} " if self.number else ""
        word = "BLOCKING" if self.blocking else self.severity.value
        return f"{word} {self.subject}: {number}{self.text} → {self.remedy}"

    def scale(self, factor: float) -> Finding:
        """Return the same, counted in a sample of which the whole is `factor` times as large."""
        if self.count is None or factor <= 1:
            return self
        return replace(self, count=round(self.count * factor), about=True)


def mask(value: str) -> str:
    """Return the value's shape: letters become x, digits 9; all else stays, so that misread letters can be seen."""
    parts, at = [], 0
    for broken in MISREAD.finditer(value):
        parts += [shape(value[at : broken.start()]), broken[0]]
        at = broken.end()
    text = "".join([*parts, shape(value[at:])])
    text = "".join(c if c.isprintable() else "·" for c in text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def sort_worst_first(found: list[Finding]) -> list[Finding]:
    """Blocking findings first, then warnings, then notes; within each in the order in which they were found."""
    return sorted(found, key=lambda f: f.severity.rank)


def attempt(subject: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield what one look finds; where it was not allowed or took too long, a note that says so."""
    try:
        yield from list(look())
    except psycopg.errors.QueryCanceled:
        why, remedy = "looking took too long", "look on a copy of the store, or with fewer rows"
    except psycopg.errors.InsufficientPrivilege:
        why, remedy = "the role may not read it", "GRANT SELECT to the role that shopferry uses"
    except MappingError as error:
        why, remedy = str(error), "mend the file"
    else:
        return
    yield Finding(
        subject, Severity.WARNING, f"could not be looked at: {why}", "what is wrong with it is not known", remedy
    )


def read_value(conn: Connection, query: str, *args: object) -> Any:
    """Read the one value of the one row; None when there is no row."""
    row = conn.execute(query.encode(), args or None).fetchone()
    return row[0] if row else None
