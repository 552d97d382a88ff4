"""The source's end of the stream: what legacy must have for every change to reach us, and how its absence is noticed.

Slot, publication and captured columns are looked at as they are. That a slot is a new one under the old name does not
show: so a counter in legacy, the beat, goes up every two seconds, also while other parts are down, and travels with the data.
A beat that is missing in the stream was lost, and with it what was committed beside it. Where a new slot was made within two
beats, its count of decoded transactions begins again, which PostgreSQL else forgets only when the server crashes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import msgspec
import psycopg

from shopferry.control import continuity
from shopferry.db import Connection
from shopferry.engine import mirror
from shopferry.engine.mirror import MirrorTable
from shopferry.errors import GapError, ReplayError

OWN = ("shopferry.heartbeat", "shopferry.marker")


class _Beat(msgspec.Struct):
    n: int


class _Event(msgspec.Struct):
    after: _Beat | None = None


_decode = msgspec.json.Decoder(_Event).decode


def send_beat(source: Connection) -> int:
    """Let the counter go up by one, and return it; its row lock puts all beats into one order."""
    row = source.execute("UPDATE shopferry.heartbeat SET n = n + 1, at = now() WHERE id = 1 RETURNING n").fetchone()
    return int(row[0]) if row else 0


def follow(target: Connection, route: str, value: bytes | None) -> None:
    """Take in one event of the counter. Raises GapError when beats are missing before it."""
    event = _decode(value) if value else None
    if event is None or event.after is None:
        return
    number, last = event.after.n, continuity.load(target, route).beat
    if last is not None and number > last + 1:
        raise GapError(
            f"beats {last + 1} to {number - 1} never came: the replication slot was made anew or moved on without us, and "
            "changes between are lost; run `shopferry sync resync` to copy what legacy holds now"
        )
    continuity.note_beat(target, route, number)


def find_faults(source: Connection, name: str, tables: Mapping[str, MirrorTable]) -> list[str]:
    """Find what keeps changes from reaching the stream now, one clause each; `name` is the slot's and the publication's."""
    row = source.execute("SELECT wal_status FROM pg_replication_slots WHERE slot_name = %s", (name,)).fetchone()
    found = []
    if row is None:
        found.append(f"replication slot {name} is gone")
    elif row[0] == "lost":
        found.append(f"replication slot {name} was invalidated (max_slot_wal_keep_size)")
    return found + find_withheld(source, name, tables)


def find_withheld(source: Connection, name: str, tables: Mapping[str, MirrorTable]) -> list[str]:
    """Find what the publication withholds from the stream of what the mirror needs, one clause each."""
    found = []
    whole = source.execute(
        "SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate FROM pg_publication WHERE pubname = %s", (name,)
    ).fetchone()
    if whole is None:
        return [f"publication {name} is gone"]
    if not whole[0]:
        found.append(f"publication {name} does not publish every kind of change")
    rows = source.execute(
        "SELECT schemaname || '.' || tablename, attnames::text[], rowfilter FROM pg_publication_tables WHERE pubname = %s",
        (name,),
    ).fetchall()
    published = {table: (frozenset(columns), rowfilter) for table, columns, rowfilter in rows}
    within = next((t.within for t in tables.values()), "public")  # a mirror shows one store
    types = mirror.load_types(source, tables, within)
    held_by = {f"{t.within}.{t.name}": t for t in tables.values()}
    for table in (*OWN, *held_by):
        columns, rowfilter = published.get(table, (frozenset(), None))
        if table not in published:
            found.append(f"table {table} is not in publication {name}")
        if rowfilter is not None:
            found.append(f"table {table} is published with a row filter")
        held = held_by.get(table) if table in published else None
        for column in held.columns if held else ():
            now = types.get((held.name, column.name)) if held else None
            if now is None:
                found.append(f"column {table}.{column.name} is gone or renamed, and a mapping reads it")
            elif column.name not in columns:
                found.append(f"column {table}.{column.name} is not in publication {name}")
            elif column.legacy and now != column.legacy:
                found.append(f"column {table}.{column.name} is now {now}, it was {column.legacy}")
    return found


def require_sound(
    source: Connection, target: Connection, route: str, name: str, tables: Mapping[str, MirrorTable]
) -> None:
    """Make sure that the source is as it was installed.

    Raises ReplayError naming what is wrong, also when it was wrong before and no resync has followed; GapError when the
    slot is another one under the old name.
    """
    before = continuity.load(target, route)
    rows = source.execute("SELECT FROM pg_replication_slots WHERE slot_name = %s", (name,)).fetchall()
    if not rows and before == continuity.Continuity():
        return  # the connector has not begun yet
    found = find_faults(source, name, tables)
    if found and not before.lost:
        continuity.lose(target, route, "; ".join(found))
    if found or before.lost:
        raise ReplayError(
            f"{'; '.join(found) or before.lost}: changes since are lost; mend the mapping or legacy if it is about a "
            "column, then run `shopferry sync resync`"
        )
    row = source.execute(
        "SELECT total_txns, pg_postmaster_start_time() FROM pg_stat_replication_slots WHERE slot_name = %s", (name,)
    ).fetchone()
    if row is None:
        return
    txns, started = row
    if before.slot_txns is not None and txns < before.slot_txns and started == before.legacy_started:
        raise GapError(
            f"replication slot {name} was made anew: what was committed before it is lost; run `shopferry sync resync` "
            "to copy what legacy holds now"
        )
    continuity.note_slot(target, route, txns, started)


def renew_slot(source: Connection, name: str) -> None:
    """Drop the slot if there is one, even while it is read, and make a new one that begins now."""
    drop_slot(source, name)
    create_slot(source, name)


def drop_slot(source: Connection, name: str) -> None:
    """Drop the slot if there is one, even while it is read."""
    while True:
        source.execute(
            "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE slot_name = %s AND active",
            (name,),
        )
        try:
            source.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", (name,)
            )
            return
        except psycopg.errors.ObjectInUse:
            time.sleep(0.1)  # the connector was faster


def create_slot(source: Connection, name: str) -> None:
    """Make a slot that begins now; where the server can (17), one that its standbys take over."""
    failover = ", failover => true" if source.info.server_version >= 170000 else ""
    source.execute(f"SELECT pg_create_logical_replication_slot(%s, 'pgoutput'{failover})".encode(), (name,))


def await_reader(source: Connection, name: str, patience_s: float) -> bool:
    """Wait for a connector to read the slot: its predecessor is dead then, and publishes no old event any more."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        row = source.execute("SELECT active FROM pg_replication_slots WHERE slot_name = %s", (name,)).fetchone()
        if row and row[0]:
            return True
        time.sleep(0.1)
    return False
