"""What is held on one person: rows of both stores, what the mirror has of them, and what the move has made and kept.

Which rows are theirs says `person.sql`, which columns are told says `personal.txt`: an erasure is made of the same two.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from shopferry.control import pairs
from shopferry.db import Connection
from shopferry.engine import marks, mirror
from shopferry.engine.mirror import MirrorTable
from shopferry.engine.pair import Stores
from shopferry.keys import key_text
from shopferry.privacy import columns, erasure_plan, person, told
from shopferry.privacy.person import Questions
from shopferry.privacy.told import Told
from shopferry.route.entities import EntityMapping, Standardize, name_witness
from shopferry.route.personal import Category, DataMap

Row = dict[str, Any]


@dataclass(frozen=True)
class Rows:
    """One table's rows of the person, by key, with the columns that are told; `store` is legacy or shop."""

    store: str
    table: str
    told: Told
    rows: Mapping[str, Row]


@dataclass(frozen=True)
class Moved:
    """What the move holds of them beside the stores' rows; each a list of plain values."""

    mirror: list[Row] = field(default_factory=list)  # rows that differ from legacy's
    history: list[Row] = field(default_factory=list)  # states that witnesses keep
    corrections: list[Row] = field(default_factory=list)  # raw value → what was made of it
    quarantine: list[Row] = field(default_factory=list)
    left_out: list[Row] = field(default_factory=list)
    joined: list[Row] = field(default_factory=list)  # which accounts are one customer
    compared: list[Row] = field(default_factory=list)  # how alike they are to others, and what was decided of that


