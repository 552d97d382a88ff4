"""Merge: run the mappings for affected keys. The only write path into the shop's tables.

Backfill, replay, repair and release all end here: they say which keys, or which mirror rows changed and let the lineage
find the keys; the mapping's SELECT then says what the shop has to hold for those keys, and merge makes it so.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import psycopg
from psycopg.sql import SQL, Composed, Literal

from shopferry.control import loads, locks, quarantine
from shopferry.db import Connection
from shopferry.engine import constraints, references, statements, verdicts
from shopferry.engine.outcome import Merged
from shopferry.engine.references import Stays
from shopferry.engine.refusals import Bisection, is_refusal
from shopferry.engine.staging import Staging
from shopferry.engine.statements import Statements
from shopferry.errors import TransientError
from shopferry.route.entities import EntityMapping, IdentityMapping, Unit
from shopferry.route.route import Route
from shopferry.stores import origin

# Few keys meet large tables here: always by their index, not by what the statistics of fresh tables say.
_SESSION = (
    f"SELECT {origin.WRITER}, set_config('enable_seqscan', 'off', true), "
    f"set_config('random_page_cost', '1.1', true), {origin.MARK}"
)
_ALL = 2**63 - 1  # a number that no noted key has
SLICE = 1_000  # keys merged again in one transaction: what the stream may have to wait for, well under a second
# A statement has a plan for fewer keys than the first number, one up to the second, and one beyond.
_SIZES = (300, 3_000)

_T = TypeVar("_T")


class _RefusedBeforeError(Exception):
    """Among the affected keys is one that the database had refused: whether it comes back, others must see."""


@dataclass
class _Written:
    """A merge whose statements are sent and whose results may still be under way."""

    keys: int
    refused: psycopg.Cursor[Any] | None
    writes: list[psycopg.Cursor[Any]]

    def result(self, unit: Unit) -> Merged:
        """Read what it did, once everything sent has been answered."""
        rows = [max(w.rowcount, 0) for w in self.writes]
        if isinstance(unit, IdentityMapping):
            return Merged(self.keys, sum(rows[1:]))  # the first only locks
        return Merged(self.keys, sum(rows[1:]), rows[0])


@dataclass(frozen=True)
class _Asked:
    """What is merged beside what the changes affect: keys by unit, and the noted keys of units; and what is only noted."""

    again: Mapping[str, Sequence[str]] = field(default_factory=dict)
    noted: frozenset[str] = frozenset()
    last: int = 0  # the number up to which those were noted
    loading: frozenset[str] = frozenset()  # units whose affected keys are noted in ferry.touched, not merged
    behind: frozenset[str] = frozenset()  # and others, which are merged behind this batch


@dataclass
class Merger:
    """The units of a route on one connection; their statements are composed once."""

    conn: Connection
    route: Route

    @cached_property
    def staging(self) -> Staging:
        """The units' temp tables and statements in this session."""
        return Staging(self.conn, self.route)

    def stage(self, units: Iterable[Unit]) -> None:
        """Make the units' temp tables and compose their statements; see `Staging.stage`."""
        self.staging.stage(units)

    def hold(self, *, alone: bool = True) -> None:
        """Wait until no other session propagates in this route, and keep it so until this transaction ends; `alone`, until
        none merges a chunk either. To be called before the first of the shop's rows is written.

        Lineage is read from a snapshot: of two that propagate at once, one could move an identity while the other finds
        by the old one whom its rows affect, and then neither would merge them where they belong. And since foreign keys
        lock parents, a chunk of children and a batch that has changed their parents would wait for each other.
        """
        (locks.lock_propagation if alone else locks.share_propagation)(self.conn, self.route.name)
        (locks.lock_merging if alone else locks.share_merging)(self.conn, self.route.name)

    def hold_ahead(self, units: Iterable[Unit]) -> None:
        """Do the same ahead of a merge of noted keys, which may go on meanwhile.

        Where lineage reads an entity it must end first: its rows would be missed. Rows that are merged later are changes of a
        source.
        """
        locks.lock_propagation(self.conn, self.route.name)
        if any(self.staging.statements(u).lineage_reads for u in units):
            locks.lock_merging(self.conn, self.route.name)

    def try_ahead(self) -> bool:
        """Let mirror and shop part until this transaction's keys are merged, if no session keeps them together."""
        # First, so that batches of two consumers do not take each other for such a session.
        locks.lock_propagation(self.conn, self.route.name)
        return locks.try_ahead(self.conn, self.route.name)

    def propagate(
        self,
        units: Sequence[Unit],
        changed: Iterable[str],
        again: Mapping[str, Sequence[str]] | None = None,
        *,
        ahead: bool = False,
    ) -> dict[str, Merged]:
        """Merge what the changed relations affect, in dependency order.

        `changed` names relations ('legacy.orders') whose rows before and after stand in their `changed_…` temp
        tables, which are empty afterwards. An identity that moves becomes a changed relation itself. `again` names keys, by
        unit, that are merged whatever has changed, and count as changed. What waits as still referenced and is not any more
        goes too, and what was refused for a unique value comes in when that is free. Of a unit that is being loaded the keys
        are noted instead. What batches that ran ahead have noted is merged along: parents of these rows may be among it. Runs in
        the caller's transaction: at first everything at once, and only if the data is refused unit by unit.

        `ahead` merges identities alone and notes the keys of entities, for `merge_noted` in a transaction after this one; the
        units must be such that it `can_note` them.
        """
        touched = set(changed)
        if not units:  # nothing to merge: no reason to wait for others who propagate
            self.staging.forget_changes(touched)
            return {}
        for unit in units:
            self.staging.statements(unit)
        self.hold_ahead(units) if ahead else self.hold()
        self._do(_SESSION)
        self.judge(units, touched)  # those of units that wait for their load, too: their values come by no other way
        if unloaded := loads.load_units(self.conn, self.route.name):
            units = [u for u in units if unloaded.get(u.name, True)]
        asked = _Asked(dict(again or {}), loading=frozenset(unloaded))
        if ahead:
            behind = frozenset(u.name for u in self.list_behind(units))
            return self._merge_all(units, touched, replace(asked, behind=behind))
        if any(isinstance(u, EntityMapping) for u in units) and (waiting := self._list_waiting()):
            asked_for = {u.name for u in units}
            units = [u for u in self.route.units if u.name in asked_for | waiting]
            done = self._merge_all(units, touched, replace(asked, noted=waiting, last=_ALL))
        else:
            done = self._merge_all(units, touched, asked)
        return done | self._merge_freed(units, asked)

    def _list_waiting(self) -> frozenset[str]:
        """List the units of which batches that ran ahead have noted keys; while propagation is held, no more come."""
        waiting = frozenset(loads.list_waiting(self.conn, self.route.name, [u.name for u in self.route.units]))
        if not self.staging.has_staged(u for u in self.route.units if u.name in waiting):
            raise TransientError(
                "keys that events affect wait to be merged, and this session has not their statements yet"
            )
        return waiting

    def can_note(self) -> bool:
        """Tell whether keys of this route may be looked for before those noted earlier are merged."""
        for unit in self.route.units:
            own = self.staging.statements(unit)
            if own.lineage_reads is None or not own.lineage_reads <= {s.relation for s in unit.sources}:
                return False
            if own.reads_more and isinstance(unit, IdentityMapping):
                return False
        return True

    def list_behind(self, units: Iterable[Unit]) -> list[EntityMapping]:
        """List which of these are merged behind a batch that runs ahead: all entities but those that tell who is who."""
        return [u for u in units if isinstance(u, EntityMapping) and u.name not in self._ahead]

    @cached_property
    def _ahead(self) -> frozenset[str]:
        """The units that cannot be left to a merge behind: identities, what they read, and what the rows of that reference."""
        ahead, needed = set[str](), set[str]()
        for unit in reversed(self.route.units):  # what a unit reads or references stands before it
            if isinstance(unit, IdentityMapping) or unit.relation in needed:
                ahead.add(unit.name)
                needed |= {s.relation for s in unit.sources}
                if isinstance(unit, EntityMapping):
                    needed |= references.find_parents(self.conn, unit.entity)
        return frozenset(ahead)

    def merge_noted(self, units: Sequence[Unit], about: int) -> tuple[dict[str, Merged], bool]:
        """Merge about so many of the keys that were noted of these units; returns what that did, and whether more are left.

        They are taken as whole transactions have noted them, so that none comes without its parents; of what is being loaded
        they stay noted. The mirror may be further by now: then what came since is noted, too, and merged again.
        """
        locks.lock_merging(self.conn, self.route.name)
        unloaded = loads.load_units(self.conn, self.route.name)
        loaded = [u.name for u in units if u.name not in unloaded]
        last, newest = loads.find_last_noted(self.conn, self.route.name, loaded, about)
        if last is None:
            return {}, False
        self._do(_SESSION)
        units = [u for u in units if unloaded.get(u.name, True)]
        noted = frozenset(loads.list_noted(self.conn, self.route.name, loaded))
        asked = _Asked(noted=noted, last=last, loading=frozenset(unloaded))
        done = self._merge_all(units, set(), asked)
        return done | self._merge_freed(units, replace(asked, noted=frozenset())), last != newest

    def _merge_freed(self, units: Sequence[Unit], asked: _Asked) -> dict[str, Merged]:
        """Merge what waited as still referenced and is not any more, and what waited for a value that is free."""
        done: dict[str, Merged] = {}
        tried: set[tuple[str, str]] = set()
        while freed := self._find_freed(units, tried):
            tried |= {(name, key) for name, keys in freed.items() for key in keys}
            done |= self._merge_all(units, set(), replace(asked, again=freed))
        return done

    def _merge_all(self, units: Sequence[Unit], touched: set[str], asked: _Asked) -> dict[str, Merged]:
        """Merge what the changed relations affect and the keys that are named, and forget the changes."""
        for unit in units:
            if unit.name in asked.again and not isinstance(unit, IdentityMapping):
                touched |= self.staging.ripple(unit, frozenset(asked.again[unit.name]))
        try:
            with self.conn.transaction():
                done = self._merge_at_once(units, set(touched), asked)
        except _RefusedBeforeError:
            done = self._merge_one_by_one(units, touched, asked)
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
            done = self._merge_one_by_one(units, touched, asked)
        self.staging.forget_changes({*touched, *(u.relation for u in units)})
        return done

    def _find_freed(self, units: Iterable[Unit], tried: set[tuple[str, str]]) -> dict[str, list[str]]:
        """Find the keys, by unit, that waited for a reference to go or a value to be free, and were not tried yet."""
        referenced, values = quarantine.wait_for_others(self.conn)
        if not referenced and not values:
            return {}
        freed = {}
        for unit in units:
            if not isinstance(unit, EntityMapping):
                continue
            found = set(quarantine.find_freed(self.conn, unit.entity) if values else ())
            if referenced and (free := self.staging.statements(unit).free):
                found |= {r[0] for r in self._do(free).fetchall()}
            keys = sorted(found)
            if new := [k for k in keys if (unit.name, k) not in tried][:SLICE]:
                freed[unit.name] = new
        return freed

    def judge(self, units: Iterable[Unit], changed: Iterable[str]) -> None:
        """Judge the raw values of the changed relations, as these units want it; see `propagate`."""
        touched = set(changed)
        if wanted := {w for u in units for w in u.standardize if f"{u.schema}.{w.table}" in touched}:
            verdicts.judge(self.conn, verdicts.find_missing(self.conn, wanted))

    def _merge_at_once(self, units: Sequence[Unit], touched: set[str], asked: _Asked) -> dict[str, Merged]:
        """Merge all units without waiting for each statement's answer. Raises the first refusal of any unit."""
        sent: list[tuple[Unit, _Written]] = []
        following: set[str] = set()
        with self.conn.pipeline():
            for unit in units:
                own = self.staging.statements(unit)
                if count := self._take_changed(unit, touched, following, asked):
                    self._note(own.before)
                    sent.append((unit, self._write(unit, count, note=True)))
                    self._note(own.after)
                    self._do(own.empty)
                    touched.add(unit.relation)
                    following |= own.followers
            constraints.check_deferred(self.conn)
        for _, written in sent:
            if written.refused is not None and (row := written.refused.fetchone()) and row[0]:
                raise _RefusedBeforeError
        self.staging.count(sum(w.keys for _, w in sent))
        return {unit.name: written.result(unit) for unit, written in sent}

    def _merge_one_by_one(self, units: Sequence[Unit], touched: set[str], asked: _Asked) -> dict[str, Merged]:
        """Merge unit by unit, each as far as the shop lets its rows in, and go; adds to `touched` what it has changed."""

        def run(stays: Stays) -> tuple[dict[str, Merged], set[str]]:
            reached = set(touched)
            return self._merge_in_turn(units, reached, asked, stays), reached

        done, reached = self._let_stay(run, units)
        touched |= reached
        return done

    def _let_stay(self, run: Callable[[Stays], _T], units: Iterable[Unit]) -> _T:
        """Run a merge of these units, and leave what others still reference: see `references.let_stay`."""
        held = [(u, self.staging.statements(u).references) for u in units if isinstance(u, EntityMapping)]
        return references.let_stay(self.conn, run, held)

    def _merge_in_turn(
        self, units: Sequence[Unit], touched: set[str], asked: _Asked, stays: Stays
    ) -> dict[str, Merged]:
        done: dict[str, Merged] = {}
        following: set[str] = set()
        for unit in units:
            if count := self._take_changed(unit, touched, following, asked):
                following |= self.staging.statements(unit).followers
                # A refusal changes who stands in the shop without a change of the keys' own sources; and what the shop
                # refused may be that a parent went without its children. So all that read these keys are merged again.
                keys = self._read_keys(unit)
                done[unit.name] = self._merge_taken(unit, count, stays)
                touched |= {unit.relation, *self.staging.ripple(unit, keys)}
        return done

    def merge(self, unit: Unit, keys: Composed, *, disjoint: bool) -> Merged | None:
        """Merge one unit for the keys that a SELECT yields; None when it yields none.

        `disjoint` promises that no other session that says so at the same time has any of these keys: chunks of one plan need
        not wait for one another, only for the stream.
        """
        self.hold(alone=not disjoint)
        if disjoint:  # what waits noted is merged with all that follows from it
            own = self.staging.statements(unit)
            keys = SQL("SELECT key FROM ({}) k EXCEPT {}").format(keys, SQL(own.select_noted))
        if not (count := self.take(unit, keys)):
            return None
        if not disjoint:  # what refers to these rows is merged behind them, in this transaction
            return self._merge_with_followers(unit, count, Stays(), note=True)
        # When a unit's chunks are planned, the units that read its entity are merged afterwards.
        followers = [u for u in self.route.units if u.name in self.staging.statements(unit).followers]
        return self._let_stay(
            lambda stays: self._merge_with_followers(unit, count, stays, note=False), [unit, *followers]
        )

    def _merge_with_followers(self, unit: Unit, count: int, stays: Stays, *, note: bool) -> Merged:
        """Merge the affected keys of a unit, and what foreign keys of the target have touched with them."""
        merged = self._merge_taken(unit, count, stays, note=note)
        followers = self.staging.statements(unit).followers
        for other in [u for u in self.route.units if u.name in followers]:
            if count := self._take_followed(self.staging.statements(other)):
                self._merge_taken(other, count, stays, note=False)
        return merged

    def take(self, unit: Unit, keys: Composed) -> int:
        """Begin a merge of the keys that a SELECT yields: put them into `affected`; returns how many."""
        self.conn.execute(_SESSION)
        return self._count(statements.compose_take(self.staging.statements(unit).affected, keys).as_string(self.conn))

    def _take_changed(self, unit: Unit, touched: set[str], following: set[str], asked: _Asked) -> int:
        """Put the keys that changed relations affect, that a foreign key has touched, and that are named into `affected`."""
        own = self.staging.statements(unit)
        by_sources = not touched.isdisjoint(s.relation for s in unit.sources)
        count = self._count(own.take) if by_sources else 0
        if unit.name in following:
            count += self._take_followed(own)
        if unit.name in asked.noted:
            [(taken,)] = self.conn.execute(own.take_noted.encode(), (asked.last,), prepare=True).fetchall()
            count += taken
        if unit.name in asked.again:
            named = SQL("SELECT unnest({}::{}[]) AS key EXCEPT SELECT key FROM {}").format(
                Literal(list(asked.again[unit.name])), SQL(own.key_type), own.affected
            )
            count += self._count(statements.compose_take(own.affected, named).as_string(self.conn))
        if count and unit.name in asked.loading | asked.behind:
            ahead = unit.name not in asked.loading
            self.conn.execute(own.note_touched.encode(), (ahead,), prepare=True)
            self._do(own.empty)
            return 0
        return count

    def _take_followed(self, own: Statements) -> int:
        """Put the keys that a foreign key of the target has touched into `affected` too; returns how many came."""
        count = self._count(own.take_followed) if own.take_followed else 0
        if own.forget_followed:
            self._do(own.forget_followed)
        return count

    def _count(self, take: str) -> int:
        row = self._do(take).fetchone()
        return int(row[0]) if row else 0

    def _merge_taken(self, unit: Unit, count: int, stays: Stays, *, note: bool = True) -> Merged:
        """Merge the affected keys as far as the shop lets their rows in, and empty `affected`; `note` what that changes."""
        own = self.staging.statements(unit)
        if isinstance(unit, IdentityMapping):
            self._note(own.before if note else None)
            merged = self.write(unit, count)
        else:
            assert isinstance(unit, EntityMapping)
            moved = own.moved if note else None
            bisection = Bisection(self.conn, unit, own, lambda keys: self.write(unit, keys, note=note), moved)
            others = bisection.let_stay(held) if (held := stays.keys.get(unit.name)) else count
            if stays.noting and own.references:
                references.note_stood(self.conn, unit, own.affected)
                stays.noted.add(unit.name)
            self._note(own.before if note else None)
            merged = bisection.merge(others) if others else Merged(keys=count)
        self._note(own.after if note else None)
        self._do(own.empty)
        self.staging.count(count)
        return merged

    def _read_keys(self, unit: Unit) -> frozenset[str]:
        """Read the affected keys, as text."""
        rows = self.conn.execute(
            SQL("SELECT key::text FROM {}").format(self.staging.statements(unit).affected)
        ).fetchall()
        return frozenset(r[0] for r in rows)

    def _note(self, statement: str | None) -> None:
        """Note an entity's rows before a merge, or what it has changed: for an entity that others read."""
        if statement:
            self._do(statement)

    def _do(self, statement: str) -> psycopg.Cursor[Any]:
        return self.conn.execute(statement.encode(), prepare=True)

    def write(self, unit: Unit, count: int, *, note: bool = False) -> Merged:
        """Make one pass over the affected keys; returns what it did. Raises what the database refuses.

        `note` what comes from other aggregates, where the rows of the affected ones are noted, too.
        """
        return self._write(unit, count, note=note).result(unit)

    def _write(self, unit: Unit, count: int, *, note: bool) -> _Written:
        """Make one pass over the affected keys: outcomes into quarantine and left_out, rows into the target."""
        own, size = self.staging.statements(unit), bisect(_SIZES, count)

        def do(statement: str) -> psycopg.Cursor[Any]:
            return self._do(f"/* {size} */ {statement}")  # prepared, and so planned, for each size

        do(own.fill)
        refused = None if isinstance(unit, IdentityMapping) else do(own.settle)
        self._note(own.follow)
        self._note(own.moved if note else None)
        return _Written(count, refused, [do(write) for write in own.writes])
