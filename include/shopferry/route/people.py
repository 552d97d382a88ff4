"""Who does what in a move, and when: `[people]` and `[[stage]]` of route.toml. Nothing is started by them; they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from shopferry.route.toml_table import Table

ROLES = ("owner", "dpo", "marketing", "care", "on_call", "platform", "finance")
ROLES_TABLE, STAGES_TABLE = "people", "stage"


@dataclass(frozen=True)
class Stage:
    """One stretch of days of the move: what it is called, whose it is, and who is told of it.

    `who` and `told` are as people read them: a role of [people] comes with its name.
    """

    name: str
    first: date
    last: date  # a day that belongs to it
    who: str
    told: tuple[str, ...] = ()

    def __str__(self) -> str:
        when = f"{self.name}, {self.first} to {self.last}: {self.who}"
        return f"{when}; told: {', '.join(self.told)}" if self.told else when


@dataclass(frozen=True)
class People:
    """The names of the roles, and the stages in their order."""

    roles: Mapping[str, str] = field(default_factory=dict)
    stages: tuple[Stage, ...] = ()

    def name(self, who: str) -> str:
        """Name somebody as people read it: a role with its name; any other text stays as it is."""
        return f"{self.roles[who]} ({who})" if who in self.roles else who

    def find_stage(self, day: date) -> Stage | None:
        """Find the stage to which a day belongs."""
        return next((stage for stage in self.stages if stage.first <= day <= stage.last), None)

    def tell_stage(self, day: date) -> str:
        """Tell people which stage it is on a day, or which comes next; empty where the route has none."""
        if stage := self.find_stage(day):
            return f"now {stage}"
        coming = next((stage for stage in self.stages if stage.first > day), None)
        if coming:
            return f"none now; next {coming}"
        return f"none now; the last, {self.stages[-1].name}, was over on {self.stages[-1].last}" if self.stages else ""


def read(top: Table) -> People:
    """Read both tables. Raises ConfigError for an unknown role, and for a stage that is wrong or not in order."""
    given = top.read_table(ROLES_TABLE)
    given.require_known(*ROLES)
    people = People({role: given.read_text(role) for role in given.held})
    stages: list[Stage] = []
    for entry in top.read_tables(STAGES_TABLE):
        stages.append(_read_stage(entry, people, stages))
    return People(people.roles, tuple(stages))


def _read_stage(entry: Table, people: People, before: list[Stage]) -> Stage:
    entry.require_known("name", "from", "until", "who", "told")
    name, who = entry.read_text("name"), entry.read_text("who")
    first, last = entry.read_day("from"), entry.read_day("until")
    if who not in people.roles:
        named = ", ".join(people.roles) or "none: write them into [people]"
        raise entry.make_error("who", f"[people] names no {who!r}: write one of its roles; they are {named}")
    if last < first:
        raise entry.make_error("until", f"stage {name!r} ends before it begins: {last} is before {first}")
    if any(stage.name == name for stage in before):
        raise entry.make_error("name", f"{name!r} stands there twice: leave one")
    if before and first <= before[-1].last:
        raise entry.make_error(
            "from",
            f"stage {name!r} begins on {first}, and stage {before[-1].name!r} above it is not over before {before[-1].last}: "
            "stages follow one another",
        )
    return Stage(name, first, last, people.name(who), tuple(people.name(one) for one in entry.read_texts("told")))
