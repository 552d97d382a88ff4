"""Look for pairs of accounts that may be one person: the rules' blocks make candidates, which are compared and kept if alike.

One pass, in one transaction: candidates stand in a temp table of the server, their values come in batches, and what is alike
goes back by COPY. Nothing is locked, and no decision is touched.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from psycopg.sql import SQL, Composed, Identifier, Literal

from shopferry.control import pairs, phases, routes
from shopferry.control.phases import State
from shopferry.db import Connection
from shopferry.errors import PhaseError
from shopferry.insight import selects, similarity
from shopferry.insight.pair_files import BLOCKS, VALUES, Rule, Rules
from shopferry.insight.similarity import Account
from shopferry.route.route import Route

_BATCH = 20_000  # pairs whose values are in memory at once
_SEPARATOR = "|"  # between postcode and street
_SESSION = "SET LOCAL work_mem = '128MB'"
# Blocks with few enough rows, those of each rule once.
_BLOCKS = """
CREATE TEMP TABLE pair_block ON COMMIT DROP AS
SELECT block, key, count(*) OVER (PARTITION BY block) AS size
FROM (SELECT DISTINCT q.block::text, q.key::bigint FROM ({}) q WHERE q.block IS NOT NULL AND q.key IS NOT NULL) b
"""
_CANDIDATES = """
INSERT INTO pair_candidate (a, b, rule)
SELECT DISTINCT one.key, other.key, {rule}
FROM pair_block one
JOIN pair_block other ON other.block = one.block AND one.key < other.key
WHERE one.size <= {most}
ON CONFLICT DO NOTHING
"""
# Who is one person already, by one address or by decisions, is no pair; but a decided one stays one.
_DROP = """
DELETE FROM pair_candidate c
USING ferry.identity i, ferry.identity o
WHERE i.entity = {entity} AND i.legacy_key = c.a AND o.entity = {entity} AND o.legacy_key = c.b AND i.shop_key = o.shop_key
"""


@dataclass(frozen=True)
class Found:
    """What a search has come to."""

    compared: int
    kept: int
    sure: int  # of the kept, those that somebody has to decide
    passed: dict[str, int]  # blocks that were too large, by rule
    seconds: float


def require_merged(target: Connection, route: Route, rules: Rules) -> None:
    """Raise PhaseError where the identity is not merged, or where the new shop is open already."""
    require_before_cutover(target, route)
    states = {p.phase: State(p.state) for p in phases.load_all(target, route.name)}
    if states.get(rules.identity.phase, State.NEW) not in {State.IN_SYNC, State.VERIFIED}:
        raise PhaseError(
            f"phase {rules.identity.phase} is {states.get(rules.identity.phase, State.NEW)}: who is one person is known when "
            "it is in sync"
        )


def require_before_cutover(target: Connection, route: Route) -> None:
    """Raise PhaseError after the cutover."""
    states = {State(p.state) for p in phases.load_all(target, route.name)}
    if routes.find_active(target, route.name) != "legacy" or State.CUT_OVER in states:
        raise PhaseError(
            "the new shop is open, and its customers are its own: what was joined there is used since, so nothing is joined or "
            "parted from here. Its staff does that in the shop"
        )


def search(target: Connection, route: Route, rules: Rules, who: str) -> Found:
    """Look for pairs, and keep those that are alike; pairs that are decided stay as they are.

    Raises MappingError with file and line for a SELECT that does not run, PhaseError where it is too early or too late.
    """
    require_merged(target, route, rules)
    started = time.monotonic()
    for check in list_checks(target, rules):
        with target.transaction(force_rollback=True):
            check()
    with target.transaction():
        target.execute(_SESSION.encode())
        passed = _stage_candidates(target, rules)
        compared, kept, sure = _compare(target, rules)
        pairs.refresh(target, route.base_name, rules.identity.identity)
        seconds = time.monotonic() - started
        pairs.book_search(target, route.base_name, who, seconds=seconds, compared=compared, kept=kept, passed=passed)
    return Found(compared, kept, sure, passed, seconds)


def list_checks(target: Connection, rules: Rules) -> list[Callable[[], None]]:
    """List what has to hold of the rules' SELECTs; each raises MappingError where one does not run or yields something else."""

    def judge_values() -> None:
        stage_wanted(target, SQL("SELECT 0::bigint AS key"))
        selects.require_columns(target, rules.values, VALUES)

    return [*(partial(selects.require_columns, target, r.select, BLOCKS) for r in rules.rules), judge_values]


