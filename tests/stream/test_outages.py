"""Stores that go away, fail over, are full or busy: each goes on by itself, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from live import Flow, order
from shopferry import db
from shopferry.stack import postgres, state, supervisor
from waiting import until

pytestmark = pytest.mark.stack


@contextmanager
def writing(flow: Flow, first: int) -> Iterator[list[int]]:
    """Orders, one after the other, for as long as the block lasts; yields those that legacy has acknowledged."""
    import threading

    done: list[int] = []
    over = threading.Event()

    def work() -> None:
        number = first
        while not over.is_set():
            with suppress(psycopg.Error), psycopg.connect(flow.settings.source_dsn, autocommit=True) as conn:
                while not over.is_set():
                    conn.execute(order(number).encode())
                    done.append(number)
                    number += 1
                    over.wait(0.01)
            number += 1  # whether that one was written nobody knows
            over.wait(0.05)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        until(lambda: done)
        yield done
        here = len(done)
        until(lambda: len(done) > here)  # legacy takes writes again
    finally:
        over.set()
        thread.join()


def found(flow: Flow, numbers: list[int]) -> None:
    """Every one of these orders is in the shop, and nothing differs."""
    flow.clean()
    here = {r[0] for r in flow.ask("SELECT id FROM shop.customer_order WHERE id >= %s", numbers[0])}
    assert set(numbers) <= here


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "restarted"])
@pytest.mark.parametrize("store", ["legacy-db", "shop-db"])
def test_a_store_that_is_started_anew(flow: Flow, store: str, how: signal.Signals) -> None:
    first = 9_000_000 + 10_000 * ["legacy-db", "shop-db"].index(store) + 5_000 * (how == signal.SIGINT)
    with writing(flow, first) as done:
        flow.kill(store, how)
    found(flow, done)


@contextmanager
def replicated(flow: Flow, name: str, conn: db.Connection) -> Iterator[tuple[postgres.Cluster, Callable[[], None]]]:
    """A physical replica of a store, with its logical slots; yields it, and what has it take over the store's address."""
    primary, server = state.cluster(flow.state, name), supervisor.rpc(flow.state)
    copy, program = primary.directory.with_name("replica"), f"{name}-db"
    replica = postgres.Cluster(copy, state.choose_port(set()), primary.password)
    conn.execute("SELECT pg_create_physical_replication_slot('replica', true)")
    conn.execute("ALTER SYSTEM SET synchronized_standby_slots = 'replica'")
    conn.execute("SELECT pg_reload_conf()")
    source = f"host=127.0.0.1 port={primary.port} user={postgres.ROLE} password={primary.password}"
    copy.mkdir(mode=0o700)
    if owner := postgres.find_account():
        os.chown(copy, owner.pw_uid, owner.pw_gid)
    replica._run("pg_basebackup", "-D", str(copy), "-d", source, "-S", "replica", "-R", "-X", "stream", "-c", "fast")
    with (copy / "postgresql.auto.conf").open("a") as file:
        file.write(
            f"primary_conninfo = '{source} dbname={name}'\nhot_standby_feedback = on\nsync_replication_slots = on\n"
        )
        file.write("synchronized_standby_slots = ''\n")
    conf = (copy / "shopferry.conf").read_text().replace(f"port = '{primary.port}'", f"port = '{replica.port}'")
    (copy / "shopferry.conf").write_text(conf)

    def take_over() -> None:
        os.kill(flow.pid(program) or 0, signal.SIGSTOP)  # so that the supervisor does not start it anew
        replica._run("pg_ctl", "-D", str(copy), "-w", "-s", "promote")
        os.kill(flow.pid(program) or 0, signal.SIGCONT)
        server.stopProcess(program)
        replica.stop()
        shutil.move(primary.directory, primary.directory.with_name(f"old-{name}"))
        conf = (copy / "shopferry.conf").read_text().replace(f"port = '{replica.port}'", f"port = '{primary.port}'")
        (copy / "shopferry.conf").write_text(conf)
        (copy / "postgresql.auto.conf").write_text("")
        shutil.move(copy, primary.directory)
        server.startProcess(program)

    replica.start()
    try:
        yield replica, take_over
    finally:
        replica.stop()
        with psycopg.connect(primary.dsn(name), autocommit=True) as now:
            now.execute("ALTER SYSTEM RESET synchronized_standby_slots")
            now.execute("SELECT pg_reload_conf()")
            now.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'replica'"
            )


def caught_up(conn: db.Connection, standby: psycopg.Connection[Any]) -> None:
    """Return when the replica has replayed all that its primary has committed."""
    (position,) = conn.execute("SELECT pg_current_wal_lsn()").fetchone() or ("",)
    until(lambda: standby.execute("SELECT pg_last_wal_replay_lsn() >= %s", (position,)).fetchone() == (True,))


