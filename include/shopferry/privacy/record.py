"""The record of processing (GDPR Art. 30): what the data map and route.toml say, gathered by purpose and by kind of data.

No database is asked: it says what the route's team has written down, and when it was read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shopferry import pages
from shopferry.pages.languages import Language
from shopferry.privacy import columns
from shopferry.route import personal
from shopferry.route import settings as route_settings
from shopferry.route.personal import Line
from shopferry.route.route import Route
from shopferry.route.settings import Responsible

_MARK = 12  # letters of the file's digest
_MISSING = (
    "the controller's name and address, where it is not who answers for the route",
    "transfers to other countries, and what makes them lawful (Art. 30(1)(e))",
    "the measures that keep the data safe (Art. 30(1)(g))",
    "the data protection officer, where there is one",
)


@dataclass(frozen=True)
class Rule:
    """What holds for some columns of one category alike."""

    category: str
    people: str
    purposes: tuple[str, ...]
    basis: str
    recipients: tuple[str, ...]
    keep: str
    erase: str  # in words
    see: tuple[str, ...]
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Activity:
    """One purpose: an activity of processing, as Art. 30 counts them."""

    purpose: str
    bases: tuple[str, ...]
    people: tuple[str, ...]
    categories: tuple[str, ...]
    recipients: tuple[str, ...]
    periods: tuple[str, ...]
    see: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """The whole record; `mark` names the state of personal.txt that it was made from, `ours` is what shopferry itself keeps."""

    route: str
    at: datetime
    mark: str
    responsible: Responsible
    activities: tuple[Activity, ...]
    rules: tuple[Rule, ...]
    ours: tuple[Rule, ...]
    nobodys: int  # lines about keys, technical columns and data of nobody
    missing: tuple[str, ...] = _MISSING


def build(route: Route) -> Record:
    """Gather the record. Raises MappingError for a personal.txt that is wrong, ConfigError for a route.toml that is."""
    data_map, ours = personal.load(route), columns.load_ours()
    told = [line for line in data_map.lines if line.purposes]
    return Record(
        route.name,
        datetime.now(UTC),
        hashlib.sha256(repr(data_map.lines).encode()).hexdigest()[:_MARK],
        route_settings.load(route.name).responsible,
        tuple(_gather_activities(told)),
        tuple(_gather_rules(told)),
        tuple(_gather_rules([line for line in ours.lines if line.purposes])),
        len(data_map.lines) - len(told),
    )


def _gather_activities(lines: Iterable[Line]) -> Iterable[Activity]:
    by_purpose: dict[str, list[Line]] = {}
    for line in lines:
        for purpose in line.purposes:
            by_purpose.setdefault(purpose, []).append(line)
    for purpose, mine in by_purpose.items():
        yield Activity(
            purpose,
            _list(line.basis for line in mine),
            _list(line.people for line in mine),
            _list(line.category.value for line in mine),
            _list(r for line in mine for r in line.recipients),
            _list(line.keep for line in mine),
            _list(s for line in mine for s in line.see),
        )


def _gather_rules(lines: Iterable[Line]) -> Iterable[Rule]:
    """Gather the lines that say the same, category by category in the order of the enumeration."""
    alike: dict[tuple[Any, ...], list[Line]] = {}
    for line in lines:
        said = (
            line.category,
            line.people,
            line.purposes,
            line.basis,
            line.recipients,
            line.keep,
            _say_erasure(line),
            line.see,
        )
        alike.setdefault(said, []).append(line)
    order = list(personal.Category)
    for said, mine in sorted(alike.items(), key=lambda item: order.index(item[0][0])):
        category, people, purposes, basis, recipients, keep, erase, see = said
        written = tuple(line.written for line in mine)
        yield Rule(category.value, people, purposes, basis, recipients, keep, erase, see, written)


def _say_erasure(line: Line) -> str:
    return {
        "delete": "the row is deleted",
        "null": "the value is removed",
        "constant": f"the value is replaced by {line.constant}" if line.constant else "the value is emptied",
        "all": f"all is removed but {', '.join(line.but)}",
        "keep": f"kept: {line.kept_why}",
    }[line.erase]


def _list(values: Iterable[str]) -> tuple[str, ...]:
    """Return each value once, in the order in which it came."""
    return tuple(dict.fromkeys(values))


def as_json(record: Record) -> dict[str, Any]:
    """Return the record as plain values; keys may be added, none renamed or removed."""
    return asdict(record) | {"at": record.at.isoformat(timespec="seconds")}


def as_html(record: Record, language: Language) -> str:
    """Return the record as one page in a language; it needs nothing else."""
    return pages.render("record.html", language, r=record, lined=_count_columns(record.rules))


def _count_columns(rules: Iterable[Rule]) -> int:
    return sum(len(rule.columns) for rule in rules)


def show(record: Record, console: Console) -> None:
    """Print the record: who answers, each purpose, and what holds for each kind of data."""
    console.print(f"record of processing, route {record.route}, {record.at:%Y-%m-%d %H:%M} UTC, data map {record.mark}")
    who = record.responsible
    console.print(Text(f"answers for it: {who.owner}, {who.contact}" if who.owner else "nobody is named in route.toml"))
    purposes = Table("purpose", "basis", "of", "data", "recipients", "kept", "seen by", box=SIMPLE_HEAD, pad_edge=False)
    for a in record.activities:
        told = (a.bases, a.people, a.categories, a.recipients, a.periods, a.see)
        purposes.add_row(a.purpose, *(Text("; ".join(values) or "–") for values in told))
    console.print(purposes)
    for title, rules in (("kind of data", record.rules), ("kept by shopferry while the shop moves", record.ours)):
        table = Table(title, "of", "kept", "an erasure", "seen by", "columns", box=SIMPLE_HEAD, pad_edge=False)
        for rule in rules:
            said = (rule.category, rule.people, rule.keep, rule.erase, ", ".join(rule.see), ", ".join(rule.columns))
            table.add_row(*map(Text, said))
        console.print(table)
    console.print(f"{record.nobodys} lines are about keys, technical columns and data of nobody")
    for missing in record.missing:
        console.print(Text(f"→ not written in these files: {missing}"))
