"""One Kafka with Connect, emptied after each test, and two stores of each test's own. Without their jars all are skipped."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from line import Line
from pair import prepare
from servers import Broker, Connect, running
from shopferry.demo.generator import seed
from shopferry.settings import Settings

JARS = os.environ.get("SHOPFERRY_KAFKA_JARS", "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this directory, and skip it without jars."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.kafka)
            if not JARS:
                item.add_marker(pytest.mark.skip(reason="needs Apache Kafka: `make test-kafka` brings it"))


@pytest.fixture(scope="session")
def jars() -> str:
    """The folder of the servers' jars."""
    return JARS


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Broker, Connect]]:
    """A Kafka and a worker of Kafka Connect, which know of nothing."""
    home = tmp_path_factory.mktemp("servers")
    broker = Broker(home / "broker", JARS)
    connect = Connect(home / "connect", JARS, kafka=broker.address)
    with running(broker, connect):
        yield broker, connect


@pytest.fixture
def line(servers: tuple[Broker, Connect], make_db: Callable[..., str], tmp_path: Path) -> Iterator[Line]:
    """A generated legacy shop of 100 customers and an empty new shop, the connector streaming, no consumer yet."""
    broker, connect = servers
    legacy, shop = make_db("legacy"), make_db("shop")
    prepare(legacy, shop, lambda conn: seed(conn, customers=100))
    made = Line(tmp_path, Settings(legacy, shop, broker.address, "demo", connect.url), broker, connect)
    try:
        made.register()
        yield made
    finally:
        made.close()