def test_legacy_fails_over_to_its_replica(flow: Flow) -> None:
    """A physical replica with synchronised slots is promoted and takes over the address."""
    with replicated(flow, "legacy", flow.legacy) as (replica, take_over):
        with psycopg.connect(replica.dsn("legacy"), autocommit=True) as standby, writing(flow, 9_100_000) as done:
            synced = "SELECT FROM pg_replication_slots WHERE slot_name = %s AND synced AND NOT temporary"
            until(lambda: standby.execute(synced, (flow.slot,)).fetchall())
            flow.applied()
            # What was acknowledged without waiting for the replica may be lost with the primary: that is the shop's choice.
            acknowledged = len(done)
            caught_up(flow.legacy, standby)
            standby.close()
            take_over()
            done[:] = done[:acknowledged]
        found(flow, done)
        until(lambda: flow.find_problems() == [])
        assert not flow.log("sync").count("was made anew; resyncing now")


def test_the_shop_fails_over_to_a_replica_that_is_behind(flow: Flow) -> None:
    """What the lost primary had of the stream is applied once more: positions go with the data that they stand for."""
    with replicated(flow, "shop", flow.shop) as (replica, take_over):
        with psycopg.connect(replica.dsn("shop"), autocommit=True) as standby, writing(flow, 9_110_000) as done:
            flow.applied()
            caught_up(flow.shop, standby)
            standby.execute("ALTER SYSTEM SET primary_conninfo = ''")
            standby.execute("SELECT pg_reload_conf()")
            until(lambda: standby.execute("SELECT count(*) FROM pg_stat_wal_receiver").fetchone() == (0,))
            seen = len(done)
            until(lambda: len(done) > seen + 50)
            late = done[seen + 1 :]
            flow.applied()
            there = "SELECT count(*) FROM shop.customer_order WHERE id = ANY(%s)"
            assert flow.one(there, late) == len(late)
            assert standby.execute(there, (late,)).fetchone() == (0,)
            standby.close()
            take_over()
        found(flow, done)
        until(lambda: flow.find_problems() == [])


@contextmanager
def small_disk(conn: psycopg.Connection[tuple[object, ...]], *tables: str) -> Iterator[Callable[[], None]]:
    """These tables on a file system that is full; yields what makes room again.

    A tablespace on a small file system stands for the disk: writes that need one more page fail with SQLSTATE 53100.
    """
    disk = Path("/var/tmp") / f"shopferry-disk-{os.getpid()}"  # noqa: S108 - PostgreSQL's account must enter it
    disk.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)]).returncode:
        disk.rmdir()
        pytest.skip("a small file system can be mounted by root alone")
    owner = postgres.find_account()
    assert owner
    try:
        (disk / "ts").mkdir()
        os.chown(disk / "ts", owner.pw_uid, owner.pw_gid)
        conn.execute(f"CREATE TABLESPACE small LOCATION '{disk / 'ts'}'".encode())
        for table in tables:
            conn.execute(f"ALTER TABLE {table} SET TABLESPACE small".encode())
        conn.execute("CREATE TABLE public.filler (x text) TABLESPACE small")
        with pytest.raises(psycopg.errors.DiskFull):
            conn.execute("INSERT INTO filler SELECT repeat(md5(i::text), 30) FROM generate_series(1, 1000000) i")
        # The failed statement's pages stay; what little is left goes to the last bytes of another file.
        size = os.statvfs(disk)
        (disk / "rest").write_bytes(b"x" * (size.f_bavail * size.f_frsize))

        def free() -> None:
            (disk / "rest").unlink()
            conn.execute("DROP TABLE public.filler")

        yield free
    finally:
        conn.execute("DROP TABLE IF EXISTS public.filler")
        for table in tables:
            conn.execute(f"ALTER TABLE {table} SET TABLESPACE pg_default".encode())
        conn.execute("CHECKPOINT")
        conn.execute("DROP TABLESPACE IF EXISTS small")
        subprocess.run(["umount", "-l", str(disk)], check=True)  # idle sessions may still hold a file that is gone
        disk.rmdir()


def test_the_shops_disk_is_full(flow: Flow) -> None:
    numbers = list(range(9_200_000, 9_203_000))
    with small_disk(flow.shop, "mirror.orders") as free:
        before = flow.log("sync").count("DiskFull")
        flow.write(*[order(n) for n in numbers])
        until(lambda: flow.log("sync").count("DiskFull") > before)
        free()
        found(flow, numbers)


