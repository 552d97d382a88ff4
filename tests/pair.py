"""A pair of stores under test: legacy, the new shop, the log between them, and what must hold of all three."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from unittest.mock import patch

import psycopg
from events import Log, Tap
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Composed, Identifier
from shopferry import installation
from shopferry.cdc.applied import Applied
from shopferry.cdc.behind import NotedKeys
from shopferry.cdc.envelope import Change, decode
from shopferry.cdc.replay import Replay
from shopferry.control import chunks, offsets, phases
from shopferry.control.chunks import Span
from shopferry.control.offsets import Partition
from shopferry.control.phases import State
from shopferry.db import NEVER_BY_ITSELF, Connection
from shopferry.engine import backfill, merge_chunks, mirror
from shopferry.engine.pair import Stores
from shopferry.engine.relay import relay
from shopferry.engine.statements import load_columns, select_keys_between
from shopferry.engine.writes import RESERVED
from shopferry.route.entities import IdentityMapping
from shopferry.route.route import Route
from shopferry.settings import SQL_ROOT
from shopferry.verify.accounting import Account, account, list_counting
from shopferry.verify.verification import Verification, verify

ROUTE = Route.load("demo")


class KilledError(Exception):
    """What a test raises where a process would have died."""


class Watched(psycopg.Connection[Any]):
    """A connection with pause points: `before(statement)` is called ahead of each statement, and may raise or wait."""

    before: Callable[[str], None] | None = None

    def execute(self, query: Any, *args: Any, **kwargs: Any) -> psycopg.Cursor[Any]:
        """As psycopg's, after the pause point."""
        if self.before is not None:
            text = query.decode() if isinstance(query, bytes) else query if isinstance(query, str) else ""
            self.before(text)
        return super().execute(query, *args, **kwargs)


def connect(dsn: str) -> Watched:
    """A connection as the engine makes them (shopferry.db.connect), with pause points."""
    # A slot shows only what is flushed, and the tests' cluster is in no hurry to flush.
    return Watched.connect(dsn, autocommit=True, prepare_threshold=NEVER_BY_ITSELF, options="-c synchronous_commit=on")


def read_dsn(conn: Connection) -> str:
    """The DSN of another connection to the same database."""
    return make_conninfo(**conn.info.get_parameters(), password=conn.info.password)


@contextmanager
def other_flow(dsn: str) -> Iterator[Watched]:
    """A connection to legacy whose writes are those of the flow in the other direction."""
    origin = "shopferry_demo_reverse_99"  # no flow of a test beside it gets as far
    with connect(dsn) as conn:
        conn.execute("SELECT pg_replication_origin_create(%s)", (origin,))
        try:
            conn.execute("SELECT pg_replication_origin_session_setup(%s)", (origin,))
            yield conn
        finally:
            conn.execute("SELECT pg_replication_origin_session_reset()")
            conn.execute("SELECT pg_replication_origin_drop(%s)", (origin,))


def prepare(legacy_dsn: str, shop_dsn: str, fill: Callable[[Connection], object]) -> None:
    """Make two databases a pair: the demo's tables on both sides, legacy filled, the ferry installed."""
    with connect(legacy_dsn) as legacy, connect(shop_dsn) as shop:
        legacy.execute((SQL_ROOT / "demo" / "legacy.sql").read_bytes())
        shop.execute((SQL_ROOT / "demo" / "shop.sql").read_bytes())
        fill(legacy)
        installation.install(legacy, shop, ROUTE)
        # The shops of these tests have a handful of rows; without this they could not be cut into chunks.
        shop.execute("ALTER TABLE ferry.phase DROP CONSTRAINT phase_chunk_size_is_sane")


