"""The columns of the tables that a route fills, as they were when it was installed: what the application changes is named.

A shop's application migrates its own tables while it is moved. A column that is gone stops what writes it; one that has come is
noted, for no mapping fills it.
"""

from __future__ import annotations

from collections.abc import Sequence

from shopferry.db import Connection

_COLUMNS = """
SELECT e.name AS entity, a.attname AS name,
       a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = '' AS required
FROM unnest(%(entities)s::text[]) AS e (name)
JOIN pg_class c ON c.oid = to_regclass(e.name)
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
"""


def record(conn: Connection, route: str, entities: Sequence[str]) -> None:
    """Record the columns of these tables as they are now."""
    conn.execute("DELETE FROM ferry.target_column WHERE route = %s", (route,))
    conn.execute(
        f"""INSERT INTO ferry.target_column (route, entity, name)
            SELECT %(route)s, entity, name FROM ({_COLUMNS}) c""".encode(),
        {"route": route, "entities": list(entities)},
    )


def find_lost(conn: Connection, route: str, entities: Sequence[str]) -> list[str]:
    """Find the columns that are gone since, one clause each."""
    rows = conn.execute(
        f"""SELECT t.entity || '.' || t.name || ' is gone or renamed'
            FROM ferry.target_column t LEFT JOIN ({_COLUMNS}) c ON (c.entity, c.name) = (t.entity, t.name)
            WHERE t.route = %(route)s AND t.entity = ANY(%(entities)s) AND c.name IS NULL ORDER BY 1""".encode(),
        {"route": route, "entities": list(entities)},
    ).fetchall()
    return [clause for (clause,) in rows]


def find_added(conn: Connection, route: str, entities: Sequence[str], *, required: bool) -> list[str]:
    """Find the columns that have come since, one clause each; `required`, those that refuse every row without a value."""
    rows = conn.execute(
        f"""SELECT c.entity || '.' || c.name || ' has come' || CASE WHEN c.required
                   THEN ', is NOT NULL and has no default: every new row is refused' ELSE '' END
            FROM ({_COLUMNS}) c
            WHERE (c.required OR NOT %(required)s)
              AND EXISTS (SELECT FROM ferry.target_column t WHERE t.route = %(route)s AND t.entity = c.entity)
              AND NOT EXISTS (SELECT FROM ferry.target_column t
                              WHERE t.route = %(route)s AND (t.entity, t.name) = (c.entity, c.name))
            ORDER BY 1""".encode(),
        {"route": route, "entities": list(entities), "required": required},
    ).fetchall()
    return [clause for (clause,) in rows]


def load_columns(conn: Connection, entities: Sequence[str]) -> dict[str, bool]:
    """Load the columns of these tables as `schema.table.column`, each with whether it refuses a row without a value."""
    rows = conn.execute(
        f"SELECT c.entity || '.' || c.name, c.required FROM ({_COLUMNS}) c".encode(), {"entities": list(entities)}
    ).fetchall()
    return dict(rows)
