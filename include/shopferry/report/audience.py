"""The audience: how many people may be written to by each channel, and what has taken out the others.

The route says it in `audience.sql`, one SELECT in the new shop of (channel, step, what, people): step 1 is who said yes in the
old shop, 9 who may be written to now; the steps between are taken away, but 8, which adds. A person counts once per channel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from shopferry.db import Connection
from shopferry.errors import MappingError
from shopferry.report import questions
from shopferry.route import headed
from shopferry.route.route import Route, find_folder

FILE = "audience.sql"
COLUMNS = ("channel", "step", "what", "people")
_SAID, _ADDED, _MAY = 1, 8, 9
_RULE = re.compile(r"THEN '([a-z_]+)'\s+-- (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Rule:
    """What a yes must be to count, and the reason code of one that is not."""

    reason: str
    wants: str


@dataclass(frozen=True)
class Question:
    """What the route asks, from which phase on, and the rules of the mapping that judges a yes."""

    phase: str
    query: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Step:
    """One line of a channel; `people` is negative where they are taken out."""

    what: str
    people: int


@dataclass(frozen=True)
class Audience:
    """One channel: who said yes in legacy, what changes that number, and who may be written to."""

    channel: str
    said: int
    steps: tuple[Step, ...]
    may: int

    @property
    def balanced(self) -> bool:
        """Whether the steps lead from the one number to the other, to the person."""
        return self.said + sum(s.people for s in self.steps) == self.may


def load(route: Route, root: Path | None = None) -> Question | None:
    """Read the route's question; None where the route has none. Raises MappingError with file and line."""
    file = find_folder(route.name, root) / FILE
    if not file.exists():
        return None
    text = headed.read(file, Path(route.name, FILE), ("phase", "rules"))
    phase = text.first("phase").value
    if phase not in route.phases:
        raise text.error(1, f"there is no phase {phase!r} in this route")
    rules: list[Rule] = []
    for header in text.all("rules"):
        judging = [u for u in route.units if u.name == header.value]
        rules += [Rule(*found) for unit in judging for found in _RULE.findall(unit.body)]
        if not rules:
            raise text.error(
                header.line,
                f"rules: {header.value}: wants <phase>/<mapping> of a mapping with lines `THEN '<reason>'  -- <what it wants>`",
            )
    return Question(phase, text.body.text, tuple(rules))


def answer(shop: Connection, query: str, route: str) -> tuple[Audience, ...]:
    """Ask the new shop. Raises MappingError where the SELECT does not run or yields something else."""
    names, rows = questions.ask(shop, query, f"{route}/{FILE}")
    if names != list(COLUMNS):
        raise MappingError(f"{route}/{FILE}: wants the columns channel, step, what and people, not {', '.join(names)}")
    found = []
    for channel, of in groupby(sorted(rows, key=lambda r: (r[0], r[1])), key=lambda r: r[0]):
        lines = list(of)
        steps = [
            Step(what, people if step == _ADDED else -people)
            for _, step, what, people in lines
            if step not in {_SAID, _MAY}
        ]
        said, may = (sum(people for _, step, _, people in lines if step == which) for which in (_SAID, _MAY))
        found.append(Audience(channel, said, tuple(steps), may))
    return tuple(found)
