"""Watch the sync: one measurement of the forward flow, and what is wrong with it.

Shared by `shopferry status`, the DAG watch_sync and the page. Reads only, and needs nothing but the two connections.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from shopferry import backfill, installation, mirror
from shopferry.backfill import Stores
from shopferry.cdc import source
from shopferry.control import continuity, offsets, phases, quarantine
from shopferry.control.offsets import Consumer
from shopferry.control.phases import State

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """From where on something is wrong; the reasons stand in docs/runbooks/watch_sync.md."""

    lag_s: float = 60.0
    lag_bytes: int = 256 * MIB
    retained_bytes: int = 2048 * MIB
    silence_s: float = 30.0
    grace_s: float = 60.0  # after the first phase's start: connector and consumer begin when it has installed


@dataclass(frozen=True)
class Slot:
    """The replication slot: how many bytes of log the broker has not acknowledged, how many legacy must keep for it."""

    name: str
    active: bool
    wal_status: str  # PostgreSQL's word: reserved, extended, unreserved, lost
    lag_bytes: int
    retained_bytes: int


@dataclass(frozen=True)
class SyncHealth:
    """The forward flow at one moment. Not `begun`: no phase was ever started, there is nothing to watch yet."""

    begun: bool
    active: str = "legacy"  # the store that the application writes to
    phases: dict[str, str] = field(default_factory=dict)
    age_s: float = 0.0  # since the first phase was started
    lag_s: float = 0.0
    slot: Slot | None = None
    consumer: Consumer | None = None  # the latest one seen
    faults: list[str] = field(default_factory=list)  # what keeps, or kept, changes from the stream
    quarantine: dict[str, int] = field(default_factory=dict)  # rows by reason code
    events: int = 0
    lag_ms_p50: int = 0
    lag_ms_p99: int = 0

    @property
    def watched(self) -> bool:
        """Whether the forward flow has to run now: from the first phase's start until the cutover."""
        return self.begun and self.active == "legacy"


def measure(stores: Stores) -> SyncHealth:
    """Measure the forward flow of the route now. Works before anything is installed."""
    shop, route = stores.shop, stores.route.name
    present = shop.execute("SELECT to_regclass('ferry.phase') IS NOT NULL").fetchone()
    if not present or not present[0]:
        return SyncHealth(begun=False)
    known = phases.all_phases(shop, route)
    states = {p.phase: p.state for p in known}
    started = min((p.started for p in known if p.started), default=None)
    by_reason: dict[str, int] = {}
    for _, reason, rows in quarantine.counts(shop):
        by_reason[reason] = by_reason.get(reason, 0) + rows
    figures = offsets.figures(shop, route)
    seen = offsets.consumers(shop, route)
    return SyncHealth(
        begun=any(s != State.NEW for s in states.values()),
        active=installation.active(shop, route),
        phases=states,
        age_s=(datetime.now(UTC) - started).total_seconds() if started else 0.0,
        lag_s=backfill.replay_lag(shop, route),
        slot=_slot(stores),
        faults=_faults(stores),
        consumer=seen[0] if seen else None,
        quarantine=dict(sorted(by_reason.items(), key=lambda item: (-item[1], item[0]))),
        events=figures.events,
        lag_ms_p50=figures.lag_ms_p50,
        lag_ms_p99=figures.lag_ms_p99,
    )


def _faults(stores: Stores) -> list[str]:
    """What is wrong at the source now; else what was, and no resync has followed."""
    tables = mirror.load(stores.shop)
    if not tables:
        return []
    lost = continuity.known(stores.shop, stores.route.name).lost
    return source.faults(stores.legacy, installation.publication(stores.route), tables) or ([lost] if lost else [])


def _slot(stores: Stores) -> Slot | None:
    name = installation.publication(stores.route)
    row = stores.legacy.execute(
        """SELECT active, coalesce(wal_status, 'unknown'),
                  coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), 0)::bigint,
                  coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint
           FROM pg_replication_slots WHERE slot_name = %s""",
        (name,),
    ).fetchone()
    return Slot(name, *row) if row else None


def complaints(health: SyncHealth, limits: Limits = Limits()) -> list[str]:
    """What is wrong, one sentence each, with what to do; empty when all is well or there is nothing to watch."""
    if not health.watched or health.age_s < limits.grace_s:
        return []
    found = []
    slot, consumer = health.slot, health.consumer
    found += [f"{fault}: changes since are lost, run `shopferry sync resync`" for fault in health.faults]
    if slot is None and not found:
        found.append("the replication slot is gone, and with it every change since: all phases need a resync")
    elif slot is not None and slot.wal_status == "lost" and not found:
        found.append(f"slot {slot.name} was invalidated, changes are lost: all phases need a resync")
    elif slot is not None and slot.wal_status != "lost":
        if not slot.active:
            found.append(f"nobody reads slot {slot.name}: start the connector, read its log")
        if slot.lag_bytes > limits.lag_bytes:
            found.append(
                f"the connector is {slot.lag_bytes / MIB:.0f} MiB behind (limit {limits.lag_bytes / MIB:.0f}): "
                "see whether the broker takes its events"
            )
        if slot.retained_bytes > limits.retained_bytes:
            found.append(
                f"legacy keeps {slot.retained_bytes / MIB:.0f} MiB of log for slot {slot.name} "
                f"(limit {limits.retained_bytes / MIB:.0f}): watch its disk"
            )
    if consumer is None:
        found.append("no consumer was ever seen: start `shopferry sync forward`")
    elif consumer.stopped:
        found.append(f"the consumer has stopped: {consumer.stopped}")
    elif consumer.age_s > limits.silence_s:
        found.append(
            f"the consumer was last seen {consumer.age_s:.0f} s ago (limit {limits.silence_s:.0f}): "
            "start `shopferry sync forward`, read its log"
        )
    if health.lag_s > limits.lag_s:
        found.append(
            f"changes arrive {health.lag_s:.0f} s late (limit {limits.lag_s:.0f}): see what the shop's database waits for"
        )
    return found
