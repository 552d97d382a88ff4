"""What was done to whole tables of the source since they were verified, of which no log tells.

DROP, TRUNCATE, ATTACH and DETACH of a partition are in no event, and neither is a rewrite such as ALTER TABLE … SET EXPRESSION.
They show by the files that hold the rows, so a verification notes these before it compares. VACUUM FULL and CLUSTER give a
table a new file too, with the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shopferry.control import differences
from shopferry.db import Connection
from shopferry.route.route import Route

_FILES = """
WITH whole AS (
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = ANY(%s)
), part AS (SELECT oid FROM whole UNION SELECT p.relid FROM whole w, pg_partition_tree(w.oid) p)
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), pg_relation_filenode(c.oid)::bigint
FROM part JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'
"""


def load_files(source: Connection, route: Route, tables: Sequence[str]) -> dict[str, int]:
    """Load the numbers of the files that hold these captured tables, by table; of a partitioned one, by partition."""
    return dict(source.execute(_FILES, (route.captured_schema, list(tables))).fetchall())


def find_unlogged(source: Connection, target: Connection, route: Route) -> list[str]:
    """Find what was done to whole tables since each phase's last verification, one clause each."""
    before: dict[str, int] = {}
    verified = differences.load_latest(target, route.name)
    for latest in verified.values():
        before |= latest.files or {}
    tables = {t for phase, latest in verified.items() if latest.files for t in route.tables_of(phase)}
    return _describe(before, load_files(source, route, sorted(tables))) if tables else []


def _describe(before: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    found = []
    for name in sorted(before.keys() | now.keys()):
        if name not in now:
            found.append(f"{name} is gone")
        elif name not in before:
            found.append(f"{name} has come")
        elif before[name] != now[name]:
            found.append(f"{name} was truncated or rewritten")
    return found
