"""Ask a store one of the route's questions: a SELECT that its file holds."""

from __future__ import annotations

from typing import Any

import psycopg

from shopferry import db
from shopferry.db import Connection
from shopferry.errors import MappingError


def ask(conn: Connection, query: str, where: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the names of the columns, and the rows. Raises MappingError, which names `where`, for a SELECT that does not run."""
    try:
        cursor = conn.execute(query.encode())
        return [c.name for c in cursor.description or ()], cursor.fetchall()
    except (psycopg.ProgrammingError, psycopg.DataError) as error:
        raise MappingError(f"{where}: {db.describe_error(error)}") from None
