"""How fast replay is beside Debezium's JDBC sink: the same topics on Apache Kafka, one after the other, in one run.

    sh tests/kafka/jars.sh FOLDER benchmarks/pom.xml
    SHOPFERRY_KAFKA_JARS=FOLDER python benchmarks/sink.py [--customers 20000] [--changes 60000]

It brings up a Kafka and an embedded stack of its own, gives the sink a database with three of legacy's tables, moves a generated
shop through all phases, and stops the consumer. Then it changes customers, orders and order lines as `benchmarks/replay.py` does.
When all of it is in the broker, the sink applies it, and after the sink has ended the consumer does. In the end the sink's rows
are compared with legacy's. Prints one JSON object.

The first and the last changes of each table are known rows, so that tables tell when a peer has begun and when it has ended.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Composed, Identifier, Literal
from replay import CHANGES, applied, await_broker, ends, own_stack
from shopferry import phase_steps
from shopferry.db import Connection
from shopferry.demo import shop
from shopferry.phase_steps import Options
from shopferry.route.route import Route
from shopferry.settings import Settings
from shopferry.stack import supervisor
from shopferry.stack.wire import describe_way

_TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path += [str(_TESTS), str(_TESTS / "kafka")]
from servers import Broker, Connect  # noqa: E402

INSTALL = "not installed: `sh tests/kafka/jars.sh FOLDER benchmarks/pom.xml`, and SHOPFERRY_KAFKA_JARS=FOLDER"
_DOES = {
    "sink": "copies three tables as they are, at least once, in three tasks; keeps no positions with the rows",
    "shopferry": "keeps the mirror, runs every mapping, books outcomes; positions are committed with the rows, in one session",
}
_JAVA = ("-Xms256m", "-Xmx2g")  # as Kafka's own scripts; with both compilers
_EDGE = 20  # known rows at either end: some for each partition of a topic
_PATIENCE_S = 600.0
_LOOK_S = 5


@dataclass(frozen=True)
class Table:
    """One of legacy's tables that the sink keeps a copy of, and the text column by which its known rows are told."""

    name: str
    mark: str
    columns: Mapping[str, str]  # name to type in PostgreSQL

    @property
    def topic(self) -> str:
        """The name of the topic without the route."""
        return f"public.{self.name}"

    def compose(self, query: str, edge: str = "first") -> Composed:
        """Fill a query: `{table}`, its `{columns}` and `{mark}`, and the `{known}` rows of one `{edge}`."""
        known = SQL("SELECT id FROM {} ORDER BY id {} LIMIT {}").format(
            Identifier(self.name), SQL("ASC" if edge == "first" else "DESC"), Literal(_EDGE)
        )
        return SQL(query).format(
            table=Identifier(self.name),
            columns=SQL(", ").join(map(Identifier, self.columns)),
            mark=Identifier(self.mark),
            edge=Literal(edge),
            known=known,
        )

    def describe(self, names: list[str], called: str, optional: bool) -> dict[str, Any]:
        """Describe these columns as Kafka Connect's schema of a struct. Numbers that may be broken, and times, travel as text."""
        kinds = {"integer": "int32", "bigint": "int64"}
        fields = [{"field": c, "type": kinds.get(self.columns[c], "string"), "optional": c != "id"} for c in names]
        return {"type": "struct", "name": called, "optional": optional, "fields": fields}


def find_jars() -> str | None:
    """Return the folder of the jars if the sink is among them."""
    folder = os.environ.get("SHOPFERRY_KAFKA_JARS", "")
    return folder if folder and any(Path(folder).glob("debezium-connector-jdbc-*.jar")) else None


def read_versions(jars: str) -> dict[str, str]:
    """Read the versions of what is measured."""
    found = {"shopferry": version("shopferry"), "kafka-python": version("kafka-python"), "psycopg": version("psycopg")}
    for name in ("debezium-connector-jdbc", "kafka_2.13", "postgresql", "hibernate-core"):
        (jar,) = Path(jars).glob(f"{name}-[0-9]*.jar")
        found[name] = re.sub(rf"^{re.escape(name)}-(.+)\.jar$", r"\1", jar.name)
    return found


