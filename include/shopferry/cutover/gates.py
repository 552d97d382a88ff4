"""The gates of a turn: each is judged now and recorded with its evidence and its remedy."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from shopferry.cdc.proof import await_applied, broker_ends
from shopferry.control import backups, differences, gates, offsets, optouts, phases, quarantine, rehearsals, routes
from shopferry.control.gates import Gate
from shopferry.control.phases import State
from shopferry.cutover import acceptance, losses, sequences, servers, undecided, way_back
from shopferry.cutover.turn import Turn
from shopferry.engine.pair import Stores, open_stores
from shopferry.errors import ConfigError, GateError, ShopferryError
from shopferry.route import settings as route_settings
from shopferry.route.route import Route
from shopferry.route.settings import STORES, Terms
from shopferry.settings import Settings
from shopferry.stores import fence
from shopferry.verify import returned, unlogged

SIGN_OF_LIFE_S = 15.0
LAG_LIMIT_S = 10.0  # as long as the switch waits for the stream while nobody can write
_RECENT, _BEFORE = timedelta(seconds=15), timedelta(seconds=45)
_TREND_WAIT_S = 15.0  # a backup or a verification just before leaves a lag behind that is soon gone
_STEADY_MS = 1_000  # a lag below needs no direction: it goes up and down with every batch
# Of a phase's source rows, or so many, for each reason that route.toml allows no more for: a person can look at twenty.
QUARANTINE_SHARE, QUARANTINE_ROWS = 0.02, 20
_NAMED = 5


def judge(settings: Settings) -> list[Gate]:
    """Judge every gate of the cutover now and record the verdicts; changes nothing else.

    Raises ConfigError for a route.toml that is wrong.
    """
    with open_stores(settings, "gates") as s:
        return _judge(s, settings, route_settings.load(settings.route).cutover)


def _judge(s: Stores, settings: Settings, terms: Terms) -> list[Gate]:
    judged = [
        _window(terms, datetime.now(UTC)),
        _rehearsal(s),
        _phases(s),
        _verified(s, terms),
        _unlogged(s),
        _erased(s),
        _differences(s),
        _quarantine(s, terms),
        acceptance.judge(s, terms),
        _optouts(s, terms),
        *undecided.judge(s, terms),
        _backups(s),
        # In this order: the first waits, and meanwhile the consumer may have stopped.
        _lag(s, settings),
        _trend(s),
        _consumer(s),
        servers.old_transactions(s, terms),
        sequences.gate([*sequences.numberings(s.target, s.route), *way_back.numberings(s.source, s.route)]),
        servers.connections(s),
        servers.replication(s),
        servers.disk(s, terms),
        _reach(s),
        way_back.gate(s.back, settings),
        losses.judge_covered(s),
        losses.judge_accepted(s.route, terms.way_back_losses_accepted_by),
    ]
    with s.target.transaction():
        gates.record(s.target, s.route.name, judged)
    return judged


def judge_back(settings: Settings) -> list[Gate]:
    """Judge every gate of the rollback as `judge` does those of the cutover. Raises GateError without a way back."""
    if not Route.load(settings.route).has_way_back:
        raise GateError(
            f"route {settings.route} has no mappings that lead back: there is no rollback, and no gate of one"
        )
    with open_stores(settings.reversed, "gates") as s:
        return _judge_back(s, settings, route_settings.load(settings.route).cutover)


def _judge_back(s: Stores, settings: Settings, terms: Terms) -> list[Gate]:
    judged = [way_back.gate(s, settings)]
    if routes.is_installed(s.target):
        judged += [
            judge_held_back(s, terms),
            _erased(s),
            _trend(s),
            servers.old_transactions(s, terms),
            sequences.gate(sequences.numberings(s.target, s.route)),
            servers.connections(s),
            servers.replication(s),
            servers.disk(s, terms),
        ]
    with s.source.transaction():
        gates.record(s.source, s.route.name, judged)
    return judged


def require(turn: Turn) -> list[Gate]:
    """Judge every gate of the cutover. Raises GateError naming each that is not met, its evidence and how to meet it."""
    assert turn.flow
    judged = _judge(turn.flow, turn.settings, turn.terms)
    refuse_unmet("cutover", judged)
    return judged


def require_back(turn: Turn) -> list[Gate]:
    """Judge every gate of the rollback. Raises GateError as `require` does."""
    assert turn.flow
    judged = _judge_back(turn.flow, turn.settings, turn.terms)
    refuse_unmet("rollback", judged)
    return judged


def refuse_unmet(switch: str, judged: Sequence[Gate]) -> None:
    """Raise GateError when one of the gates is not met, naming each, its evidence and how to meet it."""
    if unmet := [g for g in judged if not g.met]:
        listed = "; ".join(f"{g.gate}: {g.evidence} → {g.remedy}" for g in unmet)
        raise GateError(f"{switch} refused, {len(unmet)} of {len(judged)} gates not met: {listed}")


def lines(judged: Sequence[Gate]) -> list[str]:
    """The gates as a table of plain text, for a log."""
    return [
        f"{'met' if g.met else 'NOT MET':9}{g.gate:30}{g.evidence}"
        + ("" if g.met or not g.remedy else f" → {g.remedy}")
        for g in judged
    ]


def _window(terms: Terms, now: datetime) -> Gate:
    if terms.window is None:
        return Gate("window open", True, "no window is set: at any time", "")
    evidence = f"{terms.window}; now {now.astimezone(ZoneInfo(terms.window.zone)):%Y-%m-%d %H:%M}"
    return Gate("window open", terms.window.holds(now), evidence, "wait, or change [cutover.window] in route.toml")


def _rehearsal(s: Stores) -> Gate:
    last, told = rehearsals.find_latest(s.target, s.route.name, s.route.fingerprint)
    who = None if last else rehearsals.find_decision(s.target, s.route.name, s.route.phases[0])
    # A decision to go without a rehearsal was taken when none had failed.
    met = last.green if last else who is not None
    evidence = told + (f"; {who} decided to go without one" if who else "")
    return Gate("rehearsal green", met, evidence, "run `shopferry rehearse`, and mend what it finds")


def _phases(s: Stores) -> Gate:
    states = {p.phase: p.state for p in phases.load_all(s.target, s.route.name)}
    late = [f"{p} is {states.get(p, 'unknown')}" for p in s.route.phases if states.get(p) != State.VERIFIED]
    if not routes.is_current(s.target, s.route.name, s.route.fingerprint):
        late.append("the mappings have changed since they were installed")
    return Gate(
        "phases verified",
        not late,
        ", ".join(late) or f"{len(states)} of {len(states)} verified",
        "run the phases named; after a change of mappings `shopferry phase init`, then all phases again",
    )


def _verified(s: Stores, terms: Terms) -> Gate:
    ages = {v.phase: v.age_h for v in differences.load_latest(s.target, s.route.name).values()}
    limit = terms.verified_hours
    old = [p for p in s.route.phases if ages.get(p, limit + 1) > limit]
    evidence = (
        f"no verification in {limit:g} h of {', '.join(old)}"
        if old
        else f"oldest {max(ages.values()):.1f} h of {limit:g}"
    )
    return Gate("verification fresh", not old, evidence, "run `shopferry verify`")


def _unlogged(s: Stores) -> Gate:
    found = unlogged.find_unlogged(s.source, s.target, s.route)
    evidence = "; ".join(found[:_NAMED]) or "no partition has come or gone, and no table was rewritten"
    return Gate(
        "nothing beside the log",
        not found,
        f"since the verification {evidence}" if found else evidence,
        "`shopferry verify`, then `shopferry repair` of what differs: the stream knows nothing of it",
    )


def _erased(s: Stores) -> Gate:
    """Judge whether who was erased is in neither store: a store that was restored from a backup has them again."""
    try:
        found = returned.find(s.source, s.target, s.route)
    except ConfigError as error:  # without the key of marks nobody can be known
        return Gate("erased stay erased", False, str(error), "give the key of before")
    told = [f"{one.store}'s ledger lacks {one.lacking:,} rows" for one in found if one.lacking]
    for one in found:
        for relation in dict.fromkeys(r for r, _, _ in one.rows):
            told.append(f"{one.store} holds {sum(r == relation for r, _, _ in one.rows):,} erased rows of {relation}")
    evidence = "; ".join(told[:_NAMED]) or ("no erased row stands in either store" if found else "nobody was erased")
    return Gate("erased stay erased", not told, evidence, f"a store was restored from a backup: {returned.REMEDY}")


def _differences(s: Stores) -> Gate:
    count = {"open": 0, "explained": 0}
    for entry in differences.count(s.target, s.route.name):
        if entry["state"] in count:
            count[entry["state"]] += entry["differences"]
    evidence = f"{count['open']} open, {count['explained']} explained"
    if explained := differences.load_explainers(s.target, s.route.name):
        people = ", ".join(f"{who} ({rows})" for who, rows in explained.items())
        evidence = f"{count['open']} open, {count['explained']} explained by {people}"
    return Gate(
        "no differences",
        count["open"] == 0,
        evidence,
        "`shopferry difference list`, `shopferry repair`, or explain them by name",
    )


def _quarantine(s: Stores, terms: Terms) -> Gate:
    """Judge each reason by itself: one that got out of hand must not hide among the others."""
    phase_of = {m.entity: m.phase for m in reversed(s.route.mappings)}
    rows = {
        p: sum(a["legacy_rows"] for a in v.accounting)
        for p, v in differences.load_latest(s.target, s.route.name).items()
    }
    held: dict[str, dict[str, int]] = {}
    for entity, reason, count in quarantine.count_by_reason(s.target):
        if phase := phase_of.get(entity):
            by_phase = held.setdefault(reason, {})
            by_phase[phase] = by_phase.get(phase, 0) + count
    found = []  # rows, limit, reason, why that many
    for reason, by_phase in held.items():
        if allowed := terms.quarantine.get(reason):
            found.append((sum(by_phase.values()), allowed.rows, reason, f"allowed by {allowed.who}"))
            continue
        for phase, count in by_phase.items():
            limit = max(int(QUARANTINE_SHARE * rows[phase]), QUARANTINE_ROWS) if phase in rows else 0
            found.append((count, limit, reason, f"in {phase}"))
    found.sort(key=lambda one: one[0] / max(one[1], 1), reverse=True)
    over = [one for one in found if one[0] > one[1]]
    told = [f"{reason} {count:,} of at most {limit:,} ({why})" for count, limit, reason, why in over or found[:1]]
    evidence = "; ".join(told[:_NAMED])
    if over[_NAMED:]:
        evidence += f"; and {len(over) - _NAMED} more"
    elif found and not over:
        evidence = f"{len(held)} reasons, nearest to its limit {evidence}"
    return Gate(
        "quarantine small",
        not over,
        evidence or "empty",
        "`shopferry quarantine list`, correct the cause, `shopferry quarantine release`; or allow the reason more rows, by "
        "name: [[cutover.quarantine]] in route.toml",
    )


def _optouts(s: Stores, terms: Terms) -> Gate:
    """Judge whether each list of opt-outs that route.toml names was imported in the last day, but for those waived by name."""
    late, told = optouts.judge_ages(s.target, s.route.name, terms.optout_sources, terms.optout_waived_by)
    return Gate(
        "opt-outs imported",
        not late,
        "; ".join(late or told) or "route.toml names no list",
        f"`shopferry optout import` a new export, no older than {optouts.MOST_HOURS} h; or waive the list by name: "
        "[optout.waived_by] in route.toml",
    )


def judge_held_back(s: Stores, terms: Terms) -> Gate:
    """Judge whether legacy has taken all that the new shop has acknowledged, but for what a person let stay behind."""
    held: dict[str, int] = {}
    for _, reason, count in quarantine.count_by_reason(s.target):
        held[reason] = held.get(reason, 0) + count
    allowed = terms.way_back_quarantine
    over = {r: n for r, n in held.items() if r not in allowed or n > allowed[r].rows}
    told = [
        f"{n:,} rows {r}" + (f", allowed by {allowed[r].who}" if r in allowed else "")
        for r, n in (over or held).items()
    ]
    return Gate(
        "nothing held back",
        not over,
        "; ".join(told) or "legacy has taken all",
        "`shopferry quarantine list --reverse`, correct the cause, `shopferry quarantine release --reverse`; or let them stay "
        "behind, by name: [[cutover.way_back_quarantine]] in route.toml",
    )


def _backups(s: Stores) -> Gate:
    taken = backups.list_all(s.target, s.route.name)
    told, met = [], True
    for store in STORES:
        of_store = [b for b in taken if b.store == store]
        best = next((b for b in of_store if b.proven), of_store[0] if of_store else None)
        met &= best is not None and best.proven
        if best is None:
            told.append(f"{store}: none")
        elif best.problem:
            told.append(f"{store}: {best.age_h:.1f} h old, cannot be restored")
        else:
            told.append(f"{store}: {best.age_h:.1f} h old, {'restored to try it' if best.tested else 'never restored'}")
    return Gate("backup fresh and restored", met, "; ".join(told), "run `shopferry backup --test-restore`")


def _consumer(s: Stores) -> Gate:
    seen = offsets.list_consumers(s.target, s.route.name)
    met = bool(seen) and seen[0].age_s < SIGN_OF_LIFE_S and seen[0].stopped is None
    evidence = "no consumer was ever seen" if not seen else f"last seen {seen[0].age_s:.0f} s ago"
    if seen and seen[0].stopped:
        evidence += f", stopped: {seen[0].stopped}"
    return Gate("consumer alive", met, evidence, "start `shopferry sync forward`, read its log")


def _lag(s: Stores, settings: Settings) -> Gate:
    try:
        with broker_ends(s, settings) as ends:
            passed = await_applied(s, ends, timeout_s=LAG_LIMIT_S)
    except ShopferryError as error:
        return Gate("stream caught up", False, str(error), "see `shopferry status`: connector, broker, consumer")
    seconds = passed.connector_s + passed.consumer_s
    return Gate("stream caught up", True, f"a marker went through in {seconds * 1000:.0f} ms", "")


def _trend(s: Stores) -> Gate:
    """Judge whether the lag is small or falls, looking a few times before the answer is no."""
    until = time.monotonic() + _TREND_WAIT_S
    while not (gate := _trend_now(s)).met and time.monotonic() < until:
        time.sleep(1)
    return gate


def _trend_now(s: Stores) -> Gate:
    """Judge by the changes themselves: a marker may slip through while batches take longer and longer."""
    now, before = offsets.measure_trend(s.target, s.route.name, _RECENT, _BEFORE)
    low = now is None or now <= _STEADY_MS
    falling = now is not None and before is not None and now < before
    met = low or (falling and now is not None and now <= LAG_LIMIT_S * 1000)
    told = [f"{ms:,} ms" if ms is not None else "nothing" for ms in (now, before)]
    evidence = f"changes of the last {_RECENT.seconds} s: {told[0]}, of the {_BEFORE.seconds} s before: {told[1]}"
    return Gate(
        "lag small and falling",
        met,
        "; ".join([evidence, f"fine below {_STEADY_MS:,} ms, or falling below {LAG_LIMIT_S:.0f} s"]),
        "wait until the stream has caught up; see what the shop's database waits for, or choose an hour with fewer writes",
    )


def _reach(s: Stores) -> Gate:
    missing = fence.find_unfenced(s.target, s.route.entities)
    evidence = f"no fence on {', '.join(missing)}" if missing else "every table of the new shop is fenced"
    return Gate("new shop closed", not missing, evidence, "run `shopferry phase init`")
