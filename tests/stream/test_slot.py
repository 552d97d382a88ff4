"""The source's end of the stream is lost or altered: noticed, named, never all quiet; a resync makes it whole again."""

from __future__ import annotations

import psycopg
import pytest
from live import Flow, order
from waiting import until

pytestmark = pytest.mark.stack
CUSTOMER = "UPDATE customers SET phone = '601 {0}' WHERE id = (SELECT min(id) FROM customers)"


def goes_on(flow: Flow, number: int) -> None:
    """After a resync nothing differs, nothing is complained of, and a new change arrives."""
    flow.resync()
    flow.clean()
    flow.write(order(number))
    flow.applied()
    assert flow.one("SELECT count(*) FROM shop.customer_order WHERE id = %s", number) == 1
    until(lambda: flow.find_problems() == [])


def dropped(flow: Flow) -> None:
    """Drop the slot, whoever reads it."""
    legacy = flow.legacy
    while True:
        try:
            legacy.execute("SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots WHERE active")
            legacy.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
            return
        except psycopg.errors.ObjectInUse:
            continue


def test_a_slot_that_is_dropped(flow: Flow) -> None:
    dropped(flow)
    flow.write(order(2_000_001))
    until(lambda: "replication slot shopferry_demo is gone" in (flow.stopped() or ""))
    assert any("slot shopferry_demo is gone" in c and "sync resync" in c for c in flow.find_problems())
    goes_on(flow, 2_000_002)


@pytest.mark.parametrize("at_once", [True, False], ids=["within two beats", "later"])
def test_a_slot_that_somebody_made_anew(flow: Flow, at_once: bool) -> None:
    number = 2_000_100 + at_once
    before = flow.one("SELECT max(generation) FROM ferry.phase")
    if at_once:
        flow.applied()
        dropped(flow)
        flow.write(order(number))
        flow.legacy.execute("SELECT pg_create_logical_replication_slot('shopferry_demo', 'pgoutput')")
    else:
        with flow.paused("connector"):
            flow.write(order(number))
            beats = flow.legacy.execute("SELECT n FROM shopferry.heartbeat").fetchone()
            until(lambda: flow.legacy.execute("SELECT n FROM shopferry.heartbeat").fetchone() != beats)
            # What tells a new slot at once is forgotten by a crash.
            flow.kill("legacy-db")
            dropped(flow)
            flow.legacy.execute("SELECT pg_create_logical_replication_slot('shopferry_demo', 'pgoutput')")
    # The consumer notices by itself and, as the slot is there, resyncs by itself.
    until(lambda: flow.one("SELECT max(generation) FROM ferry.phase") > before)
    flow.clean()
    assert flow.one("SELECT count(*) FROM shop.customer_order WHERE id = %s", number) == 1
    said = "was made anew" if at_once else "never came"
    assert said in flow.log("sync")
    goes_on(flow, number + 10)


def test_a_slot_that_was_invalidated(flow: Flow) -> None:
    legacy = flow.legacy
    legacy.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'")
    legacy.execute("SELECT pg_reload_conf()")
    try:
        with flow.paused("connector"):
            flow.write(order(2_000_201))
            while legacy.execute("SELECT FROM pg_replication_slots WHERE wal_status <> 'lost'").fetchall():
                legacy.execute("SELECT pg_logical_emit_message(false, 'filler', repeat('x', 8000000))")
                legacy.execute("SELECT pg_switch_wal()")
                legacy.execute("CHECKPOINT")
            until(lambda: "was invalidated" in (flow.stopped() or ""))
            assert any("was invalidated" in c and "sync resync" in c for c in flow.find_problems())
    finally:
        legacy.execute("ALTER SYSTEM RESET max_slot_wal_keep_size")
        legacy.execute("SELECT pg_reload_conf()")
    goes_on(flow, 2_000_202)


ALTERED = {
    "table dropped from it": (
        "ALTER PUBLICATION shopferry_demo DROP TABLE orders",
        "table public.orders is not in publication",
    ),
    "column dropped from it": (
        "ALTER PUBLICATION shopferry_demo SET {rest}, TABLE orders (id, number)",
        "column public.orders.created_at is not in publication",
    ),
    "some changes only": (
        "ALTER PUBLICATION shopferry_demo SET (publish = 'insert')",
        "does not publish every kind of change",
    ),
    "dropped": ("DROP PUBLICATION shopferry_demo", "publication shopferry_demo is gone"),
}


@pytest.mark.parametrize("what", ALTERED)
def test_a_publication_that_is_altered(flow: Flow, what: str) -> None:
    statement, said = ALTERED[what]
    number = 2_000_300 + list(ALTERED).index(what) * 10
    rows = flow.legacy.execute(
        "SELECT format('TABLE %I.%I (%s)', schemaname, tablename, array_to_string(attnames, ',')) "
        "FROM pg_publication_tables WHERE pubname = 'shopferry_demo' AND tablename <> 'orders'"
    ).fetchall()
    flow.write(statement.format(rest=", ".join(r[0] for r in rows)))
    flow.write(order(number))
    until(lambda: said in (flow.stopped() or ""))
    assert any(said in c and "sync resync" in c for c in flow.find_problems())
    # Mended by hand, the changes in between are lost all the same.
    if what == "some changes only":
        flow.write("ALTER PUBLICATION shopferry_demo SET (publish = 'insert, update, delete, truncate')")
        assert any(said in c for c in flow.find_problems())
    goes_on(flow, number + 1)


def test_idle_captured_tables_beside_a_busy_one_do_not_hold_back_the_log(flow: Flow) -> None:
    legacy = flow.legacy
    legacy.execute("CREATE TABLE busy AS SELECT 1 AS n")
    flow.applied()
    held = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) < 16000000 FROM pg_replication_slots"
    (before,) = legacy.execute("SELECT pg_current_wal_lsn()").fetchone() or ("",)
    for _ in range(10):
        legacy.execute("INSERT INTO busy SELECT generate_series(1, 100000)")
    (written,) = legacy.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), %s)", (before,)).fetchone() or (0,)
    assert written > 50_000_000

    def bounded() -> bool:
        legacy.execute("SELECT pg_log_standby_snapshot()")  # as the server does by itself, every 15 s
        return legacy.execute(held).fetchone() == (True,)

    until(bounded)
    legacy.execute("DROP TABLE busy")
    flow.clean()
