"""Release: merge what is in quarantine again, after its cause was mended; or give it up, once the shop is cut over."""

from __future__ import annotations

import psycopg
from psycopg.sql import SQL, Literal

from shopferry.control import phases, quarantine
from shopferry.control.phases import State
from shopferry.engine import constraints, merge, verdicts
from shopferry.engine.merge import Merger
from shopferry.engine.pair import Stores
from shopferry.engine.refusals import find_reason, is_refusal
from shopferry.engine.statements import compose_passing_over
from shopferry.errors import PhaseError
from shopferry.route.entities import EntityMapping


def release(stores: Stores, *, entity: str | None = None, reason: str | None = None) -> tuple[int, int]:
    """Merge the quarantined keys again; returns (rows tried, rows still in quarantine).

    Entities go in merge order, so that a parent let in takes its children along; each slice of an entity's keys is one
    transaction, and the stream has its turn between them. In a phase that is cut over only the rows that wait are
    inserted. A phase that was not merged yet is left alone.
    """
    before = quarantine.count(stores.target, entity=entity, reason=reason)
    for unit in stores.route.mappings:
        if entity in {None, unit.entity}:
            _judge_again(stores, unit)
            last = _slice(stores, unit, reason, None)
            while last is not None:
                last = _slice(stores, unit, reason, last)
    return before, quarantine.count(stores.target, entity=entity, reason=reason)


def drop(stores: Stores, why: str, who: str, *, entity: str | None, reason: str | None, row: str | None) -> int:
    """Give up rows that wait in phases that are cut over: they count as left out; returns how many.

    Raises PhaseError where no phase in question is cut over: there the next merge would hold the rows again.
    """
    with stores.target.transaction():
        states = _lock_states(stores)
        entities = [
            unit.entity
            for unit in stores.route.mappings
            if entity in {None, unit.entity} and states[unit.phase] == State.CUT_OVER
        ]
        if not entities:
            raise PhaseError(
                f"{entity or 'nothing'} is cut over: before the cutover a merge would hold the rows again. Correct their "
                "cause and run `shopferry quarantine release`, or let the mapping leave them out"
            )
        return quarantine.drop(stores.target, stores.route.name, entities, reason=reason, row=row, why=why, who=who)


def _slice(stores: Stores, unit: EntityMapping, reason: str | None, after: str | None) -> str | None:
    """Merge an entity's next quarantined keys again; returns the last of them, None when there is none."""
    stores.merger.stage(stores.route.units)
    with stores.target.transaction():
        states = _lock_states(stores)
        own = states[unit.phase]
        if not own.live and own != State.CUT_OVER:
            return None
        stores.merger.hold()  # before the keys are read: what the stream lets in meanwhile needs no other merge
        keys = quarantine.next_keys(stores.target, unit.entity, reason, after, merge.SLICE)
        if own == State.CUT_OVER:
            for key in keys:
                _enter(stores.merger, unit, key)
        elif keys:
            live = [u for phase, state in states.items() if state.live for u in stores.route.of(phase)]
            stores.merger.propagate(live[live.index(unit) :], (), {unit.name: keys})
        return keys[-1] if keys else None


def _enter(merger: Merger, unit: EntityMapping, key: str) -> None:
    """Insert those of an aggregate's held rows that may enter now; all its other rows stay as they are.

    For a phase that is cut over: its rows are the application's, and what that has written since is not ours to merge.
    What the mapping still refuses stays in quarantine, and what the database refuses too, with its own reason.
    """
    own, conn = merger.staging.statements(unit), merger.conn
    listed = SQL("SELECT {}::{} AS key").format(Literal(key), SQL(own.key_type))
    merger.take(unit, listed)
    try:
        with conn.transaction():
            conn.execute(own.fill.encode(), prepare=True)
            conn.execute(compose_passing_over(unit, own.yielded))
            conn.execute(own.settle.encode(), prepare=True)
            conn.execute(own.writes[-1].encode(), prepare=True)
            constraints.check_deferred(conn)
    except psycopg.Error as error:
        if not is_refusal(error):
            raise
        quarantine.restate(conn, unit.entity, key, find_reason(error), error.sqlstate, error.diag.constraint_name)
    conn.execute(own.empty.encode(), prepare=True)


def _lock_states(stores: Stores) -> dict[str, State]:
    """Keep the states of all phases as they are until this transaction ends."""
    return {phase: state for phase, state, _ in phases.lock(stores.target, stores.route.name)}


def _judge_again(stores: Stores, unit: EntityMapping) -> None:
    """Judge the values that came after the cutover, when the stream only mirrors and judges nothing."""
    if phases.load(stores.target, stores.route.name, unit.phase).state == State.CUT_OVER:
        for column in unit.standardize:
            verdicts.ensure(stores.target, [column], unit.schema)
