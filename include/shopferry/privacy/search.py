"""Where values still stand: every text in every table of both stores, and in our own files; told by place, never by value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from psycopg.sql import SQL, Identifier, Literal

from shopferry.db import Connection

_MIN = 6  # characters: a shorter value is found everywhere
_TABLES = """
SELECT n.nspname, c.relname, array_agg(a.attname::text ORDER BY a.attnum)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^(pg_|information_schema)'
  AND (t.typcategory IN ('S', 'U', 'A', 'E') OR t.typname IN ('json', 'jsonb', 'bytea'))
GROUP BY 1, 2 ORDER BY 1, 2
"""


def search_store(
    conn: Connection,
    values: Iterable[str],
    keeps: Callable[[str, str, str], bool],
    skip: Sequence[tuple[str, str]] = (),
) -> dict[str, int]:
    """Count the rows that hold any of the values, by `schema.table`; `keeps` says of a column that it may hold them.

    Letters count without their case. One pass over each table; `skip` are tables that hold them until the search is over.
    """
    patterns = [f"%{_escape(v.casefold())}%" for v in sorted(set(values)) if len(v) >= _MIN]
    if not patterns:
        return {}
    found = {}
    for schema, table, columns in conn.execute(_TABLES).fetchall():
        looked = [c for c in columns if not keeps(schema, table, c)]
        if not looked or (schema, table) in skip:
            continue
        text = SQL(", ").join(SQL("{}::text").format(Identifier(c)) for c in looked)
        query = SQL("SELECT count(*) FROM {} WHERE lower(concat_ws(' ', {})) LIKE ANY ({})").format(
            Identifier(schema, table), text, Literal(patterns)
        )
        if (row := conn.execute(query).fetchone()) and row[0]:
            found[f"{schema}.{table}"] = int(row[0])
    return found


def search_files(folders: Iterable[Path], values: Iterable[str]) -> dict[str, int]:
    """Count the lines that hold any of the values, by file; backups, which hold everybody, are left to their end."""
    wanted = [v.casefold() for v in values if len(v) >= _MIN]
    found = {}
    for folder in folders:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()) if folder.is_dir() else ():
            lines = file.read_text(encoding="utf-8", errors="replace").casefold().splitlines()
            if count := sum(any(v in line for v in wanted) for line in lines):
                found[str(file.relative_to(folder.parent))] = count
    return found


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
