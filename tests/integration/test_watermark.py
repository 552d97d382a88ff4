"""A watermark is not proved by a broker that has forgotten what was applied, nor before a resync is done."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from events import Tap
from pair import ROUTE, Pair, connect, read_dsn
from shopferry.cdc import proof
from shopferry.cdc.proof import Watermark
from shopferry.control import chunks, continuity, offsets
from shopferry.control.offsets import Partition
from shopferry.engine import backfill
from shopferry.errors import TransientError


def prove(pair: Pair, ends: dict[Partition, int], *, beats: bool = True) -> Watermark:
    """The proof, while the route's slot is read on as by the connector, and beats come through as the consumer books them."""
    done, tap = threading.Event(), Tap(pair.legacy, ROUTE.publication, ROUTE.publication).open()
    dsns = [read_dsn(c) for c in (pair.legacy, pair.shop)]

    def stream() -> None:
        with connect(dsns[0]) as legacy, connect(dsns[1]) as shop:
            while not done.is_set():
                tap.skip()
                row = legacy.execute("SELECT n FROM shopferry.heartbeat").fetchone()
                if beats and row:
                    continuity.note_beat(shop, ROUTE.name, row[0])

    connector = threading.Thread(target=stream)
    connector.start()
    try:
        with connect(dsns[0]) as legacy:
            return proof.await_applied(replace(pair.stores, source=legacy), lambda: ends, timeout_s=2.0)
    finally:
        done.set()
        connector.join()
        pair.legacy.execute("SELECT pg_drop_replication_slot(%s)", (tap.slot,))


@pytest.fixture
def moving(pair: Pair) -> Pair:
    """All phases verified, a change applied."""
    pair.pass_phases()
    pair.write("INSERT INTO customers (id, login, email) VALUES (1, 'a@example.com', 'a@example.com')")
    pair.sync()
    return pair


def test_what_is_applied_up_to_the_brokers_ends_is_proved(moving: Pair) -> None:
    assert prove(moving, offsets.load(moving.shop, ROUTE.name)).lsn


def test_a_broker_that_has_less_than_was_applied_proves_nothing(moving: Pair) -> None:
    fewer = {p: n - 1 for p, n in offsets.load(moving.shop, ROUTE.name).items() if n}
    with pytest.raises(TransientError, match="has lost changes, and nobody has resynced"):
        prove(moving, fewer)
    with pytest.raises(TransientError, match="has lost changes, and nobody has resynced"):
        prove(moving, {})


def test_a_resync_that_is_not_done_proves_nothing(moving: Pair) -> None:
    ends = offsets.load(moving.shop, ROUTE.name)
    chunks.plan(moving.shop, ROUTE.name, "orders", "resync", backfill.cut(moving.stores, "orders", "resync"))
    with pytest.raises(TransientError, match="a resync has still to copy 3 chunks"):
        prove(moving, ends)
    backfill.finish_resync(moving.stores, "test")
    assert prove(moving, ends).lsn


def test_a_broker_that_is_not_the_one_that_acknowledged_proves_nothing(moving: Pair) -> None:
    """Its ends stand still, and all of it is applied; what legacy writes goes elsewhere."""
    with pytest.raises(TransientError, match=r"beat \d+ has not come \(the last was 0\)"):
        prove(moving, offsets.load(moving.shop, ROUTE.name), beats=False)
