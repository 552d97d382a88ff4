"""The data map over the real catalogues: every column of both demo stores and of our own tables has exactly one line."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pair import ROUTE, Pair
from shopferry.engine import mirror
from shopferry.privacy import columns
from shopferry.route import personal

MAP = personal.load(ROUTE)


def everything(pair: Pair, schemas: tuple[str, ...]) -> list[tuple[str, str, str]]:
    """All columns that information_schema knows of these schemas of the new shop."""
    rows = pair.shop.execute(
        "SELECT table_schema, table_name, column_name FROM information_schema.columns JOIN information_schema.tables "
        "USING (table_schema, table_name) WHERE table_schema = ANY(%s) AND table_type = 'BASE TABLE'",
        (list(schemas),),
    ).fetchall()
    return [(str(s), str(t), str(c)) for s, t, c in rows]


def test_every_column_of_both_demo_stores_is_classified(pair: Pair) -> None:
    captured = [("legacy", t.name, c) for t in mirror.load(pair.shop).values() for c in t.names]
    shop = everything(pair, ("shop",))
    assert len(captured) > 60 and len(shop) > 90
    assert columns.find_unnamed(MAP, captured + shop) == []
    there = columns.read_all(pair.legacy, pair.shop, ROUTE)
    assert set(captured) | set(shop) == set(columns.list_needed(mirror.load(pair.shop), ROUTE, there))
    assert columns.find_faults(MAP, there) == []


def test_every_column_of_our_own_tables_is_classified(pair: Pair) -> None:
    ours = columns.load_ours()
    there = [*everything(pair, ("ferry",)), *columns.read_columns(pair.legacy, ["shopferry"])]
    assert len(there) > 150
    assert columns.find_unnamed(ours, there) == []
    assert columns.find_faults(ours, there) == []


@pytest.mark.fresh
def test_a_new_column_has_no_line(pair: Pair) -> None:
    pair.shop.execute(
        "ALTER TABLE shop.customer ADD COLUMN nickname text; ALTER TABLE ferry.phase ADD COLUMN boss text"
    )
    assert columns.find_unnamed(MAP, everything(pair, ("shop",))) == [("shop", "customer", "nickname")]
    assert columns.find_unnamed(columns.load_ours(), everything(pair, ("ferry",))) == [("ferry", "phase", "boss")]
    less = replace(MAP, lines=tuple(line for line in MAP.lines if line.written != "legacy.customers.phone"))
    captured = [("legacy", "customers", c) for c in mirror.load(pair.shop)["customers"].names]
    assert columns.find_unnamed(less, captured) == [("legacy", "customers", "phone")]
