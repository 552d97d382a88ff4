"""The sync on one screen, as plain text: for a terminal of 80 columns or more, and for a task's log."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from shopferry.control.phases import State
from shopferry.health.measure import SyncHealth, Topic
from shopferry.health.problems import MIB, Limits, Problem, find_awaited

_HEIGHT = 40
_TOPICS = 3  # lines at least
_REASONS = 8
_LABEL = 12
_STATES = {"in_sync": "in sync", "cut_over": "cut over", "new": "not begun"}


def render(
    health: SyncHealth, problems: Sequence[Problem], width: int = 120, grace_s: float = Limits.grace_s
) -> list[str]:
    """Render the screen line by line; problems begin with `!` and come first. The more of them, the fewer idle topics."""
    awaited = find_awaited(health, Limits(grace_s=grace_s))
    above = [_render_headline(health, problems, awaited, grace_s)]
    for problem in problems:
        above += _wrap(f"! {problem.text} → {problem.anchor}", width, "  ")
    for problem in awaited:
        above += _wrap(f"~ not yet: {problem.text}", width, "  ")
    above.append("")
    if "shop" in health.away:
        return above + (list(_render_slot(health, width)) if health.slot else [])
    above += _render_phases(health)
    below = [
        *_render_stream(health, width),
        *_render_quarantine(health, width),
        *_render_other(health.other, width),
        *_render_people(health, width),
    ]
    waits = _render_topics(health, _HEIGHT - len(above) - len(below)) if health.watched else []
    return [line.rstrip() if len(line) <= width else line[: width - 1] + "…" for line in [*above, *waits, *below]]


def _render_headline(
    health: SyncHealth, problems: Sequence[Problem], awaited: Sequence[Problem], grace_s: float
) -> str:
    if problems:
        verdict = "1 THING IS WRONG" if len(problems) == 1 else f"{len(problems)} THINGS ARE WRONG"
    elif not health.begun:
        verdict = "no phase has begun: nothing to watch yet"
    elif not health.watched:
        verdict = "cut over: the new shop is the source of truth, the forward flow is over"
    elif health.age_s < grace_s:
        left = grace_s - health.age_s
        verdict = (
            f"just begun: what has to start has {left:.0f} s left before it is missed" if awaited else "all is well"
        )
    else:
        verdict = "all is well"
    return f"{health.at:%Y-%m-%d %H:%M:%S} UTC  {health.route}  {verdict}"


def _render_phases(health: SyncHealth) -> Iterator[str]:
    yield f"{'phase':{_LABEL}}{'state':11}{'copied':>16}{'merged':>18}{'worked':>10}"
    done = True
    for p in health.phases:
        held = "" if not p.holder else f"  {p.holder}" if p.alive else f"  {p.holder} (died)"
        if p.state == State.NEW and done and health.begun:
            held = f"  due: unpause or start DAG {p.phase}, or run `shopferry phase run {p.phase}`"
        done = p.state == State.VERIFIED
        worked = f"{p.seconds:,.0f} s" if p.seconds else "–"
        steps = f"{_render_share(p.copied):>16}{_render_share(p.merged):>18}"
        # In a narrow window the holder's name is what may be cut off.
        yield f"{p.phase:{_LABEL}}{_STATES.get(p.state, p.state):11}{steps}{worked:>10}{held}"
    yield ""


def _render_share(done_of: tuple[int, int]) -> str:
    done, total = done_of
    return f"{done:,} of {total:,}" if total else "–"


def _render_stream(health: SyncHealth, width: int) -> Iterator[str]:
    if not health.begun:
        return
    if health.watched:
        yield from _render_slot(health, width)
    if health.position:
        yield (
            f"{'applied':{_LABEL}}up to {health.position.lsn}, committed {health.position.committed:%Y-%m-%d %H:%M:%S} UTC, "
            f"{_render_age(health.position.age_s)}"
        )
    else:
        yield f"{'applied':{_LABEL}}no change yet"
    lag = f", lag p50 {health.lag_ms_p50:,} ms, p99 {health.lag_ms_p99:,} ms" if health.events_per_s else ""
    yield f"{'rate':{_LABEL}}{health.events_per_s:,.1f} events/s over the last minute{lag}"
    if health.watched:
        yield from _render_consumers(health)


def _render_topics(health: SyncHealth, room: int) -> list[str]:
    """Render what waits, by topic: those that are missing or wait longest first, the rest in one line when there is no room."""
    head = f"{'waits':7}{'events':>13}{'seconds':>10}{'bytes':>11}  topic"
    if "broker" in health.away:
        return [head, f"{'':7}{'?':>13}{'?':>10}{'?':>11}  the broker cannot be looked at", ""]
    ordered = sorted(health.topics, key=lambda t: (t.events is not None, -(t.events or 0)))
    room = max(_TOPICS, room - 3)  # this head, the sum, the empty line
    shown = ordered if len(ordered) <= room else ordered[: room - 1]
    rest = ordered[len(shown) :]
    others = [_render_topic(_sum_up(rest, f"{len(rest)} others"))] if rest else []
    return [head, *map(_render_topic, shown), *others, _render_topic(_sum_up(health.topics, "all")), ""]


def _render_topic(t: Topic) -> str:
    events = "?" if t.events is None else f"{t.events:,}"
    seconds = "?" if t.seconds is None else f"{t.seconds:,.1f}"
    return f"{'':7}{events:>13}{seconds:>10}{_render_bytes(t):>11}  {t.topic}"


def _render_bytes(t: Topic) -> str:
    return "?" if t.bytes is None else "0" if not t.bytes else f"~{render_size(t.bytes)}"


def _sum_up(topics: Sequence[Topic], name: str) -> Topic:
    """Together: events and bytes add up as far as they are known, of seconds the longest counts."""
    events = [t.events for t in topics if t.events is not None]
    seconds = [t.seconds for t in topics if t.seconds is not None]
    sizes = [t.bytes for t in topics if t.bytes is not None]
    return Topic(
        name, sum(events) if events else None, max(seconds) if seconds else None, sum(sizes) if sizes else None
    )


def _render_slot(health: SyncHealth, width: int) -> Iterator[str]:
    if "legacy" in health.away:
        yield f"{'slot':{_LABEL}}? {health.read} cannot be looked at"
    elif slot := health.slot:
        parts = [
            f"{slot.name}: {'active' if slot.active else 'NOT ACTIVE'}, {slot.wal_status}",
            f"{render_size(slot.lag_bytes)} not confirmed",
            f"{render_size(slot.retained_bytes)} of log kept",
            f"{render_size(max(0, slot.headroom_bytes))} left of {render_size(slot.limit_bytes)}"
            if slot.limit_bytes and slot.headroom_bytes is not None
            else "no limit",
        ]
        yield from _wrap(f"{'slot':{_LABEL}}{', '.join(parts)}", width, " " * _LABEL)
    else:
        yield f"{'slot':{_LABEL}}none"


def _render_consumers(health: SyncHealth) -> Iterator[str]:
    for number, c in enumerate(health.consumers[:3]):
        what = f"stopped, seen {_render_age(c.age_s)}" if c.stopped else f"seen {_render_age(c.age_s)}"
        yield f"{'consumer' if not number else '':{_LABEL}}{c.consumer} {what}"
    if not health.consumers:
        yield f"{'consumer':{_LABEL}}never seen"


def _render_quarantine(health: SyncHealth, width: int) -> Iterator[str]:
    if not health.begun:
        return
    reasons = list(health.quarantine.items())
    named = [f"{reason} {rows:,}" for reason, rows in reasons[:_REASONS]]
    if rest := reasons[_REASONS:]:
        named.append(f"{len(rest)} more reasons {sum(rows for _, rows in rest):,}")
    text = ", ".join(named) or "empty"
    yield from _wrap(f"{'quarantine':{_LABEL}}{text}", width, " " * _LABEL)


def _render_other(health: SyncHealth | None, width: int) -> Iterator[str]:
    """Render the flow that led to the store that is open now, on one line."""
    if health is None or not health.watched:
        return
    slot, seen = health.slot, health.consumers[:1]
    kept = slot and f"slot {'active' if slot.active else 'NOT ACTIVE'}, {render_size(slot.retained_bytes)} of log kept"
    parts = [
        f"{health.route}: {sum(t.events or 0 for t in health.topics):,} events wait",
        kept or "no slot",
        f"consumer seen {_render_age(seen[0].age_s)}" if seen else "consumer never seen",
    ]
    yield from _wrap(f"{'kept up':{_LABEL}}{', '.join(parts)}", width, " " * _LABEL)


def _render_people(health: SyncHealth, width: int) -> Iterator[str]:
    for label, text in health.people.items():
        yield from _wrap(f"{label:{_LABEL}}{text}", width, " " * _LABEL)


def _wrap(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )


def _render_age(seconds: float) -> str:
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s ago"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min ago"
    return f"{seconds / 3600:.0f} h ago"


def render_size(amount: int) -> str:
    """Render bytes as people read them."""
    if amount < 10 * 1024:
        return f"{amount:,} B"
    if amount < 10 * MIB:
        return f"{amount / 1024:,.0f} KiB"
    if amount < 10 * 1024 * MIB:
        return f"{amount / MIB:,.0f} MiB"
    return f"{amount / MIB / 1024:,.0f} GiB"
