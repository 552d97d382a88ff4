"""The measurement on real stores: what was applied, what the publication lacks, and what is away."""

from __future__ import annotations

import pytest
from pair import ROUTE, Pair, read_dsn
from shopferry import installation
from shopferry.cdc import broker
from shopferry.control import offsets
from shopferry.health import measure
from shopferry.health.problems import Code, find_problems
from shopferry.settings import Settings
from shopferry.stores import fence

NOBODY = "127.0.0.1:1"


@pytest.fixture(autouse=True)
def short_glance(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the broker that is not there 200 ms to answer, but in the test that is about it."""
    if request.function is not test_a_broker_that_is_away_hides_nothing_else:
        monkeypatch.setattr(broker, "_GLANCE_MS", 200)


def measured(pair: Pair, kafka: str = NOBODY) -> measure.SyncHealth:
    """The health of the pair, whose broker is nobody's port."""
    legacy, shop = (read_dsn(c) for c in (pair.legacy, pair.shop))
    return measure.measure(Settings(legacy, shop, kafka))


def test_before_the_first_phase_there_is_nothing_to_watch(pair: Pair) -> None:
    health = measured(pair)
    assert not health.begun and not health.away
    assert [p.state for p in health.phases] == ["new"] * 4


def test_what_was_applied_is_counted_with_its_bytes_and_position(pair: Pair) -> None:
    pair.start("contacts")
    pair.legacy.execute("INSERT INTO customers (id, email) SELECT i, 'x' FROM generate_series(1, 30) i")
    pair.sync()
    pair.legacy.execute("UPDATE customers SET phone = '1' WHERE id <= 10")
    pair.sync()
    topic = "demo.public.customers"
    changes = [m for (t, _), held in pair.log.partitions.items() if t == topic for m in held]
    assert offsets.load_applied(pair.shop, "demo")[topic] == (
        40,
        sum(len(m.key or b"") + len(m.value or b"") for m in changes),
    )
    health = measured(pair)
    assert health.events == 40
    assert health.events_per_s > 0
    assert health.position
    highest = pair.one("SELECT max(_lsn)::text FROM mirror.customers")
    assert health.position.lsn == highest
    assert 0 <= health.position.age_s < 3600


def test_a_broker_that_is_away_hides_nothing_else(pair: Pair) -> None:
    pair.start("contacts")
    health = measured(pair)
    assert list(health.away) == ["broker"]
    assert all((t.events, t.seconds, t.bytes) == (None, None, None) for t in health.topics)
    assert health.phases[0].state == "copying"
    assert Code.BROKER_AWAY in {c.code for c in find_problems(health)}
    assert Code.TOPIC_MISSING not in {c.code for c in find_problems(health)}  # that would be a guess


def test_stores_that_are_away_are_named(pair: Pair) -> None:
    pair.start("contacts")
    shop = read_dsn(pair.shop)
    health = measure.measure(Settings(f"host=127.0.0.1 port=1 dbname={pair.legacy.info.dbname}", shop, NOBODY))
    assert set(health.away) == {"legacy", "broker"} and health.begun
    health = measure.measure(Settings("host=127.0.0.1 port=1", "host=127.0.0.1 port=1", NOBODY))
    assert set(health.away) == {"shop", "legacy"}
    assert {c.code for c in find_problems(health)} == {Code.SHOP_AWAY, Code.LEGACY_AWAY}


@pytest.mark.fresh
def test_a_publication_that_lacks_something_is_noticed(pair: Pair) -> None:
    pair.start("contacts")
    name = "shopferry_demo"
    assert measured(pair).withheld == ()
    pair.legacy.execute(f"ALTER PUBLICATION {name} SET (publish = 'insert, update')".encode())
    assert measured(pair).withheld == (f"publication {name} does not publish every kind of change",)
    pair.legacy.execute(f"ALTER PUBLICATION {name} SET (publish = 'insert, update, delete, truncate')".encode())
    pair.legacy.execute(f"ALTER PUBLICATION {name} DROP TABLE shopferry.marker, public.consents".encode())
    pair.legacy.execute("ALTER TABLE orders RENAME TO old_orders")
    lacking = " ".join(measured(pair).withheld)
    for table in ("public.consents", "public.orders", "shopferry.marker"):
        assert f"table {table} is not in publication {name}" in lacking
    pair.legacy.execute(f"DROP PUBLICATION {name}".encode())
    assert measured(pair).withheld == (f"publication {name} is gone",)
    assert Code.UNPUBLISHED in {c.code for c in find_problems(measured(pair))}


def test_a_consumer_that_stops_again_and_again_is_not_well_in_between(pair: Pair) -> None:
    assert offsets.report_alive(pair.shop, "demo", "host", "EventError: t[0]@7") == "EventError: t[0]@7"
    assert offsets.report_alive(pair.shop, "demo", "host") == "EventError: t[0]@7"  # started again, a second ago
    [seen] = offsets.list_consumers(pair.shop, "demo")
    assert seen.stopped
    pair.shop.execute("UPDATE ferry.consumer SET stopped_at = stopped_at - interval '10 seconds'")
    assert offsets.report_alive(pair.shop, "demo", "host") is None
    assert offsets.report_alive(pair.shop, "demo", "host", "EventError: t[0]@8") == "EventError: t[0]@8"


@pytest.mark.fresh
def test_a_store_that_is_closed_and_takes_writes_is_named_until_its_fence_stands_again(pair: Pair) -> None:
    pair.start("contacts")
    pair.shop.execute("ALTER TABLE shop.payment DISABLE TRIGGER ALL")
    [problem] = [c for c in find_problems(measured(pair)) if c.code == Code.STORE_OPEN]
    assert "the new shop takes writes" in problem.text and "shop.payment" in problem.text
    installation.install(pair.legacy, pair.shop, ROUTE)
    assert fence.find_fenced(pair.shop) == ROUTE.entities
    pair.shop.execute("UPDATE ferry.route SET active = 'shop'")
    health = measured(pair).other
    assert health
    [problem] = [c for c in find_problems(health) if c.code == Code.STORE_OPEN]
    assert "the legacy store takes writes" in problem.text and "public.addresses" in problem.text
