"""Keys that PostgreSQL takes for equal and that are not the same: citext, numbers without a scale."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from own_shop import own_pair
from pair import Pair

LEGACY = """
CREATE EXTENSION citext;
CREATE TABLE article (code citext PRIMARY KEY, name text);
CREATE TABLE weight (grams numeric PRIMARY KEY, name text);
CREATE TABLE part (code citext, no numeric, name text, PRIMARY KEY (code, no));
INSERT INTO article SELECT 'Sku-' || i, 'n' || i FROM generate_series(1, 40) i;
INSERT INTO weight SELECT i, 'n' || i FROM generate_series(1, 40) i;
INSERT INTO part SELECT 'Part-' || i, i, 'n' || i FROM generate_series(1, 40) i;
"""
SHOP = """
CREATE EXTENSION citext;
CREATE SCHEMA shop;
CREATE TABLE shop.article (code citext PRIMARY KEY, name text);
CREATE TABLE shop.weight (grams numeric PRIMARY KEY, name text);
CREATE TABLE shop.part (code citext, no numeric, name text, PRIMARY KEY (code, no));
"""


def mapping(table: str, key: str, scope: str, yields: str) -> str:
    """A mapping of one table to its namesake."""
    return f"""-- entity: shop.{table}
-- key: {key}
-- scope: {scope}
-- source: legacy.{table}({scope})
SELECT {yields}, CASE WHEN t.{yields.split(", ")[-1]} IS NULL THEN ARRAY['empty'] ELSE '{{}}'::text[] END AS problems
FROM legacy.{table} t JOIN affected a ON a.key = t.{scope}
"""


MAPPINGS = {
    "all/article.sql": mapping("article", "code", "code", "code, name"),
    "all/weight.sql": mapping("weight", "grams", "grams", "grams, name"),
    "all/part.sql": mapping("part", "code, no", "code", "code, no, name"),
}
TABLES = ("article", "weight", "part")


@pytest.fixture
def pair(make_db: Callable[..., str], tmp_path: Path) -> Iterator[Pair]:
    with own_pair(make_db, tmp_path, LEGACY, SHOP, MAPPINGS) as pair:
        pair.pass_phases()
        yield pair


def agree(pair: Pair) -> None:
    """Mirror and new shop hold what legacy holds, to the letter; nothing waits, and verification finds nothing."""
    for table in TABLES:
        theirs, ours = pair.mirrored(table)
        assert ours == theirs
        query = f"SELECT t::text FROM {{}}.{table} t ORDER BY 1"
        assert pair.ask(query.format("shop")) == pair.legacy.execute(query.format("public").encode()).fetchall()
    assert pair.verify("all").clean


CHANGES = [
    "UPDATE article SET code = upper(code::text) WHERE name IN ('n7', 'n8')",
    "UPDATE part SET code = upper(code::text) WHERE name = 'n7'",
    "UPDATE weight SET grams = (grams || '.00')::numeric WHERE name IN ('n7', 'n8')",
    "UPDATE part SET no = (no || '.0')::numeric WHERE name = 'n8'",
]


@pytest.mark.parametrize("at_once", [True, False], ids=["in one batch", "in batches of one"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_key_that_changes_only_in_how_it_is_written_arrives(pair: Pair, change: str, at_once: bool) -> None:
    pair.write(change)
    pair.capture()
    while pending := pair.pending():
        # The row that goes and the row that comes may be in two partitions, the second read first.
        pair.replay(pending if at_once else {max(pending): 1})
    agree(pair)


def test_it_arrives_also_by_a_resync(pair: Pair) -> None:
    from shopferry.engine import backfill

    pair.write(*CHANGES)
    pair.tap.skip()
    backfill.resync(pair.stores, "test")
    agree(pair)


def test_a_row_that_goes_and_one_that_comes_in_its_place_are_two(pair: Pair) -> None:
    pair.write("DELETE FROM article WHERE code = 'sku-3'", "INSERT INTO article VALUES ('SKU-3', 'new')")
    pair.write("UPDATE article SET code = 'SKU-4' WHERE code = 'Sku-4'", "DELETE FROM article WHERE code = 'sku-4'")
    pair.sync()
    agree(pair)


def test_what_was_held_back_under_a_key_is_let_go_under_it_written_otherwise(pair: Pair) -> None:
    pair.write(
        "UPDATE article SET name = NULL WHERE code = 'Sku-5'",
        "UPDATE weight SET name = NULL WHERE grams = 5",
    )
    pair.sync()
    assert pair.ask("SELECT count(*) FROM ferry.quarantine") == [(2,)]
    pair.write("UPDATE article SET code = 'SKU-5', name = 'n5' WHERE code = 'Sku-5'")
    pair.write("UPDATE weight SET grams = 5.000, name = 'n5' WHERE grams = 5")
    pair.sync()
    assert pair.ask("SELECT entity, row_key FROM ferry.quarantine") == []
    agree(pair)
