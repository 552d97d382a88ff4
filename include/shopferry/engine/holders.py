"""The holder of a unique value: the aggregate whose row keeps another row out of the target.

The refused row is tried again when its holder has been merged. The value itself is not kept: it may be a person's.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier

from shopferry.db import Connection
from shopferry.engine.statements import Statements, load_columns
from shopferry.engine.writes import RESERVED, good_rows, load_casts, target_of
from shopferry.route.entities import EntityMapping

NOT_UNIQUE = "23505"
# What a unique index is over, part by part; its condition; and the columns that it reads.
_INDEX = """
SELECT array_agg(pg_get_indexdef(i.indexrelid, n, true) ORDER BY n), pg_get_expr(i.indpred, i.indrelid),
       (SELECT array_agg(a.attname) FROM pg_attribute a WHERE a.attrelid = i.indrelid AND (
            a.attnum = ANY (i.indkey::int2[]) OR EXISTS (
                SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                    AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum)))
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid CROSS JOIN generate_series(1, i.indnkeyatts) n
WHERE i.indrelid = to_regclass(%s) AND c.relname = %s AND i.indisunique
GROUP BY i.indexrelid, i.indpred, i.indrelid, i.indkey
"""
# The target's columns but for generated ones that are not asked for: each with its type, what it is given where nothing is
# yielded, and whether it is generated. A number of a sequence stands in no other row, so it is left out.
_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod),
       CASE WHEN pg_get_expr(d.adbin, d.adrelid) !~ '\\mnextval\\(' THEN pg_get_expr(d.adbin, d.adrelid) ELSE 'NULL' END,
       a.attgenerated <> ''
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped AND (a.attgenerated = '' OR a.attname = ANY (%s))
"""


def find_holder(conn: Connection, unit: EntityMapping, own: Statements, error: psycopg.Error) -> str | None:
    """Find the aggregate whose row keeps out what the one affected key yields, as text.

    None where the database refused it for another reason, where its own rows are in each other's way, and where the index
    cannot be computed from what the mapping yields.
    """
    if error.sqlstate != NOT_UNIQUE:
        return None
    index = conn.execute(_INDEX, (unit.entity, error.diag.constraint_name)).fetchone()
    if not index:
        return None
    parts, condition = [SQL(part) for part in index[0]], SQL(index[1] or "true")
    wanted = SQL("SELECT DISTINCT {} FROM ({}) n WHERE {}").format(
        SQL(", ").join(SQL("{} AS {}").format(p, Identifier(f"part {n}")) for n, p in enumerate(parts)),
        _compose_rows(conn, unit, own, index[2]),
        condition,
    )
    held = SQL(
        "SELECT t.{scope}::text FROM ({wanted}) w JOIN {target} t ON {same} AND ({condition}) "
        "WHERE t.{scope} NOT IN (SELECT key FROM {affected}) LIMIT 1"
    ).format(
        scope=Identifier(unit.scope),
        wanted=wanted,
        target=target_of(unit),
        same=SQL(" AND ").join(SQL("{} = {}").format(p, Identifier("w", f"part {n}")) for n, p in enumerate(parts)),
        condition=condition,
        affected=own.affected,
    )
    try:
        with conn.transaction():
            conn.execute(own.fill.encode())
            found = conn.execute(held).fetchone()
            conn.execute(SQL("DELETE FROM {}").format(own.yielded))
    except (psycopg.errors.UndefinedColumn, psycopg.DataError):
        return None
    return found[0] if found else None


def _compose_rows(conn: Connection, unit: EntityMapping, own: Statements, read: Sequence[str]) -> Composed:
    """Compose a SELECT of the rows as the target would have them: what is yielded, and what it gives itself.

    They have its own columns, and those generated ones that are `read`. A row that stands keeps the values that a new one would
    be given.
    """
    yielded = load_columns(conn, f"pg_temp.yielded_{unit.slug}")
    casts = {c: cast for c, cast in load_casts(conn, unit.entity).items() if c in yielded and c not in RESERVED}
    values = [_name(cast.format(Identifier("y", c)), c) for c, cast in casts.items()]
    made: list[Composable] = [SQL("r.*")]
    for column, kind, given, generated in conn.execute(_COLUMNS, (unit.entity, list(read))).fetchall():
        value = SQL("({})::{}").format(SQL(given), SQL(kind))
        if generated:
            made.append(_name(value, column))
        elif column not in casts:
            stands = SQL("CASE WHEN t.{} IS NULL THEN {} ELSE t.{} END")
            values.append(_name(stands.format(Identifier(unit.scope), value, Identifier(column)), column))
    return SQL("SELECT {} FROM (SELECT {} FROM {} y LEFT JOIN {} t ON {} WHERE {}) r").format(
        SQL(", ").join(made),
        SQL(", ").join(values),
        own.yielded,
        target_of(unit),
        SQL(" AND ").join(
            SQL("t.{0} = {1}").format(Identifier(k), casts[k].format(Identifier("y", k))) for k in unit.key
        ),
        good_rows(list(yielded)),
    )


def _name(value: Composable, column: str) -> Composed:
    return SQL("{} AS {}").format(value, Identifier(column))
