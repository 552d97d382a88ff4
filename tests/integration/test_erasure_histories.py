"""Erasures over random histories: whatever legacy did before, wherever the run dies, whatever comes again, nobody comes back."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from datetime import date
from typing import Any

import history
import profiles
import pytest
import steps
import turns
from history import Operation, Rekey, Undone
from hypothesis import given, seed
from hypothesis import strategies as st
from pair import Pair, connect, read_dsn
from profiles import LONG
from shopferry.control import requests
from shopferry.control.requests import Opening
from shopferry.engine import backfill
from shopferry.engine.pair import Stores
from shopferry.privacy import erasing, erasure, person, search
from shopferry.privacy.erasing import Erasure
from shopferry.settings import Settings
from test_erasure import open_erasure

_SHARES = 4 if LONG else 1
_PROFILE = profiles.choose(short=12, long=1_000, shares=_SHARES)
_BELONGING = ("customers", "addresses", "consents", "loyalty_accounts", "loyalty_rewards")


def empty(pair: Pair) -> None:
    history.empty(pair, tidy=False)
    for conn in (pair.legacy, pair.shop):
        conn.execute("DELETE FROM shopferry.erased")
    pair.shop.execute("DELETE FROM ferry.request")


def write(pair: Pair, operations: list[Operation]) -> None:
    with pair.legacy.transaction():
        for operation in operations:
            operation.run(pair.legacy)


def erase(pair: Pair, one: Erasure, crash: int | None, back: Pair | None = None) -> None:
    """Run the steps, dying before statement number `crash` of the new shop, and then again those that were not done."""
    deaths = itertools.chain([crash], itertools.repeat(None))
    while left := [n for n in erasure.STEPS if n not in requests.load_steps(pair.shop, one.number)]:
        for name in left:
            done: dict[str, Any] = {}
            if "await" in name:
                for flow in (pair, back, pair, back):
                    if flow:
                        flow.sync()
            elif name != "trim the topics" and steps.dies(
                pair,
                next(deaths),
                lambda name=name, done=done: done.update(erasure.STEPS[name](one)),  # type: ignore[misc]
            ):
                break
            requests.note_step(pair.shop, one.number, name, done)


def read_rows(pair: Pair, account: int) -> dict[str, list[str]]:
    """What a backup of legacy of now would hold of an account, as JSON by table."""
    found = {}
    for table in _BELONGING:
        column = "id" if table == "customers" else "customer_id"
        query = f"SELECT to_jsonb(t)::text FROM {table} t WHERE {column} = %s".encode()
        found[table] = [row for (row,) in pair.legacy.execute(query, (account,)).fetchall()]
    return found


def restore(pair: Pair, rows: dict[str, list[str]]) -> None:
    """Bring an account's rows back, as legacy had them."""
    for table, listed in rows.items():
        for row in listed:
            pair.legacy.execute(f"DELETE FROM {table} WHERE id = (%s::jsonb->>'id')::bigint".encode(), (row,))
            insert = f"INSERT INTO {table} SELECT * FROM jsonb_populate_record(NULL::{table}, %s)".encode()
            pair.legacy.execute(insert, (row,))


@pytest.mark.parametrize("share", range(_SHARES))
def test_nobody_who_was_erased_comes_back(pair: Pair, share: int) -> None:
    with profiles.book(share, of="erasures") as run:

        @seed(run.seed)
        @_PROFILE
        @given(
            opening=history.openings,
            writes=history.writes,
            account=st.sampled_from([1, 2, 3, 4]),
            crash=st.one_of(st.none(), st.integers(1, 80)),
            again=st.integers(0, 30),
            copied=st.booleans(),
        )
        def play(
            opening: list[Operation],
            writes: list[Operation],
            account: int,
            crash: int | None,
            again: int,
            copied: bool,
        ) -> None:
            run.begun += 1
            empty(pair)
            write(pair, opening)
            pair.pass_phases()
            write(pair, writes)
            pair.sync()
            old = read_rows(pair, account)
            one = open_erasure(pair, "legacy", str(account))
            erase(pair, one, crash)
            pair.log.again(again)
            pair.sync()
            if copied:
                backfill.resync(pair.stores, "test", pair.log.ends)
            pair.check()
            values = erasing.find_searched(one)
            restore(pair, old)
            pair.sync()
            if copied:
                backfill.resync(pair.stores, "test", pair.log.ends)
            assert held(pair, values) == {}, "a backup has brought somebody back"

        play()


