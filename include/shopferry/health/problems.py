"""What is wrong with the sync: one problem for each thing, with what to do and where the runbook says more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from shopferry.health.measure import Slot, SyncHealth
from shopferry.settings import name_slot

MIB = 1024 * 1024
RUNBOOK = "docs/runbooks/watch_sync.md"
_RECENT_S = 300.0  # a consumer that was not seen for longer is history


@dataclass(frozen=True)
class Limits:
    """From where on something is wrong; the reasons stand in docs/runbooks/watch_sync.md."""

    lag_s: float = 60.0
    lag_bytes: int = 256 * MIB
    retained_bytes: int = 2048 * MIB
    silence_s: float = 30.0
    grace_s: float = 60.0  # after the first phase's start: connector and consumer begin when it has installed
    headroom: float = 0.25  # of max_slot_wal_keep_size


class Code(StrEnum):
    """What may be wrong; each is the anchor of its section in the runbook."""

    SHOP_AWAY = "shop-away"
    LEGACY_AWAY = "legacy-away"
    BROKER_AWAY = "broker-away"
    SLOT_GONE = "slot-gone"
    SLOT_LOST = "slot-lost"
    SLOT_INACTIVE = "slot-inactive"
    SLOT_BEHIND = "slot-behind"
    SLOT_RETAINS = "slot-retains"
    SLOT_HEADROOM = "slot-headroom"
    UNPUBLISHED = "unpublished"
    WRITES_REFUSED = "writes-refused"
    BESIDE_LOG = "beside-the-log"
    TARGET_CHANGED = "target-changed"
    CHANGES_LOST = "changes-lost"
    TOPIC_MISSING = "topic-missing"
    EVENTS_MISSING = "events-missing"
    CONSUMER_MISSING = "consumer-missing"
    CONSUMER_SILENT = "consumer-silent"
    CONSUMER_STOPPED = "consumer-stopped"
    LATE = "late"
    STORE_OPEN = "store-open"
    QUARANTINE_OVERLONG = "quarantine-overlong"


AWAY = {Code.SHOP_AWAY, Code.LEGACY_AWAY, Code.BROKER_AWAY}  # may be back at the next look
_YOUNG = {Code.SLOT_GONE, Code.SLOT_INACTIVE, Code.TOPIC_MISSING, Code.CONSUMER_MISSING, Code.CONSUMER_SILENT}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: what, and what to do."""

    code: Code
    text: str

    @property
    def anchor(self) -> str:
        """Where the runbook says what it means, how to look and what to do."""
        return f"{RUNBOOK}#{self.code}"

    def __str__(self) -> str:
        return f"{self.text} ({self.anchor})"


def find_problems(health: SyncHealth, limits: Limits = Limits()) -> list[Problem]:
    """Find what is wrong; nothing when all is well or there is nothing to watch. A store that cannot be looked at is wrong."""
    return [c for c in _find_all(health, limits) if not _is_awaited(c, health, limits)]


def find_awaited(health: SyncHealth, limits: Limits = Limits()) -> list[Problem]:
    """Find what is not there yet, and is not wrong before the first phase has run for a minute."""
    return [c for c in _find_all(health, limits) if _is_awaited(c, health, limits)]


def _is_awaited(problem: Problem, health: SyncHealth, limits: Limits) -> bool:
    return health.age_s < limits.grace_s and problem.code in _YOUNG


def _find_all(health: SyncHealth, limits: Limits) -> list[Problem]:
    found = [*_find_away(health)]
    if "shop" in health.away and health.slot:
        found += _find_of_room(health.slot, limits)
    if health.watched:
        found += [
            *_find_of_slot(health, limits),
            *_find_of_broker(health),
            *_find_of_consumers(health, limits),
            *_find_late(health, limits),
        ]
    elif health.begun and health.slot:  # nobody needs it any more, but legacy keeps its log for it
        found += [c for c in _find_of_room(health.slot, limits) if c.code in {Code.SLOT_RETAINS, Code.SLOT_HEADROOM}]
    if health.refused:
        found.append(_describe_refused(health))
    if health.unlogged:
        found.append(
            Problem(
                Code.BESIDE_LOG,
                f"{health.read} has changed beside its log since the verification: {_join_some(list(health.unlogged))}: run "
                "`shopferry verify`, then `shopferry repair` of what differs",
            )
        )
    if health.target_changed:
        found.append(
            Problem(
                Code.TARGET_CHANGED,
                f"the application of {health.written} has changed its tables since the route was installed: "
                f"{_join_some(list(health.target_changed))}: mend the mapping and `shopferry phase init`, "
                "or give the column back",
            )
        )
    if health.unfenced:
        found.append(_describe_open(health))
    if health.overlong:
        found.append(
            Problem(
                Code.QUARANTINE_OVERLONG,
                f"rows wait in quarantine for longer than route.toml says: {_join_some(list(health.overlong))}: correct "
                "their cause and `shopferry quarantine release`, or let the mapping leave them out",
            )
        )
    if health.other:
        found += [replace(c, text=f"{health.other.route}: {c.text}") for c in find_problems(health.other, limits)]
    return found


def _find_away(health: SyncHealth) -> Iterator[Problem]:
    for server, name in (("shop", health.written), ("legacy", health.read), ("broker", "the broker")):
        if server in health.away:
            hidden = {
                "shop": "nothing is known of the sync",
                "legacy": "slot and publication were not looked at",
                "broker": "what waits there was not looked at",
            }[server]
            yield Problem(Code(f"{server}-away"), f"{name} cannot be looked at, {hidden}: {health.away[server]}")


