"""Verdicts: every raw value is judged once, and ferry.standardized keeps the verdict, where mappings join it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from shopferry.control import locks
from shopferry.db import Connection
from shopferry.engine import changes
from shopferry.engine.standardize import VERSION, standardize
from shopferry.route.entities import Standardize, name_changed_table, name_witness

_BATCH = 2_000  # raw values judged between two inserts: who needs one of them waits for no more than these
Raw = tuple[str, str]  # kind, raw value
Verdict = tuple[str, str, str | None, str | None]  # kind, raw value, value, problem


def ensure(conn: Connection, columns: Sequence[Standardize], schema: str, *, moved: bool = False) -> int:
    """Judge every raw value of columns of the mirror or a witness that has no verdict of this version yet; return how many.

    `schema` is that of the mirror's views. Of the mirror's rows only those that the stream has brought are looked at if `moved`.
    Commits as it goes: verdicts are true by themselves.
    """

    def locate(column: Standardize) -> Composable:
        if column.of_witness:
            return Identifier("ferry", name_witness(column.table))
        if moved:
            return SQL("(SELECT * FROM {} WHERE _lsn > '0/0' AND NOT _gone) m").format(
                Identifier("mirror", column.table)
            )
        return Identifier(schema, column.table)

    new = 0
    # There may be millions: they stay at the server, and outlive the commits in between.
    with conn.cursor("raw_values", withhold=True) as found:
        found.execute(select_missing(columns, locate, VERSION))
        while raws := found.fetchmany(_BATCH):
            judge(conn, raws)
            new += len(raws)
    return new


def find_missing(conn: Connection, wanted: Iterable[Standardize]) -> list[Raw]:
    """Find the raw values among the changed rows, as their temp tables hold them, that are new and have no verdict yet.

    One of an older version stands until a phase is run: other rows, which have not changed, were merged by it.
    """
    return conn.execute(_find_in_changed(tuple(sorted(set(wanted), key=repr))), prepare=True).fetchall()


@cache
def _find_in_changed(columns: tuple[Standardize, ...]) -> bytes:
    """Compose the query of `find_missing`. Each table is looked through once: most changes touch none of these columns."""
    words = {c: _list_words(c) for c in columns}
    numbers = {table: Identifier(f"table {n}") for n, table in enumerate(sorted({c.table for c in columns}))}
    looked_at = SQL(", ").join(
        SQL("{} AS MATERIALIZED ({})").format(
            number,
            changes.select_touching(
                Identifier("pg_temp", name_changed_table(f".{table}")),
                _join([words[c] for c in columns if c.table == table]),
            ),
        )
        for table, number in numbers.items()
    )
    found = select_missing(columns, lambda c: SQL("({}) c").format(changes.select_touching(numbers[c.table], words[c])))
    return SQL("WITH {} {} ORDER BY 1, 2").format(looked_at, found).as_string(None).encode()


def _list_words(column: Standardize) -> list[str] | None:
    """List the words of a column's expression: what a change of none of them touches was judged before.

    Every word may be a column's name. None where one may be quoted, or folded as only PostgreSQL does it.
    """
    plain = column.expression.isascii() and '"' not in column.expression
    return sorted(set(re.findall(r"[\w$]+", column.expression.lower()))) if plain else None


def _join(lists: Sequence[list[str] | None]) -> list[str] | None:
    """Join lists of words; None, which stands for any word, if one of them is."""
    known = [words for words in lists if words is not None]
    return sorted({w for words in known for w in words}) if len(known) == len(lists) else None


def select_missing(
    columns: Sequence[Standardize], locate: Callable[[Standardize], Composable], version: int = 0
) -> Composed:
    """Compose the query for raw values without a verdict of this version; `locate` says which relation has a column."""
    raws = SQL(" UNION ALL ").join(
        SQL("SELECT {} AS kind, ({})::text AS raw FROM {}").format(Literal(c.kind), SQL(c.expression), locate(c))
        for c in columns
    )
    return SQL(
        "SELECT DISTINCT v.kind, v.raw FROM ({}) v WHERE v.raw IS NOT NULL "
        "AND NOT EXISTS (SELECT FROM ferry.standardized s WHERE s.kind = v.kind AND s.raw = v.raw AND s.judged_by >= {})"
    ).format(raws, Literal(version))


def judge(conn: Connection, raws: Sequence[Raw]) -> None:
    """Judge raw values and keep the verdicts."""
    for batch in _batches(raws):
        verdicts = [(kind, raw, *_judge(kind, raw)) for kind, raw in batch]
        with conn.transaction():
            locks.lock_verdicts(conn)
            try:
                with conn.transaction():
                    _copy(conn, verdicts)
            except psycopg.errors.UniqueViolation:  # another session was first, or there is one of an older version
                _upsert(conn, verdicts)


def _judge(kind: str, raw: str) -> tuple[str | None, str | None]:
    verdict = standardize(kind, raw)
    return verdict.value, verdict.problem


def _copy(conn: Connection, verdicts: Sequence[Verdict]) -> None:
    """Keep verdicts that are new: it costs half of looking at each whether it is."""
    with (
        conn.cursor() as cur,
        cur.copy("COPY ferry.standardized (judged_by, kind, raw, value, problem) FROM STDIN") as copy,
    ):
        for verdict in verdicts:
            copy.write_row((VERSION, *verdict))


def _upsert(conn: Connection, verdicts: Sequence[Verdict]) -> None:
    """Keep verdicts some of which may be there, of this version or of an older one."""
    conn.execute(
        "INSERT INTO ferry.standardized AS s (judged_by, kind, raw, value, problem) SELECT %s, * FROM "
        "unnest(%s::text[], %s::text[], %s::text[], %s::text[]) AS u (k, r, v, p) ON CONFLICT (kind, md5(raw)) "
        "DO UPDATE SET value = excluded.value, problem = excluded.problem, judged_by = excluded.judged_by "
        "WHERE s.judged_by < excluded.judged_by",
        (VERSION, *(list(column) for column in zip(*verdicts, strict=True))),
    )


def _batches(raws: Sequence[Raw]) -> Iterator[Sequence[Raw]]:
    for start in range(0, len(raws), _BATCH):
        yield raws[start : start + _BATCH]
