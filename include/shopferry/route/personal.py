"""What each column says of people: the route's `personal.txt`, the data map; no database is asked here.

A line is about one column, or about those that a pattern names; a line whose name is a category gives what holds for all
columns of this category, unless their own line says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from shopferry.errors import MappingError
from shopferry.route.headed import read_lines
from shopferry.route.identifiers import NamePattern, read_pattern
from shopferry.route.route import Route
from shopferry.settings import routes_dir

FILE = "personal.txt"
BASES = (
    "consent",
    "contract",
    "legal obligation",
    "vital interests",
    "public task",
    "legitimate interest",
)  # GDPR Art. 6(1)
PSEUDONYMS = ("words", "email", "phone", "code", "postcode", "ip", "secret")
PLAIN = "plain"  # goes to testers as it is
_REQUIRED = ("for", "basis", "keep", "erase", "see")
_FIELDS = (*_REQUIRED, "to", "of", "pseudonym", "despite")
_LINE = re.compile(r"^(?P<name>\S.*?)\s+--\s+(?P<said>\S.*)$")
_ERASE = re.compile(
    r"^(?P<how>delete|null|constant (?P<constant>\S.*)|all but (?P<but>[^,\s]+(, *[^,\s]+)*)|keep: (?P<why>\S.*))$"
)
_NOTHING = "''"  # how `constant` names the text without a character
Name = tuple[str, str, str]  # schema, table, column


class Category(StrEnum):
    """What a column holds of people; the last three are of nobody."""

    IDENTITY = "identity"  # who somebody is: names, birth dates, national numbers
    CONTACT = "contact"  # how somebody is reached: e-mail, phone
    ADDRESS = "address"
    CREDENTIAL = "credential"  # what somebody signs in with
    CONSENT = "consent"  # what somebody has agreed to or refused, with its proof
    PURCHASE = "purchase"  # what somebody has ordered, when and for how much
    PAYMENT = "payment"
    LOYALTY = "loyalty"
    FREE_TEXT = "free text"  # anything may stand in it
    TECHNICAL = "technical"  # flags and times of a row, sums of control
    KEY = "key"  # a number that names a row
    NONE = "none"

    @property
    def of_people(self) -> bool:
        """Whether it is people's data by itself, so that purpose, basis and period must be said."""
        return self not in {Category.TECHNICAL, Category.KEY, Category.NONE}


# Of a text column, where its line does not say another. A contact is an e-mail or a phone: only its line can say which.
_PSEUDONYM_OF = {
    Category.IDENTITY: "words",
    Category.ADDRESS: "words",
    Category.FREE_TEXT: "words",
    Category.CREDENTIAL: "secret",
    Category.PAYMENT: "code",
    Category.CONTACT: None,
}


@dataclass(frozen=True)
class Line:
    """One line, with what its category's line adds; `where` names file and line, `erase` is the word without its rest."""

    schema: NamePattern
    table: NamePattern
    column: NamePattern
    category: Category
    where: str
    purposes: tuple[str, ...] = ()
    basis: str = ""
    keep: str = ""  # how long
    erase: str = ""  # delete (the row), null, constant, all (of a JSON value, but for `but`), keep
    constant: str = ""  # what takes the value's place
    but: tuple[str, ...] = ()  # paths into a JSON value that an erasure leaves
    kept_why: str = ""  # why an erasure leaves it
    see: tuple[str, ...] = ()  # who may see it
    recipients: tuple[str, ...] = ()  # outside the shop
    people: str = "customers"  # whose data it is
    own_pseudonym: str = ""
    despite: str = ""  # why values that look like people's data are none

    @property
    def written(self) -> str:
        """The name as the file has it."""
        return ".".join(part.written for part in (self.schema, self.table, self.column))

    @property
    def pseudonym(self) -> str | None:
        """What a rehearsal makes of a text: a kind, PLAIN, or None where the file must still say it."""
        return self.own_pseudonym or _PSEUDONYM_OF.get(self.category, PLAIN)

    def covers(self, name: Name) -> bool:
        """Tell whether it is about this column."""
        schema, table, column = name
        return self.schema.covers(schema) and self.table.covers(table) and self.column.covers(column)


