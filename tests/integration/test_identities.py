"""What keeps legacy's own application from changing its rows: we say it where PostgreSQL does it, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from own_shop import own_pair
from pair import Pair
from shopferry.cdc.identities import find_refused
from shopferry.health import measure
from shopferry.health.problems import Code, find_problems
from shopferry.settings import Settings
from test_backfill import dsns

LEGACY = """
CREATE TABLE visit (id bigint PRIMARY KEY, code text NOT NULL UNIQUE, unread text NOT NULL DEFAULT '', note text);
CREATE UNIQUE INDEX ON visit (unread, code);
CREATE TABLE "Order" (id bigint PRIMARY KEY, code text);
CREATE TABLE stay (id bigint PRIMARY KEY, code text, unread text) PARTITION BY RANGE (id);
CREATE TABLE stay_1 PARTITION OF stay FOR VALUES FROM (0) TO (100) PARTITION BY RANGE (id);
CREATE TABLE "stay_1 a" PARTITION OF stay_1 FOR VALUES FROM (0) TO (50);
"""
SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop.visit (id bigint PRIMARY KEY, code text);
CREATE TABLE shop.stay (id bigint PRIMARY KEY, code text);
"""
MAPPINGS = {
    f"all/{table}.sql": f"""-- entity: shop.{table}
-- key: id
-- scope: id
-- source: legacy.{table}(id)
SELECT t.id, t.code, '{{}}'::text[] AS problems FROM legacy.{table} t JOIN affected a ON a.key = t.id
"""
    for table in ("visit", "stay")
}


@pytest.fixture
def pair(make_db: Callable[..., str], tmp_path: Path) -> Iterator[Pair]:
    with own_pair(make_db, tmp_path, LEGACY, SHOP, MAPPINGS) as pair:
        yield pair


def refused_by_postgresql(pair: Pair, table: str) -> bool:
    """Whether an UPDATE there fails already because of what is published."""
    try:
        pair.write(f"UPDATE {table} SET code = code WHERE false")
    except (psycopg.errors.ObjectNotInPrerequisiteState, psycopg.errors.InvalidColumnReference):
        return True
    return False


@pytest.mark.parametrize(
    ("change", "table", "what"),
    [
        ("SELECT 1", "visit", None),
        ("ALTER TABLE visit REPLICA IDENTITY FULL", "visit", "public.visit is FULL"),
        ("ALTER TABLE visit REPLICA IDENTITY NOTHING", "visit", "public.visit is NOTHING"),
        ("ALTER TABLE visit REPLICA IDENTITY USING INDEX visit_code_key", "visit", None),
        (
            "ALTER TABLE visit REPLICA IDENTITY USING INDEX visit_unread_code_idx",
            "visit",
            "public.visit holds columns that are not published",
        ),
        ("ALTER TABLE visit DROP CONSTRAINT visit_pkey", "visit", "public.visit is NOTHING"),
        (
            "ALTER TABLE visit DROP CONSTRAINT visit_pkey, ADD PRIMARY KEY (id) DEFERRABLE",
            "visit",
            "public.visit is a key that is DEFERRABLE",
        ),
        ('ALTER TABLE "stay_1 a" REPLICA IDENTITY FULL', '"stay_1 a"', 'public."stay_1 a" is FULL'),
        ('ALTER TABLE "Order" REPLICA IDENTITY NOTHING', '"Order"', None),  # it is not published
    ],
)
def test_it_is_said_where_postgresql_refuses_and_nowhere_else(
    pair: Pair, change: str, table: str, what: str | None
) -> None:
    pair.write(change)
    assert find_refused(pair.legacy, pair.route.publication) == ([f"the REPLICA IDENTITY of {what}"] if what else [])
    assert refused_by_postgresql(pair, table) == (what is not None)


def test_the_look_at_the_sync_says_it_with_what_to_do(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure.Route, "load", lambda _: pair.route)
    pair.start("all")
    pair.write("ALTER TABLE visit REPLICA IDENTITY FULL")
    health = measure.measure(Settings(*dsns(pair), kafka="127.0.0.1:1", route="own"))
    [problem] = [c for c in find_problems(health) if c.code == Code.WRITES_REFUSED]
    assert "ALTER TABLE … REPLICA IDENTITY DEFAULT at once" in problem.text
    pair.write("ALTER TABLE visit REPLICA IDENTITY DEFAULT")
    health = measure.measure(Settings(*dsns(pair), kafka="127.0.0.1:1", route="own"))
    assert Code.WRITES_REFUSED not in {c.code for c in find_problems(health)}
