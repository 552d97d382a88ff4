"""Fidelity: which values change events carry exactly, and reading a row again where they do not.

What Debezium 3.6.3 makes of every type with our connector's settings was observed, not guessed: tests/stream/test_values.py
writes each and compares. Types that events never carry exactly are known from the catalogue, once per table. Of the others
only some values are lost, and those leave a token in the row's bytes, which are searched and not parsed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Composable, Identifier, Literal

from shopferry.db import Connection
from shopferry.engine.mirror import Column, MirrorTable
from shopferry.errors import ReplayError, TransientError

# Years before 1 and after 9999 are signed, but for the one before 1, which is 0000 (and no year to PostgreSQL); infinity of
# a date or timestamp comes as some such year. The empty date that old shops keep as text, "0000-00-00", is none of these.
_YEAR = (b'"-', b'"+', b'"0000-'), rb'"(?:[+-]\d{4,}-\d\d-|0000-\d\d-\d\d[TZ])'
_TOKENS = {
    "date": _YEAR,
    "timestamp without time zone": _YEAR,
    "timestamp with time zone": _YEAR,
    "time without time zone": ((b'"00:00:00Z"',), rb'"00:00:00Z"'),  # 24:00 comes as midnight
    "numeric": ((b'_INFINITY"',), rb'"(?:POSITIVE|NEGATIVE)_INFINITY"'),
}


@dataclass(frozen=True)
class Fidelity:
    """What events of one table may get wrong: columns whose type they never carry, and tokens of values they do not."""

    lost: frozenset[str]
    hints: tuple[bytes, ...]
    pattern: re.Pattern[bytes] | None

    @classmethod
    def of(cls, table: MirrorTable) -> Fidelity:
        """Judge a table by its columns' types in legacy."""
        tokens = [_TOKENS[c.legacy_base] for c in table.columns if c.legacy_base in _TOKENS]
        hints = {hint for some, _ in tokens for hint in some}
        patterns = sorted({pattern for _, pattern in tokens})
        return cls(
            frozenset(c.name for c in table.columns if not c.carried),
            tuple(sorted(hints)),
            re.compile(b"|".join(patterns)) if patterns else None,
        )

    def is_exact(self, row: bytes) -> bool:
        """Whether the row says what legacy held. A text that only looks like a token costs one more read, no more."""
        return not self.lost and self.is_ordinary(row)

    def is_ordinary(self, row: bytes) -> bool:
        """Whether a row, or a key, has no token of a value that events get wrong."""
        # `in` is a plain memory search; the pattern looks only where a phone number or a negative amount may be meant.
        return not any(hint in row for hint in self.hints) or self.pattern is None or not self.pattern.search(row)


@dataclass(frozen=True)
class Wanted:
    """A row to be read: its key as the event words it, the transaction that wrote it, and where the event is."""

    key: bytes
    xid: int
    where: str


def load_standing(
    target: Connection, table: MirrorTable, wanted: Sequence[Wanted], generation: int
) -> dict[bytes, bytes]:
    """Load the mirror's live rows under these keys of which nothing can have been lost, as JSON by key; one query.

    After a resync, which begins another generation, these are only the rows that the stream has touched since: a row from
    before it may lack changes that were lost, until its chunk is copied again.
    """
    sure = SQL("(SELECT * FROM {} WHERE NOT _gone AND ({} = 1 OR _generation >= {}))").format(
        table.base, Literal(generation), Literal(generation)
    )
    return _rows(target, sure, table, wanted, {c.name: c.type for c in table.columns})


def read_again(source: Connection, table: MirrorTable, wanted: Sequence[Wanted]) -> dict[bytes, bytes]:
    """Read the rows as the source has them now, as JSON by key, in one query; a key without a row is gone by now.

    A newer row than the event's is safe: what was committed in between is still to come in the stream, and comes
    after. That holds for keys that change as well: if the row moved on to another key, its delete is still to come and
    it is gone here already; if another row has moved to this key since, the delete of the old and the creation of the
    new one are still to come, and leave what we read now. A redelivered event is older than what stands in the mirror
    and is refused by its version.

    An older one is not safe, and possible: a commit reaches the log, and so us, before other sessions may see it, which
    takes long where commits wait for a standby. Raises TransientError then, ReplayError when legacy lacks a column.
    """
    with source.transaction():
        source.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        row = source.execute("SELECT pg_current_snapshot()::text").fetchone()
        hidden = _hidden(row[0] if row else "0:0:")
        for w in wanted:
            if hidden(w.xid):
                raise TransientError(f"{w.where}: legacy does not show its transaction to others yet")
        try:
            return _rows(source, table.captured, table, wanted, {c.name: c.legacy_type for c in table.columns})
        except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable) as error:
            raise ReplayError(
                f"{wanted[0].where}: {error.diag.message_primary}, but a mapping reads it: mend the mapping, then "
                "`shopferry sync resync`; replay stops here"
            ) from None


class _hidden:  # noqa: N801 - used as a function
    """Whether a transaction was not committed for a snapshot; events have the lower half of its number only."""

    def __init__(self, snapshot: str) -> None:
        _, top, running = snapshot.split(":")
        self._top = int(top) & 0xFFFFFFFF
        self._running = {int(x) & 0xFFFFFFFF for x in running.split(",") if x}

    def __call__(self, xid: int) -> bool:
        return xid in self._running or (xid - self._top) & 0xFFFFFFFF < 0x80000000


def _rows(
    conn: Connection, relation: Composable, table: MirrorTable, wanted: Sequence[Wanted], types: dict[str, str]
) -> dict[bytes, bytes]:
    keys = b"[" + b",".join(b'{"_n":%d,' % n + w.key.lstrip()[1:] for n, w in enumerate(wanted)) + b"]"
    columns = {c.name: c for c in table.columns}
    shape: list[Composable] = [
        SQL("{} {}").format(Identifier(k), SQL("text" if columns[k].boxed else types[k])) for k in table.key
    ]
    match = [
        SQL("r.{} = {}").format(Identifier(k), columns[k].unbox(SQL("k.{}").format(Identifier(k)))) for k in table.key
    ]
    rows = conn.execute(
        SQL(
            "SELECT k._n, row_to_json(_v)::text FROM json_to_recordset(%s::json) AS k (_n integer, {}) "
            "JOIN {} r ON {} CROSS JOIN LATERAL (SELECT {}) _v"
        ).format(
            SQL(", ").join(shape),
            relation,
            SQL(" AND ").join(match),
            SQL(", ").join(_as_text(c) for c in table.columns),
        ),
        (keys.decode(),),
    ).fetchall()
    return {wanted[n].key: row.encode() for n, row in rows}


def _as_text(column: Column) -> Composable:
    """A column as PostgreSQL's own text, which every type reads back exactly, in the shape that events have."""
    name = Identifier(column.name)
    if column.type == "bytea":
        return SQL("encode(r.{0}, 'hex') AS {0}").format(name)
    return SQL("r.{0}::{1}::text AS {0}").format(name, SQL(column.type))
