"""Sequences: found by their columns, judged before the switch, and set past every number that was given out."""

from __future__ import annotations

import pytest
from pair import ROUTE, Pair, read_dsn
from shopferry.control.gates import Gate
from shopferry.cutover import sequences, way_back
from shopferry.cutover.sequences import Numbering
from shopferry.route.route import Route, find_folder
from test_backfill import order
from test_gates import as_role, lacks, moved_template  # noqa: F401


def numbering(pair: Pair, column: str) -> Numbering:
    [found] = [n for n in sequences.numberings(pair.shop, pair.stores.route) if column in n.columns]
    return found


def judge_sequences(pair: Pair) -> Gate:
    return sequences.gate(sequences.numberings(pair.shop, pair.stores.route))


def test_every_sequence_will_be_past_the_keys_and_nothing_is_set_by_looking(moved: Pair) -> None:
    before = numbering(moved, "shop.customer_order.id")
    largest = moved.one("SELECT max(id) FROM shop.customer_order")
    assert before.next == 1 and before.largest == largest and before.following == largest + 1
    gate = judge_sequences(moved)
    assert gate.met and "to be set past their keys" in gate.evidence
    assert numbering(moved, "shop.customer_order.id") == before
    for _ in range(2):  # a repetition sets nothing further
        sequences.advance(moved.shop, ROUTE)
        for n in sequences.numberings(moved.shop, ROUTE):
            assert n.next == n.following and n.next > (n.largest or 0)
            assert n.next == max(n.largest or 0, n.next - 1) + 1
    assert moved.one("SELECT nextval('shop.customer_order_id_seq')") == largest + 1
    assert numbering(moved, "shop.customer_order.id").following == largest + 2
    assert " 0 to be set" in judge_sequences(moved).evidence


@pytest.mark.fresh
def test_numbers_that_legacy_has_given_out_are_not_given_out_again(moved: Pair) -> None:
    """The newest order is in quarantine: the new shop does not hold it, and must not take its number for another."""
    back = Route.load("demo_reverse")
    moved.shop.execute((find_folder(back.name) / way_back.KEYS).read_bytes())
    moved.write(order(900_000), order(900_001), "UPDATE orders SET status_code = '??' WHERE id = 900001")
    moved.sync()
    assert moved.one("SELECT max(id) FROM shop.customer_order") == 900_000
    sequences.advance(moved.shop, ROUTE)
    way_back.number(moved.legacy, moved.shop, ROUTE)
    assert moved.one("SELECT nextval('shop.customer_order_id_seq')") == 900_002
    # And back: what the new shop has given out meanwhile, legacy does not give again, whether or not it got there.
    moved.shop.execute("SELECT setval('shop.customer_order_id_seq', 900100)")
    way_back.number_back(moved.shop, moved.legacy, ROUTE)
    row = moved.legacy.execute("SELECT nextval(pg_get_serial_sequence('orders', 'id'))").fetchone()
    assert row == (900_101,)


@pytest.mark.fresh
def test_a_column_that_is_too_narrow_to_go_on_is_found_before_the_cutover(moved: Pair) -> None:
    moved.shop.execute("SET session_replication_role = replica; SET shopferry.writer = 'ferry'")
    moved.shop.execute("ALTER TABLE shop.consent ALTER id TYPE integer")
    assert judge_sequences(moved).met
    moved.shop.execute("UPDATE shop.consent SET id = 2147483000 WHERE id = (SELECT max(id) FROM shop.consent)")
    of = "shop.consent_id_seq of shop.consent.id"
    lacks(judge_sequences(moved), f"{of} would go on at 2,147,483,001, and 2,147,483,647 is its last")
    moved.shop.execute("ALTER TABLE shop.consent ALTER id TYPE bigint")
    moved.shop.execute("ALTER SEQUENCE shop.consent_id_seq AS bigint MAXVALUE 9000000000")
    assert judge_sequences(moved).met
    moved.shop.execute("ALTER SEQUENCE shop.consent_id_seq MAXVALUE 2147483000")
    lacks(judge_sequences(moved), "would go on at 2,147,483,001, and 2,147,483,000 is its last")


@pytest.mark.fresh
def test_a_sequence_that_a_default_draws_from_is_ours_too(moved: Pair) -> None:
    moved.shop.execute(
        """ALTER TABLE shop.order_line ALTER id DROP IDENTITY; CREATE SEQUENCE shop."odd.Name";
           ALTER TABLE shop.order_line ALTER id SET DEFAULT nextval('shop."odd.Name"');
           ALTER TABLE shop.order_event ALTER id DROP IDENTITY;
           ALTER TABLE shop.order_event ALTER id SET DEFAULT nextval('shop."odd.Name"');
           CREATE SEQUENCE shop.order_numbers;
           ALTER TABLE shop.customer_order ALTER number SET DEFAULT 'N-' || nextval('shop.order_numbers')"""
    )
    found = numbering(moved, "shop.order_line.id")
    assert set(found.columns) == {"shop.order_line.id", "shop.order_event.id"}
    largest = moved.one(
        "SELECT greatest((SELECT max(id) FROM shop.order_line), (SELECT max(id) FROM shop.order_event))"
    )
    assert (found.next, found.largest, found.following) == (1, largest, largest + 1)
    gate = judge_sequences(moved)
    assert gate.met and "not ours to judge: shop.customer_order.number, no number" in gate.evidence
    sequences.advance(moved.shop, ROUTE)
    assert moved.one("""SELECT nextval('shop."odd.Name"')""") == largest + 1
    assert moved.one("SELECT nextval('shop.order_numbers')") == 1


@pytest.mark.fresh
def test_one_that_counts_down_or_that_we_may_not_set_is_named(moved: Pair) -> None:
    moved.shop.execute("ALTER SEQUENCE shop.consent_id_seq INCREMENT -1 MINVALUE -1000 MAXVALUE 1000000")
    lacks(judge_sequences(moved), "shop.consent_id_seq of shop.consent.id counts down")
    moved.shop.execute("ALTER SEQUENCE shop.consent_id_seq INCREMENT 1")
    grants = ("GRANT USAGE ON SCHEMA shop TO sequences", "GRANT SELECT ON ALL TABLES IN SCHEMA shop TO sequences")
    with as_role(read_dsn(moved.shop), "sequences", *grants) as conn:
        gate = sequences.gate(sequences.numberings(conn, ROUTE))
        lacks(gate, "no right to read and set shop.consent_id_seq of shop.consent.id", "; and ")
        moved.shop.execute("GRANT SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA shop TO sequences")
        assert sequences.gate(sequences.numberings(conn, ROUTE)).met
