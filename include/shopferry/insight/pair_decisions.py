"""Decide pairs, and take decisions back: a decision is a change of a source, so all that hangs on the accounts follows it.

What was decided is kept and merged in one transaction, and looked at before it commits: whoever was one person by a decision
must still be, and who is decided to be different must be apart. So a circle of *same* with a *different* inside is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from psycopg.sql import Identifier

from shopferry.control import pairs, phases
from shopferry.control.pairs import BY_HAND, Decision, Pair, Wanted
from shopferry.engine.pair import Stores
from shopferry.errors import ConfigError, PhaseError
from shopferry.insight import pair_search, similarity
from shopferry.insight.pair_files import Rules
from shopferry.route.entities import PAIR, name_changed_table

SAMPLE = 20  # pairs that somebody has to have looked at before a whole rule is decided
VERB = "pair list"  # by which a sample is shown
_AT_ONCE = 200  # pairs decided in one transaction
_MOST = 50  # accounts of one person: more are no person, but a mistake in a chain of decisions


@dataclass
class Outcome:
    """What came of deciding a whole rule: how many were decided, and why others were not."""

    decided: int = 0
    refused: list[str] = field(default_factory=list)


def decide(stores: Stores, rules: Rules, keys: tuple[int, int], decision: Decision) -> None:
    """Decide one pair, which need not have been found by a rule.

    Raises PhaseError where it was decided before, where it stands against another decision, and after the cutover;
    ConfigError for accounts that make no pair.
    """
    a, b = min(keys), max(keys)
    if a == b:
        raise ConfigError(f"{a} and {b} are one account: a pair has two")
    pair_search.require_merged(stores.target, stores.route, rules)
    _change(stores, rules, [(a, b)], decision)


def note(stores: Stores, rules: Rules, keys: tuple[int, int], decision: Decision) -> None:
    """Keep a decision on a pair of a shop that is not moved yet: the first merge takes it as it stands, and nobody is asked."""
    target, route, entity = stores.target, stores.route.base_name, rules.identity.identity
    stores.merger.stage(stores.route.units)
    with target.transaction():
        pairs.add(target, route, entity, Pair(min(keys), max(keys), 0.0, {}, BY_HAND, "new", None, None, None))
        changed = Identifier("pg_temp", name_changed_table(PAIR))
        pairs.decide(target, route, entity, [(min(keys), max(keys))], decision, changed)
        stores.merger.propagate([], {PAIR})


def undo(stores: Stores, rules: Rules, keys: tuple[int, int], who: str, why: str) -> None:
    """Take a decision back, so that all is as if it had never been. Raises PhaseError where there is none."""
    a, b = min(keys), max(keys)
    pair_search.require_merged(stores.target, stores.route, rules)
    _change(stores, rules, [(a, b)], Decision("new", who, why))


def decide_rule(stores: Stores, rules: Rules, wanted: Wanted, decision: Decision) -> Outcome:
    """Decide all undecided pairs of a rule from a score on; those that stand against another decision are left, and named.

    Raises PhaseError unless the same person was shown a sample of them before.
    """
    route, entity = stores.route.base_name, rules.identity.identity
    assert wanted.rule
    rules.require(wanted.rule)
    pair_search.require_merged(stores.target, stores.route, rules)
    found = pairs.find(stores.target, route, entity, Wanted(wanted.rule, "new", wanted.above))
    seen = pairs.find_last_sample(stores.target, decision.who, VERB, name_sample(wanted.rule, wanted.above))
    last = pairs.load_search(stores.target, route)
    if seen is None or (last and seen < last.at):
        raise PhaseError(
            f"{decision.who} has not looked at a sample of these {len(found):,} pairs since they were found: "
            f"`shopferry pair list --rule {wanted.rule} --above {wanted.above:g} --sample --why …` shows {SAMPLE}"
        )
    done = Outcome()
    for start in range(0, len(found), _AT_ONCE):
        part = [(p.a, p.b) for p in found[start : start + _AT_ONCE]]
        try:
            _change(stores, rules, part, decision)
            done.decided += len(part)
        except (PhaseError, ConfigError):
            for one in part:
                try:
                    _change(stores, rules, [one], decision)
                    done.decided += 1
                except (PhaseError, ConfigError) as error:
                    done.refused.append(str(error))
    return done


def name_sample(rule: str, above: float) -> str:
    """What a look at a sample of a rule is booked under."""
    return f"sample of pairs by {rule} from {above:g}"


def _change(stores: Stores, rules: Rules, keys: Sequence[tuple[int, int]], decision: Decision) -> None:
    """Keep one decision of these pairs, and merge what it affects, in one transaction."""
    target, route, entity = stores.target, stores.route, rules.identity.identity
    stores.merger.stage(route.units)
    with target.transaction():
        states = {phase: state for phase, state, _ in phases.lock(target, route.name)}
        pair_search.require_before_cutover(target, route)  # it may have come since: from here on it waits for us
        stores.merger.hold()
        for one in keys:
            _require_open(stores, rules, one, decision)
        touched = sorted({key for one in keys for key in one})
        before = pairs.load_persons(target, entity, touched)
        decided = pairs.load_among(target, route.base_name, entity, list(before))
        joined = [p for p in decided if p.state == "same" and before[p.a] == before[p.b]]
        changed = Identifier("pg_temp", name_changed_table(PAIR))
        pairs.decide(target, route.base_name, entity, keys, decision, changed)
        stores.merger.propagate([u for u in route.units if states[u.phase].live], {PAIR})
        _require_true(stores, rules, keys, decision, list(before), joined)


def _require_open(stores: Stores, rules: Rules, keys: tuple[int, int], decision: Decision) -> None:
    """Refuse to decide twice, and to take back what nobody has decided; make the pair where no rule has found it."""
    target, route, entity = stores.target, stores.route.base_name, rules.identity.identity
    known = pairs.load(target, route, entity, *keys)
    if decision.state == "new":
        if known is None or known.state == "new":
            raise PhaseError(f"pair {keys[0]}–{keys[1]} is not decided: there is nothing to take back")
        return
    if known is None:
        _add(stores, rules, keys)
    elif known.state in {"same", "different"}:
        raise PhaseError(
            f"pair {known.told}: it is decided once; `shopferry pair undo {known.a} {known.b}` takes that back first"
        )


def _add(stores: Stores, rules: Rules, keys: tuple[int, int]) -> None:
    """Keep a pair that no rule has found, with how alike it is."""
    accounts = pair_search.read_accounts(stores.target, rules, keys)
    if missing := [key for key in keys if key not in accounts]:
        raise ConfigError(f"account {missing[0]} is not there, or cannot be carried: it makes no pair")
    score, features = similarity.compare(accounts[keys[0]], accounts[keys[1]])
    known = {what: share for what, share in features.items() if share is not None}
    made = Pair(*keys, score, known, BY_HAND, "new", None, None, None)
    pairs.add(stores.target, stores.route.base_name, rules.identity.identity, made)


def _require_true(
    stores: Stores,
    rules: Rules,
    keys: Sequence[tuple[int, int]],
    decision: Decision,
    members: Sequence[int],
    joined: Sequence[Pair],
) -> None:
    """Look at who is one person now: what was decided before must hold as well as what is decided now."""
    target, route, entity = stores.target, stores.route.base_name, rules.identity.identity
    now = pairs.load_persons(target, entity, members)
    undone = [p for p in joined if (p.a, p.b) not in keys and now.get(p.a) != now.get(p.b)]
    together = [(a, b) for a, b in keys if a in now and now[a] == now.get(b)]
    wrong = [one for one in keys if (one in together) != (decision.state == "same")]
    if decision.state in {"new", "later"}:
        wrong = []
    if not undone and not wrong:
        if decision.state == "same":
            _require_sane(now, keys)
        return
    others = [p for p in pairs.load_among(target, route, entity, members) if (p.a, p.b) not in keys]
    against = [p.told for p in others if p.state == ("different" if decision.state == "same" else "same")]
    named = ", ".join(f"{a}–{b}" for a, b in wrong or keys)
    if against:
        raise PhaseError(
            f"pair {named} cannot be {decision.state}, since it stands against {'; '.join(against[:5])}: "
            "take one of them back by `shopferry pair undo`"
        )
    raise PhaseError(
        f"pair {named} cannot be {decision.state}: one of its accounts cannot be carried, so it is nobody's; correct the account "
        "in legacy first"
    )


def _require_sane(now: dict[int, int], keys: Sequence[tuple[int, int]]) -> None:
    for a, b in keys:
        size = sum(shop == now[a] for shop in now.values())
        if size > _MOST:
            raise PhaseError(
                f"pair {a}–{b} would make one person of {size} accounts, more than {_MOST}: look at the pairs that lead there"
            )
