"""Profiles and segments over random histories in which the clock ticks, too: by the stream as from scratch."""

from __future__ import annotations

from datetime import date, timedelta

import history
import profiles
import pytest
from history import Operation
from hypothesis import given, seed
from hypothesis import strategies as st
from pair import Pair
from profiles import LONG
from shopferry.engine import clock
from shopferry.insight import derived

_SHARES = 4 if LONG else 1
_FIRST = date(2021, 12, 1)  # about the dates of the samples, so that lines are crossed
_UNSORTED = """
SELECT c.id, count(DISTINCT g.scheme), count(g.scheme)
FROM shop.customer c LEFT JOIN shop.customer_segment g ON g.customer_id = c.id
GROUP BY c.id HAVING count(DISTINCT g.scheme) <> 5 OR count(g.scheme) <> 5
"""
# What happens: legacy writes, the clock moves on by so many days, or the stream applies what there is.
_acts = st.lists(st.one_of(history.operations(), st.integers(1, 400), st.none()), min_size=4, max_size=24)


@pytest.mark.parametrize("share", range(_SHARES))
def test_what_the_stream_and_ticks_leave_is_what_a_copy_of_that_day_makes(pair: Pair, share: int) -> None:
    with profiles.book(share, of="profiles and segments") as run:

        @seed(run.seed)
        @profiles.choose(short=12, long=1_000, shares=_SHARES)
        @given(opening=history.openings, acts=_acts)
        def play(opening: list[Operation], acts: list[Operation | int | None]) -> None:
            run.begun += 1
            history.empty(pair, tidy=False)
            clock.put(pair.shop, _FIRST)
            for operation in opening:
                operation.run(pair.legacy)
            pair.pass_phases()
            for act in acts:
                if act is None:
                    pair.sync()
                elif isinstance(act, int):
                    derived.tick(pair.stores, clock.load(pair.shop) + timedelta(days=act))
                else:
                    act.run(pair.legacy)
            pair.sync()
            pair.check()
            assert pair.ask(_UNSORTED) == []

        play()
