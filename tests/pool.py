"""Pairs of databases that tests borrow and give back: restored by what changed in them, and checked that nothing is left.

Two `CREATE DATABASE`, a slot and some fifteen staged units cost a test half a second of processor time, a restored pair a tenth
of that. What a test writes into tables and sequences is put back. What it leaves elsewhere (an altered schema, a slot, a
session, an advisory lock, rows in a temp table) is not put back: the pair is thrown away and the test fails. A test that means
to alter schemas is marked `fresh` and gets databases of its own; `SHOPFERRY_POOL=off` gives them to all tests.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import psycopg
from pair import ROUTE, Pair, connect
from psycopg.sql import SQL, Identifier, Literal
from shopferry.cdc.replay import Replay
from shopferry.db import Connection
from shopferry.engine.pair import Stores

ON = os.environ.get("SHOPFERRY_POOL", "on") != "off"
_GOING_S = 10  # a session that its client has closed may need this long to be gone from a busy server

# Every object of ours with the hash of its definition: (catalogue, object, part of it, hash). What VACUUM and ANALYZE note in
# the catalogue, and temp tables, are no definitions.
_SHAPE = """
WITH n AS MATERIALIZED (
    SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), c AS MATERIALIZED (SELECT * FROM pg_class WHERE relnamespace IN (SELECT oid FROM n))
SELECT 'pg_namespace'::regclass::oid, x.oid, 0, hashtext(x::text) FROM pg_namespace x JOIN n USING (oid)
UNION ALL SELECT 'pg_class'::regclass, c.oid, 0, hashtext(ROW(relname, relnamespace, relowner, relkind, relpersistence,
    relacl, reloptions, relrowsecurity, relforcerowsecurity, relreplident)::text) FROM c
UNION ALL SELECT 'pg_class'::regclass, attrelid, attnum, hashtext(ROW(attname, atttypid, atttypmod, attnotnull, attidentity,
    attgenerated, attacl, attoptions, attcollation, attisdropped)::text)
    FROM pg_attribute WHERE attrelid IN (SELECT oid FROM c) AND attnum > 0
UNION ALL SELECT 'pg_attrdef'::regclass, oid, 0, hashtext(x::text)
    FROM pg_attrdef x WHERE adrelid IN (SELECT oid FROM c)
UNION ALL SELECT 'pg_constraint'::regclass, oid, 0, hashtext(x::text)
    FROM pg_constraint x WHERE connamespace IN (SELECT oid FROM n)
UNION ALL SELECT 'pg_class'::regclass, indexrelid, 0, hashtext(ROW(indrelid, indisvalid, indisready, indisunique)::text)
    FROM pg_index WHERE indrelid IN (SELECT oid FROM c)
UNION ALL SELECT 'pg_trigger'::regclass, oid, 0, hashtext(x::text)
    FROM pg_trigger x WHERE tgrelid IN (SELECT oid FROM c)
UNION ALL SELECT 'pg_rewrite'::regclass, oid, 0, hashtext(x::text)
    FROM pg_rewrite x WHERE ev_class IN (SELECT oid FROM c)
UNION ALL SELECT 'pg_policy'::regclass, oid, 0, hashtext(x::text) FROM pg_policy x
UNION ALL SELECT 'pg_proc'::regclass, oid, 0, hashtext(x::text)
    FROM pg_proc x WHERE pronamespace IN (SELECT oid FROM n)
UNION ALL SELECT 'pg_type'::regclass, oid, 0, hashtext(x::text)
    FROM pg_type x WHERE typnamespace IN (SELECT oid FROM n)
UNION ALL SELECT 'pg_class'::regclass, seqrelid, 0, hashtext(x::text) FROM pg_sequence x
UNION ALL SELECT 'pg_publication'::regclass, oid, 0, hashtext(x::text) FROM pg_publication x
UNION ALL SELECT 'pg_publication_rel'::regclass, oid, 0, hashtext(x::text) FROM pg_publication_rel x
UNION ALL SELECT 'pg_publication_namespace'::regclass, oid, 0, hashtext(x::text) FROM pg_publication_namespace x
UNION ALL SELECT 'pg_subscription'::regclass, oid, 0, hashtext(subname::text) FROM pg_subscription
UNION ALL SELECT 'pg_extension'::regclass, oid, 0, hashtext(x::text) FROM pg_extension x
UNION ALL SELECT 'pg_event_trigger'::regclass, oid, 0, hashtext(x::text) FROM pg_event_trigger x
UNION ALL SELECT 'pg_default_acl'::regclass, oid, 0, hashtext(x::text) FROM pg_default_acl x
UNION ALL SELECT classoid, objoid, objsubid, hashtext(description)
    FROM pg_description WHERE objoid IN (SELECT oid FROM c)
