"""Run one SELECT of a route's file in the new shop, and blame its file and line for what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Composable, Identifier

from shopferry import db
from shopferry.db import Connection
from shopferry.errors import MappingError

_ALL = SQL("")
NUMBER = "customer_id"  # of whom a row is: the new shop's key


@dataclass(frozen=True)
class Select:
    """One SELECT: the file that holds it, within the folder of routes, the line at which it begins, and its text."""

    where: Path
    line: int
    text: str

    def error(self, what: str, at: int = 0) -> MappingError:
        """Make the error that names file and line; `at` counts characters of the text."""
        return MappingError(f"{self.where}:{self.line + self.text[:at].count(chr(10))}: {what}")


def find_columns(shop: Connection, select: Select) -> tuple[str, ...]:
    """Find what a SELECT yields, without a row. Raises MappingError where it does not run or yields a column twice."""
    names = [column.name for column in _execute(shop, select, SQL("*"), SQL("LIMIT 0")).description or ()]
    for name in names:
        if names.count(name) > 1:
            raise select.error(f"yields column {name!r} twice")
    return tuple(names)


def require_columns(shop: Connection, select: Select, wanted: tuple[str, ...]) -> None:
    """Raise MappingError where a SELECT does not run, or yields other columns than these."""
    _require(select, find_columns(shop, select), wanted)


def _require(select: Select, columns: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    if columns != wanted:
        raise select.error(f"yields the columns {', '.join(columns)}, not {', '.join(wanted)}")


def read(shop: Connection, select: Select, columns: tuple[str, ...], where: Composable = _ALL) -> list[Any]:
    """Read these columns of a SELECT, the customer's number first and as text.

    `where` filters the rows, which it calls q. Raises MappingError where it does not run, and for a row of no customer.
    """
    wanted = SQL("q.{}::text{}").format(
        Identifier(NUMBER), SQL("").join(SQL(", q.{}").format(Identifier(c)) for c in columns)
    )
    rows = _execute(shop, select, wanted, where).fetchall()
    if any(row[0] is None for row in rows):
        raise select.error(f"yields a row without {NUMBER}")
    return sorted(rows, key=lambda row: (len(row[0]), row[0]))  # of numbers the smallest first


def read_whole(shop: Connection, select: Select, columns: tuple[str, ...]) -> list[Any]:
    """Read all rows of a SELECT. Raises MappingError where it does not run, or yields other columns than these."""
    found = _execute(shop, select, SQL("*"), _ALL)
    _require(select, tuple(c.name for c in found.description or ()), columns)
    return found.fetchall()


@contextmanager
def at_one_moment(shop: Connection) -> Iterator[None]:
    """One transaction that sees one moment, and may only read."""
    with shop.transaction():
        shop.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def require_once(select: Select, rows: list[Any]) -> None:
    """Raise MappingError naming a customer of whom there are two rows."""
    for one, other in pairwise(rows):
        if one[0] == other[0]:
            raise select.error(f"yields customer {one[0]} twice: one row a person")


def _execute(shop: Connection, select: Select, wanted: Composable, rest: Composable) -> psycopg.Cursor[Any]:
    before = SQL("SELECT {} FROM (").format(wanted).as_string(shop)
    after = SQL("\n) q {}").format(rest).as_string(shop)
    try:
        return shop.execute(f"{before}{select.text}{after}".encode())
    except psycopg.errors.ReadOnlySqlTransaction:
        raise select.error("writes: it may only read") from None
    except (psycopg.ProgrammingError, psycopg.DataError) as error:
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            raise
        at = int(error.diag.statement_position or 0) - 1 - len(before)
        raise select.error(db.describe_error(error) or "does not run", min(max(at, 0), len(select.text))) from None
