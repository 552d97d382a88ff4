"""The first load of a unit: whole ranges of keys, each inserted at once, beside the stream.

It is the merge of the same SELECT with the same outcomes. Where no row of a range's keys stands in the target nothing is to be
compared, deleted or noted, and plans are made for many rows. The stream writes nothing of the unit meanwhile, so no lock is
needed; it notes the keys that it touches, and these are merged once more when the load is done. Units that read it wait.
"""

from __future__ import annotations

import psycopg
from psycopg.sql import SQL, Composed

from shopferry.db import Connection
from shopferry.engine import constraints
from shopferry.engine.merge import Merger
from shopferry.engine.outcome import Merged
from shopferry.engine.refusals import Bisection, is_refusal
from shopferry.engine.statements import Statements, compose_take
from shopferry.route.entities import EntityMapping, Unit
from shopferry.stores import origin

# The planner may read and hash whole tables: it knows them, since they were just analyzed.
_SESSION = (
    f"SELECT {origin.WRITER}, set_config('work_mem', '64MB', true), set_config('random_page_cost', '1.1', true), "
    f"set_config('jit', 'off', true), {origin.MARK}"
)


def load(merger: Merger, unit: Unit, keys: Composed) -> Merged | None:
    """Merge a range of keys, which a SELECT yields, of a unit that is being loaded; None when it yields none."""
    own, conn = merger.staging.statements(unit), merger.conn
    conn.execute(_SESSION)
    [(count,)] = conn.execute(compose_take(own.affected, keys)).fetchall()
    if not count:
        return None
    conn.execute(SQL("ANALYZE {}").format(own.affected))
    merged = _load(merger, unit, own, count) if isinstance(unit, EntityMapping) else merger.write(unit, count)
    # Not emptied by DELETE: the dead rows would be read again by the next range.
    conn.execute(SQL("TRUNCATE {}, {}").format(own.affected, own.yielded))
    return merged


def _load(merger: Merger, unit: EntityMapping, own: Statements, count: int) -> Merged:
    """Merge the affected keys of an entity: all at once, or where rows stand or are refused, as any merge does it."""
    conn = merger.conn
    if not conn.execute(own.find_standing.encode()).fetchall() and (merged := _insert(conn, own, count)):
        return merged
    conn.execute("SELECT set_config('enable_seqscan', 'off', true)")
    return Bisection(conn, unit, own, lambda keys: merger.write(unit, keys)).merge(count)


def _insert(conn: Connection, own: Statements, count: int) -> Merged | None:
    """Insert all that the affected keys yield; None if the database refuses any of it."""
    try:
        with conn.transaction():
            conn.execute(own.fill.encode())
            conn.execute(own.settle.encode())
            written = conn.execute(own.insert.encode()).rowcount
            constraints.check_deferred(conn)
    except psycopg.Error as error:
        if not is_refusal(error):
            raise
        return None
    return Merged(count, written)
