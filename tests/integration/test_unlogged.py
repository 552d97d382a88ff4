"""What is done to whole files of legacy's tables after the verification: it is in no log, and said all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from own_shop import own_pair
from pair import Pair
from shopferry.cutover import gates
from shopferry.verify.unlogged import find_unlogged

LEGACY = """
CREATE TABLE orders (id bigint PRIMARY KEY, total integer, net integer GENERATED ALWAYS AS (total * 100 / 123) STORED)
    PARTITION BY RANGE (id);
CREATE TABLE orders_2019 PARTITION OF orders FOR VALUES FROM (0) TO (100);
CREATE TABLE orders_2020 PARTITION OF orders FOR VALUES FROM (100) TO (200) PARTITION BY RANGE (id);
CREATE TABLE orders_2020_1 PARTITION OF orders_2020 FOR VALUES FROM (100) TO (150);
CREATE TABLE "Old Orders" (id bigint PRIMARY KEY, total integer, net integer GENERATED ALWAYS AS (total * 100 / 123) STORED);
CREATE TABLE visits (id bigint PRIMARY KEY, note text);
CREATE TABLE unread (id bigint PRIMARY KEY);
INSERT INTO orders SELECT i, i FROM generate_series(0, 149) i;
INSERT INTO "Old Orders" SELECT i, i FROM generate_series(200, 219) i;
INSERT INTO visits SELECT i, 'n' FROM generate_series(1, 10) i;
"""
SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop.purchase (id bigint PRIMARY KEY, total integer);
CREATE TABLE shop.visit (id bigint PRIMARY KEY, note text);
"""
MAPPINGS = {
    "all/purchase.sql": """-- entity: shop.purchase
-- key: id
-- scope: id
-- source: legacy.orders(id)
SELECT t.id, t.net AS total, '{}'::text[] AS problems FROM legacy.orders t JOIN affected a ON a.key = t.id
""",
    "all/visit.sql": """-- entity: shop.visit
-- key: id
-- scope: id
-- source: legacy.visits(id)
SELECT t.id, t.note, '{}'::text[] AS problems FROM legacy.visits t JOIN affected a ON a.key = t.id
""",
}


@pytest.fixture
def pair(make_db: Callable[..., str], tmp_path: Path) -> Iterator[Pair]:
    with own_pair(make_db, tmp_path, LEGACY, SHOP, MAPPINGS) as pair:
        pair.pass_phases()
        assert pair.verify("all").clean
        yield pair


@pytest.mark.parametrize(
    ("change", "said", "differs"),
    [
        ("DROP TABLE orders_2019", ["public.orders_2019 is gone"], True),
        ("TRUNCATE orders_2019", ["public.orders_2019 was truncated or rewritten"], True),
        ("ALTER TABLE orders DETACH PARTITION orders_2020", ["public.orders_2020_1 is gone"], True),
        (
            'ALTER TABLE orders ATTACH PARTITION "Old Orders" FOR VALUES FROM (200) TO (300)',
            ['public."Old Orders" has come'],
            True,
        ),
        (
            "CREATE TABLE orders_2022 PARTITION OF orders FOR VALUES FROM (400) TO (500)",
            ["public.orders_2022 has come"],
            False,
        ),
        (
            "ALTER TABLE orders ALTER net SET EXPRESSION AS (total)",
            ["public.orders_2019 was truncated or rewritten", "public.orders_2020_1 was truncated or rewritten"],
            True,
        ),
        ("CLUSTER visits USING visits_pkey", ["public.visits was truncated or rewritten"], False),
        ("TRUNCATE unread", [], False),
        ("UPDATE orders SET total = total + 1", [], False),
        ("CREATE INDEX ON visits (note)", [], False),
    ],
)
def test_it_is_said_and_shuts_the_gate_until_the_next_verification(
    pair: Pair, change: str, said: list[str], differs: bool
) -> None:
    assert find_unlogged(pair.legacy, pair.shop, pair.route) == []
    pair.write(change)
    pair.sync()
    assert find_unlogged(pair.legacy, pair.shop, pair.route) == said
    gate = gates._unlogged(pair.stores)
    assert gate.met == (said == []) and all(clause in gate.evidence for clause in said)
    assert pair.verify("all").clean != differs
    assert gates._unlogged(pair.stores).met


def test_a_verification_that_was_broken_off_opens_no_gate(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    from shopferry.verify import verification

    pair.write("TRUNCATE orders_2019")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(verification, "_finish", die)
        pair.verify("all")
    assert not gates._unlogged(pair.stores).met
    pair.write("DROP TABLE orders_2020")  # before the one that goes on looks at the rest
    assert not pair.verify("all").clean
    assert not gates._unlogged(pair.stores).met  # what it had compared before, it has not seen
