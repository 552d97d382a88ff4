"""Watch the sync: one measurement of the forward flow, from both stores and the broker.

Shared by `shopferry status`, the DAG watch_sync and the page. Reads only. What cannot be reached is said, and the rest is
measured all the same; `problems` judges what comes out, `screen` shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import psycopg

from shopferry import db
from shopferry.cdc import positions
from shopferry.cdc.broker import read_held, topics
from shopferry.cdc.identities import find_refused
from shopferry.cdc.positions import Gap, Held
from shopferry.cdc.slot import find_withheld
from shopferry.control import chunks, continuity, offsets, phases, quarantine, routes, target_shape
from shopferry.control.offsets import Consumer, Partition, Position
from shopferry.control.phases import State
from shopferry.db import Connection
from shopferry.engine import mirror, pace
from shopferry.errors import ConfigError, ShopferryError
from shopferry.retry import describe
from shopferry.route import settings as route_settings
from shopferry.route.route import Route
from shopferry.settings import REVERSE, Settings, name_sync
from shopferry.stores import fence
from shopferry.verify.unlogged import find_unlogged

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class PhaseProgress:
    """One phase: its state, its chunks (done, total) of copy and merge, and who holds it (`alive`: not just in name)."""

    phase: str
    state: str
    copied: tuple[int, int] = (0, 0)
    merged: tuple[int, int] = (0, 0)
    holder: str | None = None
    alive: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class Topic:
    """What one topic holds that is not applied; None is what could not be found out.

    `seconds` is the age of the oldest of those events, from its commit in legacy; `bytes` is their number times the mean
    size of the events of this topic that were applied.
    """

    topic: str
    events: int | None = None
    seconds: float | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class Slot:
    """The replication slot: how many bytes of log the broker has not acknowledged, how many legacy must keep for it.

    `limit_bytes` is max_slot_wal_keep_size and `headroom_bytes` how much log may still be written before the slot is in
    danger; both None where there is no limit.
    """

    name: str
    active: bool
    wal_status: str  # PostgreSQL's word: reserved, extended, unreserved, lost
    lag_bytes: int
    retained_bytes: int
    limit_bytes: int | None = None
    headroom_bytes: int | None = None


@dataclass(frozen=True)
class SyncHealth:
    """The flow at one moment. Not `begun`: no phase was ever started, there is nothing to watch yet.

    `away` says of each server that could not be looked at why: `shop`, `legacy`, `broker`. Of the way back `legacy` is the
    store that is read, which is the new shop, and `shop` the one that is written.
    """

    route: str
    begun: bool
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    away: Mapping[str, str] = field(default_factory=dict)
    active: str = "legacy"  # the store that the application writes to
    phases: tuple[PhaseProgress, ...] = ()
    age_s: float = 0.0  # since the first phase was started
    topics: tuple[Topic, ...] = ()
    gaps: tuple[Gap, ...] = ()
    slot: Slot | None = None
    withheld: tuple[str, ...] = ()  # what keeps changes of the mirror's tables from the stream, one clause each
    refused: tuple[
        str, ...
    ] = ()  # why the application of the store that is read cannot change rows there, one clause each
    unlogged: tuple[str, ...] = ()  # what was done to whole tables of it since the verification, one clause each
    target_changed: tuple[str, ...] = ()  # columns that are gone, or that refuse every new row, one clause each
    lost: str | None = None  # what changes were lost by, until a resync brings them
    position: Position | None = None
    applied_lag_s: float = 0.0  # commit to application, of the newest batches
    events_per_s: float = 0.0  # over the last minute, as are the percentiles
    lag_ms_p50: int = 0
    lag_ms_p99: int = 0
    events: int = 0  # ever applied
    consumers: tuple[Consumer, ...] = ()  # the latest first
    quarantine: Mapping[str, int] = field(default_factory=dict)  # rows by reason code, the most frequent first
    overlong: tuple[str, ...] = ()  # what waits there longer than route.toml says, one clause each
    standby: bool = False  # has to run though its store is closed: by it the open one's way to this one is made sure
    unfenced: tuple[str, ...] = ()  # tables of the store that is closed, which take writes all the same
    people: Mapping[str, str] = field(default_factory=dict)  # the stage it is, who has which role, who accepts what
    other: SyncHealth | None = None  # after a cutover: the flow that led there

    @property
    def read(self) -> str:
        """What people call the store that is read."""
        return "the new shop" if self.route.endswith(REVERSE) else "the legacy store"

    @property
    def written(self) -> str:
        """What people call the store that is written."""
        return "the legacy store" if self.route.endswith(REVERSE) else "the new shop"

    @property
    def flow(self) -> str:
        """The command that keeps it going."""
        return f"shopferry {name_sync(self.route)}"

    @property
    def watched(self) -> bool:
        """Whether this flow has to run now: from the first phase's start, and after the cutover while there is a way back."""
        return self.begun and (self.active == "legacy" or self.standby)

    @property
    def lag_s(self) -> float:
        """How late changes arrive: the oldest that waits, or what the newest batches took."""
        return max([self.applied_lag_s, *(t.seconds for t in self.topics if t.seconds is not None)])