UNION ALL SELECT 'pg_database'::regclass, setdatabase, 0, hashtext(x::text) FROM pg_db_role_setting x
    WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
"""
_SHAPE_SUM = f"SELECT count(*), sum(hashtextextended(s::text, 0)) FROM ({_SHAPE}) AS s (a, b, c, d)"
# What all databases of the server share: the next test need not be the one to blame, so it is looked at before and after each.
_SERVER = """
SELECT 'role ' || rolname FROM pg_roles UNION ALL SELECT 'setting ' || line
FROM regexp_split_to_table(pg_read_file('postgresql.auto.conf'), '\n') AS line ORDER BY 1
"""
_TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1, 2
"""
_SEQUENCES = """
SELECT c.oid, pg_sequence_last_value(c.oid), s.seqstart FROM pg_class c JOIN pg_sequence s ON s.seqrelid = c.oid
"""
_ELSEWHERE = """
SELECT 'a session (' || coalesce(nullif(application_name, ''), 'without a name') || '): ' || state || ' ' || left(query, 80)
FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> ALL(%(own)s)
UNION ALL SELECT 'an advisory lock' FROM pg_locks
WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND pid = ANY(%(own)s) -- of another session it goes with that
UNION ALL SELECT 'the slot ' || slot_name FROM pg_replication_slots WHERE database = current_database()
UNION ALL SELECT 'a prepared transaction' FROM pg_prepared_xacts WHERE database = current_database()
UNION ALL SELECT 'a large object' FROM pg_largeobject_metadata
"""


