"""One Kafka with Connect, and two stores, of each test's own. Without their jars these tests are skipped."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from line import Line
from pair import prepare
from servers import Broker, Connect
from shopferry.demo.generator import seed
from shopferry.settings import Settings
from waiting import until

JARS = os.environ.get("SHOPFERRY_KAFKA_JARS", "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this directory, and skip it without jars."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.kafka)
            if not JARS:
                item.add_marker(pytest.mark.skip(reason="needs Apache Kafka: `make test-kafka` brings it"))


@pytest.fixture
def line(make_db: Callable[..., str], tmp_path: Path) -> Iterator[Line]:
    """A generated legacy shop of 100 customers and an empty new shop, the connector streaming, no consumer yet."""
    legacy, shop = make_db("legacy"), make_db("shop")
    prepare(legacy, shop, lambda conn: seed(conn, customers=100))
    broker = Broker(tmp_path / "broker", JARS)
    connect = Connect(tmp_path / "connect", JARS, kafka=broker.address)
    made = Line(tmp_path, Settings(legacy, shop, broker.address, "demo", connect.url), broker, connect)
    try:
        broker.launch()
        connect.launch()
        until(lambda: broker.answers() and connect.answers())
        made.register()
        yield made
    finally:
        made.close()
