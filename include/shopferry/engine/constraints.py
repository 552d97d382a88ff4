"""What the target's own constraints do beside a merge: unique keys that change places, foreign keys that delete or empty.

The merge writes one row after the other, so an immediate unique index refuses two rows that swap their values: these are
parked on other values first. And a row that leaves takes others along (ON DELETE CASCADE) or empties their columns (SET
NULL, SET DEFAULT), which no change of a source tells of: their aggregates are noted, and merged again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from psycopg.sql import SQL, Composable, Composed, Identifier

from shopferry.db import Connection
from shopferry.engine.writes import Writes, target_of
from shopferry.route.entities import EntityMapping
from shopferry.route.route import Route

_TEXTS = ("text", "varchar", "bpchar", "citext")
# The columns of each immediate unique index but the primary key, those of its expressions and of its condition too.
_UNIQUE = """
SELECT i.indexrelid::bigint, coalesce((to_jsonb(i)->>'indnullsnotdistinct')::boolean, false), array_agg(DISTINCT c.attnum)
FROM pg_index i
CROSS JOIN LATERAL (
    SELECT k AS attnum FROM unnest(i.indkey::int2[]) k WHERE k > 0
    UNION
    SELECT d.refobjsubid FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refclassid = 'pg_class'::regclass
      AND d.refobjid = i.indrelid AND d.refobjsubid > 0 AND i.indexprs IS NOT NULL
) c
WHERE i.indrelid = to_regclass(%s) AND i.indisunique AND i.indimmediate AND NOT i.indisprimary AND i.indisvalid
GROUP BY 1, 2 ORDER BY 1
"""
# The condition of each of these that has one, and the columns that stand in it alone.
_CONDITIONS = """
SELECT pg_get_expr(i.indpred, i.indrelid), array_agg(DISTINCT d.refobjsubid ORDER BY d.refobjsubid)
FROM pg_index i
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refclassid = 'pg_class'::regclass
                AND d.refobjid = i.indrelid AND d.refobjsubid > 0 AND d.refobjsubid <> ALL(i.indkey::int2[])
WHERE i.indrelid = to_regclass(%s) AND i.indisunique AND i.indimmediate AND i.indisvalid
  AND i.indpred IS NOT NULL AND i.indexprs IS NULL
GROUP BY i.indexrelid, i.indpred, i.indrelid ORDER BY i.indexrelid
"""
_COLUMNS = """
SELECT a.attnum, a.attname, a.attnotnull, b.typname, CASE WHEN a.atttypmod > 4 THEN a.atttypmod - 4 END
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_type b ON b.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
"""
_FOREIGN = """
SELECT pn.nspname || '.' || p.relname, c.confdeltype = 'c',
       (SELECT array_agg(a.attname ORDER BY k.n) FROM unnest(c.conkey) WITH ORDINALITY k (attnum, n)
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum),
       (SELECT array_agg(a.attname ORDER BY k.n) FROM unnest(c.confkey) WITH ORDINALITY k (attnum, n)
        JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.attnum),
       n.nspname || '.' || t.relname
FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
JOIN pg_class p ON p.oid = c.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE c.contype = 'f' AND c.confdeltype IN ('c', 'n', 'd') AND c.conparentid = 0
  AND pn.nspname || '.' || p.relname = ANY(%(entities)s) AND n.nspname || '.' || t.relname = ANY(%(entities)s)
