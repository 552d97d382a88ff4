"""Replay one batch of changes: mirror, merge and offsets in one transaction. No Kafka in here.

Order and locks are in docs/explanation/how-it-works.md; the short of it is: states of all phases are held still, offsets
must be where we left them, each table's changes go in by one statement, and lineage tells what to merge. A batch that runs
ahead notes that instead.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import msgspec
import psycopg

from shopferry.cdc import metrics
from shopferry.cdc.applied import Applied, Noted
from shopferry.cdc.envelope import Change, collapse, cut, fill, find_drift
from shopferry.cdc.fidelity import Fidelity, Wanted, load_standing, read_again
from shopferry.control import erasures, locks, offsets, phases, quarantine, routes
from shopferry.control.offsets import Partition, Tally
from shopferry.control.phases import State
from shopferry.db import Connection
from shopferry.engine import erased, mirror, mirror_rows, witness
from shopferry.engine.merge import Merger
from shopferry.engine.mirror import MirrorTable
from shopferry.engine.outcome import Merged
from shopferry.engine.refusals import is_refusal
from shopferry.errors import FencedError, ReplayError
from shopferry.route.entities import IdentityMapping, Unit
from shopferry.route.route import Route

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Part:
    """One table's part of a batch; `noted`: what it changes is read by a mapping, in whole rows where it is `mixed`."""

    table: MirrorTable
    rows: Sequence[Change]
    generation: int
    noted: bool
    mixed: bool