@dataclass
class Pair:
    """Two stores, the tap on the first one's log, and a consumer's position in what came out of it."""

    legacy: Watched
    shop: Watched
    log: Log = field(default_factory=Log)
    route: Route = ROUTE
    names: str = (
        ""  # of another route than the demo's: a SELECT of (id, what it stands for), for ids that runs give differently
    )

    @classmethod
    def open(cls, legacy_dsn: str, shop_dsn: str, route: Route = ROUTE) -> Pair:
        """Connect to two prepared databases and tap legacy's log."""
        pair = cls(connect(legacy_dsn), connect(shop_dsn), route=route)
        pair.open_tap()
        return pair

    def close(self) -> None:
        """Let both stores go."""
        self.legacy.close()
        self.shop.close()

    @cached_property
    def tap(self) -> Tap:
        """The tap on legacy's log."""
        return Tap(self.legacy, self.route.publication, "tap_" + self.legacy.info.dbname, self.route.name)

    def open_tap(self) -> None:
        """Tap legacy's log: from now on nothing is missed."""
        self.tap.open()

    def close_tap(self, legacy: Connection) -> None:
        """Drop the tap's slot by a connection to legacy, and forget what came out of it."""
        legacy.execute(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s",
            (self.tap.slot,),
        )
        del self.tap
        self.log = Log()

    def renew(self, legacy_dsn: str, shop_dsn: str) -> bool:
        """Make both sessions as good as new; whether they are the same ones, and not new ones in place of closed ones.

        What the shop's session has staged stays, since to stage it is what costs most.
        """
        for conn in (self.legacy, self.shop):
            conn.before = None
            if not conn.closed:
                with suppress(psycopg.OperationalError):  # killed by the test
                    conn.execute("RESET SESSION AUTHORIZATION")
                    conn.execute("RESET ALL")
        if self.legacy.closed or self.shop.closed:
            self.close()
            self.legacy, self.shop = connect(legacy_dsn), connect(shop_dsn)
            return False
        return True

    @cached_property
    def stores(self) -> Stores:
        """What the backfill works on."""
        return Stores(self.legacy, self.shop, self.route)

    @cached_property
    def consumer(self) -> Replay:
        """The replay of one consumer's life."""
        return Replay(self.shop, self.legacy, self.route)

    # -- the stream ------------------------------------------------------------------------------------------------

    def capture(self) -> int:
        """Have the connector bring what legacy committed since into the log; returns the number of events."""
        return self.log.append(self.tap.read())

    def pending(self, shop: Connection | None = None) -> dict[Partition, int]:
        """How many messages of each partition are not applied; read by another connection."""
        stored = offsets.load(shop or self.shop, self.route.name)
        left = {p: len(held) - stored.get(p, 0) for p, held in self.log.partitions.items()}
        return {p: n for p, n in sorted(left.items()) if n > 0}

    def batch(
        self, take: dict[Partition, int], shop: Connection | None = None
    ) -> tuple[list[Change], dict[Partition, tuple[int, int]]]:
        """The next messages of some partitions, decoded, with the steps that applying them makes; read by another connection."""
        shop = shop or self.shop
        captured = frozenset(self.consumer.tables)
        stored = offsets.load(shop, self.route.name)
        changes, steps = [], {}
        for partition, count in take.items():
            at = stored.get(partition, 0)
            for held in self.log.partitions[partition][at : at + count]:
                change = decode(held, captured, self.route.captured_schema)
                if change is not None:
                    changes.append(change)
            with shop.transaction():
                offsets.begin(shop, self.route.name, partition, 0)
            steps[partition] = (at, min(at + count, len(self.log.partitions[partition])))
        return changes, steps

    def replay(self, take: dict[Partition, int] | None = None, *, ahead: bool = False) -> Applied:
        """Apply the next messages of some partitions, or all there are, in one batch, which may run ahead."""
        return self.consumer.apply(*self.batch(self.pending() if take is None else take), ahead=ahead)

    @cached_property
    def noted(self) -> NotedKeys:
        """The keys that batches which ran ahead have noted."""
        return NotedKeys(self.shop, self.route, self.consumer.installed)

    def merge_noted(self) -> None:
        """Merge all that batches have noted."""
        while self.noted.merge([]):
            pass

    def sync(self) -> None:
        """Capture and apply everything that legacy has committed."""
        self.capture()
        self.replay()

    # -- the phases ------------------------------------------------------------------------------------------------

    def start(self, phase: str, chunk_size: int = 10_000) -> None:
        """Begin a phase and plan its copy."""
        with self.shop.transaction():
            phases.require_start(self.shop, self.route.name, phase)
            phases.configure(
                self.shop, self.route.name, phase, chunk_size=chunk_size, rows_per_second=None, sample=None
            )
            phases.move(self.shop, self.route.name, phase, State.COPYING)
        backfill.plan_copy(self.stores, phase)

    def copy(self, phase: str) -> None:
        """Copy all chunks that are left."""
        while backfill.copy_next(self.stores, phase, "test"):
            pass

    def merge(self, phase: str) -> None:
        """Go live and merge everything."""
        merge_chunks.begin_merge(self.stores, phase)
        backfill.standardize(self.stores, phase)
        while not merge_chunks.is_merged(self.stores, phase):
            merge_chunks.merge_next(self.stores, phase, "test")

    def finish(self, phase: str) -> None:
        """Catch up and declare the phase verified, so that the next may start."""
        self.sync()
        with self.shop.transaction():
            phases.move(self.shop, self.route.name, phase, State.IN_SYNC)
            phases.move(self.shop, self.route.name, phase, State.VERIFIED)

    def pass_phases(self, names: Iterable[str] | None = None) -> None:
        """Bring whole phases through, all unless some are named, one after the other."""
        for phase in self.route.phases if names is None else names:
            self.start(phase)
            self.copy(phase)
            self.merge(phase)
            self.finish(phase)

    def state(self, phase: str) -> State:
        """Where a phase is."""
        return State(phases.load(self.shop, self.route.name, phase).state)

    def live(self) -> list[str]:
        """The phases that the stream merges."""
        return [p.phase for p in phases.load_all(self.shop, self.route.name) if State(p.state).live]

    def verify(self, phase: str) -> Verification:
        """The engine's own verification."""
        return verify(self.legacy, self.shop, self.route, phase, self.sync)

    def accounts(self, phase: str) -> dict[str, Account]:
        """The engine's own accounts, by table."""
        return {a.table: a for a in (account(self.shop, m) for m in list_counting(self.route, phase))}

    # -- looking ---------------------------------------------------------------------------------------------------

    def write(self, *statements: str) -> None:
        """One transaction in legacy."""
        with self.legacy.transaction():
            for statement in statements:
                self.legacy.execute(statement.encode())

    def ask(self, query: str, *args: object) -> list[tuple[Any, ...]]:
        """Rows of the new shop's database."""
        return self.shop.execute(query.encode(), args or None).fetchall()

    def one(self, query: str, *args: object) -> Any:
        """The one value of the one row; None when there is no row."""
        row = self.shop.execute(query.encode(), args or None).fetchone()
        return row[0] if row else None

    def quarantine(self, entity: str) -> dict[str, list[str]]:
        """Reasons by row of one entity."""
        return dict(self.ask("SELECT row_key, reasons FROM ferry.quarantine WHERE entity = %s", entity))

    # -- what must hold --------------------------------------------------------------------------------------------

    def mirrored(self, table: str) -> tuple[list[Any], list[Any]]:
        """A captured table as legacy has it and as the mirror has it, captured columns only."""
        names = SQL(", ").join(map(Identifier, mirror.load(self.shop)[table].names))
        query = SQL("SELECT ROW({})::text FROM {} ORDER BY 1")
        theirs = self.legacy.execute(query.format(names, Identifier(self.route.captured_schema, table))).fetchall()
        ours = self.shop.execute(query.format(names, Identifier(self.route.schema, table))).fetchall()
        return theirs, ours

    def exported(self, live: Sequence[str]) -> dict[str, list[str]]:
        """Everything the live phases hold in the shop, with surrogate keys replaced by what they stand for."""
        if self.names:
            return self._exported_by_names(live)
        found = {}
        for phase in live:
            for unit in self.route.of(phase):
                if not isinstance(unit, IdentityMapping):
                    found[unit.entity] = self._exported(unit.entity)
        entities = list(found)
        found["identity"] = self._texts(
            """SELECT cluster || ': ' || string_agg(legacy_key::text, ',' ORDER BY legacy_key)
               FROM ferry.identity GROUP BY entity, cluster, shop_key"""
        )
        named = """SELECT entity || ' ' ||
                          CASE WHEN entity IN ('shop.customer_credential', 'shop.communication_preference')
                               THEN coalesce((SELECT min(legacy_key)::text FROM ferry.identity
                                              WHERE shop_key::text = split_part(row_key, '/', 1)), '?')
                               || '/' || split_part(row_key, '/', 2)
                               ELSE row_key END || ' ' ||
                          CASE WHEN entity IN ('shop.customer', 'shop.consent', 'shop.customer_credential',
                                               'shop.communication_preference')
                               THEN coalesce((SELECT min(legacy_key)::text FROM ferry.identity
                                              WHERE shop_key::text = key), '?')
                               ELSE key END || ' ' || {} FROM ferry.{} WHERE entity = ANY(%s)"""
        found["quarantine"] = self._texts(
            named.format("reasons::text || coalesce(sqlstate, '') || coalesce(constraint_name, '')", "quarantine"),
            entities,
        )
        found["left_out"] = self._texts(named.format("reason", "left_out"), entities)
        return found

    def _exported(self, entity: str) -> list[str]:
        columns = [
            r[0]
            for r in self.ask(
                "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum", entity
            )
        ]
        surrogate = {"shop.customer", "shop.customer_address", "shop.consent", "shop.loyalty_entry"}
        parts = []
        for column in columns:
            if column == "customer_id":
                parts.append(
                    "(SELECT 'leader ' || c.legacy_customer_id FROM shop.customer c WHERE c.id = t.customer_id)"
                )
            elif column != "id" or entity not in surrogate:
                parts.append(f"t.{column}")
        return self._texts(f"SELECT ROW({', '.join(parts)})::text FROM {entity} t")

    def _exported_by_names(self, live: Sequence[str]) -> dict[str, list[str]]:
        """The columns that mappings yield, and what is held, with each id replaced by what it stands for."""
        self.consumer.merger.stage(self.route.units)
        names = dict(self.ask(self.names))
        units = [u for phase in live for u in self.route.of(phase) if not isinstance(u, IdentityMapping)]
        asked = {
            u.entity: "SELECT ROW({})::text FROM {}".format(
                ", ".join(f'"{c}"' for c in load_columns(self.shop, f"pg_temp.yielded_{u.slug}") if c not in RESERVED),
                ".".join(f'"{part}"' for part in u.entity.split(".")),
            )
            for u in units
        }
        held = "SELECT entity || ' ' || row_key || ' ' || key || ' ' || {} FROM ferry.{} WHERE entity = ANY(%s)"
        entities = list(asked)
        found = {e: self._texts(query) for e, query in asked.items()}
        found["quarantine"] = self._texts(
            held.format("reasons::text || coalesce(sqlstate, '')", "quarantine"), entities
        )
        found["left_out"] = self._texts(held.format("reason", "left_out"), entities)
        made = re.compile(r"(?:[a-z]+_)?[0-9]{10}[0-9A-F]{16}")
        return {
            what: sorted(made.sub(lambda m: names.get(m[0], m[0]), row) for row in rows) for what, rows in found.items()
        }

    def _texts(self, query: str, *args: object) -> list[str]:
        return sorted(str(r[0]) for r in self.ask(query, *args))

    def exported_from_scratch(self, live: Sequence[str]) -> dict[str, list[str]]:
        """What `exported` would be, were everything merged just now from the mirror as it stands. Leaves no trace."""
        merger = self.consumer.merger
        merger.stage(self.route.units)
        with self.shop.transaction(force_rollback=True):
            self.empty_shop()
            for phase in live:
                backfill.standardize(self.stores, phase)
                for unit in self.route.of(phase):
                    merger.merge(unit, select_keys_between(unit, None, None), disjoint=False)
            return self.exported(live)

    def empty_shop(self) -> None:
        """Take everything out of the shop that mappings have put there, and forget who is who."""
        self.shop.execute("SET LOCAL shopferry.writer = 'ferry'")
        for unit in reversed(self.route.mappings):
            self.shop.execute(SQL("DELETE FROM {}").format(Identifier(*unit.entity.split("."))))
        for table in ("identity", "quarantine", "left_out", "standardized"):
            self.shop.execute(f"DELETE FROM ferry.{table}".encode())

    def check(self) -> None:
        """Invariants 1 to 4, at a moment when everything legacy committed is applied."""
        assert self.pending() == {}
        live = self.live()
        for table in sorted({t for phase in live for t in self.route.tables_of(phase)}):
            theirs, ours = self.mirrored(table)
            assert ours == theirs, f"mirror of {table}"
        here, there = self.exported(live), self.exported_from_scratch(live)
        for what in here:
            ours, theirs = set(here[what]) - set(there[what]), set(there[what]) - set(here[what])
            assert here[what] == there[what], f"{what}: by replay alone {ours}, from scratch alone {theirs}"
        for phase in live:
            for entry in self.accounts(phase).values():
                assert entry.unaccounted == 0, entry
                (rows,) = self.legacy.execute(f"SELECT count(*) FROM {entry.table}".encode()).fetchone() or (None,)
                total = entry.migrated + entry.quarantined + sum(entry.left_out.values())
                assert rows == entry.legacy_rows == total, entry
        stored = offsets.load(self.shop, self.route.name)
        assert {p: n for p, n in stored.items() if n} == {p: len(m) for p, m in self.log.partitions.items() if m}
        for phase in live:
            outcome = self.verify(phase)
            assert outcome.clean, outcome.differences


