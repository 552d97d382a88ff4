"""Merge: run the mappings for affected keys. The only write path into the shop's tables.

Backfill, replay, repair and release all end here: they say which keys, or which mirror rows changed and let the lineage
find the keys; the mapping's SELECT then says what the shop has to hold for those keys, and merge makes it so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from shopferry import mirror
from shopferry.control import identity, quarantine
from shopferry.db import Connection
from shopferry.errors import MappingError
from shopferry.mapping import Identity, Mapping, Route, Unit
from shopferry.quality import registry

RESERVED = ("problems", "left_out")


@dataclass
class Merged:
    """What a merge did to one entity, in rows."""

    keys: int = 0
    written: int = 0
    deleted: int = 0


@dataclass(frozen=True)
class _Target:
    """What the catalogue says of a mapping's target: the casts of its columns, and its deferrable constraints."""

    casts: dict[str, str]
    deferrable: tuple[str, ...]


@dataclass(frozen=True)
class Merger:
    """The units of a route on one connection; what the catalogue says of their targets is read once."""

    conn: Connection
    route: Route
    _targets: dict[str, _Target] = field(default_factory=dict)

    def propagate(self, units: Sequence[Unit], changed: Iterable[str]) -> dict[str, Merged]:
        """Merge whatever the changed relations affect, in dependency order.

        `changed` names relations ('legacy.orders') whose before and after images stand in their `changed_…` temp
        tables. An identity that moves becomes a changed relation itself. Runs in the caller's transaction.
        """
        touched = set(changed)
        done: dict[str, Merged] = {}
        for unit in units:
            sources = [s for s in unit.sources if s.relation in touched]
            if not sources:
                continue
            for wanted in unit.standardize:
                if f"legacy.{wanted.table}" in touched:
                    registry.ensure(self.conn, [wanted], Identifier("pg_temp", f"changed_{wanted.table}"))
            found = []
            for source in sources:
                relation = Identifier("pg_temp", source.changed)
                if source.column:
                    found.append(SQL("SELECT {} AS key FROM {}").format(Identifier(source.column), relation))
                else:
                    found.append(
                        SQL("SELECT key FROM (WITH changed AS (TABLE {}) {}) AS lineage (key)").format(
                            relation, SQL(str(source.lineage))
                        )
                    )
            if merged := self.merge(unit, SQL(" UNION ALL ").join(found)):
                done[unit.name] = merged
            if isinstance(unit, Identity):
                touched.add(f"identity.{unit.identity}")
        return done

    def merge(self, unit: Unit, keys: Composed) -> Merged | None:
        """Merge one unit for the keys that a SELECT yields; None when it yields none."""
        conn = self.conn
        conn.execute(
            SQL(
                "CREATE TEMP TABLE affected ON COMMIT DROP AS SELECT DISTINCT key FROM ({}) k WHERE key IS NOT NULL"
            ).format(keys)
        )
        try:
            count = self._lock(unit)
            if isinstance(unit, Identity):
                # also without a key: its `changed` temp table is what later lineage reads
                return self._identify(unit, count)
            if not count:
                return None
            assert isinstance(unit, Mapping)
            return self._merge_or_bisect(unit, count)
        finally:
            if conn.info.transaction_status is not psycopg.pq.TransactionStatus.INERROR:
                conn.execute("DROP TABLE pg_temp.affected")

    def _lock(self, unit: Unit) -> int:
        """Lock the affected keys, so that two transactions never interleave on one aggregate; returns their number.

        Buckets instead of keys bound the lock table; the order is the same for everybody, against deadlock.
        """
        row = self.conn.execute(
            """SELECT count(*), (SELECT count(pg_advisory_xact_lock(hashtext(%s), bucket))
                      FROM (SELECT DISTINCT hashtext(key::text) & 1023 AS bucket FROM pg_temp.affected ORDER BY 1) b)
               FROM pg_temp.affected""",
            (unit.name,),
        ).fetchone()
        # Without statistics the planner takes a temp table for a thousand rows and reads whole tables even for one key.
        self.conn.execute("ANALYZE pg_temp.affected")
        return int(row[0]) if row else 0

    def _identify(self, unit: Identity, count: int) -> Merged:
        self.conn.execute(SQL("CREATE TEMP TABLE wanted ON COMMIT DROP AS {}").format(SQL(unit.body)))
        self.conn.execute("ANALYZE pg_temp.wanted")
        moved = identity.resolve(self.conn, unit.identity, unit.sequence, f"changed_identity_{unit.identity}")
        self.conn.execute("DROP TABLE pg_temp.wanted")
        return Merged(keys=count, written=moved)

    def _merge_or_bisect(self, unit: Mapping, count: int) -> Merged:
        """Merge all affected keys at once; if the data is refused, halve until the refused key is alone."""
        try:
            with self.conn.transaction():
                merged = self._merge(unit)
            merged.keys = count
            return merged
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
            if count == 1:
                self._refuse(unit, error)
                return Merged(keys=1)
        total = Merged()
        keys = [r[0] for r in self.conn.execute("SELECT key FROM pg_temp.affected ORDER BY key").fetchall()]
        self.conn.execute("ALTER TABLE pg_temp.affected RENAME TO all_affected")
        half = Literal(keys[(count - 1) // 2])
        for condition in (SQL("key <= {}").format(half), SQL("key > {}").format(half)):
            self.conn.execute(
                SQL("CREATE TEMP TABLE affected ON COMMIT DROP AS SELECT key FROM pg_temp.all_affected WHERE {}").format(
                    condition
                )
            )
            row = self.conn.execute("SELECT count(*) FROM pg_temp.affected").fetchone()
            part = self._merge_or_bisect(unit, int(row[0]) if row else 0)
            total = Merged(total.keys + part.keys, total.written + part.written, total.deleted + part.deleted)
            self.conn.execute("DROP TABLE pg_temp.affected")
        self.conn.execute("ALTER TABLE pg_temp.all_affected RENAME TO affected")
        return total

    def _merge(self, unit: Mapping) -> Merged:
        """One pass over pg_temp.affected: outcomes into quarantine and left_out, rows into the target."""
        conn = self.conn
        conn.execute("SET LOCAL shopferry.writer = 'ferry'")
        conn.execute(SQL("CREATE TEMP TABLE yielded ON COMMIT DROP AS {}").format(SQL(unit.body)))
        conn.execute("ANALYZE pg_temp.yielded")
        yielded = [c.name for c in conn.execute("SELECT * FROM pg_temp.yielded LIMIT 0").description or ()]
        target = self._target(unit, yielded)
        columns = [c for c in yielded if c not in RESERVED]
        good = good_rows(yielded)
        conn.execute(
            SQL(
                "CREATE TEMP TABLE outcome ON COMMIT DROP AS SELECT {row_key}::text AS row_key, y.{scope}::text AS key, "
                "CASE WHEN cardinality(y.problems) > 0 THEN y.problems END AS reasons, {left_out} AS left_out "
                "FROM pg_temp.yielded y WHERE NOT ({good}) AND {row_key} IS NOT NULL"
            ).format(
                row_key=row_key(unit),
                scope=Identifier(unit.scope),
                left_out=SQL("CASE WHEN cardinality(y.problems) = 0 THEN y.left_out END")
                if "left_out" in yielded
                else SQL("NULL::text"),
                good=good,
            )
        )
        quarantine.settle(conn, unit.entity)
        table = target_of(unit)
        match = SQL(" AND ").join(SQL("y.{0} = t.{0}").format(Identifier(k)) for k in unit.key)
        deleted = conn.execute(
            SQL(
                "DELETE FROM {} t USING pg_temp.affected a WHERE t.{} = a.key "
                "AND NOT EXISTS (SELECT FROM pg_temp.yielded y WHERE {} AND {})"
            ).format(table, Identifier(unit.scope), good, match)
        ).rowcount
        written = conn.execute(_upsert(unit, table, columns, target, good)).rowcount
        if target.deferrable:
            names = SQL(", ").join(Identifier(unit.entity.split(".")[0], n) for n in target.deferrable)
            # Refusals must surface here, where the key can still be told, not at commit.
            conn.execute(SQL("SET CONSTRAINTS {} IMMEDIATE").format(names))
            conn.execute(SQL("SET CONSTRAINTS {} DEFERRED").format(names))
        conn.execute("DROP TABLE pg_temp.yielded, pg_temp.outcome")
        return Merged(0, written, deleted)

    def _refuse(self, unit: Mapping, error: psycopg.Error) -> None:
        """Quarantine the one affected key whose rows the database refused, and take its rows out of the shop."""
        conn = self.conn
        conn.execute("SET LOCAL shopferry.writer = 'ferry'")
        conn.execute(
            SQL("DELETE FROM {} t USING pg_temp.affected a WHERE t.{} = a.key").format(
                target_of(unit), Identifier(unit.scope)
            )
        )
        row = conn.execute("SELECT key::text FROM pg_temp.affected").fetchone()
        key = str(row[0]) if row else ""
        reason = "refused_by_constraint" if error.diag.constraint_name else "refused_by_type"
        for row_key in self._row_keys(unit, key):
            quarantine.refuse(conn, unit.entity, row_key, key, reason, error.sqlstate, error.diag.constraint_name)

    def _row_keys(self, unit: Mapping, key: str) -> list[str]:
        """The rows that a refused key stands for: what the mapping yields, or where even that fails, the key itself."""
        rows = SQL("SELECT {0}::text FROM ({1}) y WHERE {0} IS NOT NULL").format(row_key(unit), SQL(unit.body))
        try:
            with self.conn.transaction():
                return [r[0] for r in self.conn.execute(rows).fetchall()] or [key]
        except psycopg.DataError:
            return [key]

    def _target(self, unit: Mapping, yielded: Sequence[str]) -> _Target:
        if unit.name in self._targets:
            return self._targets[unit.name]
        rows = self.conn.execute(
            """SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
               WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped""",
            (unit.entity,),
        ).fetchall()
        casts = dict(rows)
        if not casts:
            raise MappingError(f"{unit.file}:1: entity {unit.entity} does not exist in the new shop")
        for needed in ("problems", unit.scope, *unit.key):
            if needed not in yielded:
                raise MappingError(f"{unit.file}:{unit.line}: the SELECT yields no column {needed!r}")
        for column in yielded:
            if column not in RESERVED and column not in casts:
                raise MappingError(f"{unit.file}:{unit.line}: {unit.entity} has no column {column!r}")
        deferrable = self.conn.execute(
            "SELECT conname FROM pg_constraint WHERE conrelid = to_regclass(%s) AND condeferrable ORDER BY 1",
            (unit.entity,),
        ).fetchall()
        self._targets[unit.name] = _Target(casts, tuple(r[0] for r in deferrable))
        return self._targets[unit.name]


def is_refusal(error: psycopg.Error) -> bool:
    """Whether the database refused the data itself (class 22 or 23), so that another try cannot help."""
    return (error.sqlstate or "")[:2] in {"22", "23"}


def target_of(unit: Mapping) -> Identifier:
    """The entity's table."""
    return Identifier(*unit.entity.split("."))


def good_rows(yielded: Sequence[str]) -> SQL:
    """The condition on `yielded y` that a row may enter the shop, given the columns the mapping yields."""
    if "left_out" in yielded:
        return SQL("cardinality(y.problems) = 0 AND y.left_out IS NULL")
    return SQL("cardinality(y.problems) = 0")


def keys_between(unit: Unit, low: Sequence[object] | None, high: Sequence[object] | None) -> Composed:
    """A SELECT of the aggregate keys in a range, from every source whose column is the key."""
    selects = []
    for source in unit.simple_sources:
        kind, _, name = source.relation.partition(".")
        column = str(source.column)
        within = mirror.key_range([column], low, high)
        if kind == "identity":
            within = SQL("entity = {} AND {}").format(Literal(name), within)
            relation = Identifier("ferry", "identity")
        else:
            relation = Identifier("legacy", name)
        selects.append(SQL("SELECT {} AS key FROM {} WHERE {}").format(Identifier(column), relation, within))
    return SQL(" UNION ALL ").join(selects)


def row_key(unit: Mapping) -> Composed:
    """What names a row of `yielded y` in quarantine: the legacy id where the entity counts one, else its key."""
    if unit.counts:
        return SQL("y.{}").format(Identifier(unit.counts.target_column))
    return SQL("concat_ws('/', {})").format(SQL(", ").join(SQL("y.{}").format(Identifier(k)) for k in unit.key))


def _upsert(
    unit: Mapping, table: Identifier, columns: Sequence[str], target: _Target, good: SQL
) -> Composed:
    key = SQL(", ").join(map(Identifier, unit.key))
    values = SQL(", ").join(SQL("y.{}::{}").format(Identifier(c), SQL(target.casts[c])) for c in columns)
    rest = [c for c in columns if c not in unit.key]
    action = SQL("NOTHING")
    if rest:
        action = SQL("UPDATE SET {} WHERE ({}) IS DISTINCT FROM ({})").format(
            SQL(", ").join(SQL("{0} = excluded.{0}").format(Identifier(c)) for c in rest),
            SQL(", ").join(SQL("t.{}").format(Identifier(c)) for c in rest),
            SQL(", ").join(SQL("excluded.{}").format(Identifier(c)) for c in rest),
        )  # type: ignore[assignment]
    return SQL("INSERT INTO {} AS t ({}) SELECT {} FROM pg_temp.yielded y WHERE {} ORDER BY {} ON CONFLICT ({}) DO {}").format(
        table, SQL(", ").join(map(Identifier, columns)), values, good, key, key, action
    )
