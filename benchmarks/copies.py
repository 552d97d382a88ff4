"""Copies of three of legacy's tables that a peer keeps from the same topics: made before the changes, compared after them.

The first and the last changes of each table are known rows, so that a copy tells when its peer has begun and when it has ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Composed, Identifier, Literal
from replay import CHANGES
from shopferry.db import Connection
from shopferry.settings import Settings

_MARKS = {"customers": "bill_company", "orders": "note", "order_items": "name"}  # texts by which known rows are told
_KNOWN = 20  # rows at either end: some for each partition of a topic


@dataclass(frozen=True)
class Table:
    """One of the tables, with what is streamed of it."""

    name: str
    columns: Mapping[str, str]  # name to type in PostgreSQL

    def fill(self, query: str, edge: str = "first") -> Composed:
        """Fill a query: `{table}`, its `{columns}` and `{mark}`, and the `{known}` keys of one `{edge}`, "first" or "last"."""
        known = SQL("SELECT id FROM {} ORDER BY id {} LIMIT {}").format(
            Identifier(self.name), SQL("ASC" if edge == "first" else "DESC"), Literal(_KNOWN)
        )
        return SQL(query).format(
            table=Identifier(self.name),
            columns=SQL(", ").join(map(Identifier, self.columns)),
            mark=Identifier(_MARKS[self.name]),
            edge=Literal(edge),
            known=known,
        )

    def describe(self, names: list[str], called: str, optional: bool) -> dict[str, Any]:
        """Describe these columns as a struct of Kafka Connect. Our connector sends times, and numbers with fractions, as text."""
        kinds = {"integer": "int32", "bigint": "int64"}
        fields = [{"field": c, "type": kinds.get(self.columns[c], "string"), "optional": c != "id"} for c in names]
        return {"type": "struct", "name": called, "optional": optional, "fields": fields}


@contextmanager
def open_database(settings: Settings, name: str) -> Iterator[str]:
    """Make a database on the new shop's server, and drop it again; yields its DSN."""
    with psycopg.connect(settings.target_dsn, autocommit=True) as conn:
        conn.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        try:
            yield make_conninfo(**conninfo_to_dict(settings.target_dsn) | {"dbname": name})
        finally:
            conn.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def read_tables(legacy: Connection) -> list[Table]:
    """Read what is streamed of the three tables."""
    return [
        Table(
            name,
            dict(
                legacy.execute(
                    """SELECT attname, format_type(atttypid, atttypmod)
                       FROM pg_publication_tables, pg_attribute
                       WHERE tablename = %s AND attrelid = to_regclass(tablename) AND attname = ANY (attnames)
                       ORDER BY attnum""",
                    (name,),
                ).fetchall()
            ),
        )
        for name in _MARKS
    ]


def copy_tables(legacy: Connection, copy: Connection, tables: list[Table]) -> None:
    """Copy the tables, with their primary keys and no other index."""
    for table in tables:
        columns = SQL(", ").join(SQL("{} {}").format(Identifier(c), SQL(kind)) for c, kind in table.columns.items())
        copy.execute(SQL("CREATE TABLE {} ({}, PRIMARY KEY (id))").format(Identifier(table.name), columns))
        with (
            legacy.cursor().copy(table.fill("COPY (SELECT {columns} FROM {table}) TO STDOUT")) as rows,
            copy.cursor().copy(table.fill("COPY {table} FROM STDIN")) as copied,
        ):
            for row in rows:
                copied.write(row)
    copy.execute("VACUUM ANALYZE")


def change(legacy: Connection, tables: list[Table], changes: int) -> None:
    """Change legacy: known rows of each table, then as many changes as asked for, then other known rows."""
    legacy.execute(CHANGES.encode())
    for edge in ("first", "last"):
        if edge == "last":
            legacy.execute("CALL change_shop(%s, 10)", (changes,))
        for table in tables:
            legacy.execute(table.fill("UPDATE {table} SET {mark} = {edge} WHERE id IN ({known})", edge))


def has_begun(copy: Connection, tables: list[Table]) -> bool:
    """Whether one of the first changes has come."""
    return _count_known(copy, tables, "first") > 0


def is_complete(copy: Connection, tables: list[Table]) -> bool:
    """Whether the last changes have come, all of them."""
    return _count_known(copy, tables, "last") == _KNOWN * len(tables)


def _count_known(copy: Connection, tables: list[Table], edge: str) -> int:
    query = "SELECT count(*) FROM {table} WHERE {mark} = {edge} AND id IN ({known})"
    return sum(count for table in tables for (count,) in copy.execute(table.fill(query, edge)).fetchall())


def count_differences(legacy: Connection, copy: Connection, tables: list[Table]) -> int:
    """Count the rows that are not the same in both, or only in one."""
    differing = 0
    for table in tables:
        query = table.fill("SELECT id, ROW({columns})::text FROM {table}")
        ours, theirs = dict(legacy.execute(query).fetchall()), dict(copy.execute(query).fetchall())
        differing += sum(ours.get(key) != theirs.get(key) for key in ours.keys() | theirs.keys())
    return differing
