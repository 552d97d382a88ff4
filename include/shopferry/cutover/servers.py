"""Gates about the two servers: what would hold up the lock, and whether connections, slots, log and disk will do."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from shopferry.control.gates import Gate
from shopferry.db import Connection, load_queries
from shopferry.engine.pair import Stores
from shopferry.route.settings import Terms

_Q = load_queries(Path(__file__).parent / "sql" / "servers.sql")
IDLE_S = 10.0  # open with nobody at work: longer than the lock waits, so it would be waited for in vain
SESSIONS = 6  # per store: the switch, the flows, and somebody who looks
_HEADROOM = 0.25  # of max_slot_wal_keep_size, as watch_sync complains of
_NAMED = 5
_GIB = 1024**3
_TOLD = {
    "open": "session {number} has a transaction open for {seconds:.0f} s",
    "idle": "session {number} is idle in a transaction for {seconds:.0f} s",
    "prepared": "transaction {number} is prepared for {seconds:.0f} s",
}


def old_transactions(s: Stores, terms: Terms) -> Gate:
    """Whether nothing in the store that closes would keep the lock waiting until it is given up."""
    name, old = s.names[0], terms.old_transaction_seconds
    rows = s.source.execute(_Q["transactions"], {"old": old, "idle": min(IDLE_S, old)}).fetchall()
    unseen = sum(what == "unseen" for what, _, _ in rows)
    told = [_TOLD[what].format(number=number, seconds=seconds) for what, number, seconds in rows if what in _TOLD]
    listed = told[:_NAMED] + ([f"and {len(told) - _NAMED} more"] if len(told) > _NAMED else [])
    if unseen:
        listed.append(f"{unseen} sessions of other roles may not be looked into")
    return Gate(
        f"no old transaction in {name}",
        not rows,
        "; ".join(listed) or f"none older than {old:g} s",
        f"GRANT pg_read_all_stats to our role in {name}, then look again"
        if unseen and not told
        else "end them (pg_terminate_backend, ROLLBACK PREPARED), or wait: the lock waits for them",
    )


def connections(s: Stores) -> Gate:
    """Whether both stores have the connections that switch and flows need, and the one that opens those of the application."""
    (most, free, others), (open_most, open_free, open_others) = (_counted(conn) for conn in (s.source, s.target))
    moving = max(0, others - open_others)  # sessions that the application has in the one, and has not in the other yet
    closes, opens = s.names
    told = [
        f"{closes}: {free} of {most} free, {SESSIONS} wanted",
        f"{opens}: {open_free} of {open_most} free, {SESSIONS} wanted and {moving} for sessions that will move there",
    ]
    return Gate(
        "connections to spare",
        free >= SESSIONS and open_free >= SESSIONS + moving,
        "; ".join(told),
        "end idle sessions, or raise max_connections (restart) or the limit of database or role",
    )


def _counted(conn: Connection) -> tuple[int, int, int]:
    row = conn.execute(_Q["connections"], {}).fetchone()
    assert row
    return int(row[0]), int(row[1]), int(row[2])


def replication(s: Stores) -> Gate:
    """Whether both flows find a slot and a sender, and no slot is about to be lost."""
    named = list(zip(s.names, (s.source, s.target), strict=True))
    faults = [fault for store, conn in named for fault in _slot_faults(store, conn)]
    ours = s.route.publication
    if ours not in (name for name, *_ in s.source.execute(_Q["slots"], {}).fetchall()):
        faults.insert(0, f"{s.names[0]}: slot {ours} is gone")
    told = []
    for store, conn in named:
        row = conn.execute(_Q["replication"]).fetchone()
        assert row
        slots, senders, level = row
        told.append(f"{store}: {slots} slots and {senders} senders free")
        if level != "logical":
            faults.append(f"{store}: wal_level is {level}, so its changes cannot be followed")
    return Gate(
        "replication has room",
        not faults,
        "; ".join(faults or told),
        "drop slots that nobody reads, get the connector going, raise max_replication_slots, max_wal_senders or "
        "max_slot_wal_keep_size, set wal_level to logical",
    )


def _slot_faults(store: str, conn: Connection) -> Iterator[str]:
    standing = conn.execute(_Q["slots"], {}).fetchall()
    row = conn.execute(_Q["replication"]).fetchone()
    assert row
    if not standing and row[0] < 1:
        yield f"{store}: no slot is free"
    if not any(active for _, active, *_ in standing) and row[1] < 1:
        yield f"{store}: no sender is free"
    for name, _, status, safe, limit in standing:
        if status not in {"reserved", "extended"}:
            yield f"{store}: slot {name} is {status}"
        elif limit and safe is not None and safe < _HEADROOM * limit:
            yield f"{store}: {safe / 1024**2:.0f} MiB more of log, of {limit / 1024**2:.0f}, and slot {name} is lost"


def disk(s: Stores, terms: Terms) -> Gate:
    """Whether the disks have room, by a look where that is possible, else by the size that the route's settings state.

    PostgreSQL does not tell how much disk is free. Where neither a look nor a stated size helps, the gate is not met.
    """
    told, met = [], True
    looked_at = [("legacy", s.source), ("shop", s.target)]
    if s.route.reverse:
        looked_at = [("legacy", s.target)]  # a full disk of the new shop's is a reason to go back
    for store, conn in looked_at:
        name = "legacy" if store == "legacy" else "the new shop"
        if (seen := free_disk(conn)) is not None:
            free, how = seen / _GIB, ""
        elif store in terms.disk_gib:
            used = taken(conn) / _GIB
            free, how = (
                terms.disk_gib[store] - used,
                f" by its stated {terms.disk_gib[store]:g}, less {used:.1f} of data and log",
            )
        else:
            told.append(f"{name}: cannot be known from here")
            met = False
            continue
        met &= free >= terms.free_disk_gib
        told.append(f"{name}: {free:.1f} GiB free{how}")
    return Gate(
        "disk to spare",
        met,
        "; ".join([*told, f"{terms.free_disk_gib:g} GiB wanted"]),
        "free or add disk; where the server's disk cannot be looked at, state its size in route.toml: [cutover.disk_gib]",
    )


def free_disk(conn: Connection) -> int | None:
    """Free bytes of the fullest disk that the server writes to; None where its directory cannot be looked at from here."""
    row = conn.execute(_Q["place"]).fetchone()
    if not row or row[0] is None:
        return None
    home, identifier = Path(row[0]), int(row[1])
    try:
        # The server may be elsewhere, and another's directory lie here by that name.
        with (home / "global" / "pg_control").open("rb") as file:
            if int.from_bytes(file.read(8), sys.byteorder, signed=True) != identifier:
                return None
        return min(shutil.disk_usage(place).free for place in (home, home / "pg_wal", *(home / "pg_tblspc").iterdir()))
    except OSError:
        return None


def taken(conn: Connection) -> int:
    """Bytes that the server's databases and its log take, as far as we may ask."""
    allowed = conn.execute(_Q["may_list_log"]).fetchone()
    log = "log" if allowed and allowed[0] else "log_at_most"
    return sum(int(row[0]) for query in ("databases", log) if (row := conn.execute(_Q[query]).fetchone()))
