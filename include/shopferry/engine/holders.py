"""The holder of a unique value: the aggregate whose row keeps another row out of the target.

The refused row is tried again when its holder has been merged. The value itself is not kept: it may be a person's.
"""

from __future__ import annotations

import psycopg
from psycopg.sql import SQL, Identifier

from shopferry.db import Connection
from shopferry.engine.statements import Statements, load_columns
from shopferry.engine.writes import RESERVED, good_rows, load_casts, target_of
from shopferry.route.entities import EntityMapping

NOT_UNIQUE = "23505"
# What a unique index is over, part by part, and its condition.
_INDEX = """
SELECT array_agg(pg_get_indexdef(i.indexrelid, n, true) ORDER BY n), pg_get_expr(i.indpred, i.indrelid)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid CROSS JOIN generate_series(1, i.indnkeyatts) n
WHERE i.indrelid = to_regclass(%s) AND c.relname = %s AND i.indisunique
GROUP BY i.indexrelid, i.indpred, i.indrelid
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
    yielded = load_columns(conn, f"pg_temp.yielded_{unit.slug}")
    casts = {c: cast for c, cast in load_casts(conn, unit.entity).items() if c in yielded and c not in RESERVED}
    # The index's expressions name its table's columns alone, so each side must have just these.
    wanted = SQL(
        "SELECT DISTINCT {parts} FROM (SELECT {columns} FROM {yielded} y WHERE {good}) n WHERE {condition}"
    ).format(
        parts=SQL(", ").join(SQL("{} AS {}").format(p, Identifier(f"part {n}")) for n, p in enumerate(parts)),
        columns=SQL(", ").join(
            SQL("{} AS {}").format(v.format(Identifier("y", c)), Identifier(c)) for c, v in casts.items()
        ),
        yielded=own.yielded,
        good=good_rows(list(yielded)),
        condition=condition,
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
