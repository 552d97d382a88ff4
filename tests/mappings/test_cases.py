"""Every case folder below demo/, in stores from the pool; `shopferry route test` runs a route's own by the same code."""

from __future__ import annotations

from pathlib import Path

import pytest
from pair import Pair
from shopferry.authoring import cases
from shopferry.authoring.cases import Case

CASES = cases.find(Path(__file__).parent / "demo")


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.name}-{c.way}")
def test_case(case: Case, pair: Pair) -> None:
    outcome = cases.run(pair.stores, case)
    assert outcome.found == outcome.expected
    assert outcome.unaccounted == ()
