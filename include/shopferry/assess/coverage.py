"""What the route takes of legacy: tables and columns it can follow, and those with data that no one has decided about yet."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row
from psycopg.sql import SQL, Identifier

from shopferry.assess.findings import Finding, Severity
from shopferry.assess.rights import LEGACY
from shopferry.control import routes, schema
from shopferry.db import Connection
from shopferry.engine import captured, mirror, trial
from shopferry.engine.mirror import MirrorTable
from shopferry.errors import ShopferryError
from shopferry.route import signed_off
from shopferry.route.identifiers import write_name
from shopferry.route.route import Route

_NAMED = 5
_NOT_THEIRS = ["information_schema", "shopferry", "ferry", "mirror", "legacy"]  # PostgreSQL's own schemas, and ours
LARGE = {"oid", "lo"}
FIRST = 100_000  # rows looked at where all would take too long
_SETTLED = "a column nobody has decided about does not arrive, and is gone with the legacy store"


def reflect_mapped(legacy: Connection, route: Route) -> tuple[dict[str, MirrorTable], list[Finding]]:
    """Read the mapped tables with all their columns, and find what is wrong with those that cannot be followed."""
    try:
        return mirror.reflect(legacy, route.tables, route.schema, route.captured_schema), []
    except ShopferryError:
        pass  # which of them is the trouble, one by one
    full: dict[str, MirrorTable] = {}
    found = []
    for wanted in route.tables:
        try:
            full |= mirror.reflect(legacy, [wanted], route.schema, route.captured_schema)
        except ShopferryError as error:
            text, _, remedy = str(error).partition(": ")
            found.append(
                Finding(
                    LEGACY,
                    Severity.BLOCKING,
                    text,
                    "its rows can be neither copied nor followed",
                    remedy or "see before",
                )
            )
    return full, found


def cut_to_captured(shop: Connection, route: Route, full: Mapping[str, MirrorTable]) -> dict[str, MirrorTable]:
    """Return the same tables with the columns that the mappings read, and try what will be done with them.

    The new shop is as it was afterwards. Raises MappingError for a mapping that does not run or whose rows the new shop cannot
    take, ConfigError for a table that the mirror cannot hold, psycopg.errors.InsufficientPrivilege without the right to try.
    """
    if routes.is_current(shop, route.name, route.fingerprint):
        return mirror.load(shop)
    with shop.transaction(force_rollback=True):
        shop.execute("SET TRANSACTION READ WRITE")
        routes.pause(shop, route.name)
        schema.install_control(shop)
        kept = captured.cut_to_read(shop, route, full)
        trial.try_merge(shop, route, kept)
        return kept


@dataclass(frozen=True)
class _Followed:
    """What the catalogue says of one captured table; `index` holds the columns of its REPLICA IDENTITY index."""

    name: str
    identity: str  # PostgreSQL's letter: default, nothing, full, index
    persistence: str
    index: list[str]
    generated: list[str]  # columns that this server does not publish
    hidden: bool  # a policy hides rows from this role
    deferrable: bool
    children: list[str]  # tables that inherit from it
    leaves: list[str]  # partitions with a REPLICA IDENTITY of their own
    parted: bool


_CATALOGUE = """
SELECT c.relname AS name, c.relreplident AS identity, c.relpersistence AS persistence,
       ARRAY(SELECT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid
             AND a.attnum = ANY(i.indkey) WHERE i.indrelid = c.oid AND i.indisreplident) AS index,
       ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
             AND a.attgenerated = ANY(CASE WHEN %s < 180000 THEN ARRAY['s', 'v'] ELSE ARRAY['v'] END::"char"[])) AS generated,
       row_security_active(c.oid) AS hidden,
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary AND NOT i.indimmediate) AS deferrable,
       ARRAY(SELECT h.inhrelid::regclass::text FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhrelid
             WHERE h.inhparent = c.oid AND NOT p.relispartition ORDER BY 1) AS children,
       ARRAY(SELECT p.relid::regclass::text FROM pg_partition_tree(c.oid) p JOIN pg_class o ON o.oid = p.relid
             WHERE p.isleaf AND o.relreplident <> 'd' ORDER BY 1) AS leaves,
       c.relkind = 'p' AS parted
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY(%s) ORDER BY 1
"""


def find_unfollowed(legacy: Connection, tables: Mapping[str, MirrorTable]) -> Iterator[Finding]:
    """Find what keeps a captured table from being published, and what events do not carry of it."""
    with legacy.cursor(row_factory=class_row(_Followed)) as cursor:
        followed = cursor.execute(_CATALOGUE, (legacy.info.server_version, list(tables))).fetchall()
    for table in followed:
        yield from _check_identity(table, tables[table.name])
        yield from _check_partitions(table)
        yield from _check_rows(table, tables[table.name])
    for name, kept in tables.items():
        for column in kept.columns:
            if not column.carried:
                yield Finding(
                    f"legacy {name}.{column.name}",
                    Severity.NOTE,
                    f"is {column.legacy}, which change events do not carry exactly",
                    "every changed row of the table is read again from legacy: one more query there for each batch",
                    "nothing, where it changes seldom; else a column of a plain type beside it",
                )


def _check_identity(table: _Followed, captured: MirrorTable) -> Iterator[Finding]:
    """Find by what a published table would refuse UPDATE and DELETE, or its events not say which row they are about."""
    subject, names, index = f"legacy table {table.name}", set(captured.names), set(table.index)
    reset = f"ALTER TABLE {table.name} REPLICA IDENTITY DEFAULT"
    if table.identity == "n":
        yield Finding(
            subject,
            Severity.BLOCKING,
            "REPLICA IDENTITY is NOTHING",
            "once it is published, PostgreSQL refuses every UPDATE and DELETE in it",
            reset,
        )
    elif table.identity == "d" and table.deferrable:
        yield Finding(
            subject,
            Severity.BLOCKING,
            "the primary key is DEFERRABLE",
            "PostgreSQL knows no row by it: once the table is published, it refuses every UPDATE and DELETE in it",
            "make the key anew without DEFERRABLE",
        )
    elif table.identity == "i" and not set(captured.key) <= index:
        yield Finding(
            subject,
            Severity.BLOCKING,
            f"REPLICA IDENTITY is an index on {', '.join(table.index)}, without the primary key",
            "events do not say which row was deleted",
            reset,
        )
    elif table.identity == "f" or (table.identity == "i" and not index <= names):
        unread = f"an index on {', '.join(sorted(index - names))}, which no mapping reads"
        yield Finding(
            subject,
            Severity.BLOCKING,
            f"REPLICA IDENTITY is {'FULL' if table.identity == 'f' else unread}",
            "once only mapped columns of it are published, PostgreSQL refuses every UPDATE and DELETE in it",
            reset,
        )


def _check_partitions(table: _Followed) -> Iterator[Finding]:
    subject = f"legacy table {table.name}"
    if table.leaves:
        yield Finding(
            subject,
            Severity.BLOCKING,
            f"partitions have a REPLICA IDENTITY of their own: {', '.join(table.leaves[:_NAMED])}",
            "PostgreSQL may refuse every UPDATE and DELETE there once the table is published",
            "ALTER TABLE … REPLICA IDENTITY DEFAULT for each",
        )
    if table.parted:
        yield Finding(
            subject,
            Severity.WARNING,
            "the table is partitioned",
            "what is done to a partition as such (ATTACH, DETACH, DROP, TRUNCATE) is in no log: rows come or go, the next "
            "verification finds it",
            "nothing of that while the shop moves; else `shopferry verify` and `shopferry repair` after it",
        )
    if table.children:
        yield Finding(
            subject,
            Severity.BLOCKING,
            f"tables inherit from it: {', '.join(table.children[:_NAMED])}",
            "their rows are read with its own, but their changes come under other names, and nothing closes them",
            "make them partitions, or a table of their own",
        )


def _check_rows(table: _Followed, captured: MirrorTable) -> Iterator[Finding]:
    """Find which rows or columns of a table neither copy nor stream would bring."""
    subject = f"legacy table {table.name}"
    if table.persistence == "u":
        yield Finding(
            subject,
            Severity.BLOCKING,
            "the table is UNLOGGED",
            "its changes are in no log, so nobody can follow them",
            f"ALTER TABLE {table.name} SET LOGGED",
        )
    if computed := sorted(set(table.generated) & set(captured.names)):
        yield Finding(
            subject,
            Severity.BLOCKING,
            f"mappings read generated columns: {', '.join(computed)}",
            "this PostgreSQL does not publish them",
            "compute the same in the mapping",
        )
    if table.hidden:
        yield Finding(
            subject,
            Severity.BLOCKING,
            "row level security hides rows from this role",
            "they would be lost, so the copy is refused",
            "let the role bypass it: ALTER ROLE … BYPASSRLS",
        )


def find_unmapped(
    legacy: Connection,
    full: Mapping[str, MirrorTable],
    kept: Mapping[str, MirrorTable],
    settled: Iterable[signed_off.SignedOff],
) -> Iterator[Finding]:
    """Find columns and tables of legacy that hold data, that no mapping reads and no line signs off."""
    lines = tuple(settled)
    for name, table in full.items():
        left = [c for c in table.names if c not in kept[name].names and not any(s.covers(name, c) for s in lines)]
        holding, part = _count_holding(legacy, name, left)
        for column, rows in holding.items():
            yield Finding(
                f"legacy {name}.{column}",
                Severity.BLOCKING,
                f"rows{part} hold data in a column that no mapping reads",
                _SETTLED,
                f"map it, or sign it off: `{write_name(name, column)} -- reason` in the route's {signed_off.FILE}",
                rows,
            )
    yield from _find_unmapped_tables(legacy, full, lines)
    yield from _find_large_objects(legacy, full, lines)


def list_unmapped_tables(legacy: Connection, full: Collection[str]) -> list[tuple[str, str]]:
    """List the tables of legacy beside these, which are mapped: (schema, table), those of `public` first."""
    return legacy.execute(
        """SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname !~ '^pg_' AND n.nspname <> ALL(%s) AND c.relkind IN ('r', 'p', 'm')
           AND NOT c.relispartition AND NOT (n.nspname = 'public' AND c.relname = ANY(%s))
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
           ORDER BY n.nspname <> 'public', 1, 2""",
        (_NOT_THEIRS, list(full)),
    ).fetchall()


def _find_unmapped_tables(
    legacy: Connection, full: Mapping[str, MirrorTable], lines: tuple[signed_off.SignedOff, ...]
) -> Iterator[Finding]:
    for schema_, name in list_unmapped_tables(legacy, full):
        if any(s.covers(name, None, schema_) for s in lines):
            continue
        within = "" if schema_ == "public" else f"{schema_}."
        line = write_name(name) if schema_ == "public" else f"{write_name(schema_, name)}.*"
        try:
            rows, about = _count_rows(legacy, schema_, name)
        except psycopg.errors.InsufficientPrivilege:
            yield Finding(
                f"legacy table {within}{name}",
                Severity.WARNING,
                "no mapping reads it, and neither may this role",
                "whether it holds data is not known",
                f"GRANT SELECT, or sign it off: `{line} -- reason` in the route's {signed_off.FILE}",
            )
            continue
        if rows:
            yield Finding(
                f"legacy table {within}{name}",
                Severity.BLOCKING,
                "rows in a table that no mapping reads",
                "they do not arrive, and are gone with the legacy store",
                f"{'' if schema_ == 'public' else 'move it to schema public and '}map it, or sign it off: `{line} -- reason` "
                f"in the route's {signed_off.FILE}",
                rows,
                about,
            )


def _find_large_objects(
    legacy: Connection, full: Mapping[str, MirrorTable], lines: tuple[signed_off.SignedOff, ...]
) -> Iterator[Finding]:
    """Find mapped tables whose rows name large objects: their contents stand beside the rows, and no stream carries them."""
    [(objects,)] = legacy.execute("SELECT count(*) FROM pg_largeobject_metadata").fetchall()
    if not objects:
        return
    named = 0
    for table, column in ((t, c) for t in full.values() for c in t.columns if c.legacy in LARGE):
        [(rows,)] = legacy.execute(
            SQL("SELECT count(*) FROM {} t JOIN pg_largeobject_metadata m ON m.oid = t.{}::oid").format(
                table.captured, Identifier(column.name)
            )
        ).fetchall()
        named += rows
        if rows and not any(s.covers(table.name, column.name) for s in lines):
            yield Finding(
                f"legacy {table.name}.{column.name}",
                Severity.BLOCKING,
                "rows hold numbers of large objects",
                "their contents stand beside the rows: neither copy nor stream brings them, and verification does not see it",
                "have legacy keep the contents in a bytea column or outside, or sign it off: "
                f"`{write_name(table.name, column.name)} -- reason` in the route's {signed_off.FILE}",
                rows,
            )
    if not named:
        yield Finding(
            LEGACY,
            Severity.WARNING,
            "large objects that no oid column of a mapped table names",
            "neither copy nor stream brings them",
            "know what they are, and carry them by other means where they are needed",
            objects,
        )


def _count_holding(legacy: Connection, table: str, columns: list[str]) -> tuple[dict[str, int], str]:
    """Count the rows that hold data in each of these columns, where there are any; and say of which part they are.

    One scan; where that takes too long, only the first rows are looked at.
    """
    if not columns:
        return {}, ""
    counts = SQL(", ").join(SQL("count(nullif({}::text, ''))").format(Identifier(c)) for c in columns)
    names = SQL(", ").join(map(Identifier, columns))
    for limit, part in ((SQL(""), ""), (SQL(f"LIMIT {FIRST}"), f" of the first {FIRST:,}")):
        query = SQL("SELECT {} FROM (SELECT {} FROM public.{} {}) s").format(counts, names, Identifier(table), limit)
        try:
            row = legacy.execute(query).fetchone() or ()
        except psycopg.errors.QueryCanceled:
            if part:
                raise
            continue
        break
    return {c: n for c, n in zip(columns, row, strict=True) if n}, part


def _count_rows(legacy: Connection, within: str, table: str) -> tuple[int, bool]:
    """Count the rows of a table, or take PostgreSQL's estimate for a large one; returns whether it is an estimate."""
    row = legacy.execute(
        "SELECT c.reltuples FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE (nspname, relname) = (%s, %s)",
        (within, table),
    ).fetchone()
    if row and row[0] > FIRST:
        return int(row[0]), True
    row = legacy.execute(SQL("SELECT count(*) FROM {}").format(Identifier(within, table))).fetchone()
    return (int(row[0]) if row else 0), False
