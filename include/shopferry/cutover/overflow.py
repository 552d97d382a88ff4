"""The overflow: texts too long for legacy's columns, kept beside the new shop while legacy is open.

The next cutover puts them back. A route says so in `reverse/losses.txt`: `shop.order_line.name -- kept beyond 255: …`. The
mapping that leads back cuts the text there. Only what the new shop has made since the way back was armed can be longer than
legacy's column, and all of that has a position in legacy's mirror of it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Identifier, Literal

from shopferry.db import Connection
from shopferry.engine import mirror
from shopferry.engine.mirror import MirrorTable
from shopferry.route import losses
from shopferry.route.route import Route
from shopferry.stores import origin

ALL = "0/0"
_MOMENT_S = 0.5  # in which an application's transactions end


@dataclass(frozen=True)
class Overlong:
    """A text column of the new shop that is cut at so many characters in legacy."""

    table: MirrorTable  # in legacy's mirror
    column: str
    width: int


def overlong_columns(legacy: Connection, back: Route) -> list[Overlong]:
    """The columns whose overlong texts the route keeps; none while the way back is not armed."""
    held = mirror.load(legacy)
    found = [(d.table.partition(".")[2], d.column, d.width) for d in losses.load_decisions(back) if d.width]
    return [Overlong(held[table], column, width) for table, column, width in found if table in held]


def read_horizon(read: Connection, route: Route) -> str:
    """Read a log position before which no change is under way any more in this store.

    It is the position of now if all transactions that are open now end within a moment; else the position from which the
    slot would start again. What comes after it is looked at again.
    """
    # In this order: a transaction that has no number by then writes behind the position.
    [(now,)] = read.execute("SELECT (pg_current_wal_lsn() - 1::numeric)::text").fetchall()
    [(begun,)] = read.execute("SELECT pg_current_xact_id()::text").fetchall()
    until = time.monotonic() + _MOMENT_S
    while time.monotonic() < until:
        [(ended,)] = read.execute("SELECT pg_snapshot_xmin(pg_current_snapshot()) > %s::xid8", (begun,)).fetchall()
        if ended:
            return str(now)
        time.sleep(0.01)
    row = read.execute(
        "SELECT coalesce(min(restart_lsn), '0/0')::text FROM pg_replication_slots WHERE slot_name = %s",
        (route.publication,),
    ).fetchone()
    return str(row[0]) if row else ALL


def keep(shop: Connection, legacy: Connection, columns: Sequence[Overlong], since: str = ALL) -> None:
    """Keep every text that is too long for legacy, of the rows that changed after a position; the shop keeps its own too."""
    for short in columns:
        found = legacy.execute(
            SQL("SELECT ARRAY[{}], {} FROM {} WHERE _lsn > {}::pg_lsn AND NOT _gone AND length({}) > {}").format(
                SQL(", ").join(SQL("{}::text").format(Identifier(k)) for k in short.table.key),
                Identifier(short.column),
                short.table.base,
                Literal(since),
                Identifier(short.column),
                Literal(short.width),
            )
        ).fetchall()
        with shop.cursor() as cur:
            cur.executemany(
                """INSERT INTO ferry.kept (entity, "column", key, value) VALUES (%s, %s, %s, %s)
                   ON CONFLICT (entity, "column", key) DO UPDATE SET value = excluded.value""",
                [(short.table.relation, short.column, key, value) for key, value in found],
            )


def put_back(shop: Connection, columns: Sequence[Overlong]) -> None:
    """Put kept texts back where the new shop still has what was left of them, and forget the rest.

    Called in the transaction that opens the new shop, which takes it for a write of its application.
    """
    if not shop.execute("SELECT FROM ferry.kept LIMIT 1").fetchall():
        return
    shop.execute(f"SELECT {origin.WRITER}".encode())
    for short in columns:
        types = {c.name: c.type for c in short.table.columns}
        shop.execute(
            SQL(
                'UPDATE {} t SET {} = k.value FROM ferry.kept k WHERE k.entity = {} AND k."column" = {} AND {} '
                "AND rtrim(t.{}) = rtrim(left(k.value, {}))"
            ).format(
                short.table.view,
                Identifier(short.column),
                Literal(short.table.relation),
                Literal(short.column),
                SQL(" AND ").join(
                    SQL("t.{} = k.key[{}]::{}").format(Identifier(k), Literal(n), SQL(types[k]))
                    for n, k in enumerate(short.table.key, 1)
                ),
                Identifier(short.column),
                Literal(short.width),
            )
        )
    shop.execute("DELETE FROM ferry.kept")
    shop.execute("SELECT set_config('shopferry.writer', '', true)")
