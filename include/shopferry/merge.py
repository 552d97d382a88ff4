"""Merge: run the mappings for affected keys. The only write path into the shop's tables.

Backfill, replay, repair and release all end here: they say which keys, or which mirror rows changed and let the lineage
find the keys; the mapping's SELECT then says what the shop has to hold for those keys, and merge makes it so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
    """What a merge did to one entity, in rows; `settled` are the keys that a refusal took out of the shop or gave back."""

    keys: int = 0
    written: int = 0
    deleted: int = 0
    settled: frozenset[str] = frozenset()


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
        # All verdicts before the first key is locked, so that these two kinds of lock are always taken in one order.
        for wanted in sorted({w for u in units for w in u.standardize}, key=repr):
            if f"legacy.{wanted.table}" in touched:
                registry.ensure(self.conn, [wanted], Identifier("pg_temp", f"changed_{wanted.table}"))
        for unit in units:
            sources = [s for s in unit.sources if s.relation in touched]
            if not sources:
                continue
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
                touched |= self.ripple(unit, merged.settled)
            if isinstance(unit, Identity):
                touched.add(f"identity.{unit.identity}")
        return done

    def merge(self, unit: Unit, keys: Composed, *, disjoint: bool = False) -> Merged | None:
        """Merge one unit for the keys that a SELECT yields; None when it yields none.

        `disjoint` promises that nobody else who says so at the same time has any of these keys: chunks of one plan need
        not wait for one another, only for the stream.
        """
        conn = self.conn
        conn.execute(
            SQL(
                "CREATE TEMP TABLE affected ON COMMIT DROP AS SELECT DISTINCT key FROM ({}) k WHERE key IS NOT NULL"
            ).format(keys)
        )
        try:
            count = self._lock(unit, "_shared" if disjoint else "")
            if isinstance(unit, Identity):
                # also without a key: its `changed` temp table is what later lineage reads
                return self._identify(unit, count)
            if not count:
                return None
            assert isinstance(unit, Mapping)
            before = self._refused(unit)
            merged = self._merge_or_bisect(unit, count)
            merged.settled = before ^ self._refused(unit)
            return merged
        finally:
            if conn.info.transaction_status is not psycopg.pq.TransactionStatus.INERROR:
                conn.execute("DROP TABLE pg_temp.affected")

    def ripple(self, unit: Unit, keys: frozenset[str]) -> set[str]:
        """Have these aggregates of a unit count as changed, for whoever reads the unit's table; returns the relations.

        A refused row leaves the shop without a change of its identity or its parents; those after it must see it go.
        """
        touched = set()
        for source in unit.simple_sources if keys else ():
            kind, _, name = source.relation.partition(".")
            relation = SQL("(SELECT legacy_key, shop_key, cluster FROM ferry.identity WHERE entity = {})").format(Literal(name))
            if kind == "legacy":
                relation = Composed([Identifier("legacy", name)])
            self.conn.execute(
                SQL("CREATE TEMP TABLE IF NOT EXISTS {} ON COMMIT DROP AS SELECT * FROM {} r LIMIT 0").format(
                    Identifier(source.changed), relation
                )
            )
            self.conn.execute(
                SQL("INSERT INTO {} SELECT * FROM {} r WHERE r.{}::text = ANY({})").format(
                    Identifier("pg_temp", source.changed), relation, Identifier(str(source.column)), Literal(sorted(keys))
                )
            )
            touched.add(source.relation)
        return touched

    def _refused(self, unit: Mapping) -> frozenset[str]:
        """The affected keys that the database itself keeps out of the shop."""
        rows = self.conn.execute(
            "SELECT DISTINCT q.key FROM ferry.quarantine q JOIN pg_temp.affected a ON a.key::text = q.key "
            "WHERE q.entity = %s AND q.sqlstate IS NOT NULL",
            (unit.entity,),
        ).fetchall()
        return frozenset(r[0] for r in rows)

    def _lock(self, unit: Unit, mode: str) -> int:
        """Lock the affected keys, so that two transactions never interleave on one aggregate; returns their number.

        Buckets instead of keys bound the lock table; the order is the same for everybody, against deadlock.
        """
        row = self.conn.execute(
            SQL(
                """SELECT count(*), (SELECT count({}(hashtext({}), bucket))
                      FROM (SELECT DISTINCT hashtext(key::text) & 1023 AS bucket FROM pg_temp.affected ORDER BY 1) b)
                   FROM pg_temp.affected"""
            ).format(Identifier(f"pg_advisory_xact_lock{mode}"), Literal(unit.name))
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
        """Merge all affected keys at once; if the data is refused, find the refused keys and merge the others."""
        try:
            with self.conn.transaction():
                merged = self._merge(unit)
                self._compare_rows(unit)
            merged.keys = count
            return merged
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
        # Constraints between rows (unique, foreign key) look at all keys together: while halving, a key may miss what
        # another half has still to bring.
        try:
            with self.conn.transaction():
                merged = self._halve(unit, count, compare=False)
                self._compare_rows(unit)
                return merged
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
        # Two rows cannot both be: all affected rows leave, so that each key meets only those let in before it.
        self._take_out(unit)
        return self._halve(unit, count, compare=True)

    def _halve(self, unit: Mapping, count: int, *, compare: bool) -> Merged:
        """Merge the affected keys, by halves where they are refused, until each refused key is alone."""
        try:
            with self.conn.transaction():
                merged = self._merge(unit)
                if compare:
                    self._compare_rows(unit)
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
        aside = Identifier(f"affected_{count}")
        self.conn.execute(SQL("ALTER TABLE pg_temp.affected RENAME TO {}").format(aside))
        half = Literal(keys[(count - 1) // 2])
        for condition in (SQL("key <= {}").format(half), SQL("key > {}").format(half)):
            self.conn.execute(
                SQL("CREATE TEMP TABLE affected ON COMMIT DROP AS SELECT key FROM pg_temp.{} WHERE {}").format(
                    aside, condition
                )
            )
            row = self.conn.execute("SELECT count(*) FROM pg_temp.affected").fetchone()
            part = self._halve(unit, int(row[0]) if row else 0, compare=compare)
            total = Merged(total.keys + part.keys, total.written + part.written, total.deleted + part.deleted)
            self.conn.execute("DROP TABLE pg_temp.affected")
        self.conn.execute(SQL("ALTER TABLE pg_temp.{} RENAME TO affected").format(aside))
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
        written = sum(conn.execute(write).rowcount for write in _writes(unit, table, columns, target, good))
        conn.execute("DROP TABLE pg_temp.yielded, pg_temp.outcome")
        return Merged(0, written, deleted)

    def _compare_rows(self, unit: Mapping) -> None:
        """Check the deferred constraints now: refusals must surface where the key can still be told, not at commit."""
        target = self._targets.get(unit.name)
        if target and target.deferrable:
            names = SQL(", ").join(Identifier(unit.entity.split(".")[0], n) for n in target.deferrable)
            self.conn.execute(SQL("SET CONSTRAINTS {} IMMEDIATE").format(names))
            self.conn.execute(SQL("SET CONSTRAINTS {} DEFERRED").format(names))

    def _take_out(self, unit: Mapping) -> None:
        self.conn.execute("SET LOCAL shopferry.writer = 'ferry'")
        self.conn.execute(
            SQL("DELETE FROM {} t USING pg_temp.affected a WHERE t.{} = a.key").format(
                target_of(unit), Identifier(unit.scope)
            )
        )

    def _refuse(self, unit: Mapping, error: psycopg.Error) -> None:
        """Quarantine the one affected key whose rows the database refused, and take its rows out of the shop."""
        conn = self.conn
        self._take_out(unit)
        row = conn.execute("SELECT key::text FROM pg_temp.affected").fetchone()
        key = str(row[0]) if row else ""
        reason = "refused_by_constraint" if error.diag.constraint_name else "refused_by_type"
        quarantine.refuse_key(
            conn, unit.entity, self._row_keys(unit, key), key, reason, error.sqlstate, error.diag.constraint_name
        )

    def _row_keys(self, unit: Mapping, key: str) -> list[str]:
        """The rows that a refused key stands for: what the mapping yields, or where even that fails, what it counts."""
        rows = SQL("SELECT {0}::text FROM ({1}) y WHERE {0} IS NOT NULL").format(row_key(unit), SQL(unit.body))
        try:
            with self.conn.transaction():
                return [r[0] for r in self.conn.execute(rows).fetchall()] or [key]
        except psycopg.DataError:
            counts = unit.counts
        source = next((s for s in unit.sources if counts and s.relation == f"legacy.{counts.table}"), None)
        if counts is None or source is None:
            return [key]
        lineage = SQL("SELECT changed.{} FROM changed").format(Identifier(source.column or ""))
        if source.lineage:
            lineage = Composed([SQL(source.lineage)])
        counted = SQL(
            "SELECT DISTINCT t.{}::text FROM legacy.{} t CROSS JOIN LATERAL (WITH changed AS (SELECT t.*) {}) AS l (key) "
            "JOIN pg_temp.affected a ON a.key = l.key"
        ).format(Identifier(counts.column), Identifier(counts.table), lineage)
        return [r[0] for r in self.conn.execute(counted).fetchall()] or [key]

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


def _writes(
    unit: Mapping, table: Identifier, columns: Sequence[str], target: _Target, good: SQL
) -> Iterator[Composed]:
    """Update what stands there and differs, then insert what does not.

    Not one upsert for both: `ON CONFLICT DO UPDATE` locks each row as if its keys changed, and would so stand in the way
    of everybody who checks a foreign key on it; `UPDATE` looks at what really changes.
    """
    key = SQL(", ").join(map(Identifier, unit.key))
    same = SQL(" AND ").join(SQL("t.{0} = y.{0}").format(Identifier(k)) for k in unit.key)
    cast = {c: SQL("y.{}::{}").format(Identifier(c), SQL(target.casts[c])) for c in columns}
    rest = [c for c in columns if c not in unit.key]
    action = SQL("DO NOTHING")
    if rest:
        yield SQL("UPDATE {} t SET {} FROM pg_temp.yielded y WHERE {} AND {} AND ROW({}) IS DISTINCT FROM ROW({})").format(
            table,
            SQL(", ").join(SQL("{} = {}").format(Identifier(c), cast[c]) for c in rest),
            same,
            good,
            SQL(", ").join(SQL("t.{}").format(Identifier(c)) for c in rest),
            SQL(", ").join(cast[c] for c in rest),
        )
        action = SQL("DO UPDATE SET {}").format(  # type: ignore[assignment]
            SQL(", ").join(SQL("{0} = excluded.{0}").format(Identifier(c)) for c in rest)
        )
    yield SQL(
        "INSERT INTO {} ({}) SELECT {} FROM pg_temp.yielded y WHERE {} "
        "AND NOT EXISTS (SELECT FROM {} t WHERE {}) ORDER BY {} ON CONFLICT ({}) {}"
    ).format(
        table, SQL(", ").join(map(Identifier, columns)), SQL(", ").join(cast[c] for c in columns), good,
        table, same, key, key, action,
    )  # fmt: skip
