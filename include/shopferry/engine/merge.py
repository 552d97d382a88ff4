"""Merge: run the mappings for affected keys. The only write path into the shop's tables.

Backfill, replay, repair and release all end here: they say which keys, or which mirror rows changed and let the lineage
find the keys; the mapping's SELECT then says what the shop has to hold for those keys, and merge makes it so.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from shopferry.control import identity, loads, locks, quarantine
from shopferry.db import Connection
from shopferry.engine import changes, constraints, references, statements, verdicts
from shopferry.engine.outcome import Merged
from shopferry.engine.references import Stays
from shopferry.engine.refusals import Bisection, find_reason, is_refusal
from shopferry.engine.statements import Statements
from shopferry.keys import name_or_expression
from shopferry.route.entities import EntityMapping, IdentityMapping, Unit
from shopferry.route.route import Route
from shopferry.stores import origin

# Few keys meet large tables here: always by their index, not by what the statistics of fresh tables say.
_SESSION = (
    f"SELECT {origin.WRITER}, set_config('enable_seqscan', 'off', true), "
    f"set_config('random_page_cost', '1.1', true), {origin.MARK}"
)
_TIDY_AFTER = (
    10_000  # keys that went through the temp tables: dead rows are read again and again until they are cleared
)
_TIDIED = (
    4  # temp tables that are cleared before one unit of work: all of them take 0.3 s, which a batch would wait for
)
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


@dataclass
class Merger:
    """The units of a route on one connection; their statements are composed once."""

    conn: Connection
    route: Route
    _staged: dict[str, Statements] = field(default_factory=dict)
    _rows: int = 0
    _untidy: list[Identifier] = field(default_factory=list)
    _loading: frozenset[str] = frozenset()  # units whose touched keys are noted in this transaction, not merged

    def stage(self, units: Iterable[Unit]) -> None:
        """Make the units' temp tables and compose their statements. Call it outside of a transaction.

        Raises MappingError where a mapping does not yield what its target needs.
        """
        fresh = [u for u in units if u.name not in self._staged]
        # What is made within a transaction may go with it, unnoticed here.
        assert not fresh or self.conn.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
        if fresh:
            origin.take(self.conn, self.route.name)
        followers = constraints.find_followers(self.conn, self.route) if fresh else {}
        for unit in fresh:
            self._staged[unit.name] = statements.stage(self.conn, self.route, unit, followers)
        if fresh or (self._rows > _TIDY_AFTER and not self._untidy):
            self._rows = 0
            tables = [t for s in self._staged.values() for t in (s.affected, s.yielded, s.held) if t]
            tables += [Identifier("pg_temp", name) for name in sorted(self._changed_tables().values())]
            self._untidy = changes.find_untidy(self.conn, tables)
        now = len(self._untidy) if fresh else _TIDIED
        changes.tidy(self.conn, self._untidy[:now])
        self._untidy = self._untidy[now:]

    def has_staged(self, units: Iterable[Unit]) -> bool:
        """Tell whether the units' statements are composed in this session."""
        return all(u.name in self._staged for u in units)

    def hold(self, *, alone: bool = True) -> None:
        """Wait until no other session propagates in this route, and keep it so until this transaction ends; `alone`, until
        none merges a chunk either. To be called before the first of the shop's rows is written.

        Lineage is read from a snapshot: of two that propagate at once, one could move an identity while the other finds
        by the old one whom its rows affect, and then neither would merge them where they belong. And since foreign keys
        lock parents, a chunk of children and a batch that has changed their parents would wait for each other.
        """
        (locks.lock_propagation if alone else locks.share_propagation)(self.conn, self.route.name)

    def propagate(
        self, units: Sequence[Unit], changed: Iterable[str], again: Mapping[str, Sequence[str]] | None = None
    ) -> dict[str, Merged]:
        """Merge what the changed relations affect, in dependency order.

        `changed` names relations ('legacy.orders') whose rows before and after stand in their `changed_…` temp
        tables, which are empty afterwards. An identity that moves becomes a changed relation itself. `again` names keys, by
        unit, that are merged whatever has changed, and count as changed. What waits as still referenced and is not any more
        goes too, and what was refused for a unique value comes in when that is free. Of a unit that is being loaded the keys
        are noted instead. Runs in the caller's transaction: at first everything at once, and only if the data is refused
        unit by unit.
        """
        touched, named = set(changed), dict(again or {})
        if not units:  # nothing to merge: no reason to wait for others who propagate
            self._forget_changes(units, touched)
            return {}
        for unit in units:
            self.statements(unit)
        self.hold()
        self._do(_SESSION)
        self.judge(units, touched)  # those of units that wait for their load, too: their values come by no other way
        if unloaded := loads.load_units(self.conn, self.route.name):
            units = [u for u in units if unloaded.get(u.name, True)]
        self._loading = frozenset(unloaded)
        done = self._merge_all(units, touched, named)
        tried: set[tuple[str, str]] = set()
        while freed := self._find_freed(units, tried):
            tried |= {(name, key) for name, keys in freed.items() for key in keys}
            done |= self._merge_all(units, set(), freed)
        return done

    def _merge_all(
        self, units: Sequence[Unit], touched: set[str], again: Mapping[str, Sequence[str]]
    ) -> dict[str, Merged]:
        """Merge what the changed relations affect and the keys that are named, and forget the changes."""
        for unit in units:
            if unit.name in again and not isinstance(unit, IdentityMapping):
                touched |= self.ripple(unit, frozenset(again[unit.name]))
        try:
            with self.conn.transaction():
                done = self._merge_at_once(units, set(touched), again)
        except _RefusedBeforeError:
            done = self._merge_one_by_one(units, touched, again)
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
            done = self._merge_one_by_one(units, touched, again)
        self._forget_changes(units, touched)
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
            if referenced and (free := self.statements(unit).free):
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

    def _merge_at_once(
        self, units: Sequence[Unit], touched: set[str], again: Mapping[str, Sequence[str]]
    ) -> dict[str, Merged]:
        """Merge all units without waiting for each statement's answer. Raises the first refusal of any unit."""
        sent: list[tuple[Unit, _Written]] = []
        following: set[str] = set()
        with self.conn.pipeline():
            for unit in units:
                own = self.statements(unit)
                if count := self._take_changed(unit, touched, following, again):
                    self._note(own.before)
                    sent.append((unit, self._write(unit, count)))
                    self._note(own.after)
                    self._do(own.empty)
                    touched.add(unit.relation)
                    following |= own.followers
            constraints.check_deferred(self.conn)
        for _, written in sent:
            if written.refused is not None and (row := written.refused.fetchone()) and row[0]:
                raise _RefusedBeforeError
        self._rows += sum(w.keys for _, w in sent)
        return {unit.name: written.result(unit) for unit, written in sent}

    def _merge_one_by_one(
        self, units: Sequence[Unit], touched: set[str], again: Mapping[str, Sequence[str]]
    ) -> dict[str, Merged]:
        """Merge unit by unit, each as far as the shop lets its rows in, and go; adds to `touched` what it has changed."""

        def run(stays: Stays) -> tuple[dict[str, Merged], set[str]]:
            reached = set(touched)
            return self._merge_in_turn(units, reached, again, stays), reached

        done, reached = self._let_stay(run, units)
        touched |= reached
        return done

    def _let_stay(self, run: Callable[[Stays], _T], units: Iterable[Unit]) -> _T:
        """Run a merge of these units, and leave what others still reference: see `references.let_stay`."""
        held = [(u, self.statements(u).references) for u in units if isinstance(u, EntityMapping)]
        return references.let_stay(self.conn, run, held)

    def _merge_in_turn(
        self, units: Sequence[Unit], touched: set[str], again: Mapping[str, Sequence[str]], stays: Stays
    ) -> dict[str, Merged]:
        done: dict[str, Merged] = {}
        following: set[str] = set()
        for unit in units:
            if count := self._take_changed(unit, touched, following, again):
                following |= self.statements(unit).followers
                # A refusal changes who stands in the shop without a change of the keys' own sources; and what the shop
                # refused may be that a parent went without its children. So all that read these keys are merged again.
                keys = self._read_keys(unit)
                done[unit.name] = self._merge_taken(unit, count, stays)
                touched |= {unit.relation, *self.ripple(unit, keys)}
        return done

    def merge(self, unit: Unit, keys: Composed, *, disjoint: bool) -> Merged | None:
        """Merge one unit for the keys that a SELECT yields; None when it yields none.

        `disjoint` promises that no other session that says so at the same time has any of these keys: chunks of one plan need
        not wait for one another, only for the stream.
        """
        self.hold(alone=not disjoint)
        take = statements.compose_take(self.statements(unit).affected, keys).as_string(self.conn)
        if not (count := self._take(unit, take)):
            return None
        if not disjoint:  # what refers to these rows is merged behind them, in this transaction
            return self._merge_with_followers(unit, count, Stays(), note=True)
        # When a unit's chunks are planned, the units that read its entity are merged afterwards.
        followers = [u for u in self.route.units if u.name in self.statements(unit).followers]
        return self._let_stay(
            lambda stays: self._merge_with_followers(unit, count, stays, note=False), [unit, *followers]
        )

    def _merge_with_followers(self, unit: Unit, count: int, stays: Stays, *, note: bool) -> Merged:
        """Merge the affected keys of a unit, and what foreign keys of the target have touched with them."""
        merged = self._merge_taken(unit, count, stays, note=note)
        followers = self.statements(unit).followers
        for other in [u for u in self.route.units if u.name in followers]:
            if count := self._take_followed(self.statements(other)):
                self._merge_taken(other, count, stays, note=False)
        return merged

    def enter(self, unit: EntityMapping, key: str) -> None:
        """Insert those of an aggregate's held rows that may enter now; all its other rows stay as they are.

        For a phase that is cut over: its rows are the application's, and what that has written since is not ours to merge.
        What the mapping still refuses stays in quarantine, and what the database refuses too, with its own reason.
        """
        own = self.statements(unit)
        listed = SQL("SELECT {}::{} AS key").format(Literal(key), SQL(own.key_type))
        self._take(unit, statements.compose_take(own.affected, listed).as_string(self.conn))
        try:
            with self.conn.transaction():
                self._do(own.fill)
                self.conn.execute(statements.compose_passing_over(unit, own.yielded))
                self._do(own.settle)
                self._do(own.writes[-1])
                constraints.check_deferred(self.conn)
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
            quarantine.restate(
                self.conn, unit.entity, key, find_reason(error), error.sqlstate, error.diag.constraint_name
            )
        self._do(own.empty)

    def _take(self, unit: Unit, take: str) -> int:
        """Put the keys that a statement finds into `affected`; returns how many."""
        self.conn.execute(_SESSION)
        return self._count(take)

    def _take_changed(
        self, unit: Unit, touched: set[str], following: set[str], again: Mapping[str, Sequence[str]]
    ) -> int:
        """Put the keys that changed relations affect, that a foreign key has touched, and that are named into `affected`."""
        own = self.statements(unit)
        by_sources = not touched.isdisjoint(s.relation for s in unit.sources)
        count = self._count(own.take) if by_sources else 0
        if unit.name in following:
            count += self._take_followed(own)
        if unit.name in again:
            named = SQL("SELECT unnest({}::{}[]) AS key EXCEPT SELECT key FROM {}").format(
                Literal(list(again[unit.name])), SQL(own.key_type), own.affected
            )
            count += self._count(statements.compose_take(own.affected, named).as_string(self.conn))
        if count and unit.name in self._loading:
            self._do(own.note_touched)
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
        own = self.statements(unit)
        if isinstance(unit, IdentityMapping):
            self._note(own.before if note else None)
            merged = self.write(unit, count)
        else:
            assert isinstance(unit, EntityMapping)
            bisection = Bisection(self.conn, unit, own, lambda keys: self.write(unit, keys))
            others = bisection.let_stay(held) if (held := stays.keys.get(unit.name)) else count
            if stays.noting and own.references:
                references.note_stood(self.conn, unit, own.affected)
                stays.noted.add(unit.name)
            self._note(own.before if note else None)
            merged = bisection.merge(others) if others else Merged(keys=count)
        self._note(own.after if note else None)
        self._do(own.empty)
        self._rows += count
        return merged

    def _read_keys(self, unit: Unit) -> frozenset[str]:
        """Read the affected keys, as text."""
        rows = self.conn.execute(SQL("SELECT key::text FROM {}").format(self.statements(unit).affected)).fetchall()
        return frozenset(r[0] for r in rows)

    def ripple(self, unit: Unit, keys: frozenset[str]) -> set[str]:
        """Count these aggregates of a unit as changed, for the units that read its table; returns the relations.

        A refused row leaves the shop without a change of its identity or its parents; those after it must see it go.
        """
        touched = set()
        key_type = self.statements(unit).key_type
        for source in unit.simple_sources if keys else ():
            relation: Composable = Identifier(unit.schema, source.name)
            if source.is_identity:
                relation = SQL("(SELECT {} FROM ferry.identity WHERE entity = {})").format(
                    identity.COLUMNS, Literal(source.name)
                )
            self.conn.execute(
                SQL("INSERT INTO {} SELECT * FROM {} r WHERE {} = ANY({}::{}[])").format(
                    Identifier("pg_temp", source.changed),
                    relation,
                    name_or_expression(str(source.column)),
                    Literal(sorted(keys)),
                    SQL(key_type),
                )
            )
            touched.add(source.relation)
        return touched

    def statements(self, unit: Unit) -> Statements:
        """Return the unit's statements, composed at first use."""
        if unit.name not in self._staged:
            self.stage([unit])
        return self._staged[unit.name]

    def _note(self, statement: str | None) -> None:
        """Note an entity's rows before a merge, or what it has changed: for an entity that others read."""
        if statement:
            self._do(statement)

    def _do(self, statement: str) -> psycopg.Cursor[Any]:
        return self.conn.execute(statement.encode(), prepare=True)

    def _changed_tables(self) -> dict[str, str]:
        """The temp tables of changed rows that the staged units read or fill, by relation."""
        staged = [u for u in self.route.units if u.name in self._staged]
        read = {s.relation: s.changed for u in staged for s in u.sources}
        return read | {
            u.relation: u.changed for u in staged if isinstance(u, IdentityMapping) or self._staged[u.name].after
        }

    def _forget_changes(self, units: Iterable[Unit], touched: Iterable[str]) -> None:
        """Empty the temp tables of changed rows that were filled."""
        filled = {*touched, *(u.relation for u in units)}
        with self.conn.pipeline():
            for relation, name in sorted(self._changed_tables().items()):
                if relation in filled:
                    self._do(f"DELETE FROM pg_temp.{name}")

    def write(self, unit: Unit, count: int) -> Merged:
        """Make one pass over the affected keys; returns what it did. Raises what the database refuses."""
        return self._write(unit, count).result(unit)

    def _write(self, unit: Unit, count: int) -> _Written:
        """Make one pass over the affected keys: outcomes into quarantine and left_out, rows into the target."""
        own, size = self.statements(unit), bisect(_SIZES, count)

        def do(statement: str) -> psycopg.Cursor[Any]:
            return self._do(f"/* {size} */ {statement}")  # prepared, and so planned, for each size

        do(own.fill)
        refused = None if isinstance(unit, IdentityMapping) else do(own.settle)
        self._note(own.follow)
        return _Written(count, refused, [do(write) for write in own.writes])
