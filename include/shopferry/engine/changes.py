"""What changed: temp tables of rows as they were before and as they are after, each with the columns in which the two differ.

Of a source `legacy.orders` they stand in `changed_orders`, with one column more, `_touched`: the names of the columns that
the change touched. NULL there means all of them: the row came or went, or it was noted without a comparison. A mapping's
SELECT is not run for a change of columns that it does not read, which only PostgreSQL itself can tell: `reads` asks it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from shopferry.db import Connection

# Of these types two values that are equal are the same value; of others (1.10 and 1.1) their bytes must be compared.
_PLAIN = {
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "oid",
    "uuid",
    "date",
    "bytea",
    "timestamp without time zone",
    "timestamp with time zone",
    "time without time zone",
}
_TEXTS = ("text", "character varying")
_LOOSE = """
SELECT a.attname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_type b ON b.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
LEFT JOIN pg_collation c ON c.oid = a.attcollation
WHERE a.attrelid = to_regclass(%s) AND a.attname = ANY(%s)
  AND (NOT c.collisdeterministic OR b.typtype <> 'e' AND format_type(b.oid, NULL) <> ALL(%s))
ORDER BY a.attnum
"""
_DEPENDS = """
SELECT n.nspname, t.relname, a.attname,
       t.relkind IN ('r', 'p') AND NOT t.relispartition AS plain, t.relpersistence = 't' AS temporary
FROM pg_rewrite r
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
                AND d.refobjid <> r.ev_class
JOIN pg_class t ON t.oid = d.refobjid
JOIN pg_namespace n ON n.oid = t.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid AND d.refobjsubid <> 0
WHERE r.ev_class = to_regclass('pg_temp.' || %s)
"""
# A whole row stands for all its columns, which are in no catalogue then; and a function may read what it likes.
_HIDDEN = """
SELECT r.ev_action::text LIKE '%:varattno 0 %' OR EXISTS (
    SELECT FROM pg_depend d JOIN pg_proc p ON p.oid = d.refobjid
    WHERE d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_proc'::regclass
      AND p.provolatile <> 'i')
FROM pg_rewrite r WHERE r.ev_class = to_regclass('pg_temp.reading')
"""

_DROPPED = 5  # temp tables in one transaction


def stage(conn: Connection, name: str, rows: Composable) -> None:
    """Make sure of the temp table `name` for changed rows in the shape of what a SELECT yields."""
    conn.execute(
        SQL(
            "CREATE TEMP TABLE IF NOT EXISTS {} AS SELECT r.*, NULL::text[] AS _touched FROM ({}) r WITH NO DATA"
        ).format(Identifier(name), rows)
    )


def find_loose(conn: Connection, relation: str, columns: Sequence[str]) -> list[str]:
    """Find those of a relation's columns in which two values may be equal without being the same."""
    same = [*_PLAIN, *_TEXTS, "character"]
    return [name for (name,) in conn.execute(_LOOSE, (relation, list(columns), same)).fetchall()]


def compose_touched(columns: Mapping[str, str], key: str, one: str, other: str) -> Composed:
    """Compose the SQL for the names of the columns in which two joined rows differ; NULL if one row is missing.

    `key` is a column that is never null in a row that is there.
    """
    differing = SQL(", ").join(
        SQL("CASE WHEN {} THEN {} END").format(_differs(name, kind, one, other), Literal(name))
        for name, kind in columns.items()
    )
    return SQL(
        "CASE WHEN {0}.{2} IS NOT NULL AND {1}.{2} IS NOT NULL THEN array_remove(ARRAY[{3}]::text[], NULL) END"
    ).format(Identifier(one), Identifier(other), Identifier(key), differing)


def compose_note(
    changed: Identifier, columns: Mapping[str, str], key: Sequence[str], after: Composable, *, compared: bool = True
) -> Composed:
    """Compose the INSERT into `changed` of the rows that differ between two parts of a WITH, `b` before and `n` after.

    A row of `b` is looked for in `after`, which may have more rows than `n`. Not `compared`, all are noted as wholly changed.
    """
    same = SQL(" AND ").join(SQL("b.{0} = n.{0}").format(Identifier(k)) for k in key)
    differing = compose_touched(columns, key[0], "b", "n") if compared else SQL("NULL::text[]")
    before, now = (SQL(", ").join(Identifier(part, c) for c in columns) for part in "bn")
    return SQL(
        "INSERT INTO {changed} SELECT * FROM (SELECT {before}, {differing} AS _touched FROM b LEFT JOIN {after} n ON {same} "
        "UNION ALL SELECT {now}, {differing} FROM n LEFT JOIN b ON {same}) i WHERE _touched IS NULL OR cardinality(_touched) > 0"
    ).format(changed=changed, before=before, now=now, differing=differing, after=after, same=same)


def _differs(name: str, kind: str, one: str, other: str) -> Composed:
    a, b = Identifier(one, name), Identifier(other, name)
    if kind in _PLAIN:
        return SQL("{} IS DISTINCT FROM {}").format(a, b)
    if kind.partition("(")[0] in _TEXTS:
        return SQL('{} IS DISTINCT FROM {} COLLATE "C"').format(a, b)
    return SQL("ROW({})::record *<> ROW({})::record").format(a, b)


def select_touching(changed: Identifier, columns: Sequence[str] | None) -> Composable:
    """Compose a SELECT of the rows whose change touches one of these columns; of all, where the columns are not known."""
    if columns is None:
        return SQL("TABLE {}").format(changed)
    return SQL("SELECT * FROM {} WHERE _touched IS NULL OR _touched && {}::text[]").format(
        changed, Literal(list(columns))
    )


