"""The route's activations: `activate/*.sql`, each one SELECT of what one recipient outside the shop is told of whom.

The SELECT says what is told; who may be told of is not for it to say. The grammar is in docs/howto/activation.md.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from shopferry.errors import MappingError
from shopferry.insight import permission
from shopferry.insight.formats import FORMATS, Format
from shopferry.insight.selects import Select
from shopferry.route import headed
from shopferry.route.headed import HeadedFile
from shopferry.route.route import Route
from shopferry.settings import routes_dir

FOLDER = "activate"
_WORDS = ("destination", "purpose", "channel", "recipient", "owner", "schedule")
_SEGMENT = "segment"  # may be left out
BY_HAND = "by hand"
DAYS = {"daily": 1, "weekly": 7, "monthly": 30}  # between two runs, by the schedule's first word
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NO_CODE = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)


@dataclass(frozen=True)
class Segment:
    """One segment of one scheme, and the line that names it."""

    scheme: str
    name: str
    line: int


@dataclass(frozen=True)
class Activation:
    """One activation: which recipient gets whose data, what for, by which tool, and who answers for it."""

    name: str  # the file's stem
    destination: str
    purpose: str
    channel: str
    recipient: str
    owner: str
    schedule: str  # in words, of which the first is one of DAYS or they are BY_HAND
    select: Select
    segment: Segment | None = None  # whose customers alone are told of; None: of all

    @property
    def days(self) -> int | None:
        """How many days lie between two runs; None where people start each."""
        return DAYS.get(self.schedule.split()[0].rstrip(",;"))

    @property
    def format(self) -> Format:
        """What its destination's files look like."""
        return FORMATS[self.destination]


def load(route: Route, root: Path | None = None) -> tuple[Activation, ...]:
    """Read every activation of the route, by name; a route may have none. Raises MappingError with file and line."""
    root = root or routes_dir()
    files = sorted((root / route.base_name / FOLDER).glob("*.sql"))
    purposes = permission.load(route, root).purposes if files else ()
    return tuple(_read(file, root, purposes) for file in files)


def find(loaded: tuple[Activation, ...], name: str) -> Activation:
    """Find an activation by its name. Raises MappingError naming those that there are."""
    for activation in loaded:
        if activation.name == name:
            return activation
    known = ", ".join(a.name for a in loaded) or "the route has none"
    raise MappingError(f"there is no activation {name!r}: {known}")


def _read(file: Path, root: Path, purposes: Collection[str]) -> Activation:
    text = read_headed(file, root, _WORDS, (_SEGMENT,))
    said = {word: text.first(word) for word in _WORDS}
    form = FORMATS.get(said["destination"].value)
    if form is None:
        header = said["destination"]
        raise text.error(header.line, f"destination {header.value!r} is none of {', '.join(FORMATS)}")
    require_one_of(text, "purpose", purposes)
    require_one_of(text, "channel", form.channels, f" that {form.name} serves")
    schedule = said["schedule"]
    if not (schedule.value.startswith(BY_HAND) or schedule.value.split()[0].rstrip(",;") in DAYS):
        raise text.error(
            schedule.line, f"schedule {schedule.value!r} begins with none of {', '.join(DAYS)} and `{BY_HAND}`"
        )
    values = {word: header.value for word, header in said.items()}
    select = Select(text.where, text.body.line, text.body.text)
    return Activation(file.stem, select=select, segment=_read_segment(text), **values)


def _read_segment(text: HeadedFile) -> Segment | None:
    for header in text.all(_SEGMENT):
        scheme, slash, name = header.value.partition("/")
        if not (scheme.strip() and slash and name.strip()):
            raise text.error(header.line, f"segment {header.value!r} is none: write it as `scheme/name`")
        return Segment(scheme.strip(), name.strip(), header.line)
    return None


def require_one_of(text: HeadedFile, word: str, known: Collection[str], which: str = "") -> None:
    """Raise MappingError with the list where a header's value is none of these."""
    header = text.first(word)
    if header.value not in known:
        raise text.error(header.line, f"{word} {header.value!r} is none of those{which}: {', '.join(known)}")


def read_headed(file: Path, root: Path, words: Collection[str], also: Collection[str] = ()) -> HeadedFile:
    """Read a file of one SELECT in which each of these header words stands once, and those of `also` at most once.

    Raises MappingError with file and line.
    """
    text = headed.read(file, file.relative_to(root), None)
    if not _NAME.fullmatch(file.stem):
        raise text.error(1, f"{file.stem!r} is no name for it: small letters, digits and _")
    for header in text.headers:
        if header.word not in (*words, *also):
            raise text.error(header.line, f"header {header.word!r} is none of {', '.join((*words, *also))}")
        if header is not text.all(header.word)[0]:
            raise text.error(header.line, f"header {header.word!r} stands here twice")
        if not header.value:
            raise text.error(header.line, f"header {header.word!r} says nothing")
    for word in words:
        text.first(word)
    body = text.body
    code = _NO_CODE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), body.text)
    if not re.match(r"\s*(SELECT|WITH)\b", code, re.IGNORECASE):
        raise text.error(body.line, "it wants one SELECT")
    if (at := code.find(";")) >= 0:
        raise text.error(body.line + code[:at].count("\n"), "it wants one SELECT: something stands behind its `;`")
    return text