def test_legacys_disk_is_full(flow: Flow) -> None:
    """The application's writes fail, and ours may; what was committed arrives, and all goes on once there is room."""
    numbers = list(range(9_210_000, 9_210_100))
    with small_disk(flow.legacy, "orders", "shopferry.heartbeat", "shopferry.marker") as free:
        for number in numbers:  # as long as the last page of the table has room
            try:
                flow.write(order(number))
            except psycopg.errors.DiskFull:
                break
        else:
            raise AssertionError("legacy's disk was not full")
        there = set(numbers[: numbers.index(number)])
        until(lambda: there <= {n for (n,) in flow.ask("SELECT id FROM shop.customer_order WHERE id >= 9210000")})
        assert flow.stopped() is None
        free()
        rest = numbers[numbers.index(number) :]
        flow.write(*[order(n) for n in rest])
        found(flow, numbers)


# Of the way back, which is not armed: they look in now and then, and would leave a free place behind them.
_LOOK_IN = ("sync-reverse", "connector-reverse")


@pytest.mark.parametrize("store", ["legacy", "shop"])
def test_a_store_at_its_connection_limit(flow: Flow, store: str) -> None:
    dsn = flow.settings.source_dsn if store == "legacy" else flow.settings.target_dsn
    flow.write(order(9_300_000 + (store == "shop")))
    with ExitStack() as held:
        server = supervisor.rpc(flow.state)
        for name in ("sync", *_LOOK_IN):
            server.stopProcess(name)
        with suppress(psycopg.OperationalError):
            while True:
                held.enter_context(psycopg.connect(dsn))
        before = flow.log("sync").count("too many clients")
        server.startProcess("sync", False)
        until(lambda: flow.log("sync").count("too many clients") > before)
        flow._conns.pop(store, None)
    for name in _LOOK_IN:
        server.startProcess(name, False)
    found(flow, [9_300_000 + (store == "shop")])


def test_time_outs_that_are_meant_for_the_application(flow: Flow) -> None:
    for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        flow.shop.execute(f"ALTER DATABASE shop SET {name} = '2ms'".encode())
        flow.legacy.execute(f"ALTER DATABASE legacy SET {name} = '2ms'".encode())
    try:
        flow.kill("connector")
        flow.kill("sync")
        numbers = list(range(9_400_000, 9_400_500))
        flow.write(*[order(n) for n in numbers])
        found(flow, numbers)
    finally:
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            flow.shop.execute(f"ALTER DATABASE shop RESET {name}".encode())
            flow.legacy.execute(f"ALTER DATABASE legacy RESET {name}".encode())


def waiting(flow: Flow) -> int:
    """The consumer's backend that waits for a lock."""
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'shopferry sync forward' AND wait_event_type = 'Lock'"
    return int(until(lambda: flow.one(query)))


@pytest.mark.parametrize("end", ["cancelled", "terminated", "let go"])
def test_a_lock_that_somebody_holds(flow: Flow, end: str) -> None:
    number = 9_500_000 + ["cancelled", "terminated", "let go"].index(end)
    flow.write(order(number))
    flow.applied()
    with db.connect(flow.settings.target_dsn, "holder") as holder:
        with holder.transaction():
            holder.execute("SELECT FROM shop.customer_order WHERE id = %s FOR UPDATE", (number,))
            flow.write(f"UPDATE orders SET status_code = 'PAID' WHERE id = {number}")
            pid = waiting(flow)
            if end == "cancelled":  # as by a statement or lock time-out
                flow.shop.execute("SELECT pg_cancel_backend(%s)", (pid,))
                waiting(flow)  # and once more
            elif end == "terminated":
                flow.shop.execute("SELECT pg_terminate_backend(%s)", (pid,))
        found(flow, [number])
    assert flow.one("SELECT status::text FROM shop.customer_order WHERE id = %s", number) == "paid"


def test_a_deadlock(flow: Flow) -> None:
    flow.write(order(9_600_000))
    flow.applied()
    before = flow.log("sync").count("DeadlockDetected")
    with db.connect(flow.settings.target_dsn, "other") as other, other.transaction():
        other.execute("SET LOCAL deadlock_timeout = '1h'")  # it is the consumer that gives in
        other.execute("SELECT FROM shop.customer_order WHERE id = 9600000 FOR UPDATE")
        flow.write("UPDATE orders SET status_code = 'PAID' WHERE id = 9600000")
        waiting(flow)
        other.execute(
            "SELECT FROM mirror.orders WHERE id = 9600000 FOR UPDATE"
        )  # which the consumer's batch has written
    found(flow, [9_600_000])
    assert flow.log("sync").count("DeadlockDetected") > before
