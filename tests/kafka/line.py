"""A whole line from legacy to the shop, over Apache Kafka and Kafka Connect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from servers import Broker, Connect, Consumer, environment
from shopferry import db
from shopferry.cdc.broker import group
from shopferry.demo.writer import run_beside
from shopferry.settings import Settings
from shopferry.stack import registration


@dataclass
class Line:
    """A whole line from legacy to the shop: connector, broker and any number of consumers."""

    home: Path
    settings: Settings
    broker: Broker
    connect: Connect
    consumers: list[Consumer] = field(default_factory=list)

    def register(self) -> None:
        """Register the connector as docker-compose.yml does; returns when it runs."""
        registration.register(self.settings)

    def consumer(self, name: str, *options: str) -> Consumer:
        """Start a consumer of this name."""
        made = Consumer(self.home / name, "", settings=self.settings, name=name)
        made.start(*options)
        self.consumers.append(made)
        return made

    @contextmanager
    def writer(self, rate: int) -> Iterator[Path]:
        """The shop's application, in a process of its own; yields its ledger."""
        book = self.home / "ledger.jsonl"
        with run_beside(book, rate, environment=environment(self.settings)):
            yield book

    def legacy(self, *statements: str) -> None:
        """One transaction in legacy."""
        with db.connect(self.settings.source_dsn, "test") as conn, conn.transaction():
            for statement in statements:
                conn.execute(statement.encode())

    def shop(self, query: str) -> list[tuple[object, ...]]:
        """Rows of the new shop's database."""
        with db.connect(self.settings.target_dsn, "test") as conn:
            return conn.execute(query.encode()).fetchall()

    def close(self) -> None:
        """End the consumers, and have the servers know of nothing; one that a test has ended is started again."""
        for consumer in self.consumers:
            consumer.kill()
        for server in (self.broker, self.connect):
            if server.process is None or server.process.poll() is not None:
                server.start()
        self.connect.forget_connectors()
        with self.broker.admin() as admin:
            admin.delete_topics([t for t in admin.list_topics() if "demo" in t])
            admin.delete_groups([group(self.settings.route)])