def measure(settings: Settings) -> SyncHealth:
    """Measure the flow that the route depends on now: after the cutover the way back, where it has one, beside the other.

    Works before anything is installed, and with any of the servers away.
    """
    health = _measure_flow(settings)
    if health.standby:
        health = replace(_measure_flow(settings.reversed), other=health)
    return replace(health, people=_tell_people(settings.route))


def _tell_people(route: str) -> dict[str, str]:
    """Tell who has which role; a route.toml that is wrong keeps the sync from being watched no more than a missing one."""
    try:
        return route_settings.load(route).tell_people(datetime.now(UTC))
    except ConfigError as error:
        return {"people": str(error)}


def _measure_flow(settings: Settings) -> SyncHealth:
    route = Route.load(settings.route)
    away: dict[str, str] = {}
    try:
        with db.connect(settings.target_dsn, "watch") as shop:
            return _measure(settings, route, shop, away)
    except (psycopg.Error, ShopferryError) as error:
        away = {"shop": describe(error)}
    # Legacy's disk fills while the shop is away, so the slot is looked at even when nothing else is known.
    slot = None
    try:
        with db.connect(settings.source_dsn, "watch") as legacy:
            slot = _read_slot(legacy, route)
    except (psycopg.Error, ShopferryError) as error:
        away["legacy"] = describe(error)
    return SyncHealth(route.name, begun=False, away=away, slot=slot)


def _measure(settings: Settings, route: Route, shop: Connection, away: dict[str, str]) -> SyncHealth:
    if not db.exists(shop, "ferry.phase"):
        return SyncHealth(route.name, begun=False, phases=tuple(PhaseProgress(p, State.NEW) for p in route.phases))
    name = route.name
    known = phases.load_all(shop, name)
    started = min((p.started for p in known if p.started), default=None)
    begun, active = any(p.state != State.NEW for p in known), routes.find_active(shop, name)
    tables = mirror.load(shop)
    slot: Slot | None = None
    withheld, refused, missed = list[str](), list[str](), list[str]()
    standby = active == "shop" and route.has_way_back
    needed, unfenced = begun and (active == "legacy" or standby), list[str]()
    if begun:
        try:
            with db.connect(settings.source_dsn, "watch") as legacy:
                slot, unfenced = _read_slot(legacy, route), _find_unfenced(legacy, shop, route, active)
                if needed:
                    withheld = find_withheld(legacy, route.publication, tables)
                refused = find_refused(legacy, route.publication)
                if active == "legacy":
                    missed = find_unlogged(legacy, shop, route)
        except (psycopg.Error, ShopferryError) as error:
            if needed:  # else legacy may be gone for good
                away["legacy"] = describe(error)
    waiting, gaps = _measure_broker(settings, route, shop, tables, away) if needed else ([], [])
    recent = offsets.measure(shop, name, datetime.now(UTC) - _MINUTE)
    return SyncHealth(
        name,
        begun,
        away=away,
        active=active,
        phases=_read_phases(shop, route),
        age_s=(datetime.now(UTC) - started).total_seconds() if started else 0.0,
        topics=tuple(waiting),
        gaps=tuple(gaps),
        slot=slot,
        withheld=tuple(withheld),
        refused=tuple(refused),
        unlogged=tuple(missed),
        target_changed=tuple(_find_changed_columns(shop, route)) if begun and active == "legacy" else (),
        lost=continuity.load(shop, name).lost,
        position=offsets.load_position(shop, name),
        applied_lag_s=pace.measure_lag(shop, name),
        events_per_s=recent.events / _MINUTE.total_seconds(),
        lag_ms_p50=recent.lag_ms_p50,
        lag_ms_p99=recent.lag_ms_p99,
        events=sum(events for events, _ in offsets.load_applied(shop, name).values()),
        consumers=tuple(offsets.list_consumers(shop, name)),
        quarantine=_count_quarantine(shop),
        overlong=tuple(_find_overlong(shop, route.base_name)),
        standby=standby,
        unfenced=tuple(unfenced),
    )


