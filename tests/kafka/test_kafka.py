"""The sync on Apache Kafka and Kafka Connect: the programs that run in production, killed and broken for real."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import sleep

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from line import Line
from shopferry import db, phase_steps
from shopferry.cdc import consumer as cdc_consumer
from shopferry.cdc.batches import BatchReader
from shopferry.cdc.broker import beats as beats_of
from shopferry.cdc.broker import group, topics
from shopferry.cdc.clients import open_client
from shopferry.cdc.consumer import Stream, open_stream
from shopferry.cdc.health import HEALTH
from shopferry.cdc.proof import has_reached, send_mark
from shopferry.control.differences import Difference
from shopferry.demo import ledger
from shopferry.errors import TransientError
from shopferry.phase_steps import Options
from shopferry.route.route import Route
from shopferry.settings import Settings
from waiting import until

ROUTE = Route.load("demo")
OPTIONS = Options(chunk_size=500, without_rehearsal="test")
TOPICS = topics(ROUTE, ROUTE.tables)


def ferry(line: Line, *phases: str) -> None:
    """Bring whole phases through."""
    for phase in phases:
        outcome = phase_steps.run(line.settings, phase, "test", OPTIONS, lambda _: None)
        assert outcome is not None and outcome.clean


def differences(line: Line, *phases: str) -> list[Difference]:
    """What differs, compared online once everything that legacy has committed is applied."""
    return [d for p in phases for d in phase_steps.compare(line.settings, p).differences]


def held(line: Line) -> dict[TopicPartition, int]:
    """The end offsets of the route's topics."""
    consumer = KafkaConsumer(bootstrap_servers=line.broker.address, enable_auto_commit=False)
    try:
        found = [TopicPartition(t, p) for t in TOPICS for p in sorted(consumer.partitions_for_topic(t) or ())]
        ends: dict[TopicPartition, int] = consumer.end_offsets(found)
        return ends
    finally:
        consumer.close()


def held_by(line: Line) -> dict[str, int]:
    """How many partitions each member of the group has."""
    with line.broker.admin() as admin:
        members = admin.describe_groups([group("demo")])[group("demo")]["members"]
    return {
        m["group_instance_id"]: sum(len(t["partitions"]) for t in m["member_assignment"]["assigned_partitions"])
        for m in members
        if m["member_assignment"]
    }


def copy_customers(line: Line, rows: int, first: int = 500_000) -> None:
    """COPY so many customers into legacy, from this id on: PostgreSQL logs the rows of one page under one position."""
    into = "COPY customers (id, email, full_name, active) FROM STDIN"
    with db.connect(line.settings.source_dsn, "test") as conn, conn.cursor() as cursor, cursor.copy(into) as copy:
        for number in range(first, first + rows):
            copy.write_row((number, f"k{number}@example.org", f"Jan Lis {number}", "T"))


def stopped(line: Line) -> str:
    """The reason that the only consumer gives in ferry.consumer, once it has one."""
    reason = "SELECT stopped FROM ferry.consumer WHERE stopped IS NOT NULL ORDER BY seen DESC LIMIT 1"
    return str(until(lambda: line.shop(reason))[0][0])


def test_a_shop_moves_under_live_writes_though_the_only_consumer_is_killed(line: Line) -> None:
    one = line.consumer("one")
    with line.writer(rate=30) as book:
        ferry(line, "contacts")
        one.kill()
        one.start()
        ferry(line, *ROUTE.phases[1:])
    assert not differences(line, *ROUTE.phases)
    with db.connect(line.settings.source_dsn, "test") as legacy, db.connect(line.settings.target_dsn, "test") as shop:
        report = ledger.check(book, legacy, shop)
    assert report.acknowledged > 0
    assert report.missing == []