def _find_of_slot(health: SyncHealth, limits: Limits) -> Iterator[Problem]:
    if "legacy" in health.away:
        return
    if health.slot is None:
        yield Problem(
            Code.SLOT_GONE,
            f"replication slot {name_slot(health.route)} is gone, and with it every change since: run `shopferry sync resync`",
        )
    elif health.slot.wal_status == "lost":
        yield Problem(
            Code.SLOT_LOST, f"slot {health.slot.name} was invalidated, changes are lost: run `shopferry sync resync`"
        )
    else:
        yield from _find_of_room(health.slot, limits)
    if health.withheld:
        yield Problem(
            Code.UNPUBLISHED,
            f"changes do not come any more: {'; '.join(health.withheld)}: mend {health.read} if it is about a column, "
            "then `shopferry sync resync`",
        )
    elif health.lost and health.slot is not None:
        yield Problem(Code.CHANGES_LOST, f"{health.lost}: changes were lost then, run `shopferry sync resync`")


def _find_of_room(slot: Slot, limits: Limits) -> Iterator[Problem]:
    if not slot.active:
        yield Problem(Code.SLOT_INACTIVE, f"nobody reads slot {slot.name}: start the connector, read its log")
    if slot.lag_bytes > limits.lag_bytes:
        yield Problem(
            Code.SLOT_BEHIND,
            f"the connector is {_render_mib(slot.lag_bytes)} behind (limit {_render_mib(limits.lag_bytes)}): "
            "see whether the broker takes its events",
        )
    if slot.retained_bytes > limits.retained_bytes:
        yield Problem(
            Code.SLOT_RETAINS,
            f"{_render_mib(slot.retained_bytes)} of log are kept for slot {slot.name} "
            f"(limit {_render_mib(limits.retained_bytes)}): watch the disk",
        )
    if slot.limit_bytes and slot.headroom_bytes is not None:
        few = slot.headroom_bytes < limits.headroom * slot.limit_bytes
        if few or slot.wal_status == "unreserved":
            yield Problem(
                Code.SLOT_HEADROOM,
                f"{_render_mib(max(0, slot.headroom_bytes))} more of log and slot {slot.name} is invalidated "
                f"(max_slot_wal_keep_size {_render_mib(slot.limit_bytes)}, {slot.wal_status}): "
                "raise it, or get the connector going",
            )


def _find_of_broker(health: SyncHealth) -> Iterator[Problem]:
    if "broker" in health.away:
        return
    if missing := [t.topic for t in health.topics if t.events is None]:
        yield Problem(
            Code.TOPIC_MISSING,
            f"the broker has no topic {_join_some(missing)}: the connector creates them, read its log",
        )
    if health.gaps:
        first = health.gaps[0]
        more = f", and {len(health.gaps) - 1} more" if len(health.gaps) > 1 else ""
        yield Problem(
            Code.EVENTS_MISSING,
            f"{first.topic}[{first.partition}]: applied up to offset {first.stored}, but {first.what}{more}: "
            "changes are lost between broker and shop, resync",
        )


def _find_of_consumers(health: SyncHealth, limits: Limits) -> Iterator[Problem]:
    if not health.consumers:
        yield Problem(Code.CONSUMER_MISSING, f"no consumer was ever seen: start `{health.flow}`")
        return
    lives = any(not c.stopped and c.age_s <= limits.silence_s for c in health.consumers)
    for consumer in [c for c in health.consumers if c.age_s < _RECENT_S] or health.consumers[:1]:
        if consumer.stopped:
            yield Problem(Code.CONSUMER_STOPPED, f"consumer {consumer.consumer} has stopped: {consumer.stopped}")
        elif not lives:
            yield Problem(
                Code.CONSUMER_SILENT,
                f"consumer {consumer.consumer} was last seen {consumer.age_s:.0f} s ago (limit {limits.silence_s:.0f}): "
                f"start `{health.flow}`, read its log",
            )


def _describe_refused(health: SyncHealth) -> Problem:
    return Problem(
        Code.WRITES_REFUSED,
        f"the application of {health.read} cannot UPDATE or DELETE there: {'; '.join(health.refused)}, and PostgreSQL wants all "
        "of it published: ALTER TABLE … REPLICA IDENTITY DEFAULT at once (a key that is DEFERRABLE is made anew without)",
    )


def _describe_open(health: SyncHealth) -> Problem:
    """Describe the flow there: the store that it reads is closed after the cutover, the one that it writes before."""
    closed, close = (health.read, "cutover") if health.active == "shop" else (health.written, "phase init")
    return Problem(
        Code.STORE_OPEN,
        f"{closed} takes writes, though the other store is the one that is open: no fence stands on "
        f"{_join_some(list(health.unfenced))}: `shopferry {close}` raises it",
    )


def _find_late(health: SyncHealth, limits: Limits) -> Iterator[Problem]:
    if health.lag_s > limits.lag_s:
        yield Problem(
            Code.LATE,
            f"changes arrive {health.lag_s:.0f} s late (limit {limits.lag_s:.0f}): see what {health.written} waits for",
        )


def _render_mib(size: int) -> str:
    return f"{size / MIB:.0f} MiB"


def _join_some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