@dataclass(frozen=True)
class Holdings:
    """Reads what is held on the person with these keys, on the stores' connections, in transactions that it rolls back."""

    stores: Stores
    asked: Questions
    data_map: DataMap
    persons: Mapping[str, Sequence[str]]

    @cached_property
    def mirrored(self) -> dict[str, MirrorTable]:
        """The tables of legacy's mirror."""
        return mirror.load(self.stores.target)

    def read_store(self, store: str) -> tuple[list[Rows], list[str]]:
        """Read their rows of one store, and what it has concluded about them."""
        conn = self.stores.source if store == "legacy" else self.stores.target
        schema = "public" if store == "legacy" else self.stores.route.shop_schema
        names: dict[str, list[str]] = {}
        for _, table, column in columns.read_columns(conn, [schema]):
            names.setdefault(table, []).append(column)
        plans = erasure_plan.draw(conn, self.data_map, store, schema, self.asked.tables(store))
        order = self.asked.tables(store)
        found = []
        with _looking(conn):
            person.stage(conn, self.asked, store, self.persons[store])
            for plan in sorted(plans, key=lambda p: order.index(p.table[1])):
                table = plan.table[1]
                chosen = told.choose(self.data_map, "legacy" if store == "legacy" else schema, table, names[table])
                types = (
                    {c.name: c.type for c in self.mirrored[table].columns} if self._is_mirrored(store, table) else {}
                )
                shown = {c: _cast(c, types.get(c)) for c in chosen.lines}
                found.append(Rows(store, table, chosen, _read(conn, plan.name, plan.theirs, plan.key, shown)))
            return found, person.find_derived(conn, self.asked, store)

    def _is_mirrored(self, store: str, table: str) -> bool:
        return store == "legacy" and table in self.mirrored

    def read_moved(self, legacy: Sequence[Rows]) -> Moved:
        """Read what the move holds of them; `legacy` are their rows there."""
        there = {rows.table: rows for rows in legacy}
        tables = [self.mirrored[t] for t in self.asked.tables("legacy") if t in self.mirrored]
        if self.asked.tables("legacy")[0] not in self.mirrored:
            return Moved()
        conn = self.stores.target
        with _looking(conn):
            # The queries name legacy's tables as legacy does; here these are the mirror's views.
            conn.execute(SQL("SET LOCAL search_path TO {}, public").format(Identifier(self.stores.route.schema)))
            person.stage(conn, self.asked, "legacy", self.persons["legacy"], self.mirrored)
            mine = {t.name: self._read_mirrored(conn, t) for t in tables}
            for table in tables:
                self._stage_states(conn, table, self.stores.route.witnessed.get(table.name, ()))
            return Moved(
                [row for t in tables for row in _differing(t, mine[t.name], there)],
                [row for t in tables if t.name in self.stores.route.witnessed for row in self._read_states(conn, t)],
                self._read_corrections(conn, {t.name for t in tables}),
                list(self._read_outcomes(conn, "quarantine", mine)),
                list(self._read_outcomes(conn, "left_out", mine)),
                self._read_joined(conn),
                self._read_compared(conn),
            )

    def _choose(self, table: MirrorTable, names: Sequence[str]) -> Told:
        return told.choose(self.data_map, table.schema, table.name, names)

    def _read_mirrored(self, conn: Connection, table: MirrorTable) -> dict[str, Row]:
        """Read their rows of one mirror table, and keep them whole as `mine_<table>`, for what is asked of them next."""
        theirs = Identifier(f"their_{table.name}")
        conn.execute(
            SQL(
                "CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT t.* FROM {} t WHERE ({}) IN (SELECT {} FROM {} p)"
            ).format(_mine(table.name), table.view, _list("t", table.key), _list("p", table.key), theirs)
        )
        conn.execute(SQL("ANALYZE {}").format(_mine(table.name)))
        shown = {c: _cast(c, None) for c in self._choose(table, table.names).lines}
        return _read(conn, _mine(table.name), theirs, table.key, shown)

    def _stage_states(self, conn: Connection, table: MirrorTable, witnessed: Sequence[str]) -> None:
        """Make `states_<table>` of what a witness keeps of their rows.

        A row may have been somebody else's before: only states with today's owner count, and where it is not the account
        itself with today's address.
        """
        if not witnessed:
            return
        owning = {Category.KEY} if table.name == self.asked.tables("legacy")[0] else {Category.KEY, Category.CONTACT}
        same = [
            SQL("w.{0} IS NOT DISTINCT FROM m.{0}").format(Identifier(c))
            for c in witnessed
            if (line := self.data_map.find(table.schema, table.name, c)) is None or line.category in owning
        ]
        conn.execute(
            SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT w.* FROM {} w JOIN {} m ON {} WHERE NOT w._gone").format(
                _states(table.name),
                Identifier("ferry", name_witness(table.name)),
                _mine(table.name),
                SQL(" AND ").join([*(SQL("w.{0} = m.{0}").format(Identifier(k)) for k in table.key), *same]),
            )
        )

    def _read_states(self, conn: Connection, table: MirrorTable) -> list[Row]:
        names = [c for c in self.stores.route.witnessed[table.name] if c not in table.key]
        shown = {c: _cast(c, None) for c in self._choose(table, names).lines}
        rows = conn.execute(
            SQL("SELECT {}, t._known, {} FROM {} t ORDER BY t._lsn").format(
                key_text(table.key, "t"), _as_json(shown), _states(table.name)
            )
        ).fetchall()
        return [
            {"table": f"legacy.{table.name}", "key": key, "known": known.isoformat(), "values": _load(values)}
            for key, known, values in rows
        ]

    def _read_corrections(self, conn: Connection, staged: set[str]) -> list[Row]:
        """Read what was made of their raw values, where it is something else; keyed marks are no corrections."""
        found = []
        for wanted in sorted(self._list_judged(staged), key=lambda w: (w.table, w.expression, w.kind)):
            chosen = self._choose(self.mirrored[wanted.table], self.mirrored[wanted.table].names)
            read = [
                c for c in self.mirrored[wanted.table].names if re.search(rf"\b{re.escape(c)}\b", wanted.expression)
            ]
            if not set(read) <= chosen.lines.keys():
                continue
            rows = conn.execute(
                SQL(
                    "SELECT DISTINCT v.raw, v.value, v.problem FROM (SELECT ({})::text AS raw FROM {}) r "
                    "JOIN ferry.standardized v ON v.kind = {} AND md5(v.raw) = md5(r.raw) AND v.raw = r.raw "
                    "WHERE v.value IS DISTINCT FROM v.raw ORDER BY 1"
                ).format(
                    SQL(wanted.expression),
                    _states(wanted.table) if wanted.of_witness else _mine(wanted.table),
                    Literal(wanted.kind),
                )
            ).fetchall()
            made = {"table": f"legacy.{wanted.table}", "columns": read, "kind": wanted.kind}
            found += [made | {"raw": raw, "value": value, "problem": problem} for raw, value, problem in rows]
        return [row for n, row in enumerate(found) if row not in found[:n]]

    def _list_judged(self, staged: set[str]) -> set[Standardize]:
        route = self.stores.route
        return {
            wanted
            for unit in route.units
            for wanted in unit.standardize
            if wanted.table in staged
            and not wanted.kind.endswith(marks.SUFFIX)
            and (not wanted.of_witness or wanted.table in route.witnessed)
        }

    def _read_outcomes(self, conn: Connection, outcome: str, mine: Mapping[str, Mapping[str, Row]]) -> Iterator[Row]:
        """Read what waits in quarantine, or was left out by a rule, of what became of their rows; with the rows themselves."""
        reasons = SQL("reasons, since" if outcome == "quarantine" else "ARRAY[reason], NULL::timestamptz")
        for unit in self.stores.route.units:
            if not isinstance(unit, EntityMapping) or not (theirs := self._match(unit, mine.keys())):
                continue
            rows = conn.execute(
                SQL("SELECT row_key, {} FROM {} q WHERE entity = {} AND ({}) ORDER BY 1").format(
                    reasons, Identifier("ferry", outcome), Literal(unit.entity), theirs
                )
            ).fetchall()
            counted = unit.counts.table if unit.counts else ""
            for key, why, since in rows:
                row = {"entity": unit.entity, "row": key, "reasons": why, "values": mine.get(counted, {}).get(key)}
                yield row | ({"since": since.isoformat()} if since else {})

    def _match(self, unit: EntityMapping, staged: Collection[str]) -> Composed | None:
        """Compose which entries of an entity are about their rows: by legacy's row where it is counted, else by its key."""
        counts = unit.counts
        if counts and counts.table in staged:
            return SQL("q.row_key IN (SELECT {}::text FROM {})").format(Identifier(counts.column), _mine(counts.table))
        ways: list[Composable] = [
            SQL("q.key IN (SELECT {}::text FROM {})").format(Identifier(str(s.column)), _mine(s.name))
            for s in unit.simple_sources
            if s.is_captured and s.name in staged and str(s.column).isidentifier()
        ]
        if any(s.is_identity and s.name == self.asked.identity for s in unit.simple_sources):
            ways.append(SQL("q.key = ANY({})").format(Literal(list(self.persons["shop"]))))
        return SQL(" OR ").join(ways) if ways else None

    def _read_joined(self, conn: Connection) -> list[Row]:
        rows = conn.execute(
            "SELECT legacy_key::text, coalesce(shop_id, shop_key::text), cluster FROM ferry.identity "
            "WHERE entity = %s AND legacy_key::text = ANY(%s) ORDER BY legacy_key",
            (self.asked.identity, list(self.persons["legacy"])),
        ).fetchall()
        return [{"account": account, "customer": customer, "joined by": by} for account, customer, by in rows]

    def _read_compared(self, conn: Connection) -> list[Row]:
        """Read the pairs of their accounts. The other account may be somebody else's, so its number is not told."""
        mine = {int(key) for key in self.persons["legacy"] if key.isdecimal()}
        found = pairs.load_of_keys(conn, self.stores.route.base_name, self.asked.identity, sorted(mine))
        return [
            {
                "account": str(account),
                "compared with": str(other) if other in mine else "another account",
                "score": round(pair.score, 2),
                "decided": None if pair.state == "new" else pair.state,
            }
            for pair in found
            for account, other in ((pair.a, pair.b), (pair.b, pair.a))
            if account in mine
        ]


