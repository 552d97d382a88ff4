"""The advisory locks: what each is for, its key, in which order they are taken, and which of them are shared.

Two versions of shopferry that run side by side exclude each other by these keys: no key may change. A key that is text
is hashed by PostgreSQL. All locks are taken in the target's database but two: `lock_schema` is taken in both stores,
`try_scratch` in the database beside which the scratch database is made.

A session takes at most one of the locks that outlast transactions (switch, resync, sync, verify, scratch, request,
activation), and takes it outside of any transaction; one that verifies, repairs, erases or exports also keeps mirror and shop
together, for which a batch never waits. Within a transaction come first the rows of ferry.phase
(`phases.lock`), then the locks of `ORDER`, in that order. One case departs from it: a batch that holds echoes of the
other flow takes its tables' locks for the echoes, goes on to `propagate`, and takes the tables' locks, and where it runs ahead
perhaps the lock of merging, for all other changes after that. A chunk of the same table may then meet it in a deadlock, which
PostgreSQL resolves, and `retrying` plays the loser again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shopferry.db import Connection

SWITCH = 0x5F20
RESYNC, SYNC, VERIFY, SCRATCH, REQUEST = "resync ", "sync forward ", "verify ", "scratch ", "request "
ACTIVATION, TOGETHER = "activation ", "together "

SCHEMA, PLAN = 0x5F0F, 0x5F10
MIRROR, PROPAGATE, MERGE, VERDICTS, CLUSTER = "mirror.", "propagate ", "merge ", "ferry.standardized", "cluster "
# CLUSTER is taken by control/sql/identity.sql, for all clusters of a merge in one statement, sorted.
ORDER: tuple[int | str, ...] = (SCHEMA, PLAN, MIRROR, PROPAGATE, MERGE, VERDICTS, CLUSTER)


# -- held until the session ends or lets go ---------------------------------------------------------------------------


def try_switch(target: Connection) -> bool:
    """Take the right to switch or roll back, if no other session has it."""
    return _ask(target, "SELECT pg_try_advisory_lock(%s)", SWITCH)


def try_resync(target: Connection, route: str) -> bool:
    """Take the right to resync the route, if no other session has it."""
    return _ask(target, "SELECT pg_try_advisory_lock(hashtext(%s))", RESYNC + route)


def await_resync(target: Connection, route: str) -> None:
    """Wait until the other session's resync of the route is done."""
    target.execute("SELECT pg_advisory_lock(hashtext(%s))", (RESYNC + route,))


def try_sync(target: Connection, route: str) -> bool:
    """Take the right to consume all partitions of the route, if no other session has it.

    It saves work where the broker does not divide the partitions; what protects the rows are the stored offsets.
    """
    return _ask(target, "SELECT pg_try_advisory_lock(hashtext(%s))", SYNC + route)


@contextmanager
def verifying(target: Connection, route: str, phase: str) -> Iterator[None]:
    """Let one session at a time verify the phase; a second one waits."""
    target.execute("SELECT pg_advisory_lock(hashtext(%s))", (f"{VERIFY}{route} {phase}",))
    try:
        yield
    finally:
        if not target.closed:
            target.execute("SELECT pg_advisory_unlock(hashtext(%s))", (f"{VERIFY}{route} {phase}",))


@contextmanager
def keeping_together(target: Connection, route: str) -> Iterator[None]:
    """Keep batches from running ahead of what they affect, so that each snapshot shows mirror and shop as they belong together.

    What was noted before may still wait to be merged when the block begins. Sessions share it.
    """
    target.execute("SELECT pg_advisory_lock_shared(hashtext(%s))", (TOGETHER + route,))
    try:
        yield
    finally:
        if not target.closed:
            target.execute("SELECT pg_advisory_unlock_shared(hashtext(%s))", (TOGETHER + route,))


def try_scratch(conn: Connection, name: str) -> bool:
    """Take the scratch database of this name, if no other session has it."""
    return _ask(conn, "SELECT pg_try_advisory_lock(hashtext(%s))", SCRATCH + name)


def try_request(target: Connection, request: int) -> bool:
    """Take the right to run a request of a person, if no other session has it."""
    return _ask(target, "SELECT pg_try_advisory_lock(hashtext(%s))", f"{REQUEST}{request}")


def try_activation(target: Connection, route: str, name: str) -> bool:
    """Take the right to hand over one activation of the route, if no other session has it."""
    return _ask(target, "SELECT pg_try_advisory_lock(hashtext(%s))", f"{ACTIVATION}{route} {name}")


# -- held until the transaction ends, in the order of ORDER -------------------------------------------------------------


def lock_schema(conn: Connection) -> None:
    """Let one session at a time create or migrate our schemas in this store."""
    conn.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA,))


def lock_plan(target: Connection) -> None:
    """Let one worker at a time plan the next unit's merge."""
    target.execute("SELECT pg_advisory_xact_lock(%s)", (PLAN,))


def share_mirror(target: Connection, table: str) -> None:
    """Keep out those who want a table of the mirror alone, for a batch of replay; consumers share it."""
    target.execute("SELECT pg_advisory_xact_lock_shared(hashtext(%s))", (MIRROR + table,), prepare=True)


def lock_mirror(target: Connection, table: str) -> None:
    """Keep replay from a table of the mirror: no batch commits between what the caller reads and what it writes."""
    target.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (MIRROR + table,))


def share_propagation(target: Connection, route: str) -> None:
    """Keep out those who propagate in the route, for a chunk's merge; chunks share it."""
    target.execute("SELECT pg_advisory_xact_lock_shared(hashtext(%s))", (PROPAGATE + route,))


def share_merging(target: Connection, route: str) -> None:
    """Keep out those who merge entities in the route, for a chunk's merge; chunks share it."""
    target.execute("SELECT pg_advisory_xact_lock_shared(hashtext(%s))", (MERGE + route,))


def lock_propagation(target: Connection, route: str) -> None:
    """Keep out all others who propagate or merge a chunk in the route."""
    target.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (PROPAGATE + route,))


def lock_merging(target: Connection, route: str) -> None:
    """Keep out all others who merge entities in the route: who propagates takes it too, but a batch that runs ahead."""
    target.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (MERGE + route,))


def try_ahead(target: Connection, route: str) -> bool:
    """Let mirror and shop part, if no session keeps them together; until this transaction ends none can begin to."""
    return _ask(target, "SELECT pg_try_advisory_xact_lock(hashtext(%s))", TOGETHER + route)


def lock_verdicts(target: Connection) -> None:
    """Let one session at a time write verdicts: two that meet in the middle of their lists would deadlock."""
    target.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (VERDICTS,))


def _ask(conn: Connection, query: str, key: int | str) -> bool:
    row = conn.execute(query.encode(), (key,)).fetchone()
    return bool(row and row[0])