ORDER BY c.conname
"""


def compose_parking(conn: Connection, rows: Writes) -> list[Composed]:
    """Compose what gives rows whose unique values change others that nobody has; an index that allows none is passed over."""
    unit, cast, target = rows.unit, rows.cast, target_of(rows.unit)
    columns = {number: rest for number, *rest in conn.execute(_COLUMNS, (rows.unit.entity,)).fetchall()}
    found = []
    for _, nulls_collide, numbers in conn.execute(_UNIQUE, (rows.unit.entity,)).fetchall():
        listed = [columns[n] for n in numbers if columns[n][0] in cast]
        names = [name for name, *_ in listed]
        if set(names) <= set(unit.key):
            continue
        free = [c for c in listed if c[0] not in unit.key and c[0] != unit.scope]
        empty = next((name for name, required, _, _ in free if not required and not nulls_collide), None)
        text = next(((name, most) for name, _, kind, most in free if kind in _TEXTS and (most or 32) >= 16), None)
        if empty:
            column, value = empty, SQL("NULL")
        elif text:
            column, value = text[0], SQL(f"left(md5(ROW(t.*)::text || random()), {min(text[1] or 32, 32)})")
        else:
            continue
        found.append(
            SQL("UPDATE {} t SET {} = {} FROM {} y WHERE {} AND {} AND ROW({}) IS DISTINCT FROM ROW({})").format(
                target,
                Identifier(column),
                value,
                rows.yielded,
                rows.same,
                rows.good,
                SQL(", ").join(SQL("t.{}").format(Identifier(n)) for n in names),
                SQL(", ").join(cast[n] for n in names),
            )
        )
    return found


def compose_leaving_first(conn: Connection, rows: Writes) -> list[Composed]:
    """Compose what takes rows out of a unique index whose condition they no longer meet, before others come into it.

    The columns of the condition get their new values early: a row in the index leaves it so, or stays with its key.
    """
    cast, target = rows.cast, target_of(rows.unit)
    columns = {number: name for number, name, *_ in conn.execute(_COLUMNS, (rows.unit.entity,)).fetchall()}
    found = []
    for condition, numbers in conn.execute(_CONDITIONS, (rows.unit.entity,)).fetchall():
        names = [columns[n] for n in numbers if columns[n] in cast and columns[n] not in rows.numbered]
        if names:
            found.append(
                SQL("UPDATE {} t SET {} FROM {} y WHERE {} AND {} AND ROW({}) IS DISTINCT FROM ROW({}) ").format(
                    target,
                    SQL(", ").join(SQL("{} = {}").format(Identifier(n), cast[n]) for n in names),
                    rows.yielded,
                    rows.same,
                    rows.good,
                    SQL(", ").join(SQL("t.{}").format(Identifier(n)) for n in names),
                    SQL(", ").join(cast[n] for n in names),
                )
                + SQL("AND EXISTS (SELECT FROM (SELECT t.*) held WHERE {})").format(SQL(condition))
            )
    return found


@dataclass(frozen=True)
class Follower:
    """Rows of an entity that go, or lose a value, with rows of another; those that go may have followers of their own."""

    unit: EntityMapping
    goes: bool
    columns: tuple[str, ...]
    referenced: tuple[str, ...]
    own: tuple[Follower, ...] = field(default=())

    @property
    def noted(self) -> Identifier:
        """The temp table of its aggregates that are to be merged again."""
        return name_followed(self.unit)


def name_followed(unit: EntityMapping) -> Identifier:
    """Return the temp table of a unit's aggregates that a foreign key has touched."""
    return Identifier("pg_temp", f"followed_{unit.slug}")


def find_followers(conn: Connection, route: Route) -> dict[str, tuple[Follower, ...]]:
    """Find for each entity of the route what a foreign key of the target makes follow when one of its rows is deleted."""
    keys = conn.execute(_FOREIGN, {"entities": route.entities}).fetchall()

    def follow(parent: str, seen: tuple[str, ...]) -> tuple[Follower, ...]:
        return tuple(
            Follower(unit, goes, tuple(columns), tuple(referenced), follow(child, (*seen, child)) if goes else ())
            for of, goes, columns, referenced, child in keys
            if of == parent and child not in seen
            for unit in route.mappings
            if unit.entity == child
        )

    return {entity: follow(entity, (entity,)) for entity in route.entities}


def check_deferred(conn: Connection) -> None:
    """Check all that is checked at commit now, where there is still a way back. Raises what the database refuses."""
    conn.execute(b"SET CONSTRAINTS ALL IMMEDIATE", prepare=True)
    conn.execute(b"SET CONSTRAINTS ALL DEFERRED", prepare=True)


def list_followers(followers: Sequence[Follower]) -> list[EntityMapping]:
    """List the units that follow, near and far."""
    return [u for f in followers for u in (f.unit, *list_followers(f.own))]


def stage(conn: Connection, followers: Sequence[Follower]) -> None:
    """Make sure of the temp tables of the followers' aggregates."""
    for unit in list_followers(followers):
        conn.execute(
            SQL("CREATE TEMP TABLE IF NOT EXISTS {} AS SELECT {} AS key FROM {} WITH NO DATA").format(
                Identifier(f"followed_{unit.slug}"), Identifier(unit.scope), target_of(unit)
            )
        )


def compose_following(
    unit: EntityMapping, affected: Identifier, leaves: Composable, followers: Sequence[Follower]
) -> Composed | None:
    """Compose what notes the aggregates that follow the rows of the affected keys that `leaves` is true of; None without any."""
    if not followers:
        return None
    parts = [
        SQL("l AS MATERIALIZED (SELECT t.* FROM {} t JOIN {} a ON t.{} = a.key WHERE {})").format(
            target_of(unit), affected, Identifier(unit.scope), leaves
        )
    ]
    _add_following(parts, "l", followers)
    return SQL("WITH {} SELECT 1").format(SQL(", ").join(parts))


def _add_following(parts: list[Composed], leaving: str, followers: Sequence[Follower]) -> None:
    for number, f in enumerate(followers):
        name = f"{leaving}_{number}"
        joined = SQL(" AND ").join(
            SQL("c.{} = p.{}").format(Identifier(c), Identifier(r))
            for c, r in zip(f.columns, f.referenced, strict=True)
        )
        parts.append(
            SQL("{} AS MATERIALIZED (SELECT c.* FROM {} c JOIN {} p ON {})").format(
                Identifier(name), target_of(f.unit), Identifier(leaving), joined
            )
        )
        parts.append(
            SQL("{} AS (INSERT INTO {} SELECT DISTINCT {} FROM {} WHERE {} IS NOT NULL)").format(
                Identifier(f"{name}_noted"),
                f.noted,
                Identifier(f.unit.scope),
                Identifier(name),
                Identifier(f.unit.scope),
            )
        )
        _add_following(parts, name, f.own)
