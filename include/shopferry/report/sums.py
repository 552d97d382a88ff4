"""Sums before and after, as the route asks for them: `report/*.sql`, a legacy half and a shop half of each.

Where a file also says what was held back, the three must meet: legacy = new shop + not carried. What is left over is shown
as unexplained, and is either a change under way between the two looks or something to be looked into.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from shopferry.db import Connection
from shopferry.errors import MappingError
from shopferry.report import questions
from shopferry.route import headed
from shopferry.route.route import Route
from shopferry.settings import routes_dir

FOLDER = "report"
_LOOKS, _PAUSE_S = 5, 0.4
_PATIENCE_S = 20  # sums over whole tables that take longer differ again by what came meanwhile
_HALVES = ("legacy", "shop", "held")
Row = tuple[str, dict[str, Decimal]]


@dataclass(frozen=True)
class Question:
    """One file: its title, the phase after which it makes sense, and its named queries."""

    name: str
    file: str
    title: str
    phase: str
    about: str
    halves: dict[str, str]


@dataclass(frozen=True)
class Line:
    """One segment of one measure; `held` and `unexplained` are None where the question does not say what was held back.

    After the cutover `unexplained` is what has changed since: legacy less new shop less held.
    """

    segment: str
    legacy: Decimal | None
    shop: Decimal
    held: Decimal | None
    unexplained: Decimal | None


@dataclass(frozen=True)
class Sum:
    """One measure of one question, by segment, with the totals of them all where they may be added up."""

    name: str
    title: str
    measure: str
    about: str
    lines: tuple[Line, ...]
    balanced: bool | None  # None: not to be judged, for want of a half, or since the new shop goes on alone


def load(route: Route, root: Path | None = None) -> tuple[Question, ...]:
    """Read the route's questions, by phase and name. Raises MappingError with the file."""
    folder = (root or routes_dir()) / route.name / FOLDER
    questions = [_read(file, Path(route.name, FOLDER, file.name), route) for file in sorted(folder.glob("*.sql"))]
    return tuple(sorted(questions, key=lambda q: (route.phases.index(q.phase), q.name)))


def _read(file: Path, where: Path, route: Route) -> Question:
    text = headed.read(file, where, ("title", "phase", "about", "name"), divider="name")
    title, phase = text.first("title").value, text.first("phase").value
    halves = {section.name: section.text for section in text.sections[1:]}
    if phase not in route.phases:
        raise text.error(1, f"there is no phase {phase!r} in this route")
    if not {"legacy", "shop"} <= set(halves) <= set(_HALVES):
        raise text.error(1, "wants queries `-- name: legacy`, `-- name: shop` and perhaps `-- name: held`")
    about = next((h.value for h in text.all("about")), "")
    return Question(file.stem, str(where), title, phase, about, halves)


def answer(legacy: Connection | None, shop: Connection, question: Question, *, active: str) -> list[Sum]:
    """Ask both halves and put them side by side, one Sum for each measure. Raises MappingError when one does not run.

    While legacy is `active`, changes are under way, and the two halves are never of the very same moment: measures that do
    not meet are looked at again a few times, unless that takes long. Once the new shop is, it goes on alone, and nothing
    has to meet any more.
    """
    found: dict[str, Sum] = {}
    until = time.monotonic() + _PATIENCE_S
    for _ in range(_LOOKS):
        met = {s.measure: s for s in found.values() if s.balanced is not False}
        found = {s.measure: s for s in _answer(legacy, shop, question)} | met
        if active == "shop":
            return [replace(s, balanced=None) for s in found.values()]
        if time.monotonic() > until or not any(s.balanced is False for s in found.values()):
            break
        time.sleep(_PAUSE_S)
    return list(found.values())


def _answer(legacy: Connection | None, shop: Connection, question: Question) -> list[Sum]:
    asked: dict[str, dict[str, dict[str, Decimal]]] = {}
    for half, query in question.halves.items():
        conn = legacy if half == "legacy" else shop
        if conn is not None:
            asked[half] = dict(_ask(conn, query, f"{question.file}: {half}"))
    measures = list(dict.fromkeys(m for half in asked.values() for row in half.values() for m in row))
    segments = sorted({s for half in asked.values() for s in half})
    held_known, legacy_known = "held" in asked, "legacy" in asked
    found = []
    for measure in measures:
        lines = []
        for segment in segments:
            value = {half: rows.get(segment, {}).get(measure, Decimal(0)) for half, rows in asked.items()}
            before, after = value.get("legacy"), value.get("shop", Decimal(0))
            held = value.get("held") if held_known else None
            left = None if before is None or held is None else before - after - held
            lines.append(Line(segment, before, after, held, left))
        balanced = not any(x.unexplained for x in lines) if held_known and legacy_known else None
        found.append(Sum(question.name, question.title, measure, question.about, tuple(lines), balanced))
    return found


def _ask(conn: Connection, query: str, where: str) -> list[Row]:
    names, rows = questions.ask(conn, query, where)
    if not names or names[0] != "segment" or len(names) < 2:
        raise MappingError(f"{where}: wants `segment` first and then its measures, not {', '.join(names)}")
    return [
        (str(r[0]), {n: Decimal(str(v if v is not None else 0)) for n, v in zip(names[1:], r[1:], strict=True)})
        for r in rows
    ]
