"""Backfill: a generated shop with all its defects goes through the phases; chunks die, come late and come again."""

from __future__ import annotations

import threading
from functools import partial
from itertools import count
from typing import Any

import psycopg
import pytest
from pair import ROUTE, KilledError, Late, Pair, connect, open_more, read_dsn
from psycopg.sql import SQL
from shopferry.control import chunks, offsets
from shopferry.control.chunks import Span
from shopferry.engine import backfill, merge_chunks, verdicts
from shopferry.engine.backfill import relay
from shopferry.engine.pair import Stores
from shopferry.engine.standardize import standardize
from shopferry.engine.texts import Standard
from shopferry.retry import is_transient

ORDER = "INSERT INTO orders (id, number, status_code, total, currency, payment_code, delivery_code, created_at) VALUES "


def order(key: int, status: str = "NEW", total: str = "1.00") -> str:
    return ORDER + f"({key}, 'A-{key}', '{status}', {total}, 'PLN', 'CARD', 'DPD', '2020-01-01')"


def dsns(pair: Pair) -> tuple[str, str]:
    legacy, shop = (read_dsn(c) for c in (pair.legacy, pair.shop))
    return legacy, shop


def waiting(pair: Pair) -> int:
    """How many chunks of the first phase's copy are not done."""
    return sum(
        p.total - p.done for p in chunks.load_progress(pair.shop, "demo") if (p.phase, p.kind) == ("contacts", "copy")
    )


def test_a_generated_shop_passes_all_phases_and_every_row_is_accounted_for(filled: Pair) -> None:
    filled.pass_phases()
    for phase in ROUTE.phases:
        outcome = filled.verify(phase)
        assert outcome.clean, outcome.differences
        for entry in outcome.accounts:
            assert entry.legacy_rows == entry.migrated + entry.quarantined + sum(entry.left_out.values())
            assert entry.legacy_rows > 0
    filled.check()


def test_chunks_cover_the_table_whatever_their_size_and_keys_beyond_the_plan(pair: Pair) -> None:
    pair.write(*[order(key) for key in (1, 2, 3, 1000)])
    pair.start("contacts", chunk_size=2)
    pair.write(order(-5), order(5000))  # beyond both ends of what was planned
    pair.copy("contacts")
    assert pair.ask("SELECT id FROM legacy.orders ORDER BY id") == [(-5,), (1,), (2,), (3,), (1000,), (5000,)]