@dataclass
class Database:
    """One database of a pool and a picture of it as it was when it was made."""

    dsn: str
    keeper: Connection  # restores and looks; no test gets it
    shape: tuple[object, ...] = ()
    objects: dict[tuple[int, int, int], list[int]] = field(default_factory=dict)
    tables: list[tuple[str, str]] = field(default_factory=list)
    rows: dict[tuple[str, str], tuple[int, int]] = field(
        default_factory=dict
    )  # how many, and the youngest's transaction
    held: dict[tuple[str, str], bytes] = field(default_factory=dict)  # of tables with rows, as COPY has them
    sequences: dict[int, int | None] = field(default_factory=dict)

    @classmethod
    def picture(cls, dsn: str) -> Database:
        """Connect and remember what is in it."""
        made = cls(dsn, psycopg.connect(dsn, autocommit=True, application_name="keeper"))
        keeper = made.keeper
        # The keeper writes what nobody may: fenced tables, children before their parents; and nobody is to be told.
        keeper.execute("SET session_replication_role = replica; SET shopferry.writer = 'ferry'")
        made.shape, made.objects = made._shape(), made._objects()
        made.tables = keeper.execute(_TABLES).fetchall()
        made.rows = made._rows()
        for table, (count, _) in made.rows.items():
            if count:
                with keeper.cursor().copy(SQL("COPY {} TO STDOUT (FORMAT binary)").format(Identifier(*table))) as out:
                    made.held[table] = b"".join(bytes(part) for part in out)
        made.sequences = {oid: last for oid, last, _ in keeper.execute(_SEQUENCES).fetchall()}
        return made

    def restore(self, own: list[int]) -> list[str]:
        """Put rows and sequences back; returns what is left elsewhere. `own` are the sessions that stay."""
        if left := self._elsewhere([*own, self.keeper.info.backend_pid]):
            return left
        if self._shape() != self.shape:
            return self._altered()
        changed = [t for t, seen in self._rows().items() if seen != self.rows[t]]
        with self.keeper.transaction():
            for table in changed:
                self.keeper.execute(SQL("DELETE FROM {}").format(Identifier(*table)))
                if rows := self.held.get(table):
                    into = SQL("COPY {} FROM STDIN (FORMAT binary)").format(Identifier(*table))
                    with self.keeper.cursor().copy(into) as copy:
                        copy.write(rows)
            for oid, last, start in self.keeper.execute(_SEQUENCES).fetchall():
                if last != (was := self.sequences[oid]):
                    self.keeper.execute(
                        "SELECT setval(%s, %s, %s)", (oid, start if was is None else was, was is not None)
                    )
        if not changed:
            return []
        self.keeper.execute(SQL("VACUUM {}").format(SQL(", ").join(Identifier(*t) for t in changed)))
        now = self._rows()
        wrong = [".".join(t) for t in self.tables if now[t][0] != self.rows[t][0]]
        self.rows = now
        return [f"rows in {name} that come back" for name in wrong]

    def server(self) -> list[tuple[str]]:
        """What all databases of the server share."""
        return self.keeper.execute(_SERVER.encode()).fetchall()

    def _rows(self) -> dict[tuple[str, str], tuple[int, int]]:
        # Whoever inserts or updates a row is its xmin, and transactions are counted upwards: no need to read the rows.
        parts = [
            SQL("SELECT {}, count(*), coalesce(max(xmin::text::bigint), 0) FROM {}").format(
                Literal(n), Identifier(*table)
            )
            for n, table in enumerate(self.tables)
        ]
        found = self.keeper.execute(SQL(" UNION ALL ").join(parts), prepare=True).fetchall()
        return {self.tables[n]: (count, youngest) for n, count, youngest in found}

    def _shape(self) -> tuple[object, ...]:
        [row] = self.keeper.execute(_SHAPE_SUM.encode(), prepare=True).fetchall()
        return tuple(row)

    def _objects(self) -> dict[tuple[int, int, int], list[int]]:
        found: dict[tuple[int, int, int], list[int]] = defaultdict(list)
        for catalogue, oid, part, value in self.keeper.execute(_SHAPE.encode()).fetchall():
            found[catalogue, oid, part].append(value)
        return {name: sorted(values) for name, values in found.items()}

    def _altered(self) -> list[str]:
        now = self._objects()
        named = "SELECT coalesce(pg_describe_object(%s, %s, %s), 'settings or something that is gone')"
        differing = [k for k in now.keys() | self.objects.keys() if now.get(k) != self.objects.get(k)]
        return [f"altered: {self.keeper.execute(named, key).fetchall()[0][0]}" for key in sorted(differing)[:5]]

    def _elsewhere(self, own: list[int]) -> list[str]:
        until = time.monotonic() + _GOING_S
        while left := [text for (text,) in self.keeper.execute(_ELSEWHERE, {"own": own}).fetchall()]:
            if time.monotonic() > until or not all(text.startswith("a session") for text in left):
                return left
            time.sleep(0.02)
        return []


@dataclass
class _Lent:
    """A pair, its databases, and what of it stays from test to test beside them.

    Each test gets a new `Pair`, so that none meets what another has put into the object. Of the sessions stay the temp
    tables of all units, which `temporary` describes, and whoever has their statements.
    """

    pair: Pair
    databases: tuple[Database, Database]
    stores: Stores
    consumer: Replay
    temporary: list[tuple[object, ...]]
    server: list[tuple[str]] = field(default_factory=list)  # when it was lent

    @classmethod
    def of(cls, pair: Pair, databases: tuple[Database, Database]) -> _Lent:
        """Stage all units, so that no test makes their temp tables in another shape."""
        for merger in (pair.stores.merger, pair.consumer.merger):
            merger.stage(ROUTE.units)
        return cls(pair, databases, pair.stores, pair.consumer, _list_temporary(pair.shop))

    def again(self) -> _Lent:
        """The same for the next test."""
        pair = Pair(self.pair.legacy, self.pair.shop)
        pair.__dict__ |= {"stores": self.stores, "consumer": self.consumer}
        return replace(self, pair=pair)