@dataclass(frozen=True)
class Replay:
    """A route's replay on one connection to the store that is written; `source` is read only for what events do not carry."""

    target: Connection
    source: Connection
    route: Route
    _tables: dict[str, MirrorTable] = field(default_factory=dict)
    _fidelities: dict[str, Fidelity] = field(default_factory=dict)

    @cached_property
    def merger(self) -> Merger:
        """The route's merge on that connection."""
        return Merger(self.target, self.route)

    @cached_property
    def installed(self) -> str | None:
        """The fingerprint of the mappings that were installed when this replay began."""
        return routes.find_installed(self.target, self.route.name)

    @property
    def tables(self) -> dict[str, MirrorTable]:
        """The mirror, read once."""
        if not self._tables:
            self._tables.update(mirror.load(self.target))
        return self._tables

    def can_run_ahead(self) -> bool:
        """Tell whether batches of this route may run ahead: note what they affect, and leave the merge to `MergeBehind`."""
        self.merger.stage(self.route.units)
        return self.merger.can_note()

    def apply(
        self, changes: Sequence[Change], steps: Mapping[Partition, tuple[int, int]], *, ahead: bool = False
    ) -> Applied:
        """Apply changes and move partitions from their expected to their next offset, in one transaction.

        `ahead` only notes the keys of entities that the changes affect, unless a session keeps mirror and shop together; the
        caller sees to it that they are merged and books the batch.

        Raises FencedError when another consumer was there first, ReplayError for schema drift; psycopg's transient
        errors go up for the caller's retry. In every case nothing of the batch stays.
        """
        started = time.monotonic()
        tallies, lags = _count(changes), list[int]()
        self.merger.stage(self.route.units)
        with self.target.transaction():
            states = phases.lock(self.target, self.route.name)
            if routes.find_installed(self.target, self.route.name) != self.installed:
                raise FencedError("other mappings were installed since this consumer read its own")
            offsets.advance(self.target, self.route.name, steps)
            changes = self._bar(changes)
            collapsed = collapse(changes)
            booked = self._book_witnessed(changes)
            units = [u for phase, state, _ in states if state.live for u in self.route.of(phase)]
            generations = {t: g for phase, _, g in states for t in self.route.tables_of(phase)}
            whole = {
                n: self._whole(self.tables[n], list(rows.values()), generations[n])
                for n, rows in sorted(collapsed.items())
            }
            # An echo changes the mirror, and who is who by it; the rows it was made of stand in the target already.
            identities = [u for u in units if isinstance(u, IdentityMapping)]
            written, _, _ = self._carry(identities, whole, generations, {}, echo=True, ahead=ahead)
            count, merged, ahead = self._carry(units, whole, generations, booked, echo=False, ahead=ahead)
            written += count
            noted = Noted.of(changes, started)
            if changes:
                offsets.count(self.target, self.route.name, tallies)
                lags = [] if ahead else noted.book(self.target, self.route.name)
        loading = any(state in (State.COPYING, State.MERGING) for _, state, _ in states)
        return Applied(len(changes), written, merged, tallies, lags, noted if ahead else None, loading)

    def _carry(
        self,
        units: Sequence[Unit],
        whole: Mapping[str, Sequence[Change]],
        generations: Mapping[str, int],
        booked: dict[str, list[bytes]],
        *,
        echo: bool,
        ahead: bool,
    ) -> tuple[int, dict[str, Merged], bool]:
        """Bring the changes that are an echo, or those that are none, into the mirror, and merge what they affect.

        `booked` are the states that are new in witnesses, by table. Returns the rows written, what the merge did, and whether
        it ran ahead.
        """
        # Of an echo nothing is merged, but when its keys are merged another time its values must have been judged.
        looked_at = self.route.units if echo else units
        read = {s.relation for u in looked_at for s in u.sources}
        parts = [
            _Part(self.tables[name], rows, generations[name], self.tables[name].relation in read, mixed)
            for name, changes in whole.items()
            for mixed in (False, True)
            if (rows := [c for c in changes if (c.echo, c.mixed) == (echo, mixed)])
        ]
        if not parts:
            return 0, {}, False
        written, changed = self._mirror(parts), {p.table.relation for p in parts}
        ahead = ahead and bool(units) and self.merger.try_ahead()
        hold = partial(self.merger.hold_ahead, units) if ahead else self.merger.hold
        for table in (p.table for p in parts if p.noted and p.table.name in booked):
            witness.follow(self.target, self.route, table, booked.pop(table.name), hold)
        if echo:
            hold()  # before the verdicts, as in a merge: one that is found must stay until this batch is committed
            self.merger.judge(looked_at, changed)
        return written, self.merger.propagate(units, changed, ahead=ahead), ahead

    def _bar(self, changes: Sequence[Change]) -> list[Change]:
        """Bar rows that were erased: what they hold comes no further than here."""
        if not erasures.has_any(self.target, self.route.base_name):
            return list(changes)
        given = [(c, self.tables[c.table]) for c in changes]
        rows = [(t, erased.name_key(t, c.key), b"{}" if c.row is None else c.row) for c, t in given]
        barred = erased.find_barred(self.target, self.route.base_name, rows)
        left = {n: None if row is None else msgspec.json.encode(row) for n, row in barred.items()}
        return [replace(c, row=left[n]) if n in left else c for n, c in enumerate(changes)]

    def _book_witnessed(self, changes: Sequence[Change]) -> dict[str, list[bytes]]:
        """Book every state of the columns that mappings name, before a batch is collapsed to its rows' last.

        Returns the new ones by table.
        """
        booked = {}
        for name, columns in self.route.witnessed.items():
            own = [c for c in changes if c.table == name and not c.echo]
            if not own:
                continue
            states = [cut(c, columns) for c in own]
            booked[name] = witness.book_events(self.target, self.tables[name], columns, states)
        return booked

    def _whole(self, table: MirrorTable, changes: Sequence[Change], generation: int) -> list[Change]:
        """The changes with every value, exactly: what events leave out or get wrong comes from the mirror or from legacy."""
        fidelity = self._fidelities.setdefault(table.name, Fidelity.of(table))
        whole, from_mirror, from_legacy = list(changes), [], []
        for n, change in enumerate(changes):
            if not fidelity.is_ordinary(change.key):
                raise ReplayError(
                    f"{change.where}: the key of {table.name} holds a value that events do not carry exactly (infinity, a year "
                    "before 1 or after 9999, 24:00): change that row in legacy, then `shopferry sync resync`; replay stops here"
                )
            if change.row is None:
                continue
            if missing := find_drift(change.row, [c for c in table.names if c not in fidelity.lost]):
                raise ReplayError(
                    f"{change.where}: rows of {table.name} have no column {', '.join(missing)} any more, which is mapped: "
                    "mend the mapping, then `shopferry sync resync`; replay stops here"
                )
            # A row whose key was changed comes as a new one, and still without the values that were not logged again.
            if not fidelity.is_exact(change.row) or (change.partial and (change.born or change.torn)):
                from_legacy.append(n)
            elif change.partial:
                from_mirror.append(n)
        if from_mirror:
            held = load_standing(self.target, table, [_wanted(changes[n]) for n in from_mirror], generation)
            for n in from_mirror:
                if row := held.get(changes[n].key):
                    whole[n] = replace(changes[n], row=fill(changes[n].row or b"", row))
                if whole[n].partial:
                    from_legacy.append(n)
        if from_legacy:
            metrics.REREADS.labels(table.name).inc(len(from_legacy))
            read = read_again(self.source, table, [_wanted(changes[n]) for n in from_legacy])
            for n in from_legacy:
                whole[n] = replace(changes[n], row=read.get(changes[n].key))
            for n, change in zip(from_legacy, self._bar([whole[n] for n in from_legacy]), strict=True):
                whole[n] = change
        return whole

    def _mirror(self, parts: Sequence[_Part]) -> int:
        """Write all tables' changes without waiting for each answer; if a type refuses one, go table by table."""
        try:
            with self.target.transaction():
                with self.target.pipeline():
                    sent = [self._apply(part) for part in parts]
                return sum(int(row[0]) for cursor in sent if (row := cursor.fetchone()))
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
        return sum(self._bisect(part) for part in parts)

    def _apply(self, part: _Part) -> psycopg.Cursor[Any]:
        # Shared among consumers; a chunk that notes changes of its own takes it alone.
        locks.share_mirror(self.target, part.table.name)
        rows = _write_array(part.rows, part.generation)
        return mirror_rows.apply_events(self.target, part.table, rows, noted=part.noted, compared=not part.mixed)

    def _bisect(self, part: _Part) -> int:
        """Write one table's changes; a row that no type of the mirror can hold is quarantined alone."""
        try:
            with self.target.transaction():
                row = self._apply(part).fetchone()
                return int(row[0]) if row else 0
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
            if len(part.rows) > 1:
                half = len(part.rows) // 2
                return sum(self._bisect(replace(part, rows=rows)) for rows in (part.rows[:half], part.rows[half:]))
            change, table = part.rows[0], part.table
            extra = {"where": change.where, "table": table.name, "sqlstate": error.sqlstate}
            log.warning("an event that the mirror cannot hold is quarantined", extra=extra)
            row_key = "/".join(str(v) for v in msgspec.json.decode(change.key).values())
            quarantine.refuse(self.target, table.relation, row_key, row_key, ["event_unreadable"], error.sqlstate, None)
            return 0


def _count(changes: Sequence[Change]) -> dict[Partition, Tally]:
    """What the batch holds of each partition."""
    by_partition: dict[Partition, list[Change]] = {}
    for change in changes:
        by_partition.setdefault((change.topic, change.partition), []).append(change)
    return {
        p: Tally(len(of), sum(c.size for c in of), max(c.lsn for c in of), max(c.committed_ms for c in of))
        for p, of in by_partition.items()
    }


def _write_array(rows: Sequence[Change], generation: int) -> bytes:
    """The batch as one JSON array: each row's bytes as they came, our three columns put in front."""
    parts = []
    for change in rows:
        gone = b"true" if change.row is None else b"false"
        parts.append(
            b'{"_lsn":"%s","_gone":%s,"_generation":%d,' % (change.position.encode(), gone, generation)
            + (change.key if change.row is None else change.row).lstrip()[1:]
        )
    return b"[" + b",".join(parts) + b"]"


def _wanted(change: Change) -> Wanted:
    return Wanted(change.key, change.xid, change.where)
