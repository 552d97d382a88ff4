"""Nothing that the stack writes down tells about a customer: a whole passage, then every error we can provoke."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from live import Flow
from shopferry import db, phase_steps
from shopferry.cutover import gates
from shopferry.demo import leaks, shop
from shopferry.demo.leaks import Find, Personal
from shopferry.settings import Settings, data_dir, stack_state
from waiting import until

pytestmark = pytest.mark.stack

JAN = {"full_name": "Jan Przypadkowy", "email": "jan.przypadkowy@nowhere.example.com", "phone": "601 987 123"}
NUMBER = "48601987123"


def one(dsn: str, query: str) -> Any:
    with psycopg.connect(dsn, autocommit=True) as conn:
        return conn.execute(query).fetchone()[0]


def cli(*words: str) -> tuple[str, str]:
    """What one verb prints, on both streams."""
    command = [str(Path(sys.executable).with_name("shopferry")), *words]
    ran = subprocess.run(command, capture_output=True, text=True)
    return f"shopferry {' '.join(words)}", ran.stdout + ran.stderr


def http(path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{stack_state()['metrics']}{path}") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:  # between two lives of the consumer
        return 0, str(error)


def rows_of_events(settings: Settings) -> Iterator[dict[str, Any]]:
    """Every row that ever went through the broker, as it was before and after: also what is overwritten by now."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka, group_id=None, enable_auto_commit=False)
    try:
        names = [n for n in consumer.topics() if n.startswith(f"{settings.route}.public.")]
        sources = [TopicPartition(n, p) for n in names for p in consumer.partitions_for_topic(n)]
        consumer.assign(sources)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(sources)
        while any(consumer.position(s) < ends[s] for s in sources):
            for records in consumer.poll(200).values():
                for event in (json.loads(r.value) for r in records):
                    yield from (row for row in (event["before"], event["after"]) if row)
    finally:
        consumer.close()


def provoke(settings: Settings) -> list[str]:
    """Every error with a customer's data in it that an application or the stream can make; what psycopg says of them."""
    said: list[str] = []

    def fails(dsn: str, statement: str, code: str) -> None:
        with psycopg.connect(dsn, autocommit=True) as conn, pytest.raises(psycopg.Error) as failure:
            conn.execute(statement.encode())
        assert failure.value.sqlstate == code
        said.append(str(failure.value))

    legacy = settings.source_dsn
    into = "INSERT INTO customers (id, email, full_name, phone, active, deleted) VALUES"
    who = f"'{JAN['email']}', '{JAN['full_name']}', '{JAN['phone']}', 'T', 'N'"
    key = one(legacy, f"{into} (nextval('customers_id_seq'), {who}) RETURNING id")
    fails(
        legacy,
        f"INSERT INTO addresses (customer_id, full_name, phone) VALUES (NULL, '{JAN['full_name']}', '')",
        "23502",
    )
    fails(legacy, f"SELECT '{JAN['email']}'::integer", "22P02")
    fails(legacy, f"DO $$ BEGIN RAISE EXCEPTION 'who is %', '{JAN['full_name']}, {JAN['phone']}'; END $$", "P0001")
    with (
        psycopg.connect(legacy, autocommit=True) as conn,
        pytest.raises(psycopg.DataError) as failure,
        conn.cursor().copy("COPY customers (id, email) FROM STDIN") as copy,
    ):
        copy.write(f"{JAN['email']}\t{JAN['full_name']}\n")
    said.append(str(failure.value))
    said.append(deadlock(legacy, key))
    return said


def deadlock(dsn: str, key: int) -> str:
    """Two sessions lock two rows crosswise, with the customer's data in their statements; what the victim is told."""
    other = one(dsn, "SELECT min(id) FROM customers")
    update = f"UPDATE customers SET full_name = '{JAN['full_name']}', email = '{JAN['email']}' WHERE id = {{}}"
    with psycopg.connect(dsn) as a, psycopg.connect(dsn) as b:
        told: list[str] = []
        a.execute(update.format(key).encode())
        b.execute(update.format(other).encode())
        a.execute("SET deadlock_timeout = '1h'")  # b is the one that notices
        a.pgconn.send_query(update.format(other).encode())
        waits = f"SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid = {a.info.backend_pid}"
        until(lambda: one(dsn, waits))
        with pytest.raises(psycopg.errors.DeadlockDetected) as failure:
            b.execute(update.format(key).encode())
        told.append(str(failure.value))
        b.rollback()
        while a.pgconn.get_result():
            pass
        a.pgconn.exec_(b"ROLLBACK")
    return told[0]


