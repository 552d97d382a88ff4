"""The evaluation, about thirty days after the cutover: what became of people, of what was promised, and of what was left."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from shopferry import db
from shopferry.control import audits as audit_books
from shopferry.control import requests, routes
from shopferry.control.audits import Value
from shopferry.control.requests import Request
from shopferry.db import Connection
from shopferry.errors import MappingError, PhaseError
from shopferry.insight import audits
from shopferry.insight.audits import Audit
from shopferry.report import audience, questions, standing
from shopferry.report.standing import Reason
from shopferry.route import headed
from shopferry.route.route import Route, find_folder
from shopferry.settings import Settings

FILE = "evaluation.sql"
COLUMNS = ("topic", "what", "people")
USUAL_DAYS = 30
_PATIENCE = "120s"


@dataclass(frozen=True)
class Count:
    """One line of the route's own question."""

    topic: str
    what: str
    people: int


@dataclass(frozen=True)
class Reach:
    """Who may be written to by one channel: then None where no report of that time is kept, or it had no such channel."""

    channel: str
    then: int | None
    now: int


@dataclass(frozen=True)
class Answers:
    """The requests of one kind that came in since the cutover."""

    kind: str
    opened: int
    in_time: int
    late: int  # answered after their day, or not answered though it is over
    pending: int  # not answered, and their day is to come


@dataclass(frozen=True)
class Quality:
    """One segment of an audit that was not good when it was last counted."""

    audit: str
    owner: str
    value: Value

    @property
    def share(self) -> float:
        """What is bad, in per cent."""
        return 100 * self.value.bad / self.value.of if self.value.of else 0.0


@dataclass(frozen=True)
class Evaluation:
    """All that the page says; `unknown` are sentences about what nobody can say from here."""

    route: str
    at: datetime
    cutover: datetime
    counts: tuple[Count, ...]
    reach: tuple[Reach, ...]
    reach_then: datetime | None  # when the report was made that the audience of then is of
    waiting: int
    reasons: tuple[Reason, ...]
    answers: tuple[Answers, ...]
    erasures: int  # carried out since the cutover
    counted: datetime | None  # when the audits were last counted
    bad: tuple[Quality, ...]
    good: int  # segments of audits that were good
    unknown: tuple[str, ...]

    @property
    def days(self) -> int:
        """Whole days since the cutover."""
        return (self.at - self.cutover).days

    @property
    def topics(self) -> dict[str, list[Count]]:
        """The route's counts by topic."""
        found: dict[str, list[Count]] = {}
        for count in self.counts:
            found.setdefault(count.topic, []).append(count)
        return found


def load(route: Route, root: Path | None = None) -> str | None:
    """Read the route's question; None where the route has none. Raises MappingError where the file holds no SELECT."""
    file = find_folder(route.name, root) / FILE
    return headed.read(file, Path(route.name, FILE), ()).body.text if file.exists() else None


def build(settings: Settings, reports: Path) -> Evaluation:
    """Gather the evaluation from the new shop alone; writes nothing. `reports` is the folder of the reports made so far.

    Raises PhaseError before the cutover and after `finish`, MappingError for a question of the route that is wrong.
    """
    route = Route.load(settings.route)
    asked, known = load(route), {a.name: a for a in audits.load(route)}
    with db.connect(settings.target_dsn, "evaluation") as shop:
        db.make_read_only(shop, _PATIENCE)
        if not routes.is_installed(shop):
            raise PhaseError(
                "nothing to evaluate: the new shop has no control tables; before the cutover there is nothing to look at, "
                "and `shopferry finish` takes them: make the evaluation before it"
            )
        stands = routes.find_standing(shop, route.name)
        if stands is None or stands.active != "shop":
            raise PhaseError("nothing to evaluate: the shop is not cut over")
        now, cutover = datetime.now(UTC), stands.changed_at
        addressed = audience.load(route)
        reached = audience.answer(shop, addressed.query, route.name) if addressed else ()
        then, then_at = _read_then(reports, route.name, cutover)
        since = [r for r in requests.load_all(shop, route.name) if r.received >= cutover.date()]
        done = [r for r in requests.load_all(shop, route.name) if r.closed and r.closed >= cutover]
        values = audit_books.load_latest(shop, route.name)
        return Evaluation(
            route.name,
            now,
            cutover,
            _answer(shop, asked, route.name) if asked else (),
            tuple(Reach(a.channel, then.get(a.channel), a.may) for a in reached),
            then_at,
            standing.count_waiting(shop),
            standing.count_reasons(shop),
            tuple(_count_answers(since, now.date())),
            sum(r.kind == "erasure" and r.state == "done" for r in done),
            values[0].at if values else None,
            _list_bad(values, known),
            sum(v.state == "good" for v in values),
            tuple(_list_unknown(asked, addressed is not None, then_at, values, cutover)),
        )