def test_the_only_consumer_comes_back_to_more_topics_than_it_left(line: Line) -> None:
    one = line.consumer("one")
    ferry(line, "contacts")
    one.kill()
    known = {s.topic for s in held(line)}
    with line.broker.admin() as admin:
        admin.create_topics([t for t in TOPICS if t not in known], wait_for_metadata=True)
    one.start()
    line.legacy("UPDATE customers SET phone = '601 000 001'")
    assert not differences(line, "contacts")
    assert held_by(line) == {"one": len(held(line))}


def test_a_row_of_megabytes_arrives(line: Line) -> None:
    line.consumer("one")
    ferry(line, "contacts", "orders")
    # Of deleted people the note is not carried. Phase contacts reads orders first, so their mirror is compared there.
    [(order,)] = line.shop("SELECT min(id) FROM shop.customer_order WHERE customer_id IS NOT NULL")
    note = "(SELECT string_agg(md5(i::text), ' ') FROM generate_series(1, 100000) i)"
    line.legacy(f"UPDATE orders SET note = {note} WHERE id = {order}")
    assert not differences(line, "contacts", "orders")
    assert line.shop(f"SELECT length(note) FROM shop.customer_order WHERE id = {order}") == [(3_299_999,)]


def test_two_consumers_share_the_partitions_and_nothing_falls_between_them(line: Line) -> None:
    line.consumer("one")
    ferry(line, *ROUTE.phases)
    line.consumer("two")
    until(lambda: min(found := list(held_by(line).values()) or [0]) > 0 and len(found) == 2)

    def sign_up(number: int) -> None:
        key = 700_000 + number
        line.legacy(
            f"INSERT INTO customers (id, email, full_name, active) VALUES ({key}, 'k{key}@example.org', 'Jan Lis', 'T')",
            f"INSERT INTO addresses (customer_id, full_name, street, postcode, city, country) "
            f"VALUES ({key}, 'Jan Lis', 'Prosta {key}', '00-001', 'Warszawa', 'Polska')",
            f"INSERT INTO consents (customer_id, channel, granted, granted_at, wording) "
            f"VALUES ({key}, 'email', 'T', now(), 'v6')",
            f"INSERT INTO orders (id, number, customer_id, email, status_code, total, currency, created_at) "
            f"VALUES ({key}, 'Z{key}', {key}, 'k{key}@example.org', 'NEW', 10, 'PLN', now())",
            f"INSERT INTO order_items (order_id, sku, name, quantity, unit_price, vat_rate, line_total) "
            f"VALUES ({key}, 'S', 'N', 1, 10, 23, 10)",
        )

    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(sign_up, range(1_500)))) == 1_500
    assert not differences(line, *ROUTE.phases)
    orders = "SELECT count(*) FROM shop.customer_order WHERE id >= 700000 AND customer_id IS NOT NULL"
    assert line.shop(orders) == [(1_500,)]
    assert min(held_by(line).values()) > 0


def poll(stream: Stream) -> bool:
    """Poll once; returns whether the stream has partitions then."""
    stream.poll(10, Event())
    return stream.count_waiting() >= 0 and len(stream.list_ends()) > 0


def test_no_end_is_asked_of_partitions_that_another_member_has_now(line: Line) -> None:
    one = line.consumer("one")
    ferry(line, "contacts")
    one.stop()
    with (
        db.connect(line.settings.target_dsn, "test") as shop,
        open_stream(line.settings, tuple(TOPICS), shop, "one") as stream,
    ):
        until(lambda: poll(stream))
        alone = set(stream.position)
        line.consumer("two")
        until(lambda: poll(stream) and alone - stream.position.keys())


