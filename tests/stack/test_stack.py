"""The embedded stack as it is: real servers, killed for real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from kafka import KafkaConsumer, TopicPartition
from shopferry import stack
from shopferry.errors import StackError
from shopferry.settings import stack_state
from shopferry.stack import supervisor, tansu
from shopferry.stack.state import choose_port, is_free
from stacks import EMPTY, SharedStack
from waiting import until

pytestmark = pytest.mark.stack

LEGACY = """
CREATE SCHEMA shopferry;
CREATE TABLE shopferry.marker (id bigserial PRIMARY KEY, at timestamptz);
CREATE TABLE shopferry.heartbeat (id int PRIMARY KEY, at timestamptz, n bigint NOT NULL DEFAULT 0);
CREATE TABLE customers (id bigint PRIMARY KEY, name text, never_mapped text, amount numeric(12,2) DEFAULT 0);
CREATE PUBLICATION shopferry_demo
  FOR TABLE customers (id, name, amount), shopferry.marker, shopferry.heartbeat;
"""
TOPIC = "demo.public.customers"


@pytest.fixture(scope="module")
def running(shared_stack: SharedStack) -> Iterator[stack.State]:
    """The stack without Airflow and consumer, with something to stream."""
    with shared_stack.lent(EMPTY) as flow, flow.paused("sync"):
        begin(flow.state)
        yield flow.state


def begin(state: stack.State) -> None:
    """Do what the first phase does: publish, then wait for the slot, before which nothing is streamed."""
    execute(state["legacy_dsn"], LEGACY)
    with psycopg.connect(state["legacy_dsn"], autocommit=True) as conn:
        until(lambda: conn.execute("SELECT FROM pg_replication_slots").fetchall())


def pid(name: str) -> int | None:
    return next(service.pid for service in stack.status() if service.name == name)


def execute(dsn: str, statement: str, *values: object) -> None:
    """Run one statement, as soon as the server lets us."""

    def attempt() -> bool:
        try:
            with psycopg.connect(dsn, autocommit=True) as conn:
                conn.execute(statement, values)
        except psycopg.OperationalError:
            return False
        return True

    until(attempt)


def events(state: stack.State, topic: str = TOPIC) -> list[tuple[int, dict[str, Any]]]:
    """(partition, event) of all the broker has of a topic now."""
    consumer = KafkaConsumer(
        bootstrap_servers=state["kafka"],
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,
        fetch_max_wait_ms=20,
    )
    try:
        partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
        if not partitions:
            return []
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        found = []
        while any(consumer.position(p) < ends[p] for p in partitions):
            for partition, records in consumer.poll(100).items():
                found += [(partition.partition, json.loads(record.value)) for record in records]
        return found
    finally:
        consumer.close()


def arrived(state: stack.State, key: int) -> list[tuple[int, dict[str, Any]]]:
    """The events of one customer, once there are any."""

    def look() -> list[tuple[int, dict[str, Any]]]:
        return [(p, e) for p, e in events(state) if (e["after"] or e["before"] or {}).get("id") == key]

    found: list[tuple[int, dict[str, Any]]] = until(look)
    return found


def test_a_write_arrives_as_an_event_with_the_published_columns(running: stack.State) -> None:
    execute(running["legacy_dsn"], "INSERT INTO customers VALUES (1, 'Jan', 'secret', 12.50)")
    [(_, event)] = arrived(running, 1)
    assert event["op"] == "c"
    assert event["after"] == {"id": 1, "name": "Jan", "amount": "12.50"}
    assert event["source"]["lsn"] > 0


def test_null_in_a_column_with_a_default_stays_null(running: stack.State) -> None:
    execute(running["legacy_dsn"], "INSERT INTO customers (id, name, amount) VALUES (77, 'x', NULL)")
    [(_, event)] = arrived(running, 77)
    assert event["after"]["amount"] is None


def test_all_events_of_a_key_come_in_order_in_one_partition(running: stack.State) -> None:
    for number in range(20):
        execute(running["legacy_dsn"], "INSERT INTO customers VALUES (%s, '0')", 100 + number)
        execute(running["legacy_dsn"], "UPDATE customers SET name = '1' WHERE id = %s", 100 + number)
        execute(running["legacy_dsn"], "DELETE FROM customers WHERE id = %s", 100 + number)
    until(lambda: len([e for _, e in events(running) if e["op"] == "d"]) >= 20)
    partitions = set()
    for number in range(20):
        mine = arrived(running, 100 + number)
        assert [event["op"] for _, event in mine] == ["c", "u", "d"]
        assert len({partition for partition, _ in mine}) == 1
        partitions |= {partition for partition, _ in mine}
    assert len(partitions) == 2


def test_the_confirmed_position_passes_a_marker(running: stack.State) -> None:
    with psycopg.connect(running["legacy_dsn"], autocommit=True) as conn:
        conn.execute("INSERT INTO shopferry.marker (at) VALUES (now())")
        [(written,)] = conn.execute("SELECT pg_current_wal_lsn()").fetchall()

        def confirmed() -> bool:
            conn.execute("INSERT INTO shopferry.marker (at) VALUES (now())")
            query = "SELECT FROM pg_replication_slots WHERE confirmed_flush_lsn >= %s::pg_lsn"
            return bool(conn.execute(query, [written]).fetchall())

        until(confirmed)


def test_up_again_changes_nothing(running: stack.State) -> None:
    before = stack.status()
    assert stack.up(without={"airflow", "sync"}) == running
    assert [(s.name, s.pid, s.port) for s in stack.status()] == [(s.name, s.pid, s.port) for s in before]


def test_what_is_left_out_must_be_known(running: stack.State) -> None:
    with pytest.raises(StackError, match="kafka"):
        stack.up(without={"kafka"})


@pytest.mark.parametrize("victim", ["legacy-db", "shop-db", "airflow-db", "broker", "connector"])
def test_a_killed_server_comes_back_and_the_stream_goes_on(running: stack.State, victim: str) -> None:
    key = 1000 + ["legacy-db", "shop-db", "airflow-db", "broker", "connector"].index(victim)
    before = until(lambda: pid(victim))
    os.kill(before, signal.SIGKILL)
    until(lambda: pid(victim) not in (None, before))
    execute(running["legacy_dsn"], "INSERT INTO customers VALUES (%s, 'after the kill')", key)
    execute(running["shop_dsn"], "SELECT 1")
    execute(running["airflow_db_dsn"], "SELECT 1")
    assert arrived(running, key)
    assert stack_state() == running  # ports too


def test_a_transaction_cut_by_the_connectors_death_arrives_whole(running: stack.State) -> None:
    rows = 20_000
    execute(
        running["legacy_dsn"],
        "INSERT INTO customers SELECT 10000 + i, repeat('x', 200) FROM generate_series(1, %s) i",
        rows,
    )
    until(lambda: any((e["after"] or {}).get("id", 0) > 10_000 for _, e in events(running)))
    os.kill(until(lambda: pid("connector")), signal.SIGKILL)
    execute(running["legacy_dsn"], "INSERT INTO customers VALUES (2000, 'the end')")
    arrived(running, 2000)
    wanted = set(range(10_001, 10_001 + rows))
    # The end stands in one partition, and the last rows of the other may be on their way still.
    until(lambda: wanted <= {event["after"]["id"] for _, event in events(running) if event["after"]})


def test_a_lost_slot_stops_the_connector_and_is_named(running: stack.State) -> None:
    server = supervisor.rpc(running)
    server.stopProcess("connector")
    execute(running["legacy_dsn"], "SELECT pg_drop_replication_slot('shopferry_demo')")
    server.startProcess("connector", False)
    log = next(s.log for s in stack.status() if s.name == "connector")
    until(lambda: "replication slot shopferry_demo is gone" in log.read_text())
    with psycopg.connect(running["legacy_dsn"]) as conn:
        assert not conn.execute("SELECT FROM pg_replication_slots").fetchall()
    execute(running["legacy_dsn"], "SELECT pg_create_logical_replication_slot('shopferry_demo', 'pgoutput')")
    execute(running["legacy_dsn"], "INSERT INTO customers VALUES (3000, 'a new slot')")
    assert arrived(running, 3000)


def test_nothing_in_a_log_tells_about_a_customer(running: stack.State) -> None:
    execute(running["legacy_dsn"], "INSERT INTO customers VALUES (4000, 'Zażółć Gęślą')")
    arrived(running, 4000)
    with psycopg.connect(running["legacy_dsn"]) as conn, pytest.raises(psycopg.errors.UniqueViolation):
        conn.execute("INSERT INTO customers VALUES (4000, 'Zażółć Gęślą')")
    for service in stack.status():
        if service.log.exists():
            text = service.log.read_text()
            assert "Zażółć" not in text
            assert "4000" not in [word.strip("()=.") for word in text.split()], service.name


def test_reset_empties_stores_and_broker(running: stack.State) -> None:
    stack.reset()
    with psycopg.connect(running["legacy_dsn"]) as conn:
        assert not conn.execute("SELECT FROM pg_tables WHERE schemaname = 'public'").fetchall()
    begin(running)
    execute(running["legacy_dsn"], "INSERT INTO customers VALUES (1, 'Ala')")
    assert [event["after"]["name"] for _, event in arrived(running, 1)] == ["Ala"]


def test_an_existing_broker_is_used_instead(running: stack.State, tmp_path: Path) -> None:
    port = choose_port(set())
    url = f"tcp://127.0.0.1:{port}"
    with (tmp_path / "log").open("w") as log:
        kafka = subprocess.Popen(
            [tansu.find_binary(), "broker", "--listener-url", url, "--advertised-listener-url", url],
            stdout=log,
            stderr=log,
        )
    try:
        until(lambda: not is_free(port))
        state = stack.up(without={"airflow", "sync"}, broker=f"127.0.0.1:{port}")
        assert state["kafka"] == f"127.0.0.1:{port}"
        assert "broker" not in {service.name for service in stack.status()}
        execute(state["legacy_dsn"], "INSERT INTO customers VALUES (6000, 'elsewhere')")
        assert arrived(state, 6000)
    finally:
        kafka.terminate()
        kafka.wait()
    with pytest.raises(StackError, match="does not answer"):
        stack.up(without={"airflow", "sync"})
    assert stack.up(without={"airflow", "sync"}, broker="")["kafka"] == running["kafka"]
    assert pid("broker")


def test_down_leaves_no_process_even_without_the_supervisor(running: stack.State) -> None:
    servers = [psutil.Process(service.pid) for service in stack.status() if service.pid]
    family = servers + [child for server in servers for child in server.children(recursive=True)]
    chief = psutil.Process(supervisor.rpc(running).getPID())
    chief.kill()
    chief.wait()
    stack.down()
    stack.down()  # and a second time there is nothing to do
    assert [process for process in family if process.is_running() and process.status() != "zombie"] == []
    assert {service.state for service in stack.status()} == {"STOPPED"}
    again = stack.up(without={"airflow", "sync"})
    assert again == running
    execute(again["legacy_dsn"], "INSERT INTO customers VALUES (5000, 'still here')")
    assert arrived(again, 5000)
