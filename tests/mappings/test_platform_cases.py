"""The case folders of the route oscar-medusa, each a trap of one of the two platforms, through the real engine."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pair import Pair, connect
from shopferry import installation
from shopferry.authoring import cases
from shopferry.authoring.cases import Case
from shopferry.route.route import Route
from shopferry.settings import SQL_ROOT

MakeDb = Callable[..., str]
FOLDER = SQL_ROOT / "oscar-medusa"
CASES = cases.find(FOLDER / cases.FOLDER)


@pytest.fixture(scope="module")
def installed(make_template: MakeDb) -> tuple[Route, str, str]:
    """Both platforms' tables without a row, and the route installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHOPFERRY_ID_SECRET", "a secret of tests")
        route, dsns = Route.load("oscar-medusa"), (make_template("oscar"), make_template("medusa"))
        with connect(dsns[0]) as legacy, connect(dsns[1]) as shop:
            legacy.execute((FOLDER / "legacy.sql").read_bytes())
            shop.execute((FOLDER / "shop.sql").read_bytes())
            installation.install(legacy, shop, route)
            shop.execute("ALTER TABLE ferry.phase DROP CONSTRAINT phase_chunk_size_is_sane")
    return route, *dsns


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.name}-{c.way}")
def test_case(case: Case, installed: tuple[Route, str, str], make_db: MakeDb) -> None:
    route, legacy, shop = installed
    with connect(make_db("oscar", legacy)) as source, connect(make_db("medusa", shop)) as target:
        outcome = cases.run(Pair(source, target, route=route).stores, case)
    assert outcome.found == outcome.expected
    assert outcome.unaccounted == ()
