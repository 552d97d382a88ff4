"""The gates of the cutover: each judged now, recorded with its evidence, and with what would meet it."""

from __future__ import annotations

from shopferry import fence, installation
from shopferry.backfill import Stores
from shopferry.control import backups, differences, gates, offsets, phases
from shopferry.control.gates import Gate
from shopferry.control.phases import State
from shopferry.errors import GateError, ShopferryError
from shopferry.passage import await_applied, broker_ends, stores
from shopferry.settings import Settings

FRESH_HOURS = 24  # a verification older than this says little of a moving shop
SIGN_OF_LIFE_S = 15.0
LAG_LIMIT_S = 10.0
OLD_TRANSACTION_S = 60.0  # a writer that old would hold up the lock
QUARANTINE_LIMIT = 0.05  # of a phase's legacy rows


def judge(settings: Settings) -> list[Gate]:
    """Judge every gate now and record the verdicts; changes nothing else."""
    with stores(settings, "gates") as s:
        judged = [
            _phases(s), _verified(s), _differences(s), _quarantine(s), _backups(s),
            _lag(s, settings), _consumer(s),  # in this order: the first waits, and meanwhile the consumer may have stopped
            _old_transactions(s), _reach(s),
        ]  # fmt: skip
        with s.shop.transaction():
            gates.record(s.shop, s.route.name, judged)
    return judged


def require(settings: Settings) -> list[Gate]:
    """Judge every gate. Raises GateError naming each one that is not met, its evidence and how to meet it."""
    judged = judge(settings)
    if unmet := [g for g in judged if not g.met]:
        listed = "; ".join(f"{g.gate}: {g.evidence} → {g.remedy}" for g in unmet)
        raise GateError(f"cutover refused, {len(unmet)} of {len(judged)} gates not met: {listed}")
    return judged


def _phases(s: Stores) -> Gate:
    states = {p.phase: p.state for p in phases.all_phases(s.shop, s.route.name)}
    late = [f"{p} is {states.get(p, 'unknown')}" for p in s.route.phases if states.get(p) != State.VERIFIED]
    return Gate(
        "phases verified", not late, ", ".join(late) or f"{len(states)} of {len(states)} verified",
        "run the phases named",
    )  # fmt: skip


def _verified(s: Stores) -> Gate:
    ages = {v.phase: v.age_h for v in differences.latest(s.shop, s.route.name).values()}
    old = [p for p in s.route.phases if ages.get(p, FRESH_HOURS + 1) > FRESH_HOURS]
    evidence = f"no verification in {FRESH_HOURS} h of {', '.join(old)}" if old else f"oldest {max(ages.values()):.1f} h"
    return Gate("verification fresh", not old, evidence, "run `shopferry verify`")


def _differences(s: Stores) -> Gate:
    count = {"open": 0, "explained": 0}
    for entry in differences.counts(s.shop, s.route.name):
        if entry["state"] in count:
            count[entry["state"]] += entry["differences"]
    return Gate(
        "no differences", count["open"] == 0, f"{count['open']} open, {count['explained']} explained",
        "`shopferry difference list`, `shopferry repair`, or explain them by name",
    )  # fmt: skip


def _quarantine(s: Stores) -> Gate:
    accounts = [a for v in differences.latest(s.shop, s.route.name).values() for a in v.accounting]
    rows, held = sum(a["legacy_rows"] for a in accounts), sum(a["quarantined"] for a in accounts)
    share = held / rows if rows else 0.0
    return Gate(
        "quarantine small", share <= QUARANTINE_LIMIT, f"{held} of {rows} rows ({share:.2%})",
        "`shopferry quarantine list`, correct the cause, `shopferry quarantine release`",
    )  # fmt: skip


def _backups(s: Stores) -> Gate:
    taken = backups.taken(s.shop, s.route.name)
    told, met = [], True
    for store in backups.STORES:
        of_store = [b for b in taken if b.store == store]
        best = next((b for b in of_store if b.proven), of_store[0] if of_store else None)
        met &= best is not None and best.proven
        if best is None:
            told.append(f"{store}: none")
        elif best.problem:
            told.append(f"{store}: {best.age_h:.1f} h old, cannot be restored")
        else:
            told.append(f"{store}: {best.age_h:.1f} h old, {'restored to try it' if best.tested else 'never restored'}")
    return Gate("backup fresh and restored", met, ", ".join(told), "run `shopferry backup --test-restore`")


def _consumer(s: Stores) -> Gate:
    seen = offsets.consumers(s.shop, s.route.name)
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


def _old_transactions(s: Stores) -> Gate:
    row = s.legacy.execute(
        """SELECT count(*), coalesce(max(extract(epoch FROM now() - xact_start)), 0)::float FROM pg_stat_activity
           WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
             AND xact_start < now() - make_interval(secs => %s)""",
        (OLD_TRANSACTION_S,),
    ).fetchone()
    count, oldest = (int(row[0]), float(row[1])) if row else (0, 0.0)
    evidence = f"{count} older than {OLD_TRANSACTION_S:.0f} s, the oldest {oldest:.0f} s" if count else "none"
    return Gate("no old transaction in legacy", count == 0, evidence, "end them, or wait: the lock waits for them")


def _reach(s: Stores) -> Gate:
    missing = sorted(set(installation.entities(s.route)) - set(fence.fenced(s.shop)))
    evidence = f"no fence on {', '.join(missing)}" if missing else "every table of the new shop is fenced"
    return Gate("new shop closed", not missing, evidence, "run `shopferry phase init`")