def test_a_member_to_which_nothing_is_dealt_joins_anew(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """The group waits for a member that does not poll; a deal that is lost in the client looks the same."""
    one = line.consumer("one")
    ferry(line, "contacts")
    one.stop()
    with (
        db.connect(line.settings.target_dsn, "test") as shop,
        db.connect(line.settings.target_dsn, "test") as other,
        open_stream(line.settings, tuple(TOPICS), shop, "one") as busy,
        open_stream(line.settings, tuple(TOPICS), other, "two") as waiting,
    ):
        until(lambda: poll(busy))
        monkeypatch.setattr(cdc_consumer, "_PATIENCE_S", 5.0)
        with pytest.raises(TransientError, match="has not dealt its partitions: joining anew"):
            until(lambda: poll(waiting))


def test_a_consumer_that_waits_for_a_merge_keeps_its_partitions(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """It polls on when it has read enough: the group puts out who does not for a minute, which is less here."""

    def open_impatient(kind: type, settings: Settings, **options: object) -> object:
        return open_client(
            kind, settings, **options | {"max_poll_interval_ms": 11_000} if "group_id" in options else options
        )

    one = line.consumer("one")
    ferry(line, "contacts")
    one.stop()
    monkeypatch.setattr(cdc_consumer, "open_client", open_impatient)
    with (
        db.connect(line.settings.target_dsn, "test") as shop,
        open_stream(line.settings, tuple(TOPICS), shop, "one") as stream,
        BatchReader(stream, beats_of(ROUTE), frozenset(ROUTE.tables), ROUTE.captured_schema) as reader,
    ):
        until(lambda: poll(stream) and held_by(line) == {"one": len(held(line))})
        asked = HEALTH.looks["broker"]
        with reader.read_ahead(1):
            sleep(20)  # well beyond the 11 s: what must not happen in that time cannot be awaited
            assert held_by(line) == {"one": len(held(line))}
        assert HEALTH.looks["broker"] > asked + 10


def test_what_the_connector_loses_in_a_copy_is_found_and_brought(line: Line) -> None:
    line.consumer("one")
    ferry(line, "contacts")

    def inside() -> bool:
        """Whether Connect has stored an offset in the middle of a transaction."""
        [stored] = line.connect.ask("GET", "/connectors/shopferry_demo/offsets")["offsets"]
        return bool(stored["offset"].get("messageType") == "INSERT")

    def copied_while_it_stops(first: int) -> list[Difference]:
        with ThreadPoolExecutor() as pool:
            copying = pool.submit(copy_customers, line, 20_000, first)
            until(inside)
            line.connect.stop()
            copying.result()
        line.connect.start()
        return differences(line, "contacts")

    # Debezium 3.6 goes on behind the position of the last row that it has sent, and the others that share it are lost:
    # none only if that row was the last of its page.
    found = next(f for first in range(500_000, 600_000, 20_000) if (f := copied_while_it_stops(first)))
    assert {(d.layer, d.target, d.kind) for d in found} == {("mirror", "customers", "missing")}
    phase_steps.resync(line.settings, "test")
    assert not differences(line, "contacts")


def test_events_that_come_again_change_nothing(line: Line) -> None:
    line.consumer("one")
    ferry(line, "contacts")
    with line.writer(rate=30):
        for number in range(60):
            line.legacy(
                f"UPDATE customers SET phone = '601 000 {100 + number}'", "UPDATE addresses SET street = street || '.'"
            )
        until(lambda: sum(held(line).values()) > 10_000)
        again(line, 10_000)
    assert not differences(line, "contacts")


def again(line: Line, count: int) -> None:
    """Produce the last events once more, each to its partition, while new ones come between them."""
    ends = held(line)
    consumer = KafkaConsumer(
        bootstrap_servers=line.broker.address, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    producer = KafkaProducer(bootstrap_servers=line.broker.address, acks="all")
    try:
        consumer.assign(list(ends))
        found = []
        while any(consumer.position(s) < end for s, end in ends.items()):
            for records in consumer.poll(200, max_records=5_000).values():
                found += records
        newest = sorted(found, key=lambda r: (r.timestamp, r.offset))[-count:]
        assert len(newest) == count
        sent = [producer.send(r.topic, key=r.key, value=r.value, partition=r.partition) for r in newest]
        assert all(future.get(30) for future in sent)
    finally:
        consumer.close()
        producer.close()


def test_a_consumer_that_wakes_when_its_partitions_have_moved_on_is_fenced_and_goes_on(line: Line) -> None:
    one = line.consumer("one")
    ferry(line, "contacts")
    waits = (
        "SELECT FROM pg_stat_activity WHERE application_name = 'shopferry sync forward' AND wait_event_type = 'Lock'"
    )
    with db.connect(line.settings.target_dsn, "test") as conn, conn.transaction():
        conn.execute("SELECT FROM ferry.phase FOR UPDATE")  # a batch can be in hand, and cannot begin
        line.legacy("UPDATE customers SET phone = '601 000 001'")
        until(lambda: line.shop(waits))
        one.hold()
        two = line.consumer("two")
        until(lambda: set(held_by(line)) == {"two"})
        until(lambda: len(line.shop(waits)) == 2)
    assert not differences(line, "contacts")
    one.wake()
    until(lambda: "another consumer has advanced it" in one.text())
    assert not differences(line, "contacts")
    two.kill()
    line.legacy("UPDATE customers SET phone = '601 000 002'")
    assert not differences(line, "contacts")


def test_what_the_broker_has_lost_is_named_and_brought(line: Line) -> None:
    one = line.consumer("one")
    ferry(line, "contacts")
    customers = "demo.public.customers"
    one.stop()
    line.legacy("UPDATE customers SET phone = '601 000 001'")
    with db.connect(line.settings.source_dsn, "test") as conn:
        lsn = send_mark(conn).lsn
        until(lambda: has_reached(conn, "shopferry_demo", lsn) or not send_mark(conn))
    with line.broker.admin() as admin:
        ends = held(line)
        admin.delete_records({s: end for s, end in ends.items() if s.topic == customers})
    named(line, rf"{customers}\[\d\]: applied up to offset \d+, but the broker begins at \d+")
    healed(line)

    with line.broker.admin() as admin:
        admin.delete_topics([customers])
    named(line, rf"{customers}\[0\]: applied up to offset \d+, but the broker does not have this partition any more")
    line.connect.kill()
    line.connect.start()
    line.legacy(*["UPDATE customers SET phone = '601 000 002'"] * 5)
    before = sum(end for s, end in ends.items() if s.topic == customers)
    until(lambda: sum(end for s, end in held(line).items() if s.topic == customers) > before)
    named(line, rf"{customers}\[0\]: applied up to offset \d+, but the topic was deleted and made anew")
    healed(line)

    line.connect.stop()
    line.broker.kill()
    line.broker.wipe()
    line.broker.start()
    named(line, r"demo\.\S+\[0\]: applied up to offset \d+, but the broker does not have this partition any more")
    line.connect.start()
    line.register()
    healed(line)


def named(line: Line, reason: str) -> None:
    """A consumer that may not heal stops, and says why where on-call looks."""
    consumer = line.consumer("strict", "--no-resync")
    assert consumer.process
    assert consumer.process.wait() == 1
    assert re.search(reason, stopped(line)), stopped(line)
    assert re.search(reason, consumer.text())


def healed(line: Line) -> None:
    """A consumer that may heal does, and goes on with the stream."""
    one = line.consumer("one")
    line.legacy("UPDATE customers SET phone = '601 000 003' WHERE id % 2 = 0")
    until(lambda: "resyncing after a gap" in one.text())
    until(lambda: not differences(line, "contacts"))
    one.stop()


def test_more_partitions_stop_replay_until_the_keys_have_moved(line: Line) -> None:
    one = line.consumer("one")
    ferry(line, "contacts")
    copy_customers(line, 100)
    assert not differences(line, "contacts")
    with line.broker.admin() as admin:
        admin.create_partitions({"demo.public.customers": 4})
    assert one.process
    assert one.process.wait() == 1
    assert "demo.public.customers has 4 partitions, it had 2: its keys move to other partitions" in stopped(line)
    line.connect.stop()
    line.connect.start()
    phase_steps.resync(line.settings, "test")
    one.start()
    line.legacy("UPDATE customers SET phone = '601 000 001' WHERE id >= 500000")
    assert not differences(line, "contacts")
    assert all(held(line)[TopicPartition("demo.public.customers", p)] > 0 for p in range(4))
