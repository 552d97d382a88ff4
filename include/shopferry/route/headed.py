"""Read the SQL files that a route's team writes: header lines `-- word: value`, and one SELECT or several.

Mappings, business checks, assessment checks, report questions and the sample of a rehearsal are all such files. What their
words mean is said where they are used; here they are only read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from shopferry.errors import MappingError

_HEADER = re.compile(r"^--\s*([a-z]+):\s*(.*?)\s*$")
_CONTINUED = re.compile(r"^--\s{3,}(\S.*?)\s*$")
_REMARK = "  --"  # two blanks and this begin a remark that is no part of the value


@dataclass(frozen=True)
class Header:
    """One header line; `more` holds the indented comment lines right below it."""

    word: str
    value: str
    line: int
    more: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """One SELECT as it stands in the file; `line` is its first, or its header's where it is empty."""

    name: str  # what the divider says; empty for what stands above the first divider
    line: int
    text: str


@dataclass(frozen=True)
class HeadedFile:
    """One file; `where` is how errors name it."""

    where: Path
    headers: tuple[Header, ...]
    sections: tuple[Section, ...]  # at least one, the first without a name

    @property
    def body(self) -> Section:
        """The SELECT above the first divider. Raises MappingError where there is none."""
        if not self.sections[0].text:
            raise self.error(1, "there is no SELECT")
        return self.sections[0]

    def all(self, word: str) -> list[Header]:
        """Return the header lines of this word, in the order of the file."""
        return [h for h in self.headers if h.word == word]

    def first(self, word: str) -> Header:
        """Return the first header line of this word. Raises MappingError where there is none that says something."""
        for header in self.all(word):
            if header.value:
                return header
        raise self.error(1, f"header line `-- {word}:` is missing")

    def error(self, line: int, what: str) -> MappingError:
        """Return the error that names what is wrong, with file and line."""
        return MappingError(f"{self.where}:{line}: {what}")


def read(file: Path, where: Path, words: Collection[str] | None, divider: str = "") -> HeadedFile:
    """Read one file: its header lines of these words, and its SELECTs without them.

    Each header line of the word `divider` begins a new section. Other comment lines are prose, and belong to a section
    once its SELECT has begun. Without `words` every word counts, but only above the SELECT.
    """
    headers: list[Header] = []
    sections: list[tuple[str, int, list[str]]] = [("", 1, [])]
    continued = False
    for number, text in enumerate(file.read_text().splitlines(), 1):
        name, _, lines = sections[-1]
        header, more = _HEADER.match(text), _CONTINUED.match(text)
        if header and (header[1] in words if words is not None else not lines):
            headers.append(Header(header[1], header[2].partition(_REMARK)[0].strip(), number))
            continued = True
            if header[1] == divider:
                sections.append((headers[-1].value, number, []))
            continue
        continued = continued and more is not None
        if continued and more:
            headers[-1] = replace(headers[-1], more=(*headers[-1].more, more[1]))
        if lines:
            lines.append(text)
        elif text.strip() and not text.lstrip().startswith("--"):
            sections[-1] = (name, number, [text])
    return HeadedFile(where, tuple(headers), tuple(Section(*s[:2], _strip_select("\n".join(s[2]))) for s in sections))


def _strip_select(text: str) -> str:
    return text.strip().rstrip(";").rstrip()


def read_lines(file: Path) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line of a plain list that is neither empty nor a `#` comment; none without the file."""
    for number, text in enumerate(file.read_text().splitlines() if file.exists() else (), 1):
        if (line := text.strip()) and not line.startswith("#"):
            yield number, line
