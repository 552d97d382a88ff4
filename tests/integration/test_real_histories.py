"""Random histories over the real tables of django-oscar and Medusa, there and back: the invariants of the property test.

A failure prints its seed and the history; how many are played, and how a run is repeated: see tests/profiles.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import profiles
import psycopg
import pytest
import steps
from hypothesis import given, note, seed
from hypothesis import strategies as st
from oscar_medusa import BACK_WRITES, BORN, NAMES, WRITES, prepare, read_tables, require_clean
from pair import Pair, connect, read_dsn
from profiles import LONG
from shopferry.db import Connection
from shopferry.engine.statements import select_keys_between
from shopferry.stack import postgres
from shopferry.stores import fence
from shopferry.verify.repair import repair
from steps import Again, Replay, Resync
from turns import installed_back

_SHARES = 4 if LONG else 2
_PROFILE = profiles.choose(short=4, long=200, shares=_SHARES)


@dataclass(frozen=True)
class Write:
    """One transaction of an application: which of its writes, each with two numbers that say on what."""

    writes: list[tuple[int, int, int]]
    commit: bool = True


@dataclass(frozen=True)
class History:
    """`passed` phases are moved at first, the others behind the opening; `back` is what Medusa's people do, if they are let."""

    passed: int
    opening: list[steps.Step | Write]
    there: list[steps.Step | Write]
    back: list[steps.Step | Write] | None
    born: bool  # customers and orders, in Medusa
    again: list[steps.Step | Write]  # after the rollback


def _steps(writes: int, most: int) -> st.SearchStrategy[list[steps.Step | Write]]:
    numbers = st.integers(1, 60)
    some = st.lists(st.tuples(st.integers(0, writes - 1), numbers, numbers), min_size=1, max_size=4)
    write = st.builds(Write, some, st.sampled_from([True, True, True, True, False]))
    cuts = st.lists(st.integers(0, 4), min_size=1, max_size=4).map(tuple)
    replay = st.builds(Replay, st.one_of(st.just(()), cuts), st.one_of(st.none(), st.none(), st.integers(1, 60)))
    other = st.one_of(st.builds(Again, st.integers(1, 12)), st.builds(Resync, some.map(Write)))
    return st.lists(st.one_of(write, write, write, replay, replay, other), max_size=most)


_THERE, _BACK = len(WRITES), len(BACK_WRITES)
histories = st.builds(
    History,
    st.sampled_from([2, 2, 1, 0]),
    _steps(_THERE, 4),
    _steps(_THERE, 14),
    st.one_of(st.none(), _steps(_BACK, 16)),
    st.booleans(),
    _steps(_THERE, 6),
)


def write_there(conn: Connection, write: Write) -> None:
    """What Oscar's people write; what its own constraints refuse is rolled back."""
    try:
        with conn.transaction(force_rollback=not write.commit):
            for which, one, other in write.writes:
                for statement in WRITES[which]:
                    conn.execute(statement.format(one, other if other != one else one % 60 + 1).encode())
    except psycopg.IntegrityError as error:
        note(f"rolled back: {type(error).__name__}")


def write_back(conn: Connection, write: Write) -> None:
    """What Medusa's application writes, to the row of that number."""
    try:
        with conn.transaction(force_rollback=not write.commit):
            for which, one, other in write.writes:
                table, statement = BACK_WRITES[which]
                ids = [r[0] for r in conn.execute(f'SELECT id FROM "{table}" ORDER BY id'.encode()).fetchall()]
                if ids:
                    conn.execute(statement.format(other + 9).encode(), (ids[one % len(ids)],))
    except psycopg.IntegrityError as error:
        note(f"rolled back: {type(error).__name__}")


def live(pair: Pair, history: list[steps.Step | Write], write: Callable[[Write], None]) -> None:
    """Take all steps, and apply what is left."""
    for step in history:
        if isinstance(step, Write):
            write(step)
        else:
            steps.take(pair, step, write)
    pair.sync()


def require_back(back: Pair) -> None:
    """Legacy holds what the mappings make of Medusa, and to merge all of it again changes nothing."""
    for phase in back.route.phases:  # what never came to Medusa is extra
        assert [d for d in back.verify(phase).differences if d.kind != "extra"] == []
    for table in sorted(back.route.tables):
        theirs, ours = back.mirrored(table)
        assert ours == theirs, f"mirror of {table}"
    waits = "SELECT entity, row_key, key, reasons, sqlstate FROM ferry.quarantine ORDER BY 1, 2"
    held, stands = back.ask(waits), read_tables(back.shop)
    assert [h for h in held if h[4] is not None and h[3] != ["still_referenced"]] == []
    merger = back.consumer.merger
    merger.stage(back.route.units)
    with back.shop.transaction(force_rollback=True):
        for unit in back.route.units:
            merger.merge(unit, select_keys_between(unit, None, None), disjoint=False)
        merged = read_tables(back.shop)
        assert back.ask(waits) == held or [h for h in held if h[3] == ["still_referenced"]]
    if not [h for h in held if h[3] == ["still_referenced"]]:
        assert merged == stands


def play(oscar: Pair, history: History) -> None:
    """Play one history: there, and perhaps back and there again; whenever all is applied, all must hold."""

    def write(step: Write) -> None:
        write_there(oscar.legacy, step)

    oscar.pass_phases(oscar.route.phases[: history.passed])
    live(oscar, history.opening, write)
    oscar.pass_phases(oscar.route.phases[history.passed :])
    live(oscar, history.there, write)
    oscar.check()
    require_clean(oscar)
    if history.back is None:
        return
    with installed_back(oscar) as back, connect(read_dsn(oscar.shop)) as medusa:
        before = read_tables(oscar.legacy)
        back.pass_phases()
        assert read_tables(oscar.legacy) == before, "nothing was written in Medusa yet"
        fence.lift_fence(oscar.shop, oscar.route.shop_tables)
        if history.born:
            medusa.execute(BORN.read_bytes())
        live(back, history.back, lambda step: write_back(medusa, step))
        require_back(back)
    oscar.sync()
    for phase in oscar.route.phases:
        oscar.verify(phase)
        assert repair(oscar.stores, phase, oscar.sync, "test").remaining == []
    live(oscar, history.again, write)
    require_clean(oscar)


@pytest.mark.fresh
@pytest.mark.parametrize("share", range(_SHARES))
def test_what_holds_of_the_demo_holds_of_real_shops(
    share: int, make_db: Callable[..., str], cluster: postgres.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOPFERRY_ID_SECRET", "a secret of tests")
    templates = make_db("oscar"), make_db("medusa")
    route = prepare(*templates)

    @contextmanager
    def fresh() -> Iterator[Pair]:
        dsns = make_db("oscar", templates[0]), make_db("medusa", templates[1])
        pair = Pair.open(*dsns, route)
        pair.names = NAMES
        try:
            yield pair
        finally:
            pair.close_tap(pair.legacy)
            pair.close()
            for dsn in dsns:
                cluster.drop_database(psycopg.conninfo.conninfo_to_dict(dsn)["dbname"])

    with profiles.book(share, "of real shops") as run:

        @seed(run.seed)
        @_PROFILE
        @given(history=histories)
        def test(history: History) -> None:
            run.begun += 1
            note(str(history))
            with fresh() as pair:
                play(pair, history)

        test()
