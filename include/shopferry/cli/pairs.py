"""Verbs of pairs: look for accounts that may be one person, show them, decide them, and take decisions back."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from shopferry import db
from shopferry.cli import looks
from shopferry.cli.output import name_who, show
from shopferry.control import pairs
from shopferry.control.pairs import Decision, Pair, Wanted
from shopferry.engine.pair import open_stores
from shopferry.errors import ConfigError
from shopferry.insight import pair_decisions, pair_files, pair_search, similarity
from shopferry.insight.similarity import Account
from shopferry.route.route import Route
from shopferry.settings import Settings

_LISTED = ("a", "b", "score", "features", "rule", "state", "who", "at")
_COMPARED = ("name", "email", "phones", "addresses", "cards")


def pair_find(args: argparse.Namespace) -> int:
    """Look for accounts that may be one person by the route's rules; what is decided already stays as it is."""
    settings = Settings.load()
    route = Route.load(settings.route)
    rules = pair_files.load(route)
    with db.connect(settings.target_dsn, "pairs") as shop:
        found = pair_search.search(shop, route, rules, name_who(args))
        counted = pairs.count(shop, route.base_name, rules.identity.identity, similarity.SURE)
    if args.json:
        told = asdict(found) | {"counts": [asdict(c) for c in counted]}
        print(json.dumps(told, indent=2, ensure_ascii=False))
        return 0
    show(args, counted, ("rule", "state", "pairs", "sure"))
    print(
        f"{found.compared:,} pairs compared in {found.seconds:.0f} s, {found.kept:,} kept that score "
        f"{similarity.LISTED:g} or more, {found.sure:,} of them {similarity.SURE:g} or more"
    )
    for rule, blocks in found.passed.items():
        most = rules.require(rule).most
        print(f"{rule}: {blocks:,} blocks of more than {most} accounts were passed over")
    return 0


def pair_list(args: argparse.Namespace) -> int:
    """List pairs by keys, the most alike first; with --values what is compared; with --sample 20 drawn by chance, too."""
    settings = Settings.load()
    route = Route.load(settings.route)
    rules = pair_files.load(route)
    if args.rule:
        rules.require(args.rule)
    if args.sample and not args.rule:
        raise ConfigError("a sample is of one rule: name it with --rule")
    with db.connect(settings.target_dsn, "pairs") as shop:
        entity = rules.identity.identity
        if args.sample:
            found = pairs.draw_sample(shop, route.base_name, entity, args.rule, args.above, pair_decisions.SAMPLE)
        else:
            found = pairs.find(shop, route.base_name, entity, Wanted(args.rule, args.state, args.above), args.limit)
        accounts: dict[int, Account] = {}
        if found and (args.sample or args.values):
            accounts = pair_search.read_accounts(shop, rules, [key for p in found for key in (p.a, p.b)])
    if found and (args.sample or args.values):
        seen = {rules.table: [str(key) for key in sorted({key for p in found for key in (p.a, p.b)})]}
        if args.sample:
            seen[pair_decisions.name_sample(args.rule, args.above)] = [p.name for p in found]
        looks.book(args, seen)
    if args.json:
        print(json.dumps([_describe(p, accounts) for p in found], indent=2, default=str, ensure_ascii=False))
    elif accounts:
        show(args, [row for p in found for row in _lay_beside(p, accounts)], ("pair", "score", "account", *_COMPARED))
    else:
        show(args, [_describe(p, {}) | {"score": f"{p.score:.2f}"} for p in found], _LISTED)
    return 0


def pair_decide(args: argparse.Namespace) -> int:
    """Decide that two accounts are the same person or different ones, or leave them for later; or so with all of a rule."""
    decision = Decision(args.state, name_who(args), args.why.strip())
    _require_said(decision)
    with open_stores(Settings.load(), "pairs") as s:
        rules = pair_files.load(s.route)
        if args.rule:
            if args.keys or args.above is None:
                raise ConfigError("a whole rule is decided by --rule and --above, without keys")
            done = pair_decisions.decide_rule(s, rules, Wanted(args.rule, "new", args.above), decision)
            if args.json:
                print(json.dumps(asdict(done), indent=2, ensure_ascii=False))
            else:
                print(f"{done.decided:,} pairs are decided, {len(done.refused):,} are left")
                print(*done.refused, sep="\n", end="\n" if done.refused else "")
            return 1 if done.refused else 0
        pair_decisions.decide(s, rules, _read_two(args.keys), decision)
    return 0


def pair_undo(args: argparse.Namespace) -> int:
    """Take back what was decided of two accounts: all becomes as if it had never been decided."""
    with open_stores(Settings.load(), "pairs") as s:
        decision = Decision("new", name_who(args), args.why.strip())
        _require_said(decision)
        pair_decisions.undo(s, pair_files.load(s.route), _read_two(args.keys), decision.who, decision.why)
    return 0


def _require_said(decision: Decision) -> None:
    if not decision.why or not decision.who.strip():
        raise ConfigError("a decision wants a name and a reason: --who NAME --why TEXT")


def _read_two(keys: Sequence[int]) -> tuple[int, int]:
    if len(keys) != 2:
        raise ConfigError("give the two accounts of a pair by their numbers, or a rule with --rule and --above")
    return keys[0], keys[1]


def _describe(pair: Pair, accounts: dict[int, Account]) -> dict[str, Any]:
    told: dict[str, Any] = {name: getattr(pair, name) for name in (*_LISTED, "why")}
    if accounts:
        told["accounts"] = [_say(accounts[key]) for key in (pair.a, pair.b) if key in accounts]
    return told


def _lay_beside(pair: Pair, accounts: dict[int, Account]) -> list[dict[str, Any]]:
    """Lay both accounts of a pair below each other; of one that cannot be carried any more only the key is there."""
    rows = [{"account": key} | (_say(accounts[key]) if key in accounts else {}) for key in (pair.a, pair.b)]
    rows[0] |= {"pair": pair.name, "score": f"{pair.score:.2f}"}
    rows[1] |= {"pair": "", "score": ""}
    return rows


def _say(account: Account) -> dict[str, Any]:
    return {
        "account": account.key,
        "name": " ".join(part for part in (account.given, account.family) if part),
        "email": account.email,
        "phones": list(account.phones),
        "addresses": [f"{street}, {postcode}" for postcode, street in account.addresses],
        "cards": list(account.cards),
    }
