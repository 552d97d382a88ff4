"""The order of the advisory locks within one transaction is the order that control/locks.py states."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from pair import ROUTE, Pair, connect, read_dsn
from psycopg import Connection
from shopferry.control import locks, phases
from shopferry.engine import backfill
from shopferry.verify import repair, verification
from waiting import until

# The clusters' lock, the last one, is taken by a statement.
PLACES = {
    "lock_schema": locks.SCHEMA,
    "lock_plan": locks.PLAN,
    "lock_mirror": locks.MIRROR,
    "share_mirror": locks.MIRROR,
    "lock_propagation": locks.PROPAGATE,
    "share_propagation": locks.PROPAGATE,
    "lock_merging": locks.MERGE,
    "share_merging": locks.MERGE,
    "lock_verdicts": locks.VERDICTS,
}


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Check each lock against those that the same transaction has taken; yields the names of all that were taken."""
    by_transaction: dict[str, list[str]] = {}
    taken: set[str] = set()

    def check(conn: Connection, name: str) -> None:
        [(transaction,)] = conn.execute("SELECT pg_current_xact_id()::text").fetchall()
        held = by_transaction.setdefault(transaction, [])
        # To take again what is held waits for nobody.
        places = [locks.ORDER.index(PLACES[n]) for n in (*held, name)]
        is_held = name in held or name.replace("share_", "lock_") in held
        assert is_held or places[-1] == max(places), f"{name} after {held}"
        held.append(name)
        taken.add(name)

    with monkeypatch.context() as patch:
        for name in PLACES:
            take = getattr(locks, name)

            def checked(conn: Connection, *args: str, take: Any = take, name: str = name) -> None:
                check(conn, name)
                take(conn, *args)

            patch.setattr(locks, name, checked)
        yield taken


def test_every_transaction_takes_its_locks_in_the_stated_order(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.write("INSERT INTO customers (id, login, email) VALUES (1, 'a@example.com', 'a@example.com')")
    with watched(monkeypatch) as taken:
        pair.pass_phases()
        pair.merge(ROUTE.phases[0])  # again, beside a stream that merges the same rows
        pair.finish(ROUTE.phases[0])
        pair.write(
            "INSERT INTO customers (id, login, email) VALUES (2, 'b@example.com', 'b@example.com')",
            "UPDATE customers SET email = 'c@example.com' WHERE id = 1",
        )
        pair.sync()
        pair.shop.execute("DELETE FROM mirror.customers WHERE id = 2")
        found = verification.verify(pair.legacy, pair.shop, ROUTE, ROUTE.phases[0], pair.sync)
        assert found.open
        repair.repair(pair.stores, ROUTE.phases[0], pair.sync, "test")
        backfill.resync(pair.stores, "test")
    assert taken == set(PLACES) - {"lock_schema"}


def test_a_resync_waits_for_a_batch_that_holds_the_phases(pair: Pair) -> None:
    """A batch comes to its offsets with the phases in hand: a resync that had the offsets first would wait for it in a circle."""
    pair.pass_phases()
    with connect(read_dsn(pair.shop)) as other, ThreadPoolExecutor(1) as beside:
        with other.transaction():
            phases.lock(other, ROUTE.name)
            done = beside.submit(backfill.resync, pair.stores, "test")
            until(lambda: is_blocked(other, pair.shop.info.backend_pid))
            other.execute("UPDATE ferry.kafka_offset SET next = next WHERE route = %s", (ROUTE.name,))
        assert done.result() >= 0


def is_blocked(conn: Connection, pid: int) -> bool:
    [(blocked,)] = conn.execute("SELECT pg_blocking_pids(%s) <> '{}'", (pid,)).fetchall()
    return bool(blocked)
