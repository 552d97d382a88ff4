"""Erasures over random histories: whatever legacy did before, wherever the run dies, whatever comes again, nobody comes back."""

from __future__ import annotations

import itertools
from typing import Any

import history
import profiles
import pytest
import steps
from history import Operation
from hypothesis import given, seed
from hypothesis import strategies as st
from pair import Pair
from profiles import LONG
from shopferry.control import requests
from shopferry.engine import backfill
from shopferry.privacy import erasure, search
from shopferry.privacy.erasure import Erasure
from test_erasure import open_erasure

_SHARES = 4 if LONG else 1
_PROFILE = profiles.choose(short=12, long=1_000, shares=_SHARES)
_BELONGING = ("customers", "addresses", "consents", "loyalty_accounts")


def empty(pair: Pair) -> None:
    history.empty(pair, tidy=False)
    for conn in (pair.legacy, pair.shop):
        conn.execute("DELETE FROM shopferry.erased")
    pair.shop.execute("DELETE FROM ferry.request")


def write(pair: Pair, operations: list[Operation]) -> None:
    with pair.legacy.transaction():
        for operation in operations:
            operation.run(pair.legacy)


def erase(pair: Pair, one: Erasure, crash: int | None) -> None:
    """Run the steps, dying before statement number `crash` of the new shop, and then again those that were not done."""
    deaths = itertools.chain([crash], itertools.repeat(None))
    while left := [n for n in erasure.STEPS if n not in requests.load_steps(pair.shop, one.number)]:
        for name in left:
            done: dict[str, Any] = {}
            if "await" in name:
                pair.sync()
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
            values = erasure.find_searched(one)
            restore(pair, old)
            pair.sync()
            if copied:
                backfill.resync(pair.stores, "test", pair.log.ends)
            held = search.search_store(pair.shop, values, lambda *_: False, [("ferry", "request_value")])
            assert held == {}, "a backup has brought somebody back"

        play()
