"""Take opt-outs that are kept elsewhere, and merge what they affect again: an opt-out is a change of a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from psycopg.sql import Identifier

from shopferry.control import mark_key, optouts, phases, routes
from shopferry.control.optouts import Import, OptOut
from shopferry.control.phases import State
from shopferry.engine import marks, merge
from shopferry.engine.pair import Stores
from shopferry.errors import ConfigError, PhaseError
from shopferry.privacy.optout_files import OptOutFile
from shopferry.retry import retrying
from shopferry.route.entities import OPTOUT, name_changed_table


@dataclass(frozen=True)
class Taken:
    """How many opt-outs of a file were new, or of a later time, and known already; and whose addresses they are of."""

    taken: int
    already_known: int
    of_people_we_know: int
    of_people_we_do_not_know: int


def require_wanted(stores: Stores) -> None:
    """Raise ConfigError or PhaseError where an import would be for nothing, and without the key of marks."""
    route, target = stores.route, stores.target
    if not any(source.relation == OPTOUT for unit in route.units for source in unit.sources):
        raise ConfigError(
            f"no mapping of route {route.name} names {OPTOUT} as a source, so opt-outs would change nothing: "
            "docs/howto/opt-outs.md says how to read it"
        )
    if not routes.is_current(target, route.name, route.fingerprint):
        raise PhaseError(f"route {route.name} is not installed with these mappings: run `shopferry phase init`")
    _require_before_cutover(stores, {State(p.state) for p in phases.load_all(target, route.name)})
    marks.require_same(target)


def take(stores: Stores, file: OptOutFile, source: str, form: str, who: str) -> Taken:
    """Take a file's opt-outs, and merge the rows that they affect in phases that are live.

    Each slice of marks is one transaction, and the stream has its turn between them. An import that was broken off is not
    booked as done; the same file once more does what is left.
    """
    given = Import(stores.route.name, source, form, file.sha256, who)
    mark_key.record(stores.target, marks.require_same(stores.target))
    number = optouts.begin(stores.target, given)
    ordered = sorted(file.optouts, key=lambda o: (o.mark, o.channel, o.reason))
    taken = known = 0
    for start in range(0, len(ordered), merge.SLICE):
        part = ordered[start : start + merge.SLICE]
        taken += retrying(partial(_take_slice, stores, given, number, part), stores.target)
        known += optouts.count_known(stores.target, [o.mark for o in part])
    optouts.finish(stores.target, number, rows_taken=taken, rows_known=len(ordered) - taken)
    return Taken(taken, len(ordered) - taken, known, len(ordered) - known)


def _take_slice(stores: Stores, given: Import, number: int, part: Sequence[OptOut]) -> int:
    stores.merger.stage(stores.route.units)
    with stores.target.transaction():
        states = {phase: state for phase, state, _ in phases.lock(stores.target, stores.route.name)}
        _require_before_cutover(stores, set(states.values()))  # it may have come since: from here on it waits for us
        stores.merger.hold()
        changed = Identifier("pg_temp", name_changed_table(OPTOUT))
        taken = optouts.take(stores.target, given, number, part, changed)
        stores.merger.propagate([u for u in stores.route.units if states[u.phase].live], {OPTOUT})
    return taken


def _require_before_cutover(stores: Stores, states: set[State]) -> None:
    if routes.find_active(stores.target, stores.route.name) != "legacy" or State.CUT_OVER in states:
        raise PhaseError(
            "the new shop is open, and its consents are its own: opt-outs of now are for its mail tool to write there, "
            "not for an import"
        )
