"""Envelopes: what Debezium writes, decoded without parsing rows; what nobody knows stops with its place."""

from __future__ import annotations

import base64
import json
import time

import pytest
from events import UNCHANGED, envelope, message
from shopferry.cdc.envelope import Change, Message, collapse, decode, fill, find_drift, read_committed_ms
from shopferry.errors import EventError, ReplayError

CAPTURED = frozenset({"orders", "customers"})
TOPIC = "demo.public.orders"
ROW: dict[str, object] = {"id": 1, "note": "x"}


def changed(
    op: str = "u", row: dict[str, object] | None = ROW, key: int = 1, *, lsn: int = 100, offset: int = 0
) -> Change:
    made = decode(message(TOPIC, {"id": key}, envelope("public", "orders", op, lsn, row), offset=offset), CAPTURED)
    assert made is not None
    return made


def test_a_change_carries_the_rows_bytes_as_they_came() -> None:
    row = '{"id": 1,  "note": "ż\\u0000\\"} {"}'
    value = json.dumps(envelope("public", "orders", "u", 7, ROW)).replace(json.dumps(ROW), row)
    change = decode(Message(TOPIC, 1, 42, b'{"id":1}', value.encode()), CAPTURED)
    assert change is not None
    assert (change.table, change.key, change.row, change.lsn) == ("orders", b'{"id":1}', row.encode(), 7)
    assert change.where == "demo.public.orders[1]@42"


def test_a_change_knows_its_size_its_transaction_and_when_it_was_committed() -> None:
    event = envelope("public", "orders", "c", 7, ROW)
    event["source"] |= {"ts_ms": 1_700_000_000_123, "txId": 12}
    sent = message(TOPIC, {"id": 1}, event, offset=3)
    change = decode(sent, CAPTURED)
    assert change is not None
    assert (change.lsn, change.xid, change.committed_ms, change.born) == (7, 12, 1_700_000_000_123, True)
    assert change.size == len(sent.key or b"") + len(sent.value or b"")
    assert read_committed_ms(sent.value) == 1_700_000_000_123
    assert not change.torn


def test_what_a_source_does_not_say_is_nothing_and_now() -> None:
    event = envelope("public", "orders", "u", None, ROW)
    event["source"] |= {"ts_ms": None, "txId": None}
    before = time.time() * 1000
    change = decode(message(TOPIC, {"id": 1}, event), CAPTURED)
    assert change is not None
    assert (change.lsn, change.xid) == (0, 0)
    assert int(before) <= change.committed_ms <= time.time() * 1000


@pytest.mark.parametrize("value", [None, b"no json", b"{}"])
def test_what_does_not_say_when_it_was_committed_is_no_error(value: bytes | None) -> None:
    assert read_committed_ms(value) is None


def test_a_delete_has_no_row() -> None:
    assert changed("d", None).row is None


@pytest.mark.parametrize(
    ("schema", "table", "op"),
    [("public", "orders", "r"), ("shopferry", "marker", "c"), ("shopferry", "heartbeat", "u")],
)
def test_snapshot_reads_and_our_own_tables_carry_nothing(schema: str, table: str, op: str) -> None:
    assert decode(message(TOPIC, {"id": 1}, envelope(schema, table, op, None, ROW)), CAPTURED) is None


def test_a_tombstone_carries_nothing() -> None:
    assert decode(Message(TOPIC, 0, 0, b'{"id":1}', None), CAPTURED) is None


@pytest.mark.parametrize(
    "value",
    [
        b"no json",
        b"",
        b"[]",
        b'{"payload": {}}',
        b'{"op": "u", "source": {"table": "orders"}, "after": {}}',
        b'{"op": 7, "source": {"schema": "public", "table": "orders"}}',
        b'\xff{"op": "u"}',
    ],
)
def test_what_is_no_event_stops_with_topic_partition_and_offset(value: bytes) -> None:
    with pytest.raises(EventError, match=r"demo\.public\.orders\[3\]@99: .*skips nothing"):
        decode(message(TOPIC, {"id": 1}, value, partition=3, offset=99), CAPTURED)


def test_an_error_does_not_quote_the_event() -> None:
    with pytest.raises(EventError) as caught:
        decode(message(TOPIC, {"id": 1}, b'{"op": "u", "note": "jan@example.com"}'), CAPTURED)
    assert "jan@" not in str(caught.value)


@pytest.mark.parametrize(("schema", "table"), [("public", "secrets"), ("other", "orders")])
def test_an_event_of_a_table_that_nobody_maps_stops(schema: str, table: str) -> None:
    with pytest.raises(EventError, match=rf"{schema}\.{table}, which no mapping captures"):
        decode(message(TOPIC, {"id": 1}, envelope(schema, table, "c", 1, ROW)), CAPTURED)


@pytest.mark.parametrize(
    ("op", "key", "row"), [("x", {"id": 1}, ROW), ("u", None, ROW), ("u", {"id": 1}, None), ("d", None, None)]
)
def test_an_operation_without_what_it_needs_stops(
    op: str, key: dict[str, object] | None, row: dict[str, object] | None
) -> None:
    with pytest.raises(EventError, match="without what it needs"):
        decode(message(TOPIC, key, envelope("public", "orders", op, 1, row)), CAPTURED)


