"""Quarantine: what may not enter the shop yet, with its reason codes; never lost, always replayable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql
from psycopg.rows import class_row

from shopferry.control.schema import SQL
from shopferry.db import Connection, load_queries

_Q = load_queries(SQL / "quarantine.sql")


@dataclass(frozen=True)
class Entry:
    """One row in quarantine: keys and reason codes, never the row's values."""

    entity: str
    row_key: str  # the row: the legacy id where the entity counts one, else the target's key
    key: str  # the aggregate key to be merged again
    reasons: list[str]
    sqlstate: str | None
    constraint_name: str | None
    since: datetime


def compose_settlement(
    entity: str, *, affected: sql.Identifier, outcome: sql.Composable, loose: str | None = None
) -> sql.Composed:
    """Compose the statement that brings quarantine and left-out rows of `affected(key)` to what `outcome` says.

    `outcome` is a SELECT of (row_key, key, reasons, left_out), one row for each refused row. The statement yields how many
    of the affected keys' rows the database itself had refused before. `loose` is the keys' type where two that are equal may
    be written differently: an entry then counts as of every key that its own one is equal to.
    """
    conditions = {
        f"of_{table}": sql.SQL("{0}.key = a.key::text").format(sql.SQL(alias))
        if loose is None
        else sql.SQL("CASE WHEN {0}.entity = {1} THEN {0}.key::{2} END = a.key").format(
            sql.SQL(alias), sql.Literal(entity), sql.SQL(loose)
        )
        for table, alias in (("quarantine", "q"), ("left_out", "l"))
    }
    return sql.SQL(_Q["settle"].rstrip(";")).format(
        entity=sql.Literal(entity), affected=affected, outcome=outcome, **conditions
    )


def has_any(conn: Connection, entity: str) -> bool:
    """Tell whether any row of an entity is in quarantine or left out."""
    return bool(conn.execute(_Q["has_any"], {"entity": entity}).fetchall())


def forget_gone(conn: Connection, entity: str, keys: sql.Composable) -> None:
    """Forget what was known of an entity's rows under keys that no source has any more; `keys` is a SELECT of them."""
    conn.execute(sql.SQL(_Q["forget_gone"].rstrip(";")).format(entity=sql.Literal(entity), keys=keys))


def refuse(
    conn: Connection,
    entity: str,
    row_key: str,
    key: str,
    reasons: Sequence[str],
    sqlstate: str | None,
    constraint: str | None,
    held_by: str | None = None,
) -> None:
    """Put one row into quarantine because the database refused it; `held_by` is the aggregate that has its unique value."""
    conn.execute(
        _Q["refuse"],
        {
            "entity": entity,
            "row_key": row_key,
            "key": key,
            "reasons": list(reasons),
            "sqlstate": sqlstate,
            "constraint_name": constraint,
            "held_by": held_by,
        },
    )


def refuse_key(
    conn: Connection,
    entity: str,
    rows: Sequence[str],
    key: str,
    reasons: Sequence[str],
    sqlstate: str | None,
    constraint: str | None,
    held_by: str | None = None,
) -> None:
    """Put all rows of one aggregate key into quarantine, in the place of what was known of them."""
    conn.execute(_Q["clear_key"], {"entity": entity, "key": key, "rows": list(rows)})
    for row in rows:
        refuse(conn, entity, row, key, reasons, sqlstate, constraint, held_by)


def let_go(conn: Connection, entity: str, key: str) -> None:
    """Have the rows tried again that an aggregate's rows kept out, since these have gone."""
    conn.execute(_Q["let_go"], {"entity": entity, "key": key})


def find_freed(conn: Connection, entity: str) -> list[str]:
    """Find the aggregate keys of an entity whose unique values may be free now."""
    return [r[0] for r in conn.execute(_Q["freed"], {"entity": entity}).fetchall()]


def restate(conn: Connection, entity: str, key: str, reason: str, sqlstate: str | None, constraint: str | None) -> None:
    """Say of the rows of an aggregate that wait already that the database refuses them now."""
    given = {"entity": entity, "key": key, "reasons": [reason], "sqlstate": sqlstate, "constraint_name": constraint}
    conn.execute(_Q["restate"], given)


def drop(
    conn: Connection, route: str, entities: Sequence[str], *, reason: str | None, row: str | None, why: str, who: str
) -> int:
    """Give up rows of these entities that wait, and note who decided it; returns how many."""
    given = {"route": route, "entities": list(entities), "reason": reason, "row_key": row, "why": why, "who": who}
    found = conn.execute(_Q["drop"], given).fetchone()
    return int(found[0]) if found else 0


def forget(conn: Connection, entity: str, row_key: str) -> None:
    """Take one entry out, because its cause is gone."""
    conn.execute(_Q["forget"], {"entity": entity, "row_key": row_key})


def load(conn: Connection, *, entity: str | None = None, reason: str | None = None, limit: int = 1000) -> list[Entry]:
    """Load the rows in quarantine, by entity and reason."""
    with conn.cursor(row_factory=class_row(Entry)) as cur:
        return cur.execute(_Q["entries"], {"entity": entity, "reason": reason, "limit": limit}).fetchall()


def next_keys(conn: Connection, entity: str, reason: str | None, after: str | None, limit: int) -> list[str]:
    """Load the next aggregate keys of an entity that wait in quarantine, behind one of them."""
    given = {"entity": entity, "reason": reason, "after": after, "limit": limit}
    return [r[0] for r in conn.execute(_Q["keys"], given).fetchall()]


def find_refused(conn: Connection, entity: str, since: datetime, keys: Iterable[str]) -> list[str]:
    """Find the aggregate keys of an entity that the database itself refuses: all since that moment, and those among `keys`."""
    given = {"entity": entity, "since": since, "keys": list(keys)}
    return [r[0] for r in conn.execute(_Q["refused"], given).fetchall()]


def wait_for_others(conn: Connection) -> tuple[bool, bool]:
    """Tell whether rows wait for references to go, and whether rows wait whose unique values may be free now."""
    [(referenced, freed)] = conn.execute(_Q["wait_for_others"]).fetchall()
    return referenced, freed


def count(conn: Connection, *, entity: str | None = None, reason: str | None = None) -> int:
    """Count the rows that wait in quarantine."""
    row = conn.execute(_Q["count"], {"entity": entity, "reason": reason}).fetchone()
    return int(row[0]) if row else 0


def count_by_age(conn: Connection) -> list[tuple[str, int, datetime]]:
    """Count the rows that wait, by entity, each with the time since when the oldest of them waits."""
    return conn.execute(_Q["by_age"]).fetchall()


def count_by_reason(conn: Connection) -> list[tuple[str, str, int]]:
    """Count as (entity, reason, rows), the most frequent reason of each entity first."""
    return [(e, r, n) for e, r, n in conn.execute(_Q["counts"]).fetchall()]
