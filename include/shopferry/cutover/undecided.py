"""The gate on pairs of accounts that are surely alike: somebody has decided each, or has said by name that they are left."""

from __future__ import annotations

from shopferry.control import pairs, routes
from shopferry.control.gates import Gate
from shopferry.engine.pair import Stores
from shopferry.insight import pair_files, similarity
from shopferry.route.settings import Terms


def judge(s: Stores, terms: Terms) -> list[Gate]:
    """Judge whether pairs were looked for, and those from SURE on are decided; no gate where the route has no rules."""
    if not pair_files.has_rules(s.route):
        return []
    route, entity = s.route.base_name, pair_files.load(s.route).identity.identity
    last = pairs.load_search(s.target, route) if routes.is_installed(s.target) else None
    if last is None:
        met, evidence = False, "nobody has looked for pairs"
    else:
        counted = pairs.count(s.target, route, entity, similarity.SURE)
        left = sum(c.sure for c in counted if c.state in {"new", "later"})
        decided = sum(c.pairs for c in counted if c.state in {"same", "different"})
        met = not left
        evidence = f"{left:,} of {similarity.SURE:g} or more undecided, {decided:,} decided; looked for {last.at:%Y-%m-%d %H:%M}"
    if not met and terms.pairs_left_by:
        met, evidence = True, "; ".join([evidence, f"left by {terms.pairs_left_by}"])
    return [
        Gate(
            "pairs decided",
            met,
            evidence,
            f"`shopferry pair find`, `shopferry pair list --state new --above {similarity.SURE:g}`, and decide them; or leave "
            "them by name: pairs_left_by in [cutover] of route.toml",
        )
    ]