@contextmanager
def _looking(conn: Connection) -> Iterator[None]:
    """One look at a store: nothing of it is kept, and nothing changes meanwhile."""
    with conn.transaction(force_rollback=True):
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield


def _mine(table: str) -> Identifier:
    return Identifier("pg_temp", f"mine_{table}")


def _states(table: str) -> Identifier:
    return Identifier("pg_temp", f"states_{table}")


def _list(alias: str, names: Sequence[str]) -> Composed:
    return SQL(", ").join(Identifier(alias, name) for name in names)


def _cast(column: str, kind: str | None) -> Composable:
    """Compose a column of `t`, in the mirror's type where legacy's is to be compared with it."""
    return SQL("t.{0}::{1} AS {0}").format(Identifier(column), SQL(kind)) if kind else Identifier("t", column)


def _as_json(shown: Mapping[str, Composable]) -> Composed:
    return SQL("(SELECT to_json(v) FROM (SELECT {}) v)::text").format(SQL(", ").join(shown.values()))


def _read(
    conn: Connection, relation: Composable, theirs: Composable, key: Sequence[str], shown: Mapping[str, Composable]
) -> dict[str, Row]:
    """Read the staged person's rows of one relation, by key."""
    rows = conn.execute(
        SQL("SELECT {}, {} FROM {} t WHERE ({}) IN (SELECT {} FROM {} p) ORDER BY {}").format(
            key_text(key, "t"), _as_json(shown), relation, _list("t", key), _list("p", key), theirs, _list("t", key)
        )
    ).fetchall()
    return {name: _load(values) for name, values in rows}


def _load(values: str) -> Row:
    row: Row = json.loads(values, parse_float=Decimal)  # 10.50 is not 10.5
    return row


def _differing(table: MirrorTable, mine: Mapping[str, Row], there: Mapping[str, Rows]) -> Iterator[Row]:
    """Yield the mirror's rows that legacy does not have so."""
    theirs = there[table.name].rows
    for key, row in mine.items():
        if key not in theirs or any(theirs[key].get(c) != v for c, v in row.items()):
            yield {"table": f"legacy.{table.name}", "key": key, "values": row}