def find_dependencies(conn: Connection, view: str) -> list[tuple[str, str, str | None, bool, bool]]:
    """Find what a temp view reads: (schema, relation, column, is an ordinary table, is a temp table); a relation of which it
    reads no column comes without one."""
    return conn.execute(_DEPENDS, (view,)).fetchall()


def reads_hidden(conn: Connection) -> bool:
    """Tell whether the temp view `reading` reads what no catalogue names: a row as a whole, or by a function."""
    [(hidden,)] = conn.execute(_HIDDEN).fetchall()
    return bool(hidden)


def find_columns_read(
    conn: Connection, select: Composed, known: frozenset[str], filled: frozenset[str]
) -> dict[str, list[str]] | None:
    """Find the columns that a SELECT reads of each relation; None if a change could reach it by a way that is not declared.

    `known` are the relations whose changes are noted for it, and verdicts, which never change; `filled` are those that the
    route itself writes, and of which it must read none that is not known. Other tables of the store do not change by what we
    do.
    """
    hidden, rows = _look_into(conn, select)
    found: dict[str, list[str]] = {name: [] for name in known}
    for schema, name, column, plain, temporary in rows:
        relation = f"{schema}.{name}"
        if relation in known:
            if column is not None:
                found[relation].append(column)
        elif not temporary and (not plain or relation in filled or schema == "ferry"):
            return None
    return None if hidden else found


def find_read(conn: Connection, select: Composed, mirrored: str) -> set[str] | None:
    """Find the relations that a SELECT reads, temp tables left out; None if it may read more than the catalogue names.

    `mirrored` is the schema of the mirror's views; another view may read anything.
    """
    hidden, rows = _look_into(conn, select)
    if hidden or any(not plain and schema != mirrored for schema, _, _, plain, temporary in rows if not temporary):
        return None
    return {f"{schema}.{name}" for schema, name, _, _, temporary in rows if not temporary}


def _look_into(conn: Connection, select: Composed) -> tuple[bool, list[tuple[str, str, str | None, bool, bool]]]:
    """Look into a SELECT: whether it reads what no catalogue names, and what it reads as `find_dependencies` tells."""
    with conn.transaction(force_rollback=True):
        conn.execute(SQL("CREATE TEMP VIEW reading AS {}").format(select))
        return reads_hidden(conn), find_dependencies(conn, "reading")


@contextmanager
def commit_unflushed(conn: Connection) -> Iterator[None]:
    """Have commits in the block not wait for the disk, as temp tables are made and dropped, which no crash survives anyway.

    A session makes two hundred of them, and each commit would wait for the WAL of its catalogue rows.
    """
    [(setting,)] = conn.execute("SHOW synchronous_commit").fetchall()
    conn.execute("SET synchronous_commit = off")
    try:
        yield
    finally:
        if not conn.closed:
            conn.execute("SELECT set_config('synchronous_commit', %s, false)", (setting,))


def find_untidy(conn: Connection, tables: Sequence[Identifier]) -> list[Identifier]:
    """Find those of these temp tables that have not their one page: others are left as they are, as most are seldom used."""
    block = "current_setting('block_size')::integer"
    found = _find_temp_tables(conn, f"pg_relation_size(oid) <> {block}")
    return [table for table in tables if table.as_string() in found]


def _find_temp_tables(conn: Connection, condition: str = "true") -> set[str]:
    """Find the session's temp tables by a condition on their row of pg_class; returns their names as SQL writes them."""
    rows = conn.execute(
        f"SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema() AND relkind = 'r' AND {condition}".encode()
    ).fetchall()
    return {Identifier("pg_temp", name).as_string() for (name,) in rows}


def tidy(conn: Connection, tables: Sequence[Identifier]) -> None:
    """Empty temp tables for good, and have the planner believe that a page of them holds few rows; takes some ms for each.

    One that was never looked at is planned as if it had ten full pages, for which reading whole tables looks cheap.
    """
    if not tables:
        return
    filled = _find_temp_tables(conn, "pg_relation_size(oid) > 0")
    with commit_unflushed(conn):
        with conn.pipeline():
            if used := [table for table in tables if table.as_string() in filled]:
                conn.execute(SQL("TRUNCATE {}").format(SQL(", ").join(used)))
            for table in tables:
                conn.execute(SQL("INSERT INTO {} SELECT FROM generate_series(1, 5)").format(table))
        conn.execute(SQL("VACUUM (PROCESS_TOAST false) {}").format(SQL(", ").join(tables)))
        with conn.pipeline():
            for table in tables:
                conn.execute(SQL("DELETE FROM {}").format(table))


def drop_tables(conn: Connection) -> None:
    """Drop the session's temp tables, a few at a time; to be called before it ends.

    PostgreSQL would drop all in one transaction. Two hundred tables are more news than the queue to other sessions holds. These
    would lose their cached plans, and the stream would plan every statement again, for 0.2 s.
    """
    if conn.closed or conn.info.transaction_status is not psycopg.pq.TransactionStatus.IDLE:
        return
    # A session that the server has ended meanwhile has none any more.
    with suppress(psycopg.OperationalError), commit_unflushed(conn):
        names = sorted(_find_temp_tables(conn))
        for start in range(0, len(names), _DROPPED):
            conn.execute(f"DROP TABLE {', '.join(names[start : start + _DROPPED])}".encode())
