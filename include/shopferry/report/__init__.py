"""The report people read: what moved, what did not and why, what the sums say, who did it, what comes next."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from shopferry import db
from shopferry.control import gates, installed_settings, routes, segments
from shopferry.control.gates import Gate
from shopferry.db import Connection
from shopferry.engine import clock
from shopferry.errors import ConfigError
from shopferry.insight import derived, picture
from shopferry.insight.picture import Picture
from shopferry.report import audience, standing, sums
from shopferry.report.audience import Audience, Rule
from shopferry.report.standing import DifferenceSegment, Moment, PhaseStanding, Reason, Step
from shopferry.report.sums import Sum
from shopferry.route import settings as route_settings
from shopferry.route.people import Stage
from shopferry.route.route import Route
from shopferry.route.settings import Responsible
from shopferry.settings import Settings

__all__ = ["Report", "build"]
_PATIENCE = "120s"  # for one sum over the whole of a store
_SEEN = {"merging", "in_sync", "verified", "cut_over"}  # a phase of which the new shop shows something


@dataclass(frozen=True)
class Report:
    """Everything the page says; `active` is the store that takes the writes, `next` what has to be done and by whom."""

    route: str
    at: datetime
    occasion: str
    active: str
    active_since: datetime | None
    responsible: Responsible
    roles: tuple[tuple[str, str], ...]  # role, name
    areas: tuple[tuple[str, str], ...]  # area, who accepts what was moved of it
    stages: tuple[Stage, ...]
    stage_now: str  # empty where the route has none
    inactive: str  # who decided since when an account must have shown signs of life; empty where all are carried
    phases: tuple[PhaseStanding, ...]
    sums: tuple[Sum, ...]
    audience: tuple[Audience, ...]
    audience_rules: tuple[Rule, ...]
    segments: Picture | None  # as ticks have counted them; None where none has
    legacy_asked: bool
    waiting: int  # rows in quarantine; one with two reasons counts in both of these
    reasons: tuple[Reason, ...]
    differences: tuple[DifferenceSegment, ...]
    lag: tuple[Moment, ...]
    steps: tuple[Step, ...]
    gates: tuple[Gate, ...]
    next: tuple[str, ...]

    def total(self, what: str) -> int:
        """Sum up over the phases, as `PhaseStanding.total`."""
        return sum(p.total(what) for p in self.phases)

    @property
    def open_differences(self) -> int:
        """Differences that nobody has explained or repaired."""
        return sum(d.rows for d in self.differences if d.state == "open")

    @property
    def unbalanced(self) -> tuple[Sum, ...]:
        """The sums that do not meet."""
        return tuple(s for s in self.sums if s.balanced is False)

    @property
    def odd_audience(self) -> tuple[Audience, ...]:
        """The channels whose steps do not add up to the person."""
        return tuple(a for a in self.audience if not a.balanced)

    @property
    def rules(self) -> list[tuple[str, str, int]]:
        """What rules have left out: table, rule, rows."""
        return [(t.table, rule, rows) for p in self.phases for t in p.tables for rule, rows in t.left_out.items()]

    @property
    def decisions(self) -> list[tuple[str, str, datetime]]:
        """Who had the shop switched, each time: what, who, when it was done."""
        last = {(s.version, s.who): s for s in self.steps}
        back = {s.version for s in self.steps if s.step == "open legacy"}
        return [("rollback" if s.version in back else "cutover", s.who, s.at) for s in last.values()]

    @property
    def closed_ms(self) -> float | None:
        """How long the last cutover kept both stores from writes; None before the first."""
        last = [s for s in self.steps if s.closed]
        return sum(s.ms for s in last if s.version == last[-1].version) if last else None


def build(settings: Settings, occasion: str = "by hand") -> Report:
    """Gather the report; reads both stores, writes nothing. A legacy store that is gone by now leaves its columns empty.

    Raises ConfigError when the route was never installed, or its route.toml is wrong; MappingError for a question that is.
    """
    if not re.fullmatch(r"[a-z0-9 _-]+", occasion):
        raise ConfigError(f"an occasion is a few plain words, not {occasion!r}")
    route = Route.load(settings.route)
    said, questions = route_settings.load(settings.route), sums.load(route)
    addressed = audience.load(route)
    legacy = _open_legacy(settings)
    try:
        with db.connect(settings.target_dsn, "report") as shop:
            db.make_read_only(shop, _PATIENCE)
            if not routes.is_installed(shop):
                raise ConfigError(
                    "nothing to report: the new shop has no control tables yet; run `shopferry phase init`"
                )
            phases = standing.read_phases(shop, route.name)
            seen = {p.phase for p in phases if p.state in _SEEN}
            stands = routes.find_standing(shop, route.name)
            active = stands.active if stands else "legacy"
            asked = [q for q in questions if q.phase in seen]
            answers = [s for q in asked for s in sums.answer(legacy, shop, q, active=active)]
            steps = standing.read_steps(shop, route.name)
            waiting, judged = standing.count_waiting(shop), tuple(gates.load(shop, route.name))
            differences = standing.count_differences(shop, route.name)
            return Report(
                route.name,
                datetime.now(UTC),
                occasion,
                active,
                stands.changed_at if stands and steps else None,
                said.responsible,
                tuple(said.people.roles.items()),
                tuple(said.cutover.acceptance.items()),
                said.people.stages,
                said.people.tell_stage(said.find_today(datetime.now(UTC))),
                said.retention.tell_inactive(),
                phases,
                tuple(answers),
                audience.answer(shop, addressed.query, route.name) if addressed and addressed.phase in seen else (),
                addressed.rules if addressed else (),
                _draw_segments(shop, route, seen),
                legacy is not None,
                waiting,
                standing.count_reasons(shop),
                differences,
                standing.read_lag(shop, route.name),
                steps,
                judged,
                tuple(
                    _list_next(active, phases, waiting, differences, answers, judged, has_way_back=route.has_way_back)
                ),
            )
    finally:
        if legacy:
            legacy.close()


def _draw_segments(shop: Connection, route: Route, seen: set[str]) -> Picture | None:
    """Draw the segments as they are now, beside what ticks have booked of the days before."""
    if not {m.phase for m in route.derived} & seen or not (counted := derived.count(shop, route)):
        return None
    day = clock.load(shop)
    booked = segments.load_since(shop, route.base_name, day - timedelta(days=picture.DAYS))
    return picture.draw(booked | {day: counted}, installed_settings.load(shop).get(picture.SIGNED_BY))


def _open_legacy(settings: Settings) -> Connection | None:
    try:
        conn = db.connect(settings.source_dsn, "report")
    except psycopg.OperationalError:
        return None
    db.make_read_only(conn, _PATIENCE)
    return conn


def _list_next(
    active: str,
    phases: tuple[PhaseStanding, ...],
    waiting: int,
    differences: tuple[DifferenceSegment, ...],
    answers: list[Sum],
    judged: tuple[Gate, ...],
    *,
    has_way_back: bool,
) -> list[str]:
    """List what has to be done from here, the most urgent first."""
    todo = []
    if found := sum(d.rows for d in differences if d.state == "open"):
        todo.append(f"Look into {found} differences between the stores, then verify again (`shopferry verify`).")
    if odd := sorted({s.title for s in answers if s.balanced is False}):
        todo.append(
            f"Sums that do not meet: {', '.join(odd)}. While the shops are open a change may have been under way between the "
            "two looks: make the report again; if it stays, look into it."
        )
    if waiting and active == "legacy":
        todo.append(
            f"Settle what waits in quarantine ({waiting} rows): mend them in the legacy store, and they enter the new shop by "
            "themselves; what each reason means stands in docs/reference/reason-codes.md."
        )
    elif waiting:
        todo.append(
            f"Settle what waits in quarantine ({waiting} rows): legacy is closed, so let them in once their cause "
            "is mended (`shopferry quarantine release`), or give them up by name (`shopferry quarantine drop`)."
        )
    if active == "shop":
        todo.append(
            "The new shop takes the writes, and legacy keeps up with it: the DAG rollback gives the shop back with all of them."
            if has_way_back
            else "The new shop takes the writes, and none is led back to legacy: the route has no mappings for it."
        )
        todo.append(
            "Once the days of the way back are over (`way_back_days`), two people end the migration: DAG finish."
        )
        return todo
    if unfinished := next((p for p in phases if p.state != "verified"), None):
        todo.append(f"The phase {unfinished.phase} is {unfinished.state}: run it to its end (DAG {unfinished.phase}).")
    elif unmet := [g.gate for g in judged if not g.met]:
        todo.append(f"Before the cutover these gates must be met, as last judged: {', '.join(unmet)}.")
    else:
        todo.append(
            "All phases are verified. A named person may start and approve the DAG cutover, in an hour with few orders."
        )
    return todo
