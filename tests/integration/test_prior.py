"""A new shop that held rows before us: they stay as they are, and only what is invented later is a stranger."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pair import ROUTE, Pair, connect
from shopferry import installation
from shopferry.control import preexisting
from shopferry.demo.generator import seed
from shopferry.settings import SQL_ROOT
from shopferry.verify.repair import repair

PRIOR = """
INSERT INTO shop.customer (email, given_name) VALUES ('first@example.com', 'Anna');
INSERT INTO shop.customer_address (customer_id, source_key, city, country_code)
SELECT id, 'their own', 'Gdynia', 'PL' FROM shop.customer;
"""


@pytest.fixture
def pair(make_db: Callable[..., str]) -> Pair:
    """A shop of 60 customers moved into one that had a customer with an address."""
    stores = make_db("legacy"), make_db("shop")
    with connect(stores[0]) as legacy, connect(stores[1]) as shop:
        legacy.execute((SQL_ROOT / "demo" / "legacy.sql").read_bytes())
        shop.execute((SQL_ROOT / "demo" / "shop.sql").read_bytes())
        seed(legacy, customers=60)
        shop.execute(PRIOR.encode())
        installation.install(legacy, shop, ROUTE)
    made = Pair.open(*stores)
    made.pass_phases(list(ROUTE.phases))
    return made


def test_what_was_there_before_stays_and_is_no_difference(pair: Pair) -> None:
    assert preexisting.exist(pair.shop, ROUTE.entities)
    for phase in ROUTE.phases:
        outcome = pair.verify(phase)
        assert outcome.clean, outcome.differences[:5]
    theirs = (
        "SELECT c.email, a.city FROM shop.customer c JOIN shop.customer_address a ON a.customer_id = c.id "
        "WHERE a.source_key = 'their own'"
    )
    assert pair.ask(theirs) == [("first@example.com", "Gdynia")]

    with pair.shop.transaction():
        pair.shop.execute("SET LOCAL shopferry.writer = 'ferry'")
        pair.shop.execute("INSERT INTO shop.customer (email) VALUES ('invented@example.com')")
    found = pair.verify("contacts").differences
    assert [(d.target, d.kind) for d in found] == [("shop.customer", "extra")]
    assert repair(pair.stores, "contacts", lambda: None, "Anna").remaining == []
    assert pair.ask("SELECT email FROM shop.customer WHERE email LIKE 'invented%'") == []
    assert pair.ask(theirs) == [("first@example.com", "Gdynia")]


def test_installing_once_more_takes_nobody_elses_rows_for_prior_ones(pair: Pair) -> None:
    known = pair.ask("SELECT entity FROM ferry.prior_row ORDER BY 1")
    assert known == [("shop.customer",), ("shop.customer_address",)]
    pair.shop.execute("UPDATE ferry.route SET installed = ''")
    installation.install(pair.legacy, pair.shop, ROUTE)
    assert pair.ask("SELECT entity FROM ferry.prior_row ORDER BY 1") == known
