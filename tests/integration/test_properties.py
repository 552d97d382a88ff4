"""Invariants 1 to 4 over random histories: whatever legacy does, whenever chunks and batches come, whatever dies.

A failure prints its seed and the history that led there; how many histories, how long, and how a run is repeated: see
tests/profiles.py. The histories are shared out to several tests, each with a seed of its own (the number that is given, and
the next ones), so that as many workers play them side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from typing import ClassVar

import history
import profiles
import psycopg
import pytest
from history import Operation
from hypothesis import note, seed
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from pair import ROUTE, KilledError, Late, Pair, connect, open_more, read_dsn
from profiles import LONG
from shopferry.cdc.envelope import Change
from shopferry.cdc.replay import Replay
from shopferry.control import chunks, installed_settings, offsets, phases
from shopferry.control.chunks import Span
from shopferry.control.offsets import Partition
from shopferry.control.phases import State
from shopferry.engine import backfill, changed_settings, merge_chunks
from shopferry.engine.pair import Stores
from shopferry.errors import FencedError, ReplayError
from shopferry.retry import retrying
from shopferry.route.settings import INACTIVE_SINCE
from steps import dies

_SHARES = 4 if LONG else 3  # one waits for its server a quarter of its time
_TIDY_EVERY = 5  # histories
_PROFILE = profiles.choose(short=24, long=2_000, shares=_SHARES)
_since = st.sampled_from(["", "", "2020-03-01", "2021-06-01"])
_crash = st.one_of(st.none(), st.none(), st.integers(1, 60))  # the statement before which the process dies


class Ferry(RuleBasedStateMachine):
    """A legacy shop that lives, a ferry that works and dies, and what must hold whenever both stand still."""

    pair: Pair  # given by the test
    second: Replay  # another consumer of the pair, on a connection to the shop of its own
    slow: Stores  # of a worker that is slow to load what it has read
    begun: ClassVar[int] = 0  # histories

    def __init__(self) -> None:
        super().__init__()
        type(self).begun += 1
        history.empty(self.pair, tidy=self.begun % _TIDY_EVERY == 0)
        self.other = connect(self.pair.legacy.info.dsn + " password=" + self.pair.legacy.info.password)
        for conn in (self.pair.legacy, self.other):
            conn.execute("SET lock_timeout = '15ms'")
        self.late: Late | None = None

    @initialize(opening=history.openings, passed=st.sampled_from([4, 3, 3, 2, 1, 0]), since=_since)
    def open(self, opening: list[Operation], passed: int, since: str) -> None:
        """A shop that is some way through already, and where somebody may have decided that inactive accounts stay behind."""
        installed_settings.replace(self.pair.shop, INACTIVE_SINCE, since)
        self._write(self.pair.legacy, opening)
        self.pair.pass_phases(ROUTE.phases[:passed])
        if phase := self._phase():
            self.pair.start(phase, chunk_size=2)

    # -- the shop lives --------------------------------------------------------------------------------------------

    @rule(operations=st.one_of(history.writes, history.takeovers), commit=st.sampled_from([True, True, True, False]))
    def write(self, operations: list[Operation], commit: bool) -> None:
        """One transaction, committed or not."""
        self._write(self.pair.legacy, operations, commit)

    @rule(operations=history.writes)
    def write_slowly(self, operations: list[Operation]) -> None:
        """A transaction that stays open while others come and go."""
        if not self._in_transaction():
            self.other.execute("BEGIN")
        try:
            for operation in operations:
                operation.run(self.other)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.UniqueViolation):
            self.other.execute("ROLLBACK")

    @precondition(lambda self: self._in_transaction())
    @rule(commit=st.booleans())
    def end_slow_write(self, commit: bool) -> None:
        """It ends at last."""
        self.other.execute("COMMIT" if commit else "ROLLBACK")

    # -- the stream ------------------------------------------------------------------------------------------------

    @rule(
        operations=history.writes,
        cuts=st.lists(st.integers(0, 9), min_size=1, max_size=8),
        crash=_crash,
        ahead=st.booleans(),
    )
    def replay(self, operations: list[Operation], cuts: list[int], crash: int | None, ahead: bool) -> None:
        """A batch of any partitions is applied, cut anywhere; it may run ahead of its merge."""
        self._write(self.pair.legacy, operations)
        self.pair.capture()
        take = {p: min(n, cuts[i % len(cuts)]) for i, (p, n) in enumerate(self.pair.pending().items())}
        before = offsets.load(self.pair.shop, ROUTE.name)
        versions = self._versions()
        if not self._dies(crash, lambda: self.pair.replay({p: n for p, n in take.items() if n}, ahead=ahead)):
            self._only_forward(versions)
            return
        after = offsets.load(self.pair.shop, ROUTE.name)
        assert {p: n for p, n in after.items() if n} == {p: n for p, n in before.items() if n}

    @rule(crash=_crash)
    def merge_noted(self, crash: int | None) -> None:
        """The noted keys are merged, or the process that merges them dies."""
        self._dies(crash, self.pair.merge_noted)

    @rule(operations=st.one_of(history.writes, history.takeovers))
    def merge_noted_beside(self, operations: list[Operation]) -> None:
        """What batches have noted is merged while the next one runs ahead."""
        self._write(self.pair.legacy, operations)
        self.pair.capture()
        changes, steps = self.pair.batch(self.pair.pending())
        noted, consumer = self.pair.noted, self.second
        with ThreadPoolExecutor(2) as both:
            for done in [
                both.submit(self._apply_patiently, consumer, changes, steps, ahead=True),
                both.submit(lambda: retrying(lambda: noted.merge([]), noted.target)),
            ]:
                done.result()

    @rule(count=st.integers(1, 40), size=st.integers(1, 5))
    def deliver_again(self, count: int, size: int) -> None:
        """The connector died before it could note its position."""
        self.pair.capture()
        self.pair.log.again(count)
        while pending := self.pair.pending():
            versions = self._versions()
            self.pair.replay({p: min(n, size) for p, n in pending.items()})
            self._only_forward(versions)

    @rule(operations=history.writes, late=st.booleans())
    def lose(self, operations: list[Operation], late: bool) -> None:
        """The slot was lost and made anew: what was committed between is in no topic, and a resync must bring it."""
        self._settle()
        self.pair.capture()
        if late:
            self.pair.replay()
        self._write(self.pair.legacy, operations)
        self.pair.tap.skip()
        self._resync()

    @rule(table=st.sampled_from(history.TABLES), operations=history.writes)
    def truncate(self, table: str, operations: list[Operation]) -> None:
        """Replay stops before it; whoever decides that the rows shall go has it resynced."""
        self._settle()
        try:
            self.pair.legacy.execute(f"TRUNCATE {table}".encode())
        except psycopg.errors.LockNotAvailable:
            note("the table is in use")
            return
        self._write(self.pair.legacy, operations)
        self.pair.capture()
        with pytest.raises(ReplayError, match=f"TRUNCATE of {table}"):
            self.pair.replay()
        self._resync()

    @rule(column=st.sampled_from(history.MAPPED), before=history.writes, after=history.writes)
    def drift(self, column: tuple[str, str], before: list[Operation], after: list[Operation]) -> None:
        """A column that mappings read has another name for a while: replay stops there, mended or not, until a resync."""
        self._settle()
        table, name = column
        self._write(self.pair.legacy, before)
        rename = f"ALTER TABLE {table} RENAME COLUMN"
        try:
            with self.pair.legacy.transaction():
                self.pair.legacy.execute(f"{rename} {name} TO renamed".encode())
                self.pair.legacy.execute(f"INSERT INTO {table} (id) VALUES ({history.PASSING})".encode())
        except psycopg.errors.LockNotAvailable:
            note("the table is in use")
            return
        self.pair.legacy.execute(f"{rename} renamed TO {name}".encode())
        self._write(self.pair.legacy, after)
        self.pair.capture()
        with pytest.raises(ReplayError, match=f"have no column {name} any more"):
            self.pair.replay()
        self.pair.legacy.execute(f"DELETE FROM {table} WHERE id = {history.PASSING}".encode())
        self._resync()

    @precondition(lambda self: self.pair.pending())
    @rule()
    def zombie(self) -> None:
        """A consumer that slept while another took over its partitions must change nothing."""
        stale = self.pair.batch(self.pair.pending())
        self.pair.replay()
        live = self.pair.live()
        stored, held = offsets.load(self.pair.shop, ROUTE.name), self.pair.exported(live)
        with pytest.raises(FencedError):
            Replay(self.pair.shop, self.pair.legacy, ROUTE).apply(*stale)
        assert offsets.load(self.pair.shop, ROUTE.name) == stored
        assert self.pair.exported(live) == held

    @rule(
        operations=st.one_of(history.writes, history.takeovers), split=st.lists(st.booleans(), min_size=1, max_size=5)
    )
    def replay_together(self, operations: list[Operation], split: list[bool]) -> None:
        """Two consumers, the partitions split between them, at the same time."""
        self._write(self.pair.legacy, operations)
        self.pair.capture()
        shares: list[dict[Partition, int]] = [{}, {}]
        for i, (partition, count) in enumerate(self.pair.pending().items()):
            shares[split[i % len(split)]][partition] = count
        versions = self._versions()
        work = [(c, *self.pair.batch(s)) for c, s in zip((self.pair.consumer, self.second), shares, strict=True) if s]
        with ThreadPoolExecutor(2) as both:
            for done in [both.submit(self._apply_patiently, *part) for part in work]:
                done.result()
        assert self.pair.pending() == {}
        self._only_forward(versions)

    @staticmethod
    def _apply_patiently(
        consumer: Replay, changes: list[Change], steps: dict[Partition, tuple[int, int]], *, ahead: bool = False
    ) -> None:
        """As the consumer's loop does it: a deadlock is resolved against one of them, which tries again."""
        retrying(lambda: consumer.apply(changes, steps, ahead=ahead), consumer.target)

    @rule(since=_since, crash=_crash)
    def decide(self, since: str, crash: int | None) -> None:
        """Somebody decides about inactive accounts: another day, or that all are carried."""
        self._settle()
        others = {s.name: (s.value, False) for s in ROUTE.settings}
        installed_settings.store(self.pair.shop, others | {INACTIVE_SINCE: (since, False)})
        while self._dies(crash, lambda: changed_settings.merge_readers(self.pair.stores)):
            crash = None

    @rule(table=st.sampled_from(history.TABLES))
    def alter(self, table: str) -> None:
        """Legacy gets a column that nobody mapped, or loses it again."""
        there = self.pair.legacy.execute(
            "SELECT FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s AND NOT attisdropped",
            (f"public.{table}", history.UNMAPPED),
        ).fetchall()
        change = f"DROP COLUMN {history.UNMAPPED}" if there else f"ADD COLUMN {history.UNMAPPED} text DEFAULT 'x'"
        try:
            self.pair.legacy.execute(f"ALTER TABLE {table} {change}".encode())
        except psycopg.errors.LockNotAvailable:
            note("the table is in use")

    # -- the backfill ----------------------------------------------------------------------------------------------

    @rule(crash=_crash)
    def advance(self, crash: int | None) -> None:
        """The next natural step of the first phase that is not through."""
        pair, phase = self.pair, self._phase()
        if phase is None:
            return
        state = pair.state(phase)
        if state is State.COPYING and chunks.has_open(pair.shop, ROUTE.name, phase, "copy"):
            if self.late:
                self.load_late(False)
            else:
                self._dies(crash, lambda: backfill.copy_next(pair.stores, phase, "test"))
        elif state is State.MERGING and not merge_chunks.is_merged(pair.stores, phase):
            self._dies(crash, lambda: backfill.standardize(pair.stores, phase))
            self._dies(crash, lambda: merge_chunks.merge_next(pair.stores, phase, "test"))
        else:
            self._settle()
            if state is State.NEW:
                pair.start(phase, chunk_size=2)
            elif state is State.COPYING:
                merge_chunks.begin_merge(pair.stores, phase)
            else:
                pair.finish(phase)

    @precondition(lambda self: self._merging() and not self.late)
    @rule(operations=history.writes, die=st.booleans())
    def merge_slowly(self, operations: list[Operation], die: bool) -> None:
        """A chunk is merged, and legacy and the stream go on before it commits; or its worker dies."""
        pair, phase = self.pair, self._phase()
        assert phase
        self.slow.merger.stage(ROUTE.units)
        backfill.standardize(pair.stores, phase)
        with suppress(KilledError), self.slow.target.transaction():
            merge_chunks.merge_next(self.slow, phase, "slow")
            self._write(pair.legacy, operations)
            pair.shop.execute("SET lock_timeout = '100ms'")
            with suppress(psycopg.errors.LockNotAvailable):  # where the chunk is no first load, or a parent goes
                pair.sync()
            pair.shop.execute("SET lock_timeout = 0")
            if die:
                raise KilledError

    @precondition(lambda self: self._copying() and not self.late)
    @rule(operations=history.writes, applied=st.booleans())
    def read_late(self, operations: list[Operation], applied: bool) -> None:
        """A chunk is read from legacy, and its worker is slow to load it: its rows change, and the stream may be faster."""
        phase = self._phase()
        assert phase
        mine = [o for o in operations if o.table in ROUTE.tables_of(phase)]
        span = Span(mine[0].table) if mine else chunks.EVERYTHING
        self.late = Late(lambda: nullcontext(self.slow), phase, span)
        self.late.read()
        self._write(self.pair.legacy, operations)
        if applied:
            self.pair.sync()

    @precondition(lambda self: self.late)
    @rule(die=st.booleans())
    def load_late(self, die: bool) -> None:
        """The slow worker loads what it read, or dies with it."""
        assert self.late
        late, self.late = self.late, None
        late.load(die=die)

    # -- standing still --------------------------------------------------------------------------------------------

    @rule(look=st.sampled_from([True, False, False, False]))
    def stand_still(self, look: bool) -> None:
        """Everything that was committed is applied; now all must hold."""
        self._settle()
        self.pair.capture()
        self.pair.replay()
        self.pair.merge_noted()
        if not look:
            return
        phase = self._phase()
        if phase and self.pair.state(phase) is State.COPYING:
            if not chunks.has_open(self.pair.shop, ROUTE.name, phase, "copy"):
                for table in ROUTE.tables_of(phase):
                    theirs, ours = self.pair.mirrored(table)
                    assert ours == theirs, f"mirror of {table}"
        elif phase and self.pair.state(phase) is State.MERGING:
            while not merge_chunks.is_merged(self.pair.stores, phase):
                backfill.standardize(self.pair.stores, phase)
                merge_chunks.merge_next(self.pair.stores, phase, "test")
        self.pair.check()

    def teardown(self) -> None:
        """A history ends standing still."""
        try:
            self.stand_still(True)
        finally:
            if self.late:
                self.late.load(die=True)
            self.other.close()

    # -- helpers ---------------------------------------------------------------------------------------------------

    def _resync(self) -> None:
        """What was lost, or cannot be applied, is read anew; the connector delivers none of what came before again."""
        self.pair.log.order.clear()
        backfill.resync(self.pair.stores, "test", self.pair.log.ends)

    def _versions(self) -> dict[tuple[str, int], int]:
        """The log position that each row of the mirror was last changed at."""
        parts = [f"SELECT '{t}', id, (_lsn - '0/0'::pg_lsn)::bigint FROM mirror.{t}" for t in history.TABLES]
        return {(table, key): lsn for table, key, lsn in self.pair.ask(" UNION ALL ".join(parts))}

    def _only_forward(self, before: dict[tuple[str, int], int]) -> None:
        now = self._versions()
        assert not [row for row, lsn in before.items() if now[row] < lsn], "a row went back in time"

    def _phase(self) -> str | None:
        found = phases.load_all(self.pair.shop, ROUTE.name)
        return next((p.phase for p in found if p.state != State.VERIFIED), None)

    def _copying(self) -> bool:
        phase = self._phase()
        return bool(
            phase
            and self.pair.state(phase) is State.COPYING
            and chunks.has_open(self.pair.shop, ROUTE.name, phase, "copy")
        )

    def _merging(self) -> bool:
        phase = self._phase()
        return bool(
            phase and self.pair.state(phase) is State.MERGING and not merge_chunks.is_merged(self.pair.stores, phase)
        )

    def _in_transaction(self) -> bool:
        return self.other.info.transaction_status is not psycopg.pq.TransactionStatus.IDLE

    def _settle(self) -> None:
        """A phase cannot change its state while a chunk is under way."""
        if self.late:
            self.load_late(False)

    def _write(self, conn: psycopg.Connection, operations: list[Operation], commit: bool = True) -> None:
        try:
            with conn.transaction(force_rollback=not commit):
                for operation in operations:
                    operation.run(conn)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.UniqueViolation) as error:
            note(f"rolled back: {type(error).__name__}")

    def _dies(self, crash: int | None, work: Callable[[], object]) -> bool:
        """Do the work, or die before its statement number `crash`; whether it died."""
        return dies(self.pair, crash, work)


@pytest.mark.fresh
@pytest.mark.parametrize("share", range(_SHARES))
def test_invariants_hold_whatever_happens(
    share: int, make_pair: Callable[..., Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge_chunks, "MERGE_KEYS", 2)
    monkeypatch.setattr(merge_chunks, "LOAD_KEYS", 2)
    pair = make_pair()
    dsns = [read_dsn(c) for c in (pair.legacy, pair.shop)]

    class Machine(Ferry):
        begun = 0

    with connect(dsns[0]) as legacy, connect(dsns[1]) as shop, open_more(dsns[0], dsns[1]) as slow:
        Machine.pair, Machine.second, Machine.slow = pair, Replay(shop, legacy, ROUTE), slow
        with profiles.book(share) as run:
            try:
                run_state_machine_as_test(seed(run.seed)(Machine), settings=_PROFILE)
            finally:
                run.begun = Machine.begun
