"""A watermark is not proved by a broker that has forgotten what was applied, nor before a resync is done."""

from __future__ import annotations

import threading

import pytest
from pair import ROUTE, Pair, connect
from shopferry import backfill
from shopferry.cdc import watermark
from shopferry.cdc.watermark import Watermark
from shopferry.control import chunks, offsets
from shopferry.control.offsets import Partition
from shopferry.errors import TransientError


def prove(pair: Pair, ends: dict[Partition, int]) -> Watermark:
    """The proof, while the tap reads on as the connector does."""
    done = threading.Event()

    def stream() -> None:
        while not done.is_set():
            pair.tap.skip()

    connector = threading.Thread(target=stream)
    connector.start()
    try:
        with connect(f"{pair.legacy.info.dsn} password={pair.legacy.info.password}") as legacy:
            return watermark.await_applied(legacy, pair.shop, ROUTE.name, pair.tap.slot, lambda: ends, timeout_s=2.0)
    finally:
        done.set()
        connector.join()


@pytest.fixture
def moving(pair: Pair) -> Pair:
    """All phases verified, a change applied."""
    pair.pass_phases()
    pair.write("INSERT INTO customers (id, login, email) VALUES (1, 'a@example.com', 'a@example.com')")
    pair.sync()
    return pair


def test_what_is_applied_up_to_the_brokers_ends_is_proved(moving: Pair) -> None:
    assert prove(moving, offsets.stored(moving.shop, ROUTE.name)).lsn


def test_a_broker_that_has_less_than_was_applied_proves_nothing(moving: Pair) -> None:
    fewer = {p: n - 1 for p, n in offsets.stored(moving.shop, ROUTE.name).items() if n}
    with pytest.raises(TransientError, match="has lost changes, and nobody has resynced"):
        prove(moving, fewer)
    with pytest.raises(TransientError, match="has lost changes, and nobody has resynced"):
        prove(moving, {})


def test_a_resync_that_is_not_done_proves_nothing(moving: Pair) -> None:
    ends = offsets.stored(moving.shop, ROUTE.name)
    chunks.plan(moving.shop, ROUTE.name, "orders", "resync", backfill.cut(moving.stores, "orders", "resync"))
    with pytest.raises(TransientError, match="a resync has still to copy 3 chunks"):
        prove(moving, ends)
    backfill.finish_resync(moving.stores, "test")
    assert prove(moving, ends).lsn
