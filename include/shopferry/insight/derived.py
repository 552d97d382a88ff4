"""What is counted together from the new shop alone: profiles and segments, kept right by the stream before the cutover.

Each night the clock of mappings is moved on. As long as the stream merges, that touches whom another day affects. After the
cutover nothing merges into the new shop, so the same SELECTs run over everybody, and what differs is merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from psycopg.sql import SQL, Composed, Identifier

from shopferry.control import phases, routes, segments
from shopferry.control.phases import State
from shopferry.control.segments import Counted
from shopferry.db import Connection
from shopferry.engine import clock, merge
from shopferry.engine.pair import Stores
from shopferry.errors import ConfigError, PhaseError
from shopferry.insight import selects
from shopferry.insight.activation_file import read_headed
from shopferry.insight.selects import Select
from shopferry.keys import name_or_expression
from shopferry.retry import retrying
from shopferry.route.entities import EntityMapping
from shopferry.route.route import Route
from shopferry.settings import routes_dir
from shopferry.verify import differ

SEGMENTS, BREAKS = "segments.sql", "breaks.sql"


@dataclass(frozen=True)
class Ticked:
    """What a tick has done: the day that the clock shows, the keys that were merged, and what each segment has now."""

    day: date
    merged: int
    counted: tuple[Counted, ...]


def tick(stores: Stores, day: date) -> Ticked:
    """Move the clock on to a day, bring what is derived to it, and book how many customers each segment has.

    Raises PhaseError for a day before the clock's, and before such a phase has begun; ConfigError where the route has none.
    """
    require_derived(stores)
    if routes.find_active(stores.target, stores.route.name) == "shop":
        clock.advance(stores.target, day)
        merged = renew(stores)
    else:
        merged = clock.move(stores, day)
    counted = count(stores.target, stores.route)
    with stores.target.transaction():
        segments.book(stores.target, stores.route.base_name, day, counted)
    return Ticked(day, merged, tuple(counted))


def require_derived(stores: Stores) -> None:
    """Raise ConfigError where the route derives nothing, PhaseError before that phase has filled the new shop."""
    if not stores.route.derived:
        raise ConfigError(
            f"route {stores.route.name} derives nothing: a phase whose mappings read the new shop's tables alone does"
        )
    wanted = {m.phase for m in stores.route.derived}
    filled = {
        p.phase
        for p in phases.load_all(stores.target, stores.route.name)
        if State(p.state).live or State(p.state) is State.CUT_OVER
    }
    if missing := sorted(wanted - filled):
        raise PhaseError(f"phase {missing[0]} has not filled the new shop yet: `shopferry phase run {missing[0]}`")


def renew(stores: Stores) -> int:
    """Run the derived mappings over everybody, and merge the keys whose rows differ; returns how many.

    Each slice of keys is one transaction. What is broken off is done by the next call.
    """
    total = 0
    for mapping in stores.route.derived:
        stale = differ.find_stale(stores.target, mapping, select_all_keys(mapping))
        for start in range(0, len(stale), merge.SLICE):
            retrying(partial(_merge, stores, mapping, stale[start : start + merge.SLICE]), stores.target)
        total += len(stale)
    return total


def select_all_keys(mapping: EntityMapping) -> Composed:
    """Compose a SELECT of all keys that the mapping's sources have now, those of customers that were born here, too."""
    return SQL(" UNION ALL ").join(
        SQL("SELECT {} AS key FROM {}").format(name_or_expression(s.column), Identifier(*s.relation.split(".")))
        for s in mapping.sources
        if s.column and s.is_entity
    )


def _merge(stores: Stores, mapping: EntityMapping, keys: Sequence[str]) -> None:
    stores.merger.stage(stores.route.units)
    with stores.target.transaction():
        stores.merger.hold()
        stores.merger.propagate([mapping], set(), {mapping.name: keys})


def count(target: Connection, route: Route) -> list[Counted]:
    """Count the customers of each segment, as the route's `segments.sql` says; empty where there is none."""
    rows = _ask(target, route, SEGMENTS, ("scheme", "segment", "customers", "value"))
    return [Counted(str(s), str(g), int(n), dict(v)) for s, g, n, v in rows]


def propose_breaks(target: Connection, route: Route) -> dict[str, str]:
    """Propose values of the settings that draw the lines between segments, as `breaks.sql` cuts the customers of now."""
    return {str(name): str(value) for name, value in _ask(target, route, BREAKS, ("setting", "value"))}


def _ask(target: Connection, route: Route, name: str, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Run one of the route's own files in the new shop. Raises MappingError with file and line where it does not run."""
    root = routes_dir()
    file = root / route.base_name / name
    if not file.exists():
        return []
    text = read_headed(file, root, ("phase",))
    if text.first("phase").value not in route.phases:
        raise text.error(1, f"there is no phase {text.first('phase').value!r} in this route")
    return selects.read_whole(target, Select(text.where, text.body.line, text.body.text), columns)