def copy_tables(legacy: Connection, sink: Connection) -> list[Table]:
    """Copy what is streamed of three tables of legacy, with their primary keys and no other index, and say what they are like."""
    found = []
    for name, mark in (("customers", "bill_company"), ("orders", "note"), ("order_items", "name")):
        columns = dict(
            legacy.execute(
                """SELECT attname, format_type(atttypid, atttypmod)
                   FROM pg_publication_tables AS p, pg_attribute AS a
                   WHERE tablename = %s AND attrelid = to_regclass(tablename) AND attname = ANY (attnames) ORDER BY attnum""",
                (name,),
            ).fetchall()
        )
        table = Table(name, mark, columns)
        made = SQL(", ").join(SQL("{} {}").format(Identifier(c), SQL(kind)) for c, kind in columns.items())
        sink.execute(SQL("CREATE TABLE {} ({}, PRIMARY KEY (id))").format(Identifier(name), made))
        with (
            legacy.cursor().copy(table.compose("COPY (SELECT {columns} FROM {table}) TO STDOUT")) as rows,
            sink.cursor().copy(table.compose("COPY {table} FROM STDIN")) as copied,
        ):
            for row in rows:
                copied.write(row)
        found.append(table)
    sink.execute("VACUUM ANALYZE")
    return found


@contextmanager
def peer_database(settings: Settings) -> Iterator[str]:
    """A database of the sink's own on the new shop's server, which is dropped again; yields its DSN."""
    name = "sink"
    with psycopg.connect(settings.target_dsn, autocommit=True) as conn:
        conn.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        try:
            yield make_conninfo(**conninfo_to_dict(settings.target_dsn) | {"dbname": name})
        finally:
            conn.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def configure(table: Table, route: str, dsn: str) -> dict[str, str]:
    """Configure the sink for one table, so that it is as fast as it can be.

    The schemas leave out what the sink does not read. PostgreSQL itself reads the texts (`stringtype`).
    """
    way = describe_way(dsn)
    place = f"{way['database.hostname']}:{way['database.port']}/{way['database.dbname']}"
    row = table.describe(list(table.columns), f"{table.name}.Value", optional=True)
    event = {
        "type": "struct",
        "name": f"{table.name}.Envelope",
        "fields": [{"field": "before"} | row, {"field": "after"} | row, {"field": "op", "type": "string"}],
    }
    converter = "org.apache.kafka.connect.json.JsonConverter"
    return {
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": "1",
        "topics": f"{route}.{table.topic}",
        "connection.url": f"jdbc:postgresql://{place}?stringtype=unspecified&reWriteBatchedInserts=true",
        "connection.username": way["database.user"],
        "connection.password": way["database.password"],
        "collection.name.format": table.topic,
        "insert.mode": "upsert",
        "delete.enabled": "true",
        "primary.key.mode": "record_key",
        "schema.evolution": "none",
        "batch.size": "2000",
        "use.reduction.buffer": "true",
        "consumer.override.max.poll.records": "2000",
        "consumer.override.max.partition.fetch.bytes": str(4 << 20),
        "key.converter": converter,
        "key.converter.schemas.enable": "true",
        "key.converter.schema.content": json.dumps(table.describe(["id"], f"{table.name}.Key", optional=False)),
        "value.converter": converter,
        "value.converter.schemas.enable": "true",
        "value.converter.schema.content": json.dumps(event),
    }


def change(legacy: Connection, tables: list[Table], changes: int) -> None:
    """Change legacy: known rows of each table, as many changes as asked for, and other known rows."""
    legacy.execute(CHANGES.encode())
    _touch(legacy, tables, "first")
    legacy.execute("CALL change_shop(%s, 10)", (changes,))
    _touch(legacy, tables, "last")


def _touch(legacy: Connection, tables: list[Table], edge: str) -> None:
    for table in tables:
        legacy.execute(table.compose("UPDATE {table} SET {mark} = {edge} WHERE id IN ({known})", edge))


def _count(sink: Connection, tables: list[Table], edge: str) -> int:
    """How many of the known rows of one end the sink has."""
    queries = [
        table.compose("SELECT count(*) FROM {table} WHERE {mark} = {edge} AND id IN ({known})", edge)
        for table in tables
    ]
    return sum(row[0] for query in queries for row in sink.execute(query).fetchall())


