"""A person whom a decision has joined, on the way back: each account keeps what is its own, and a rollback finds them so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pair import ROUTE, Pair, other_flow, read_dsn
from shopferry import installation
from shopferry.control import phases
from shopferry.control.pairs import Decision
from shopferry.control.phases import State
from shopferry.engine import backfill, merge_chunks, verdicts
from shopferry.insight import pair_decisions, pair_files
from shopferry.route.route import find_folder
from shopferry.stores import fence
from test_pairs import MAIL, PEOPLE, persons

pytestmark = pytest.mark.fresh
ACCOUNTS = "SELECT to_jsonb(c)::text FROM customers c ORDER BY id"


@pytest.fixture
def joined(pair: Pair) -> Iterator[Pair]:
    """A moved shop in which accounts 1 and 2 are one person, whose keys are given at birth from now on."""
    pair.write(*PEOPLE, f"UPDATE customers SET created_at = '2012-05-05' WHERE email LIKE '{MAIL}+%'")
    pair.pass_phases()
    rules = pair_files.load(ROUTE)
    pair_decisions.decide(pair.stores, rules, (1, 2), Decision("same", "anna", "they have called"))
    pair.shop.execute((find_folder("demo_reverse") / "keys.sql").read_bytes())
    yield pair
    assert pair.verify("contacts").clean


def test_what_is_merged_back_leaves_legacys_accounts_as_they_are(joined: Pair) -> None:
    back = joined.stores.back
    assert back
    before = joined.legacy.execute(ACCOUNTS).fetchall()
    installation.install(joined.shop, joined.legacy, back.route)
    verdicts.judge(joined.legacy, joined.ask("SELECT kind, raw FROM ferry.standardized"))
    for phase in back.route.phases:
        phases.move(back.target, back.route.name, phase, State.COPYING)
        backfill.plan_copy(back, phase)
        while backfill.copy_next(back, phase, "test"):
            pass
        merge_chunks.begin_merge(back, phase)
        backfill.standardize(back, phase)
        while not merge_chunks.is_merged(back, phase):
            merge_chunks.merge_next(back, phase, "test")
        phases.move(back.target, back.route.name, phase, State.IN_SYNC)
        phases.move(back.target, back.route.name, phase, State.VERIFIED)
    assert joined.legacy.execute(ACCOUNTS).fetchall() == before
    assert joined.legacy.execute("SELECT entity, row_key, reasons FROM ferry.quarantine").fetchall() == []


@pytest.mark.parametrize(
    "address", ["new@example.com", f"{MAIL}@gmail.com"], ids=["another address", "the other account's address"]
)
def test_an_address_that_is_changed_in_the_new_shop_is_known_when_the_flow_turns_back(
    joined: Pair, address: str
) -> None:
    """Account 2 leads, for it is older, and account 1 has the person's number."""
    key = persons(joined)[1]
    assert persons(joined)[2] == key
    assert joined.ask("SELECT legacy_customer_id FROM shop.customer WHERE id = %s", key) == [(2,)]
    fence.lift_fence(joined.shop, ["shop.customer"])
    joined.shop.execute("UPDATE shop.customer SET email = %s WHERE id = %s", (address, key))
    with other_flow(read_dsn(joined.legacy)) as flow:  # the reverse mapping gives it to the account that leads, alone
        flow.execute("UPDATE customers SET email = %s WHERE id = 2", (address,))
    joined.sync()
    assert {persons(joined)[n] for n in (1, 2)} == {key}
    if address != "new@example.com":  # both accounts have it in the shop, too: what the next merge makes of the account
        joined.shop.execute("SELECT set_config('shopferry.writer', 'ferry', false)")
        joined.shop.execute("UPDATE shop.customer_account SET email = NULL WHERE customer_id = %s", (key,))