# What the new shop's application writes: statements, each about the row that a number chooses.
_OF_SHOP = (
    "UPDATE shop.customer SET given_name = 'Nowa' WHERE id = {}",
    "UPDATE shop.customer SET phone = '+4860199900' || {0} % 10 WHERE id = {0}",
    "UPDATE shop.customer_address SET street = 'Nowa 1' WHERE id = {}",
    "DELETE FROM shop.customer_address WHERE id = {} AND legacy_address_id IS NOT NULL",
    "UPDATE shop.consent SET state = 'withdrawn', withdrawn_at = now() WHERE id = {}",
    "UPDATE shop.customer_order SET status = 'refunded' WHERE id = {}",
    "UPDATE shop.delivery SET recipient = 'Ktoś Inny' WHERE order_id = {}",
)


@pytest.mark.parametrize("share", range(_SHARES))
def test_who_is_erased_between_cutover_and_rollback_stays_so(
    copy_databases: Callable[[], AbstractContextManager[tuple[str, str]]], share: int
) -> None:
    with profiles.book(share, of="erasures over turns") as run:

        @seed(run.seed)
        @profiles.choose(short=4, long=400, shares=_SHARES)
        @given(
            opening=history.openings,
            writes=history.writes,
            of_shop=st.lists(st.tuples(st.sampled_from(_OF_SHOP), st.integers(1, 8)), max_size=5),
            account=st.sampled_from([1, 2, 3, 4]),
            crash=st.one_of(st.none(), st.integers(1, 80)),
            later=history.writes,
        )
        def play(
            opening: list[Operation],
            writes: list[Operation],
            of_shop: list[tuple[str, int]],
            account: int,
            crash: int | None,
            later: list[Operation],
        ) -> None:
            run.begun += 1
            with copy_databases() as dsns, closing(Pair.open(*dsns)) as pair:
                write(pair, opening)
                pair.pass_phases()
                with turns.armed(pair) as back:
                    write(pair, writes)
                    old = read_rows(pair, account)
                    turns.cut_over(pair, back)
                    with connect(dsns[1]) as shop:
                        for statement, key in of_shop:
                            shop.execute(statement.format(key).encode())
                    back.sync()
                    # By a connection of its own: whoever merges into legacy marks all that it writes there.
                    with connect(dsns[0]) as legacy:
                        if (one := open_after_cutover(pair, Stores(legacy, pair.shop, pair.route), account)) is None:
                            return
                        erase(pair, one, crash, back)
                    one = replace(one, stores=pair.stores)
                    values = erasing.find_searched(one)
                    assert held(pair, values) == {}, "somebody is still there"
                    turns.roll_back(pair, back)
                    pair.sync()
                    assert held(pair, values) == {}, "the rollback has brought somebody back"
                    write(pair, [o for o in later if not is_of(one, o)])
                    pair.sync()
                    pair.check()
                    values = erasing.find_searched(one)  # but for what somebody else has by now
                    restore(pair, old)
                    pair.sync()
                    assert held(pair, values) == {}, "a backup has brought somebody back"

        play()


def open_after_cutover(pair: Pair, stores: Stores, account: int) -> Erasure | None:
    """A granted request about the person of an old account, as it begins in the new shop; None where there is none."""
    asked = person.load(pair.route)
    together = person.follow(pair.shop, asked, {"legacy": [str(account)]})
    if not together["shop"] or person.find_missing(pair.shop, asked, "shop", "shop", together["shop"]):
        return None
    opening = Opening("erasure", date(2026, 1, 2), "care", "passport")
    number = requests.open_request(pair.shop, pair.route.name, opening, together)
    requests.grant(pair.shop, number, "dpo", None)
    settings = Settings(read_dsn(pair.legacy), read_dsn(pair.shop), kafka="127.0.0.1:1")
    return Erasure(settings, stores, number, asked, "shop")


def is_of(one: Erasure, operation: Operation) -> bool:
    """Whether it writes a row that was erased: with the values of the history's samples it would be barred."""
    done = operation.operation if isinstance(operation, Undone) else operation
    keys = {done.id, done.to} if isinstance(done, Rekey) else {done.id}
    return any((f"legacy.{done.table}", str(key)) in {(e.relation, e.key) for e in one.load_noted()} for key in keys)


def held(pair: Pair, values: Iterable[str]) -> dict[str, int]:
    """Where the new shop's server has any of the values."""
    return search.search_store(pair.shop, values, lambda *_: False, [("ferry", "request_value")])