def _answer(shop: Connection, query: str, route: str) -> tuple[Count, ...]:
    names, rows = questions.ask(shop, query, f"{route}/{FILE}")
    if names != list(COLUMNS):
        raise MappingError(f"{route}/{FILE}: wants the columns topic, what and people, not {', '.join(names)}")
    return tuple(Count(str(topic), str(what), int(people)) for topic, what, people in rows)


def _read_then(reports: Path, route: str, cutover: datetime) -> tuple[dict[str, int], datetime | None]:
    """Read the audience of the time of the cutover, from the report that was made nearest to it; none where none is kept."""
    nearest: tuple[float, datetime, dict[str, int]] | None = None
    for file in reports.glob(f"{route}-2*.json"):
        try:
            told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            made = datetime.fromisoformat(told["at"])
            may = {str(a["channel"]): int(a["may"]) for a in told["audience"]}
        except (OSError, ValueError, KeyError, TypeError):  # no report of ours, or of a version before the audience
            continue
        distance = abs((made - cutover).total_seconds())
        if told.get("route") == route and may and (nearest is None or distance < nearest[0]):
            nearest = distance, made, may
    return (nearest[2], nearest[1]) if nearest else ({}, None)


def _count_answers(asked: Sequence[Request], today: date) -> list[Answers]:
    found = []
    for kind in requests.KINDS:
        of_kind = [r for r in asked if r.kind == kind]
        in_time = sum(r.closed is not None and r.closed.date() <= r.due for r in of_kind)
        pending = sum(r.closed is None and r.due >= today for r in of_kind)
        if of_kind:
            found.append(Answers(kind, len(of_kind), in_time, len(of_kind) - in_time - pending, pending))
    return found


def _list_bad(values: Sequence[Value], known: dict[str, Audit]) -> tuple[Quality, ...]:
    """List what was not good, errors first, and of these what is bad in the largest share."""
    found = [
        Quality(known[v.audit].meaning, known[v.audit].owner, v)
        for v in values
        if v.state in {"error", "warn"} and v.audit in known
    ]
    return tuple(sorted(found, key=lambda q: (q.value.state != "error", -q.share, q.audit, q.value.segment)))


def _list_unknown(
    asked: str | None, addressed: bool, then: datetime | None, values: Sequence[Value], cutover: datetime
) -> list[str]:
    """List what nobody can say from here, and where to ask."""
    told = [
        "Complaints and opt-outs that a mail tool, a register or the care desk keeps: nothing imports them after the cutover. "
        f"Count those since {cutover:%Y-%m-%d} there, by reason, and write them beside this page.",
        "What people did not tell: who left without a word is in none of these figures.",
    ]
    if asked is None:
        told.append(f"Refusals and passwords: the route has no {FILE} that asks the new shop for them.")
    if not addressed:
        told.append(f"Who may be written to: the route has no {audience.FILE}.")
    elif then is None:
        told.append("Who could be written to at the cutover: no report of that time is kept in the data directory.")
    elif abs(then - cutover) >= timedelta(days=1):
        told.append(f"Who could be written to on the day of the cutover: the nearest report is of {then:%Y-%m-%d}.")
    if not values:
        told.append("The quality of the data: no audit was ever counted (`shopferry audit run`).")
    elif values[0].at < cutover:
        told.append("The quality of the data now: no audit was counted since the cutover (`shopferry audit run`).")
    return told