def time_sink(connect: Connect, dsn: str, route: str, tables: list[Table]) -> tuple[float, float]:
    """Register one connector per table; returns the seconds until all is applied, and those of them after the first commit."""
    with psycopg.connect(dsn, autocommit=True) as sink:
        began, first, looked = time.monotonic(), 0.0, 0
        for table in tables:
            connect.ask("PUT", f"/connectors/sink-{table.name}/config", configure(table, route, dsn))
        while _count(sink, tables, "last") < _EDGE * len(tables):
            if not first and _count(sink, tables, "first"):
                first = time.monotonic()
            if time.monotonic() - began > looked + _LOOK_S:
                looked += _LOOK_S
                _require_running(connect, tables, began)
            time.sleep(0.02)
        ended = time.monotonic()
    return ended - began, ended - (first or began)


def _require_running(connect: Connect, tables: list[Table], began: float) -> None:
    """Raise with what the sink says, if it has failed or takes too long."""
    states = [connect.ask("GET", f"/connectors/sink-{table.name}/status") for table in tables]
    failed = any(task["state"] == "FAILED" for state in states for task in state["tasks"])
    if failed or time.monotonic() - began > _PATIENCE_S:
        raise SystemExit(f"the sink has not ended: {json.dumps(states, indent=2)[:6000]}")


def count_differences(legacy: Connection, sink: Connection, tables: list[Table]) -> int:
    """Count the rows that are not the same in both, or only in one."""
    differing = 0
    for table in tables:
        query = table.compose("SELECT id, ROW({columns})::text FROM {table}")
        ours, theirs = dict(legacy.execute(query).fetchall()), dict(sink.execute(query).fetchall())
        differing += sum(ours.get(key) != theirs.get(key) for key in ours.keys() | theirs.keys())
    return differing


def measure(jars: str, customers: int, changes: int) -> dict[str, Any]:
    """Bring all of it up, measure one after the other, and say what was found."""
    with TemporaryDirectory() as folder:
        broker = Broker(Path(folder) / "broker", jars, machine=_JAVA)
        connect = Connect(Path(folder) / "connect", jars, machine=_JAVA, kafka=broker.address)
        try:
            broker.start()
            with own_stack(broker.address) as settings, peer_database(settings) as dsn:
                return _measure(settings, connect, dsn, customers, changes) | {"versions": read_versions(jars)}
        finally:
            connect.kill()
            broker.kill()


def _measure(settings: Settings, connect: Connect, dsn: str, customers: int, changes: int) -> dict[str, Any]:
    route = Route.load(settings.route)
    shop.seed(settings, customers)
    with (
        psycopg.connect(settings.source_dsn, autocommit=True) as legacy,
        psycopg.connect(dsn, autocommit=True) as sink,
    ):
        for phase in route.phases:
            phase_steps.run(settings, phase, "benchmark", Options(without_rehearsal="benchmark"), lambda _: None)
        supervisor.rpc(json.loads((Path(os.environ["SHOPFERRY_DATA"]) / "stack.json").read_text())).stopProcess("sync")
        tables = copy_tables(legacy, sink)
        names = {f"{route.name}.{table.topic}" for table in tables}
        before = _count_messages(settings, names)
        change(legacy, tables, changes)
        await_broker(settings)
        events = _count_messages(settings, names) - before
        connect.start()
        sink_s, sink_applying_s = time_sink(connect, dsn, route.name, tables)
        connect.stop()
        ours_s = applied(settings)
        return {
            "changes": events,
            "sink": {
                "s": round(sink_s, 1),
                "changes_per_s": round(events / sink_s),
                "s_without_start": round(sink_applying_s, 1),
                "changes_per_s_without_start": round(events / sink_applying_s),
                "differing_rows": count_differences(legacy, sink, tables),
                "does": _DOES["sink"],
            },
            "shopferry": {
                "s": round(ours_s, 1),
                "changes_per_s": round(events / ours_s),
                "differences": sum(phase_steps.compare(settings, phase).open for phase in route.phases),
                "does": _DOES["shopferry"],
            },
            "ratio": {"with its start": round(sink_s / ours_s, 3), "without": round(sink_applying_s / ours_s, 3)},
        }


def _count_messages(settings: Settings, names: set[str]) -> int:
    return sum(end for (topic, _), end in ends(settings).items() if topic in names)


def main() -> None:
    """Run it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--customers", type=int, default=20_000)
    options.add_argument("--changes", type=int, default=60_000)
    given = options.parse_args()
    jars = find_jars()
    print(json.dumps(measure(jars, given.customers, given.changes) if jars else {"replay": INSTALL}, indent=2))


if __name__ == "__main__":
    main()
