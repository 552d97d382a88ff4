"""Captured tables whose rows the source's own application cannot change any more, because we publish some columns alone.

PostgreSQL refuses UPDATE and DELETE in a published table, or partition of one, whose REPLICA IDENTITY is not among the
published columns. The assessment looks before anything is published; this looks at what is published now.
"""

from __future__ import annotations

from shopferry.db import Connection

_REFUSED = """
WITH published AS (
    SELECT (quote_ident(schemaname) || '.' || quote_ident(tablename))::regclass AS oid, attnames::text[] AS columns
    FROM pg_publication_tables WHERE pubname = %s
), written AS (
    SELECT oid, columns FROM published
    UNION SELECT t.relid, p.columns FROM published p, pg_partition_tree(p.oid) t
), judged AS (
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, c.relreplident AS letter, w.columns, i.*
    FROM written w JOIN pg_class c ON c.oid = w.oid AND c.relkind = 'r' JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (
        SELECT coalesce(bool_and(x.indimmediate), true) AS immediate, array_agg(a.attname::text) AS named
        FROM pg_attribute a LEFT JOIN pg_index x ON x.indrelid = a.attrelid AND a.attnum = ANY(x.indkey)
             AND CASE c.relreplident WHEN 'd' THEN x.indisprimary WHEN 'i' THEN x.indisreplident END
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND (c.relreplident = 'f' OR x.indexrelid IS NOT NULL)
    ) i
)
SELECT name, CASE WHEN letter = 'n' OR named IS NULL THEN 'is NOTHING'
                  WHEN NOT immediate THEN 'is a key that is DEFERRABLE'
                  WHEN letter = 'f' THEN 'is FULL'
                  ELSE 'holds columns that are not published' END
FROM judged WHERE letter = 'n' OR named IS NULL OR NOT immediate OR NOT named <@ columns ORDER BY 1
"""


def find_refused(source: Connection, publication: str) -> list[str]:
    """Find the published tables in which every UPDATE and DELETE fails now, one clause each."""
    return [
        f"the REPLICA IDENTITY of {name} {what}" for name, what in source.execute(_REFUSED, (publication,)).fetchall()
    ]
