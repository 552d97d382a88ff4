"""Refusals: keys whose rows the database does not let in. They are found by halving and wait in quarantine; the others pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from shopferry.control import quarantine
from shopferry.db import Connection
from shopferry.engine import holders
from shopferry.engine.holders import NOT_UNIQUE
from shopferry.engine.outcome import Merged
from shopferry.engine.references import STATE, STILL_REFERENCED, is_held
from shopferry.engine.statements import Statements, row_key
from shopferry.engine.writes import target_of
from shopferry.keys import name_or_expression
from shopferry.route.entities import EntityMapping


def is_refusal(error: psycopg.Error) -> bool:
    """Whether the database refused the data itself, so that another try cannot help.

    That is class 21 (two rows where one is meant), 22, 23, 44, what a trigger raises (P0), and a value too long for an
    index (54000).
    """
    state = error.sqlstate or ""
    return state[:2] in {"21", "22", "23", "44", "P0"} or state == "54000"


def find_reason(error: psycopg.Error) -> str:
    """Find the reason code of a refusal."""
    if error.diag.constraint_name:
        return "refused_by_constraint"
    return {"21": "refused_by_mapping", "P0": "refused_by_trigger"}.get((error.sqlstate or "")[:2], "refused_by_type")


@dataclass(frozen=True)
class Bisection:
    """Merges the affected keys of one unit as far as the target lets their rows in.

    `write` makes one pass over so many affected keys, and raises what the database refuses. `moved` is the statement that notes
    what comes from other aggregates, where that is noted.
    """

    conn: Connection
    unit: EntityMapping
    own: Statements
    write: Callable[[int], Merged]
    moved: str | None = None

    def merge(self, count: int) -> Merged:
        """Merge all affected keys at once; if the data is refused, find the refused keys and merge the others."""
        try:
            with self.conn.transaction():
                merged = self.write(count)
                self._compare_rows()
            return merged
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
            parking = error.sqlstate == NOT_UNIQUE and bool(self.own.park)
        if parking and (moved := self._change_places(count)):
            return moved
        keys = [
            r[0] for r in self.conn.execute(SQL("SELECT key FROM {} ORDER BY key").format(self.own.affected)).fetchall()
        ]
        # Constraints between rows (unique, foreign key) look at all keys together: while halving, a key may miss what
        # another half has still to bring.
        try:
            with self.conn.transaction():
                if parking and not self.unit.reverse:
                    self._park()  # each of these rows is written, or leaves
                merged = self._halve(keys, compare=False)
                self._compare_rows()
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
            # Two rows cannot both be: all affected rows leave, so that each key meets only those let in before it.
            self._take_out()
            merged = self._halve(keys, compare=True)
        self._affect(keys)
        return merged

    def _halve(self, keys: Sequence[object], *, compare: bool) -> Merged:
        """Merge these keys, by halves where they are refused, until each refused key is alone."""
        self._affect(keys)
        try:
            with self.conn.transaction():
                merged = self.write(len(keys))
                if compare:
                    self._compare_rows()
            return merged
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
            if len(keys) == 1:
                self._refuse(error)
                return Merged(keys=1)
        middle = len(keys) // 2
        parts = [self._halve(half, compare=compare) for half in (keys[:middle], keys[middle:])]
        return Merged(len(keys), sum(p.written for p in parts), sum(p.deleted for p in parts))

    def _affect(self, keys: Sequence[object]) -> None:
        """Make these keys the affected ones."""
        self.conn.execute(self.own.empty.encode(), prepare=True)
        self.conn.execute(
            SQL("INSERT INTO {} SELECT unnest(%s::{}[])").format(self.own.affected, SQL(self.own.key_type)),
            (list(keys),),
        )

    def _compare_rows(self) -> None:
        """Check the deferred constraints now: refusals must surface where the key can still be told, not at commit."""
        if deferrable := self.own.deferrable:
            names = SQL(", ").join(deferrable)
            self.conn.execute(SQL("SET CONSTRAINTS {} IMMEDIATE").format(names))
            self.conn.execute(SQL("SET CONSTRAINTS {} DEFERRED").format(names))

    def _change_places(self, count: int) -> Merged | None:
        """Merge all affected keys at once where rows swap unique values; None where that is not all that is refused."""
        try:
            with self.conn.transaction():
                self._park()
                merged = self.write(count)
                self._compare_rows()
            return merged
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
        return None

    def _park(self) -> None:
        """Give rows whose unique values change others that nobody has."""
        self.conn.execute(self.own.fill.encode())
        if self.moved:  # before its columns change here
            self.conn.execute(self.moved.encode())
        for statement in self.own.park:
            self.conn.execute(statement.encode())
        self.conn.execute(SQL("DELETE FROM {}").format(self.own.yielded))

    def _take_out(self) -> bool:
        """Delete the affected keys' rows from the new shop; returns whether none stands for the sake of others' references.

        Legacy's stay as they are: no mapping could make them whole again.
        """
        if self.unit.reverse:
            return True
        try:
            with self.conn.transaction():
                if self.own.follow_all:
                    self.conn.execute(self.own.follow_all.encode())
                self.conn.execute(
                    SQL("DELETE FROM {} t USING {} a WHERE t.{} = a.key").format(
                        target_of(self.unit), self.own.affected, Identifier(self.unit.scope)
                    )
                )
        except psycopg.Error as error:
            if not is_held(error):
                raise
            return False
        return True

    def _refuse(self, error: psycopg.Error) -> None:
        """Quarantine the one affected key whose rows the database refused, and take its rows out of the shop if they may go."""
        gone, held = self._take_out(), is_held(error, self.unit.entity)
        holder = holders.find_holder(self.conn, self.unit, self.own, error)
        reasons = [] if held else [find_reason(error)]
        if held or not gone:
            reasons.append(STILL_REFERENCED)
        row = self.conn.execute(SQL("SELECT key::text FROM {}").format(self.own.affected)).fetchone()
        key = str(row[0]) if row else ""
        quarantine.let_go(self.conn, self.unit.entity, key)
        self._quarantine(key, reasons, error.sqlstate, error.diag.constraint_name, holder)

    def let_stay(self, held: Mapping[str, str]) -> int:
        """Leave these keys' rows as they stand and quarantine them, each with the foreign key that holds it.

        They are affected no more; returns how many others are.
        """
        taken = self.conn.execute(
            SQL("SELECT key, key::text AS named FROM {} ORDER BY key").format(self.own.affected)
        ).fetchall()
        for key, text in taken:
            if text in held:
                self._affect([key])
                self._quarantine(text, [STILL_REFERENCED], STATE, held[text])
        others = [key for key, text in taken if text not in held]
        self._affect(others)
        return len(others)

    def _quarantine(
        self, key: str, reasons: Sequence[str], sqlstate: str | None, constraint: str | None, holder: str | None = None
    ) -> None:
        rows = self._row_keys(key)
        quarantine.refuse_key(self.conn, self.unit.entity, rows, key, reasons, sqlstate, constraint, holder)

    def _row_keys(self, key: str) -> list[str]:
        """Find the rows that a refused key stands for: what the mapping yields, or where even that fails, what it counts."""
        affected = self.own.affected
        rows = SQL("WITH affected AS (TABLE {1}) SELECT {0}::text FROM ({2}) y WHERE {0} IS NOT NULL").format(
            row_key(self.unit), affected, SQL(self.unit.body)
        )
        try:
            with self.conn.transaction():
                return [r[0] for r in self.conn.execute(rows).fetchall()] or [key]
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
            counts = self.unit.counts
        source = next(
            (s for s in self.unit.sources if counts and s.relation == f"{self.unit.schema}.{counts.table}"), None
        )
        if counts is None or source is None:
            return [key]
        lineage = SQL("SELECT {} FROM changed").format(name_or_expression(source.column or "key"))
        if source.lineage:
            lineage = Composed([SQL(source.lineage)])
        counted = SQL(
            "SELECT DISTINCT t.{}::text FROM {} t CROSS JOIN LATERAL (WITH changed AS (SELECT t.*) {}) AS l (key) "
            "JOIN {} a ON a.key = l.key"
        ).format(Identifier(counts.column), Identifier(self.unit.schema, counts.table), lineage, affected)
        return [r[0] for r in self.conn.execute(counted).fetchall()] or [key]
