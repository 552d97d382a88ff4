"""Decisions on pairs over random histories: what is taken back leaves no trace, and incremental equals batch whatever stands.

In the first test two pairs of stores live through the same history; in one of them accounts are decided to be the same now
and then, and at the end all of that is taken back. Then both new shops are the same, row by row and number by number.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import history
import profiles
import pytest
from history import Operation
from hypothesis import given, note, seed
from hypothesis import strategies as st
from pair import ROUTE, Pair
from profiles import LONG
from shopferry.control.pairs import Decision
from shopferry.errors import ConfigError, PhaseError
from shopferry.insight import pair_decisions, pair_files

_SHARES = 4 if LONG else 2
_TRACES = profiles.choose(short=10, long=500, shares=_SHARES)
_BATCHES = profiles.choose(short=6, long=200, shares=_SHARES)
_TIDY_EVERY = 5  # histories
_ACCOUNTS = (1, 2, 3, 4)
RULES = pair_files.load(ROUTE)
# Numbers that the new shop draws for rows that come and go: nothing else says whose they are.
_DRAWN = {"shop.customer_address", "shop.consent", "shop.loyalty_entry"}


@dataclass(frozen=True)
class Decide:
    """Two accounts are decided; in the state `new`, taken back."""

    a: int
    b: int
    state: str


@dataclass(frozen=True)
class Write:
    """One transaction of legacy, applied or not before the next step."""

    operations: list[Operation]
    applied: bool


_keys = st.permutations(_ACCOUNTS).map(lambda keys: tuple(sorted(keys[:2])))
_writes = st.builds(Write, st.one_of(history.writes, history.takeovers), st.booleans())


def _decides(*states: str) -> st.SearchStrategy[Decide]:
    return st.builds(lambda keys, state: Decide(*keys, state), _keys, st.sampled_from(states))


_steps = st.lists(st.one_of(_writes, _decides("same", "same", "later", "new")), min_size=3, max_size=10)
_walled = st.lists(st.one_of(_writes, _decides("same", "same", "different", "new")), min_size=3, max_size=10)


def open_shop(pair: Pair, opening: list[Operation], *, tidy: bool) -> None:
    """Make the pair new, with a shop that has moved."""
    pair.shop.execute("DELETE FROM ferry.pair")
    history.empty(pair, tidy=tidy)
    pair.shop.execute("SELECT setval('shop.customer_id_seq', 1000, false)")
    write(pair, opening)
    pair.sync()
    pair.pass_phases()


def write(pair: Pair, operations: list[Operation]) -> None:
    """Write in a millisecond of its own: what an account said by a commit is asked by that time, in both stores alike."""
    time.sleep(0.002)
    with pair.legacy.transaction():
        for operation in operations:
            operation.run(pair.legacy)


def decide(pair: Pair, step: Decide) -> None:
    """Decide, or take back; what is refused is refused."""
    with suppress(PhaseError, ConfigError):
        if step.state == "new":
            pair_decisions.undo(pair.stores, RULES, (step.a, step.b), "test", "test")
        else:
            pair_decisions.decide(pair.stores, RULES, (step.a, step.b), Decision(step.state, "test", "test"))


def whole(pair: Pair) -> dict[str, list[str]]:
    """All tables of the new shop, and what stands beside them, row by row with their keys.

    When legacy committed, and where in its log, is the same in both: two stores cannot commit at once.
    """
    days = "|".join(str(datetime.now(UTC).date() + timedelta(days=n)) for n in (-1, 0, 1))
    committed = re.compile(rf"({days})[T ][0-9:.+]*|\b[0-9A-F]+/[0-9A-F]{{6,8}}\b")
    tables = [*ROUTE.entities, "ferry.identity", "ferry.quarantine", "ferry.left_out"]
    less = {"ferry.quarantine": " - 'since'"} | dict.fromkeys(_DRAWN, " - 'id'")
    return {
        t: sorted(
            committed.sub("committed", row)
            for (row,) in pair.ask(f"SELECT (to_jsonb(t){less.get(t, '')})::text FROM {t} t")
        )
        for t in tables
    }


def tell(opening: list[Operation], steps: list[Decide | Write]) -> None:
    note(f"opening {opening}")
    for step in steps:
        note(str(step))


@pytest.mark.fresh
@pytest.mark.parametrize("share", range(_SHARES))
def test_what_is_decided_and_taken_back_leaves_the_shop_as_if_it_had_never_been(
    share: int, make_pair: Callable[..., Pair]
) -> None:
    pair, never = make_pair(), make_pair()
    with profiles.book(share, "of pairs") as run:

        @seed(run.seed)
        @_TRACES
        @given(opening=history.openings, steps=_steps)
        def test(opening: list[Operation], steps: list[Decide | Write]) -> None:
            run.begun += 1
            tell(opening, steps)
            for one in (pair, never):
                open_shop(one, opening, tidy=run.begun % _TIDY_EVERY == 0)
            for step in steps:
                if isinstance(step, Decide):
                    decide(pair, step)
                    continue
                for one in (pair, never):
                    write(one, step.operations)
                    if step.applied:
                        one.sync()
            for one in (pair, never):
                one.sync()
            for a, b in pair.ask("SELECT a, b FROM ferry.pair WHERE state <> 'new'"):
                pair_decisions.undo(pair.stores, RULES, (a, b), "test", "test")
            ours, theirs = whole(pair), whole(never)
            for table, rows in ours.items():
                assert rows == theirs[table], table

        test()


@pytest.mark.fresh
@pytest.mark.parametrize("share", range(_SHARES))
def test_with_edges_and_walls_incremental_equals_batch(share: int, make_pair: Callable[..., Pair]) -> None:
    pair = make_pair()
    with profiles.book(share, "of walls") as run:

        @seed(run.seed)
        @_BATCHES
        @given(opening=history.openings, steps=_walled)
        def test(opening: list[Operation], steps: list[Decide | Write]) -> None:
            run.begun += 1
            tell(opening, steps)
            open_shop(pair, opening, tidy=run.begun % _TIDY_EVERY == 0)
            for step in steps:
                if isinstance(step, Decide):
                    decide(pair, step)
                else:
                    write(pair, step.operations)
                    if step.applied:
                        pair.sync()
            pair.sync()
            pair.check()

        test()