@contextmanager
def open_more(legacy_dsn: str, shop_dsn: str) -> Iterator[Stores]:
    """Stores on two more connections."""
    with connect(legacy_dsn) as legacy, connect(shop_dsn) as shop:
        yield Stores(legacy, shop, ROUTE)


@dataclass
class Late:
    """A chunk on connections of its own that is read now and loaded when `load` is called: the slowest of workers."""

    open: Callable[[], AbstractContextManager[Stores]]
    phase: str
    span: Span = chunks.EVERYTHING
    _read: threading.Event = field(default_factory=threading.Event)
    _go: threading.Event = field(default_factory=threading.Event)
    _failed: list[BaseException] = field(default_factory=list)
    _die: bool = False
    _thread: threading.Thread | None = None

    def read(self) -> None:
        """Read the chunk and stop before loading it; nothing happens when there is no chunk to claim."""
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()
        self._read.wait()

    def load(self, *, die: bool = False) -> None:
        """Load what was read and commit; or die with it."""
        self._die = die
        self._go.set()
        assert self._thread
        self._thread.join()
        if self._failed:
            raise self._failed[0]

    def _work(self) -> None:
        def relay_late(source: Connection, out: Composed, target: Connection, into: Composed) -> int:
            if target is not mine:
                return relay(source, out, target, into)
            with source.cursor().copy(out) as found:
                rows = b"".join(found)
            self._read.set()
            self._go.wait()
            if self._die:
                raise KilledError
            with target.cursor() as cursor:
                with cursor.copy(into) as copy:
                    copy.write(rows)
                return cursor.rowcount

        try:
            with self.open() as stores, patch.object(backfill, "relay", relay_late):
                mine = stores.target
                backfill.copy_next(stores, self.phase, "late", self.span)
        except KilledError:
            pass
        except BaseException as error:
            self._failed.append(error)
        finally:
            self._read.set()
