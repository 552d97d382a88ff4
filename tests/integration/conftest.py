"""Pairs of stores for the tests of the engine: prepared once, copied for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pair import Pair, prepare
from shopferry.demo.generator import seed


@pytest.fixture(scope="session")
def pair_template(make_template: Callable[..., str]) -> Callable[[int], tuple[str, str]]:
    """`pair_template(customers) -> (legacy, shop)`: two databases of a shop of that size, made once a run."""
    made: dict[int, tuple[str, str]] = {}

    def template(customers: int) -> tuple[str, str]:
        if customers not in made:
            legacy, shop = make_template("legacy_template"), make_template("shop_template")
            prepare(legacy, shop, lambda conn: seed(conn, customers=customers) if customers else None)
            made[customers] = legacy, shop
        return made[customers]

    return template


@pytest.fixture
def make_pair(
    make_db: Callable[..., str], pair_template: Callable[[int], tuple[str, str]]
) -> Iterator[Callable[..., Pair]]:
    """`make_pair(customers=0) -> Pair`: a legacy store of that size and an empty new shop, of this test's own."""
    pairs: list[Pair] = []

    def make(customers: int = 0) -> Pair:
        legacy, shop = pair_template(customers)
        pairs.append(Pair.open(make_db("legacy", legacy), make_db("shop", shop)))
        return pairs[-1]

    yield make
    for made in pairs:
        made.close()


@pytest.fixture
def pair(make_pair: Callable[..., Pair]) -> Pair:
    """Two stores without a row."""
    return make_pair()


@pytest.fixture
def filled(make_pair: Callable[..., Pair]) -> Pair:
    """A generated legacy shop of 150 customers with all its defects, and an empty new shop."""
    return make_pair(150)


@pytest.fixture
def moved(make_db: Callable[..., str], moved_template: tuple[str, str]) -> Iterator[Pair]:
    """A copy of the shop that the test's module has moved (its `moved_template`), for one test."""
    pair = Pair.open(make_db("legacy", moved_template[0]), make_db("shop", moved_template[1]))
    yield pair
    pair.close()