def _measure_broker(
    settings: Settings, route: Route, shop: Connection, tables: Iterable[str], away: dict[str, str]
) -> tuple[list[Topic], list[Gap]]:
    """Measure what waits at the broker, and what is missing there; a broker that cannot be looked at is noted in `away`."""
    names, stored = topics(route, tables), offsets.load(shop, route.name)
    held: dict[Partition, Held] | None = None
    try:
        held = read_held(settings, names, stored)
    except ShopferryError as error:
        away["broker"] = describe(error)
    waiting = _measure_topics(names, held, stored, offsets.load_applied(shop, route.name))
    return waiting, positions.find_gaps(stored, {}, held) if held is not None else []


def _count_quarantine(shop: Connection) -> dict[str, int]:
    """Count rows in quarantine by reason code, the most frequent first."""
    by_reason: dict[str, int] = {}
    for _, reason, rows in quarantine.count_by_reason(shop):
        by_reason[reason] = by_reason.get(reason, 0) + rows
    return dict(sorted(by_reason.items(), key=lambda item: (-item[1], item[0])))


def _find_overlong(shop: Connection, route: str) -> list[str]:
    """Find the entities of which rows wait in quarantine for longer than the route's period."""
    days = route_settings.load(route).retention.quarantine
    since = datetime.now(UTC) - timedelta(days=days)
    return [
        f"{entity} (the oldest since {oldest:%Y-%m-%d})"
        for entity, _, oldest in quarantine.count_by_age(shop)
        if oldest < since
    ]


def _find_unfenced(legacy: Connection, shop: Connection, route: Route, active: str) -> list[str]:
    """Find the tables of the closed store that have no fence."""
    if route.reverse:
        return []
    if active == "shop":
        return fence.find_unfenced(legacy, route.legacy_tables)
    return fence.find_unfenced(shop, route.entities)


def _read_phases(shop: Connection, route: Route) -> tuple[PhaseProgress, ...]:
    progress = chunks.load_progress(shop, route.name)

    def steps(phase: str, kind: str) -> tuple[int, int]:
        of = [p for p in progress if (p.phase, p.kind) == (phase, kind)]
        return sum(p.done for p in of), sum(p.total for p in of)

    return tuple(
        PhaseProgress(
            p.phase, p.state, steps(p.phase, "copy"), steps(p.phase, "merge"), p.holder, bool(p.held), p.seconds
        )
        for p in phases.load_all(shop, route.name)
    )


def _find_changed_columns(shop: Connection, route: Route) -> list[str]:
    known = route.name, route.entities
    return [*target_shape.find_lost(shop, *known), *target_shape.find_added(shop, *known, required=True)]


def _read_slot(legacy: Connection, route: Route) -> Slot | None:
    name = route.publication
    row = legacy.execute(
        """SELECT active, coalesce(wal_status, 'unknown'),
                  coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), 0)::bigint,
                  coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint,
                  (SELECT nullif(setting, '-1')::bigint * 1024 * 1024 FROM pg_settings WHERE name = 'max_slot_wal_keep_size'),
                  safe_wal_size
           FROM pg_replication_slots WHERE slot_name = %s""",
        (name,),
    ).fetchone()
    return Slot(name, *row) if row else None


def _measure_topics(
    names: list[str],
    held: Mapping[Partition, Held] | None,
    stored: Mapping[Partition, int],
    applied: Mapping[str, tuple[int, int]],
) -> list[Topic]:
    found = []
    for name in names:
        mine = {p: b for p, b in (held or {}).items() if p[0] == name}
        if not mine:
            found.append(Topic(name))
            continue
        behind = {p: max(0, b.end - stored.get(p, 0)) for p, b in mine.items()}
        events = sum(behind.values())
        ages = [None if mine[p].oldest_ms is None else _compute_age(mine[p].oldest_ms) for p, n in behind.items() if n]
        known = [a for a in ages if a is not None]
        number, size = applied.get(name, (0, 0))
        found.append(
            Topic(
                name,
                events,
                max(known) if known else None if ages else 0.0,
                0 if not events else events * size // number if number else None,
            )
        )
    return found


def _compute_age(epoch_ms: int | None) -> float:
    return max(0.0, datetime.now(UTC).timestamp() - (epoch_ms or 0) / 1000)