@dataclass
class Pool:
    """Pairs by the templates that they are copies of: `lend`, then `take_back`."""

    create: Callable[[str, str], str]  # (prefix, template) -> DSN of a new database
    drop: Callable[[str], None]  # by its name
    free: dict[tuple[str, str], list[_Lent]] = field(default_factory=lambda: defaultdict(list))
    lent: dict[int, tuple[tuple[str, str], _Lent]] = field(default_factory=dict)

    def lend(self, legacy: str, shop: str) -> Pair:
        """A copy of these two templates with a slot of its own, as if it had just been made."""
        key = legacy, shop
        one = self.free[key].pop() if self.free[key] else self._make(legacy, shop)
        self.lent[id(one.pair)] = key, replace(one, server=one.databases[0].server())
        one.pair.open_tap()
        return one.pair

    def take_back(self, pair: Pair) -> list[str]:
        """Restore a pair for the next test; returns what the test has left in it, in which case it is thrown away."""
        key, one = self.lent.pop(id(pair))
        left = self._left(one)
        if left:
            self._throw_away(one)
        elif one.stores.target is pair.shop:
            self.free[key].append(one.again())
        else:  # the test has closed a session, or had it killed
            self.free[key].append(_Lent.of(Pair(pair.legacy, pair.shop), one.databases))
        return left

    def close(self) -> None:
        """Let all databases go; they are dropped with their server."""
        for lent in self.free.values():
            for one in lent:
                one.pair.close()
                for database in one.databases:
                    database.keeper.close()

    def _make(self, legacy: str, shop: str) -> _Lent:
        dsns = self.create("pooled_legacy", legacy), self.create("pooled_shop", shop)
        databases = Database.picture(dsns[0]), Database.picture(dsns[1])
        return _Lent.of(Pair(connect(dsns[0]), connect(dsns[1])), databases)

    def _left(self, one: _Lent) -> list[str]:
        pair, (legacy, shop) = one.pair, one.databases
        left = [f"an open transaction in {c.info.dbname}" for c in (pair.legacy, pair.shop) if _is_busy(c)]
        if left:
            return left
        pair.close_tap(legacy.keeper)
        same = pair.renew(legacy.dsn, shop.dsn)
        own = [pair.legacy.info.backend_pid, pair.shop.info.backend_pid]
        left = [f"{name} of the server" for (name,) in sorted(set(one.server) ^ set(legacy.server()))]
        left += legacy.restore(own) + shop.restore(own)
        return left + _find_temporary(pair.shop, one.temporary) if same else left

    def _throw_away(self, one: _Lent) -> None:
        one.pair.close()
        for database in one.databases:
            database.keeper.close()
            self.drop(database.dsn.rpartition("/")[2])


def _is_busy(conn: Connection) -> bool:
    return not conn.closed and conn.info.transaction_status is not psycopg.pq.TransactionStatus.IDLE


def _list_temporary(conn: Connection) -> list[tuple[object, ...]]:
    """The session's temp tables with their columns, and its functions."""
    return conn.execute(
        """SELECT c.relname, array_agg(a.attname || ' ' || a.atttypid::regtype ORDER BY a.attnum)
           FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
           WHERE c.relnamespace = pg_my_temp_schema() GROUP BY c.oid
           UNION ALL SELECT proname, NULL FROM pg_proc WHERE pronamespace = pg_my_temp_schema() ORDER BY 1"""
    ).fetchall()


def _find_temporary(conn: Connection, staged: list[tuple[object, ...]]) -> list[str]:
    """What of the session is no temp table of a staged unit, and which of these hold rows: between transactions none does."""
    now = _list_temporary(conn)
    if now != staged:
        names = sorted({str(name) for name, *_ in now} ^ {str(name) for name, *_ in staged})
        return [f"temporary: {', '.join(names) or 'other columns'}"]
    filled = """SELECT relname FROM pg_class
                WHERE relnamespace = pg_my_temp_schema() AND relkind = 'r' AND pg_relation_size(oid) > 0"""
    names = [name for (name,) in conn.execute(filled.encode()).fetchall()]
    if not names:
        return []
    asked = [SQL("SELECT {} WHERE EXISTS (SELECT FROM {})").format(Literal(n), Identifier("pg_temp", n)) for n in names]
    return [f"rows in the temp table {name}" for (name,) in conn.execute(SQL(" UNION ALL ").join(asked)).fetchall()]
