"""Rows that stood in the new shop before us. No mapping knows them, and they stay as they are."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.sql import SQL, Composed, Identifier, Literal

from shopferry.db import Connection
from shopferry.keys import key_text


def note(conn: Connection, entity: str, key: Sequence[str]) -> None:
    """Remember the keys of all rows that an entity's table holds now, when the fence has just closed it."""
    conn.execute(
        SQL("INSERT INTO ferry.prior_row (entity, key) SELECT {}, {} FROM {} t ON CONFLICT DO NOTHING").format(
            Literal(entity), key_text(key, "t"), Identifier(*entity.split("."))
        )
    )


def exist(conn: Connection, entities: Sequence[str]) -> bool:
    """Whether any of these entities' tables held rows before us."""
    found = conn.execute("SELECT FROM ferry.prior_row WHERE entity = ANY(%s) LIMIT 1", (list(entities),)).fetchall()
    return bool(found)


def is_prior(entity: str, key: Composed) -> Composed:
    """Compose the SQL condition that a row of the entity with this key, as text, stood there before us."""
    return SQL("EXISTS (SELECT FROM ferry.prior_row p WHERE p.entity = {} AND p.key = {})").format(Literal(entity), key)