def test_a_truncate_stops_and_asks_for_a_decision() -> None:
    with pytest.raises(ReplayError, match=r"@5: TRUNCATE of orders: decide"):
        decode(message(TOPIC, None, envelope("public", "orders", "t", 1, None), offset=5), CAPTURED)


@pytest.mark.parametrize(
    "value",
    [
        UNCHANGED,
        base64.b64encode(UNCHANGED.encode()).decode(),
        UNCHANGED.encode().hex(),
        list(UNCHANGED.encode()),
        [UNCHANGED],
    ],
)
def test_a_placeholder_is_known_in_each_of_its_shapes(value: object) -> None:
    change = changed("u", {"id": 1, "note": value})
    assert change.partial
    assert not changed("u", ROW).partial
    filled = json.loads(fill(change.row or b"", b'{"id":1,"note":"long"}'))
    assert filled == {"id": 1, "note": "long"}


def test_what_the_older_row_does_not_have_stays_open() -> None:
    filled = fill(b'{"id":1,"note":"%s"}' % UNCHANGED.encode(), b'{"id":1}')
    assert UNCHANGED.encode() in filled


def test_collapse_keeps_the_last_state_of_each_row() -> None:
    last = collapse(
        [changed("c", offset=1), changed("u", {"id": 1, "note": "y"}, offset=2), changed("d", None, 2, offset=3)]
    )
    rows = last["orders"]
    assert json.loads(rows[b'{"id":1}'].row or b"")["note"] == "y"
    assert rows[b'{"id":2}'].row is None


def test_what_the_other_flow_has_written_is_an_echo_unless_somebody_else_has_written_too() -> None:
    def by(origin: str | None, lsn: int) -> Change:
        event = envelope("public", "orders", "u", lsn, ROW, origin)
        made = decode(message(TOPIC, {"id": 1}, event), CAPTURED)
        assert made is not None
        return made

    ours, theirs, subscription = by("shopferry_demo_reverse_1", 100), by(None, 90), by("pg_16402", 95)
    assert (ours.echo, theirs.echo, subscription.echo) == (True, False, False)
    for batch in ([ours, by("shopferry_demo_2", 101)], [ours, theirs], [theirs, ours], [ours, by(None, 110)]):
        last = collapse(batch)["orders"][b'{"id":1}']
        assert last.lsn == max(c.lsn for c in batch)
        assert last.echo == all(c.echo for c in batch)
        assert last.mixed == (len({c.echo for c in batch}) > 1)
    assert collapse([ours, theirs, by(None, 110)])["orders"][b'{"id":1}'].mixed


def test_collapse_is_not_turned_back_by_an_old_event_that_comes_again() -> None:
    new, old = {"id": 1, "note": "new"}, {"id": 1, "note": "old"}
    last = collapse(
        [changed("u", new, lsn=101), changed("u", old, lsn=50, offset=1), changed("d", None, lsn=40, offset=2)]
    )
    assert last["orders"][b'{"id":1}'].row == json.dumps(new, separators=(",", ":")).encode()


def test_what_comes_behind_an_old_event_counts() -> None:
    rows = [changed(lsn=200), changed(lsn=100), changed(key=2, lsn=300), changed(row={"id": 1, "note": "y"}, lsn=400)]
    found = collapse(rows)["orders"]
    assert {key: c.lsn for key, c in found.items()} == {rows[0].key: 400, rows[2].key: 300}


def test_what_an_event_leaves_out_is_not_taken_from_the_one_before_it_which_may_be_an_old_one_that_came_again() -> None:
    old = changed("u", {"id": 1, "note": "old"}, lsn=50)
    new = changed("u", {"id": 1, "note": UNCHANGED}, lsn=101)
    between = changed("u", {"id": 1, "note": "long"}, lsn=70)  # applied before, and what the new one means
    for batch in ([old, new, between], [between, new], [changed("d", None, lsn=40), new]):
        last = collapse(batch)["orders"][b'{"id":1}']
        assert last.torn and last.partial and last.lsn == 101
    assert not collapse([new])["orders"][b'{"id":1}'].torn
    assert not collapse([new, changed("u", {"id": 1, "note": "y"}, lsn=102)])["orders"][b'{"id":1}'].torn


def test_a_row_that_was_born_is_never_filled_from_the_one_that_had_its_key() -> None:
    moved = changed("c", {"id": 1, "note": UNCHANGED})
    last = collapse([changed("u", {"id": 1, "note": "another's"}), moved])["orders"][b'{"id":1}']
    assert last.born and last.partial


def test_drift_names_the_columns_that_are_gone_and_is_not_misled_by_values() -> None:
    row = json.dumps({"id": 1, "text": 'the "note": is here'}, separators=(",", ":")).encode()
    assert find_drift(row, ["id", "text"]) == []
    assert find_drift(row, ["id", "note"]) == ["note"]