def test_raw_values_are_judged_batch_by_batch_and_verdicts_stay_when_it_dies(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.write(*[order(key) for key in range(1, 8)], "UPDATE orders SET note = ' n' || id % 6 WHERE id > 1")
    pair.start("contacts")
    pair.copy("contacts")
    with pair.shop.transaction():
        pair.shop.execute("UPDATE ferry.phase SET state = 'verified' WHERE phase = 'contacts'")
    pair.start("orders")
    pair.copy("orders")
    notes = next(w for u in ROUTE.of("orders") for w in u.standardize if (w.table, w.expression) == ("orders", "note"))
    monkeypatch.setattr(verdicts, "_BATCH", 2)
    judged = count()

    def die(kind: str, raw: str) -> Standard:
        if next(judged) == 4:
            raise KilledError
        return standardize(kind, raw)

    with monkeypatch.context() as dying:
        dying.setattr(verdicts, "standardize", die)
        with pytest.raises(KilledError):
            verdicts.ensure(pair.shop, [notes], "legacy")
    assert pair.one("SELECT count(*) FROM ferry.standardized") == 4
    assert verdicts.ensure(pair.shop, [notes], "legacy") == 2
    assert verdicts.ensure(pair.shop, [notes], "legacy") == 0
    assert pair.ask("SELECT value FROM ferry.standardized ORDER BY 1") == [(f"n{n}",) for n in range(6)]


def test_verdicts_that_are_there_stay_and_older_ones_are_replaced(pair: Pair) -> None:
    """Of one batch another session has judged a value meanwhile, and one has a verdict of an older version."""
    verdicts.judge(pair.shop, [("text", "there"), ("text", "old")])
    pair.shop.execute("UPDATE ferry.standardized SET value = 'as it was', judged_by = 9 WHERE raw = 'there'")
    pair.shop.execute("UPDATE ferry.standardized SET value = 'as it was', judged_by = 0 WHERE raw = 'old'")
    verdicts.judge(pair.shop, [("text", raw) for raw in ("there", "old", "new", "tab\tand \\N")] + [("currency", "??")])
    assert pair.ask('SELECT raw, value, problem FROM ferry.standardized ORDER BY raw COLLATE "C"') == [
        ("??", None, "currency_unknown"),
        ("new", "new", None),
        ("old", "old", None),
        ("tab\tand \\N", "tab and \\N", None),
        ("there", "as it was", None),
    ]


def test_verdicts_of_an_older_version_stand_until_their_phase_is_run_again(filled: Pair) -> None:
    filled.pass_phases()
    live = filled.live()
    before = filled.exported(live)
    filled.shop.execute("UPDATE ferry.standardized SET judged_by = 1, value = '+48500600700' WHERE kind = 'phone'")
    filled.write("UPDATE customers SET full_name = full_name || ' X'")
    filled.sync()
    assert filled.ask("SELECT DISTINCT phone FROM shop.customer WHERE phone IS NOT NULL") == [("+48500600700",)]
    filled.write("UPDATE customers SET full_name = left(full_name, -2)")
    filled.sync()
    for phase in live:
        filled.merge(phase)
        filled.finish(phase)
    assert filled.exported(live) == before


def test_a_chunk_whose_connection_is_killed_is_given_back_and_done_again(filled: Pair) -> None:
    filled.start("contacts", chunk_size=100)
    before = waiting(filled)
    legacy_dsn, shop_dsn = dsns(filled)
    with connect(legacy_dsn) as legacy, connect(shop_dsn) as shop:
        killed = threading.Event()

        def kill(statement: str) -> None:
            if "UPDATE ferry.chunk" in statement and not killed.is_set():
                filled.shop.execute("SELECT pg_terminate_backend(%s)", (shop.info.backend_pid,))
                killed.set()

        shop.before = kill
        with pytest.raises(psycopg.OperationalError):
            backfill.copy_next(Stores(legacy, shop, ROUTE), "contacts", "doomed")
    assert killed.is_set()
    assert waiting(filled) == before
    filled.copy("contacts")
    filled.merge("contacts")
    filled.finish("contacts")
    filled.check()


def test_a_source_that_breaks_off_in_mid_copy_leaves_nothing(filled: Pair) -> None:
    filled.start("contacts")
    legacy_dsn, shop_dsn = dsns(filled)
    with connect(legacy_dsn) as legacy, connect(shop_dsn) as shop:

        def cut(statement: str) -> None:
            if "FROM pg_class c JOIN pg_namespace" in statement:  # the chunk is claimed, nothing is read yet
                filled.legacy.execute("SELECT pg_terminate_backend(%s)", (legacy.info.backend_pid,))

        shop.before = cut
        with pytest.raises(psycopg.OperationalError) as caught:
            backfill.copy_next(Stores(legacy, shop, ROUTE), "contacts", "doomed")
        assert is_transient(caught.value)
        shop.before = None
        assert shop.info.transaction_status is psycopg.pq.TransactionStatus.IDLE


@pytest.mark.fresh
def test_a_copy_that_fails_half_way_leaves_both_connections_usable(pair: Pair) -> None:
    pair.write("CREATE TABLE numbers (n integer)", "INSERT INTO numbers SELECT generate_series(1, 200000)")
    out = SQL("COPY (SELECT 1 / (n - 150000) FROM numbers) TO STDOUT")
    with pytest.raises(psycopg.errors.DivisionByZero), pair.shop.transaction():
        pair.shop.execute("CREATE TEMP TABLE incoming (n integer)")
        relay(pair.legacy, out.format(), pair.shop, SQL("COPY incoming FROM STDIN").format())
    assert pair.one("SELECT 1") == 1
    assert pair.legacy.execute("SELECT 1").fetchone() == (1,)


def test_two_workers_never_take_the_same_chunk(filled: Pair) -> None:
    filled.start("contacts", chunk_size=100)
    late = Late(partial(open_more, *dsns(filled)), "contacts")
    late.read()
    held = waiting(filled)
    taken = []
    while chunk := backfill.copy_next(filled.stores, "contacts", "other"):
        taken.append((chunk.target, chunk.no))
    assert len(set(taken)) == held - 1
    assert waiting(filled) == 1
    late.load()
    assert waiting(filled) == 0


def test_a_merge_is_done_when_all_is_planned_and_nothing_waits(filled: Pair) -> None:
    filled.start("contacts")
    filled.copy("contacts")
    merge_chunks.begin_merge(filled.stores, "contacts")
    backfill.standardize(filled.stores, "contacts")
    merged = []
    while not merge_chunks.is_merged(filled.stores, "contacts"):
        if chunk := merge_chunks.merge_next(filled.stores, "contacts", "test"):  # who comes first plans what is next
            merged.append(chunk.target)
        else:
            assert len(merged) == len(ROUTE.of("contacts"))  # nothing is left but to let the last unit go live
    assert merged == [u.name for u in ROUTE.of("contacts")]
    filled.shop.execute("UPDATE ferry.chunk SET state = 'planned' WHERE target = %s", (merged[-1],))
    assert not merge_chunks.is_merged(filled.stores, "contacts")


def test_a_chunk_read_before_a_delete_and_loaded_after_it_does_not_bring_the_row_back(pair: Pair) -> None:
    pair.write(order(1), order(2), order(3))
    pair.capture()
    pair.replay()
    pair.start("contacts")
    late = Late(partial(open_more, *dsns(pair)), "contacts", Span("orders"))
    late.read()
    pair.write("DELETE FROM orders WHERE id = 2", "UPDATE orders SET status_code = 'PAID' WHERE id = 3", order(4))
    pair.sync()
    late.load()
    assert pair.ask("SELECT id, status_code FROM legacy.orders ORDER BY id") == [(1, "NEW"), (3, "PAID"), (4, "NEW")]
    pair.copy("contacts")
    pair.merge("contacts")
    pair.finish("contacts")
    pair.check()


def test_a_chunk_read_before_a_delete_loaded_before_its_event_is_put_right_by_the_event(pair: Pair) -> None:
    pair.write(order(1))
    pair.start("contacts")
    late = Late(partial(open_more, *dsns(pair)), "contacts", Span("orders"))
    late.read()
    pair.write("DELETE FROM orders WHERE id = 1")
    late.load()
    assert pair.ask("SELECT id FROM legacy.orders") == [(1,)]
    pair.sync()
    assert pair.ask("SELECT id FROM legacy.orders") == []


def test_a_chunk_older_than_ten_events_changes_nothing_and_a_chunk_of_a_reborn_key_neither(pair: Pair) -> None:
    pair.write(order(1), order(2))
    pair.start("contacts")
    late = Late(partial(open_more, *dsns(pair)), "contacts", Span("orders"))
    late.read()
    for total in range(10):
        pair.write(f"UPDATE orders SET total = {total} WHERE id = 1")
    pair.write("DELETE FROM orders WHERE id = 2")
    pair.write(order(2, total="77.00"))
    pair.sync()
    late.load()
    assert pair.ask("SELECT id, total::int FROM legacy.orders ORDER BY id") == [(1, 9), (2, 77)]


def test_a_resync_brings_what_the_stream_has_lost_and_old_events_do_not_undo_it(pair: Pair) -> None:
    pair.write(order(1), order(2), order(3))
    pair.pass_phases()
    pair.write("UPDATE orders SET status_code = 'PAID' WHERE id = 1")
    pair.sync()
    pair.write("UPDATE orders SET status_code = 'SENT' WHERE id = 1", "DELETE FROM orders WHERE id = 2", order(4))
    pair.tap.skip()  # nobody will ever see these
    outcome = pair.verify("contacts")
    assert {(d.layer, d.target, d.key, d.kind) for d in outcome.differences} == {
        ("mirror", "orders", "1", "differs"),
        ("mirror", "orders", "2", "extra"),
        ("mirror", "orders", "4", "missing"),
    }
    backfill.resync(pair.stores, "test", pair.log.ends)
    pair.write("UPDATE orders SET status_code = 'PROC' WHERE id = 3")
    pair.sync()
    assert pair.ask("SELECT id, status::text FROM shop.customer_order ORDER BY id") == [
        (1, "shipped"),
        (3, "processing"),
        (4, "pending"),
    ]
    pair.check()


def test_a_resync_takes_away_rows_of_a_range_in_which_legacy_has_none_any_more(pair: Pair) -> None:
    pair.write(order(1), "INSERT INTO order_items (id, order_id, sku, name, quantity) VALUES (1, 1, 'S', 'Kubek', 1)")
    pair.pass_phases(["contacts"])  # the stream has brought the line, too
    pair.start("orders")
    pair.write("DELETE FROM order_items")
    pair.tap.skip()
    backfill.resync(pair.stores, "test", pair.log.ends)
    assert pair.ask("SELECT id FROM legacy.order_items") == []
    pair.copy("orders")
    pair.merge("orders")
    pair.finish("orders")
    pair.check()


def test_after_a_resync_a_restored_legacy_may_count_its_log_from_the_beginning(pair: Pair) -> None:
    pair.write(order(1), order(2))
    pair.pass_phases()
    pair.write("UPDATE orders SET status_code = 'PAID'", order(3), "DELETE FROM orders WHERE id = 3")
    pair.sync()
    pair.shop.execute("UPDATE mirror.orders SET _lsn = 'FFFFFF/0'")  # as positions of the server before were
    ends = pair.log.ends()
    backfill.resync(pair.stores, "test", lambda: ends)
    pair.write("UPDATE orders SET status_code = 'SENT' WHERE id = 1", "DELETE FROM orders WHERE id = 2", order(3))
    pair.sync()
    assert pair.ask("SELECT id, status::text FROM shop.customer_order ORDER BY id") == [(1, "shipped"), (3, "pending")]
    pair.check()


def test_after_a_resync_old_events_that_come_again_undo_nothing(pair: Pair) -> None:
    pair.write(order(1))
    pair.pass_phases()
    for code in ("PAID", "SENT"):
        pair.write(f"UPDATE orders SET status_code = '{code}' WHERE id = 1")
        pair.sync()
    ends = pair.log.ends()
    backfill.resync(pair.stores, "test", lambda: ends)
    pair.log.again(2)  # the connector died before it could note its position
    while pending := pair.pending():
        pair.replay({p: 1 for p in pending})
        assert pair.ask("SELECT status::text FROM shop.customer_order") == [("shipped",)]
    pair.check()


def test_a_long_value_whose_change_was_lost_is_not_taken_from_the_mirror_before_it_is_copied_anew(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = "UPDATE orders SET note = (SELECT string_agg(md5(i::text), '') FROM generate_series({}, {} + 400) i) WHERE id = 1"
    pair.write(order(1), note.format(1, 1))
    pair.pass_phases()
    pair.write(note.format(1000, 1000))
    pair.tap.skip()  # nobody will ever see it
    with monkeypatch.context() as patched:
        patched.setattr(backfill, "finish_resync", lambda *_: 0)
        backfill.resync(pair.stores, "test", pair.log.ends)
    pair.write("UPDATE orders SET status_code = 'PAID' WHERE id = 1")  # comes without the note
    pair.sync()
    backfill.finish_resync(pair.stores, "test")
    pair.check()


def test_a_resync_walks_legacys_keys_before_it_locks_and_brings_keys_that_come_meanwhile(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.write(order(1), order(2), order(3))
    pair.pass_phases()
    with pair.shop.transaction():
        pair.shop.execute("UPDATE ferry.phase SET chunk_size = 1")

    def ends() -> dict[offsets.Partition, int]:
        pair.write(order(-5), order(5000), "DELETE FROM orders WHERE id = 3")
        pair.tap.skip()  # nobody will ever see these
        return pair.log.ends()

    walked, walk = [], backfill.key_ranges

    def watched(*args: Any) -> Any:
        walked.append(pair.shop.info.transaction_status)
        return walk(*args)

    monkeypatch.setattr(backfill, "key_ranges", watched)
    backfill.resync(pair.stores, "test", ends)
    assert set(walked) == {psycopg.pq.TransactionStatus.IDLE}
    assert pair.ask("SELECT id FROM shop.customer_order ORDER BY id") == [(-5,), (1,), (2,), (5000,)]
    pair.check()


@pytest.mark.parametrize(
    ("dies_before", "time", "booked"),
    [("generation = generation + 1", 2, False), ("FOR SHARE", 1, True), ("FOR SHARE", 6, True)],
    ids=["positions not yet moved", "positions moved, nothing copied", "some chunks copied"],
)
def test_a_resync_that_dies_is_finished_by_the_next_who_looks(
    pair: Pair, dies_before: str, time: int, booked: bool
) -> None:
    pair.write(order(1), order(2))
    pair.pass_phases()
    pair.write("UPDATE orders SET total = 2 WHERE id = 1")
    pair.capture()
    pair.write("UPDATE orders SET status_code = 'SENT' WHERE id = 1", "DELETE FROM orders WHERE id = 2", order(3))
    pair.tap.skip()  # nobody will ever see these
    ends = pair.log.ends()
    left = time

    def die(statement: str) -> None:
        nonlocal left
        left -= dies_before in statement
        if left == 0:
            raise KilledError

    pair.shop.before = die
    with pytest.raises(KilledError):
        backfill.resync(pair.stores, "test", lambda: ends)
    pair.shop.before = None
    assert (offsets.load(pair.shop, ROUTE.name) == ends) is booked  # else the gap shows as before
    assert any(chunks.has_open(pair.shop, ROUTE.name, p, "resync") for p in ROUTE.phases) is booked
    if booked:
        backfill.finish_resync(pair.stores, "test")
    else:
        backfill.resync(pair.stores, "test", lambda: ends)
    pair.sync()
    pair.check()


def test_changes_lost_before_a_phase_was_ever_copied_are_in_its_copy(pair: Pair) -> None:
    pair.write(order(1), order(2))
    pair.write("UPDATE orders SET total = 2")
    pair.sync()  # the stream keeps the rows of phases that are still to come
    pair.write("UPDATE orders SET status_code = 'SENT' WHERE id = 1", "DELETE FROM orders WHERE id = 2", order(3))
    pair.tap.skip()  # nobody will ever see these
    backfill.resync(pair.stores, "test", pair.log.ends)
    pair.pass_phases()
    assert pair.ask("SELECT id, status::text FROM shop.customer_order ORDER BY id") == [(1, "shipped"), (3, "pending")]
    pair.check()