def _stage_candidates(target: Connection, rules: Rules) -> dict[str, int]:
    """Fill the temp table of candidates; returns how many blocks were too large, by rule."""
    target.execute(
        "CREATE TEMP TABLE pair_candidate (a bigint, b bigint, rule text NOT NULL, PRIMARY KEY (a, b)) ON COMMIT DROP"
    )
    passed = {}
    for rule in rules.rules:
        if large := _stage_rule(target, rule):
            passed[rule.name] = large
    target.execute("ANALYZE pair_candidate")
    target.execute(SQL(_DROP).format(entity=Literal(rules.identity.identity)))
    return passed


def _stage_rule(target: Connection, rule: Rule) -> int:
    target.execute(SQL(_BLOCKS).format(SQL(rule.select.text)))
    target.execute("ANALYZE pair_block")
    target.execute(SQL(_CANDIDATES).format(rule=Literal(rule.name), most=Literal(rule.most)))
    row = target.execute("SELECT count(DISTINCT block) FROM pair_block WHERE size > %s", (rule.most,)).fetchone()
    target.execute("DROP TABLE pair_block")
    return int(row[0]) if row else 0


def _compare(target: Connection, rules: Rules) -> tuple[int, int, int]:
    """Compare all candidates; what is alike stands in `pair_scored`. Returns how many were compared, kept, and sure."""
    stage_wanted(target, SQL("SELECT a AS key FROM pair_candidate UNION SELECT b FROM pair_candidate"))
    target.execute(SQL("CREATE TEMP TABLE pair_value ON COMMIT DROP AS {}").format(SQL(rules.values.text)))
    target.execute("CREATE INDEX ON pair_value (key)")
    target.execute("ANALYZE pair_value")
    target.execute(
        "CREATE TEMP TABLE pair_scored (a bigint, b bigint, score double precision, features jsonb, rule text) ON COMMIT DROP"
    )
    compared = kept = sure = 0
    for batch in _read_batches(target):
        compared += len(batch)
        alike = []
        for rule, one, other in batch:
            score, features = similarity.compare(one, other)
            if score >= similarity.LISTED:
                known = {what: share for what, share in features.items() if share is not None}
                alike.append((one.key, other.key, score, json.dumps(known), rule))
                sure += score >= similarity.SURE
        kept += len(alike)
        with target.cursor().copy("COPY pair_scored FROM STDIN") as copy:
            for row in alike:
                copy.write_row(row)
    return compared, kept, sure


def _read_batches(target: Connection) -> Iterator[list[tuple[str, Account, Account]]]:
    query = SQL(
        "SELECT c.rule, {}, {} FROM pair_candidate c JOIN pair_value v ON v.key = c.a JOIN pair_value w ON w.key = c.b"
    )
    with target.cursor("pair_candidates") as found:
        found.execute(query.format(_list_columns("v"), _list_columns("w")))
        while rows := found.fetchmany(_BATCH):
            yield [(r[0], _make_account(r[1 : len(VALUES) + 1]), _make_account(r[len(VALUES) + 1 :])) for r in rows]


def _list_columns(alias: str) -> Composed:
    return SQL(", ").join(Identifier(alias, c) for c in VALUES)


def stage_wanted(target: Connection, keys: Composed | SQL) -> None:
    """Make the temp table that `pairs.sql` reads, within the caller's transaction."""
    target.execute(SQL("CREATE TEMP TABLE wanted ON COMMIT DROP AS {}").format(keys))
    target.execute("ANALYZE wanted")


def read_accounts(target: Connection, rules: Rules, keys: Sequence[int]) -> dict[int, Account]:
    """Read what is compared of these accounts; those that cannot be carried are missing."""
    with target.transaction(force_rollback=True):
        stage_wanted(target, SQL("SELECT unnest({}::bigint[]) AS key").format(Literal(sorted(set(keys)))))
        query = SQL("SELECT {} FROM ({}) v").format(_list_columns("v"), SQL(rules.values.text))
        return {account.key: account for account in map(_make_account, target.execute(query).fetchall())}


def _make_account(row: Sequence[Any]) -> Account:
    key, given, family, email, phones, addresses, cards = row
    places = []
    for place in addresses or ():
        postcode, _, street = place.partition(_SEPARATOR)
        places.append((postcode, street))
    return Account(key, given, family, email, tuple(phones or ()), tuple(places), tuple(cards or ()))