@dataclass(frozen=True)
class DataMap:
    """All lines about columns of one file; `common` are the categories that have a line of their own."""

    lines: tuple[Line, ...]
    common: frozenset[Category] = frozenset()

    def find(self, schema: str, table: str, column: str) -> Line | None:
        """Return the line about this column, the first of several; None where no line is."""
        return next((line for line in self.lines if line.covers((schema, table, column))), None)

    def find_faults(self, columns: Iterable[Name], tables: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Find what is wrong beside these columns, which are all there are of these tables; as (file and line, fault).

        Lines that name none of them, and columns that two lines are about.
        """
        faults = []
        known, named = sorted(set(columns)), dict[Name, Line]()
        for line in self.lines:
            mine = [name for name in known if line.covers(name)]
            if not mine:
                faults.append((line.where, _say_nothing_named(line, tables)))
            for name in mine:
                if other := named.get(name):
                    faults.append(
                        (line.where, f"{'.'.join(name)} is what {other.where.rpartition('/')[2]} is about already")
                    )
                    break
            named |= {name: line for name in mine if name not in named}
        return faults


def _say_nothing_named(line: Line, tables: Iterable[tuple[str, str]]) -> str:
    if any(line.schema.covers(schema) and line.table.covers(table) for schema, table in tables):
        return f"{line.written}: there is no such column"
    return f"{line.written}: there is no such table"


def load(route: Route, root: Path | None = None) -> DataMap:
    """Read the route's personal.txt; an empty map where there is none. Raises MappingError with file and line."""
    file = (root or routes_dir()) / route.base_name / FILE
    return read(file, f"{route.base_name}/{FILE}")


def read(file: Path, where: str) -> DataMap:
    """Read one such file; `where` is how errors name it. Raises MappingError with file and line."""
    common: dict[Category, dict[str, str]] = {}
    own: dict[int, tuple[list[NamePattern], Category, dict[str, str]]] = {}
    seen: dict[tuple[str, ...], int] = {}
    for number, text in read_lines(file):
        try:
            match = _LINE.match(text)
            if not match:
                raise ValueError(f"wants `schema.table.column -- category; for …; …`, not {text!r}")
            if match["name"] in set(Category):
                category = Category(match["name"])
                if category in common:
                    raise ValueError(f"what holds for {category} is said twice")
                common[category] = _read_fields(match["said"].split(";"), {"despite"})
                continue
            parts = _read_column(match["name"])
            if (first := seen.setdefault(tuple(p.written for p in parts), number)) != number:
                raise ValueError(f"{match['name']} is what line {first} is about already")
            said, *fields = match["said"].split(";")
            own[number] = parts, _read_category(said.strip()), _read_fields(fields, set())
        except ValueError as error:
            raise MappingError(f"{where}:{number}: {error}") from None
    lines = []
    for number, (parts, category, fields) in own.items():
        try:
            lines.append(_make_line(parts, category, common.get(category, {}) | fields, f"{where}:{number}"))
        except ValueError as error:
            raise MappingError(f"{where}:{number}: {error}") from None
    return DataMap(tuple(lines), frozenset(common))


def _read_column(name: str) -> list[NamePattern]:
    parts = read_pattern(name)
    if len(parts) != 3:
        raise ValueError(f"{name!r} is neither schema.table.column nor one of {', '.join(Category)}")
    return parts


def _read_category(said: str) -> Category:
    if said.endswith("?"):
        raise ValueError(f"{said} is the draft's guess: read it, correct it, and take the question mark out")
    if said not in set(Category):
        raise ValueError(f"category {said!r} is none of {', '.join(Category)}")
    return Category(said)


def _read_fields(written: Iterable[str], refused: set[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for text in (t.strip() for t in written):
        word, _, value = text.partition(" ")
        if word not in _FIELDS or word in refused:
            raise ValueError(f"{text!r} begins with none of {', '.join(f for f in _FIELDS if f not in refused)}")
        if not value.strip():
            raise ValueError(f"`{word}` says nothing")
        if value.rstrip().endswith("?"):
            raise ValueError(f"`{text}` is the draft's guess: read it, correct it, and take the question mark out")
        if word in fields:
            raise ValueError(f"`{word}` is said twice")
        fields[word] = value.strip()
    return fields


def _make_line(parts: list[NamePattern], category: Category, fields: Mapping[str, str], where: str) -> Line:
    schema, table, column = parts
    # Technical data and keys may be people's too; of them an erasure may take what names the person, and no more is said.
    said = category.of_people or not fields.keys().isdisjoint({*_REQUIRED} - {"erase"})
    if said and category is not Category.NONE and (missing := [word for word in _REQUIRED if word not in fields]):
        raise ValueError(
            f"{category} wants {', '.join(_REQUIRED)}; {', '.join(missing)} is neither said here nor in a line `{category} -- …`"
        )
    if category is Category.NONE and (more := sorted(fields.keys() - {"despite", "pseudonym"})):
        raise ValueError(f"`none` is nobody's data, and has no `{more[0]}`")
    if category.of_people and "despite" in fields:
        raise ValueError(f"`despite` says why what looks like people's data is none; {category} is")
    if (basis := fields.get("basis", "")) and basis not in BASES:
        raise ValueError(f"basis {basis!r} is none of {', '.join(BASES)}")
    if (kind := fields.get("pseudonym", "")) and kind not in {*PSEUDONYMS, PLAIN}:
        raise ValueError(f"pseudonym {kind!r} is none of {', '.join(PSEUDONYMS)}, {PLAIN}")
    erase = _ERASE.match(fields.get("erase", "null"))
    if not erase:
        raise ValueError("erase is delete, null, `constant VALUE`, `all but PATH, …` or `keep: why`")
    return Line(
        schema,
        table,
        column,
        category,
        where,
        _split(fields.get("for", "")),
        basis,
        fields.get("keep", ""),
        re.split("[ :]", erase["how"])[0] if "erase" in fields else "",
        "" if erase["constant"] == _NOTHING else erase["constant"] or "",
        _split(erase["but"] or ""),
        erase["why"] or "",
        _split(fields.get("see", "")),
        _split(fields.get("to", "")),
        fields.get("of", "customers"),
        kind,
        fields.get("despite", ""),
    )


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