def test_no_log_line_no_error_and_no_metric_tells_about_a_customer(empty: Flow, tmp_path: Path) -> None:
    settings = empty.settings
    shop.seed(settings, 150)
    phase_steps.install(settings)
    with db.connect(settings.source_dsn, "test") as legacy:
        known = leaks.collect_stored(legacy, "public")
    texts: list[tuple[str, str]] = []
    command = [
        sys.executable,
        "-m",
        "shopferry.demo.writer",
        "--rate",
        "40",
        "--ledger",
        str(tmp_path / "ledger.jsonl"),
    ]
    log = data_dir() / "log" / "writer.log"
    with log.open("w") as out:
        writer = subprocess.Popen(command, stdout=out, stderr=out)
        try:
            empty.ferry()
            # A row that the new shop refuses, quoting it whole; with the stream and then with a release.
            with db.connect(settings.target_dsn, "test") as new:
                new.execute(
                    "ALTER TABLE shop.customer ADD CONSTRAINT not_him CHECK (family_name <> 'Przypadkowy') NOT VALID"
                )
            errors = provoke(settings)
            refused = "SELECT count(*) FROM ferry.quarantine WHERE constraint_name = 'not_him'"
            until(lambda: one(settings.target_dsn, refused))
            texts.append(cli("quarantine", "release"))
            texts.append(cli("quarantine", "list", "--rows"))
            # A copy whose source dies under it.
            for name in ("legacy-db", "connector", "sync"):
                os.kill(empty.pid(name) or 0, signal.SIGKILL)
            texts.append(cli("verify"))
            until(lambda: http("/healthz")[0] == 200)
            gates.judge(settings)
            texts += [cli("status"), cli("status", "--json"), cli("assess"), cli("cutover", "--dry-run")]
            texts.append(("/metrics", http("/metrics")[1]))
        finally:
            writer.terminate()
            writer.wait()
    known |= leaks.collect(rows_of_events(settings))
    # Last, since the consumer does not pass it: an event that is none, full of a customer.
    producer = KafkaProducer(bootstrap_servers=settings.kafka)
    broken = json.dumps({"op": JAN["full_name"], "source": JAN, "after": JAN}).encode()
    producer.send(f"{settings.route}.public.customers", key=json.dumps(JAN).encode(), value=broken).get()
    producer.close()
    stopped = "SELECT count(*) FROM ferry.consumer WHERE stopped LIKE 'EventError%'"
    until(lambda: one(settings.target_dsn, stopped))
    until(lambda: "stopped: EventError" in http("/healthz")[1])
    texts.append(("/healthz", http("/healthz")[1]))
    texts += [cli("status"), cli("phase", "status")]
    assert any("consumer-stopped" in text for where, text in texts if where == "shopferry status")
    with db.connect(settings.source_dsn, "test") as legacy, db.connect(settings.target_dsn, "test") as new:
        known |= leaks.collect_stored(legacy, "public") | leaks.collect_stored(new, "shop")
        texts += leaks.read_own_tables(new)
    assert (JAN["email"], NUMBER[-9:]) in {(e, p) for e in known.emails for p in known.phones if p == NUMBER[-9:]}
    assert {"jan.przypadkowy@nowhere.example.com"} <= known.emails and ("jan", "przypadkowy") in known.pairs
    assert all(leaks.search(known, [("psycopg", e)])[0] for e in errors if "deadlock" not in e), "the errors quote rows"

    texts += leaks.read_files(data_dir() / "log")
    found, lines = leaks.search(known, texts)
    assert found == [], [str(f) for f in found]
    assert lines > 300
    assert {"legacy-db.log", "shop-db.log", "broker.log", "connector.log", "sync.log", "writer.log"} <= {
        where.rsplit("/", 1)[-1] for where, _ in texts
    }


KNOWN = leaks.collect(
    [JAN, {"email": "jan@", "full_name": "Grant Consumer"}, {"given_name": "Ewa", "family_name": "Lis"}]
)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("Key (email)=(JAN1@Nowhere.example.com) already exists", "e-mail"),
        ("login=`jan@`", ""),
        ("an address nobody knows: x@y.example.org", "e-mail"),
        ("phone=601987123", "phone"),
        ("(12, +48 601 987 123, f)", "phone"),
        ("tel: 601-987-123.", "phone"),
        ('{"phone": "+48601987123"}', "phone"),
        ("row: PRZYPADKOWY, JAN", "name"),
        ("Failing row contains (7, jan przypadkowy)", "name"),
        ("hello Przypadkowy", "name"),
        ("for Ewa Lis", "name"),
        ("at 601987123.5 s", ""),
        ("lsn=0/601987123", ""),
        ("2026-03-01T12:00:00.601987123Z ready", ""),
        ("offset 1601987123", ""),
        ("Consumer and Grant are words", ""),
        ("postgresql://shopferry@127.0.0.1:5432", ""),
    ],
)
def test_the_search_finds_what_is_there_and_nothing_else(line: str, kind: str) -> None:
    assert leaks.search(KNOWN, [("a", "\n" + line)]) == ([Find("a", 2, kind)] if kind else [], 2)


def test_without_anything_known_only_the_form_of_an_address_counts() -> None:
    assert leaks.search(Personal(), [("a", "Jan Przypadkowy 601987123\njan@nowhere.example.com")])[0] == [
        Find("a", 2, "e-mail")
    ]
