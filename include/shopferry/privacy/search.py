"""Where values still stand: every text in every table of both stores, and in our own files; told by place, never by value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from psycopg.sql import SQL, Composed, Identifier, Literal

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
    wanted, found = choose(values), {}
    if not wanted:
        return {}
    for schema, table, columns in conn.execute(_TABLES).fetchall():
        looked = [c for c in columns if not keeps(schema, table, c)]
        if not looked or (schema, table) in skip:
            continue
        query = SQL("SELECT count(*) FROM {} WHERE {}").format(Identifier(schema, table), match(looked, wanted))
        if (row := conn.execute(query).fetchone()) and row[0]:
            found[f"{schema}.{table}"] = int(row[0])
    return found


def search_files(folders: Iterable[Path], values: Iterable[str]) -> dict[str, int]:
    """Count the lines that hold any of the values, by file; backups, which hold everybody, are left to their end."""
    wanted = choose(values)
    found = {}
    for folder in folders:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()) if folder.is_dir() else ():
            lines = file.read_text(encoding="utf-8", errors="replace").casefold().splitlines()
            if count := sum(any(v in line for v in wanted) for line in lines):
                found[str(file.relative_to(folder.parent))] = count
    return found


def choose(values: Iterable[str]) -> list[str]:
    """Choose the values that are long enough to be searched for, without their case."""
    return sorted({v.casefold() for v in values if len(v) >= _MIN})


def match(columns: Sequence[str], values: Sequence[str]) -> Composed:
    """Make the condition that one of the columns holds one of the values, which `choose` has chosen."""
    text = SQL(", ").join(SQL("{}::text").format(Identifier(c)) for c in columns)
    return SQL("lower(concat_ws(' ', {})) LIKE ANY ({})").format(text, Literal([f"%{_escape(v)}%" for v in values]))


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
