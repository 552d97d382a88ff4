"""The mirror: captured legacy tables inside the shop's database, kept as they are, with a version and a tombstone.

Base tables live in schema `mirror` (`_lsn` version, `_gone` tombstone, `_generation` of the backfill that the row is
newer than); schema `legacy` has one view for each, showing the live rows only, so that a mapping just reads
`legacy.orders` and can never see a tombstone.
"""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.sql import SQL, Composable, Identifier, Literal
from sqlalchemy.dialects import postgresql

from shopferry import db
from shopferry.control.schema import require_free
from shopferry.db import Connection, blaming
from shopferry.errors import ConfigError, MappingError
from shopferry.keys import name_or_expression
from shopferry.route.entities import Source, Unit, name_changed_table
from shopferry.route.identifiers import shorten_name
from shopferry.route.route import Route

_MODIFIER = re.compile(r"\(.*?\)")

# Types that exist on every server and travel unchanged in binary COPY; all others (enums, domains, extensions) are
# mirrored as text.
_PLAIN = (
    sa.Integer,
    sa.Numeric,
    sa.Float,
    sa.Boolean,
    sa.String,
    sa.Date,
    sa.Time,
    sa.DateTime,
    sa.LargeBinary,
    sa.Uuid,
    postgresql.INTERVAL,
    postgresql.JSON,
    postgresql.JSONB,
    postgresql.INET,
    postgresql.CIDR,
    postgresql.MACADDR,
    postgresql.BIT,
    postgresql.MONEY,
    postgresql.OID,
)


# What change events carry exactly, but for single values (cdc/fidelity.py). All else is read again from legacy.
_CARRIED = frozenset(
    (
        "smallint",
        "integer",
        "bigint",
        "oid",
        "real",
        "double precision",
        "numeric",
        "boolean",
        "text",
        "character varying",
        "character",
        "citext",
        "date",
        "timestamp without time zone",
        "timestamp with time zone",
        "time without time zone",
        "uuid",
        "bytea",
        "json",
        "jsonb",
        "inet",
        "cidr",
        "macaddr",
    )
)

_OWN = ("_lsn", "_gone", "_generation")  # the mirror's columns beside legacy's
_WITHIN = {"legacy": "public", "shop": "shop"}  # of mirrors that were made before it was noted

# Each column's type in legacy: that of a domain is what it is made of, and an enum says that it is one.
_TYPES = """
SELECT c.relname, a.attname, CASE t.typtype WHEN 'e' THEN 'enum ' || format_type(a.atttypid, -1)
       WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) ELSE format_type(a.atttypid, a.atttypmod) END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
WHERE n.nspname = %s AND c.relkind IN ('r', 'p') AND c.relname = ANY(%s)
"""


@dataclass(frozen=True)
class Column:
    """One captured column and its type in the mirror, to which what legacy has is cast; `legacy` is its type there."""

    name: str
    type: str
    legacy: str = ""  # empty where the mirror was made before that was noted

    @property
    def legacy_base(self) -> str:
        """Legacy's type without length, precision and scale."""
        return _MODIFIER.sub("", self.legacy or self.type)

    @property
    def legacy_type(self) -> str:
        """What legacy's own SQL calls the type."""
        return self.legacy.removeprefix("enum ") or self.type

    @property
    def carried(self) -> bool:
        """Whether change events carry ordinary values of this type exactly."""
        return self.legacy_base in _CARRIED or self.legacy.startswith("enum ")

    @property
    def boxed(self) -> bool:
        """Whether an event carries it as a text that says less than PostgreSQL's: hex digits, or JSON inside a string."""
        return self.type.lower() in {"bytea", "json", "jsonb"}

    def unbox(self, value: Composable) -> Composable:
        """Compose the SQL that makes an event's value one of the mirror's type."""
        if self.type.lower() == "bytea":
            return SQL("decode({}, 'hex')").format(value)
        return SQL("{}::{}").format(value, SQL(self.type)) if self.boxed else value


@dataclass(frozen=True)
class MirrorTable:
    """One captured table: key and columns in its store's order.

    `schema` is that of the mirror's view, named for the store; `within` is where the table lies there.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    schema: str = "legacy"
    within: str = "public"

    @property
    def names(self) -> tuple[str, ...]:
        """The captured columns' names."""
        return tuple(c.name for c in self.columns)

    @property
    def base(self) -> Identifier:
        """The base table, tombstones included."""
        return Identifier("mirror", self.name)

    @property
    def relation(self) -> str:
        """The view of its live rows, as mappings name it."""
        return f"{self.schema}.{self.name}"

    @property
    def view(self) -> Identifier:
        """The same as an identifier."""
        return Identifier(self.schema, self.name)

    @property
    def captured(self) -> Identifier:
        """The table itself, in the store that is read."""
        return Identifier(self.within, self.name)

    @property
    def changed(self) -> str:
        """The temp table of before and after images."""
        return name_changed_table(self.relation)


def reflect(
    source: Connection, tables: Iterable[str], schema: str = "legacy", within: str = "public"
) -> dict[str, MirrorTable]:
    """Read the source's catalogue: every column of each table.

    The tables lie in schema `within`; `schema` is that of the mirror's views.

    Raises ConfigError for a table that is missing, has no primary key, or one whose type events do not carry.
    """
    # A connection of its own: SQLAlchemy ends transactions as it likes, and the caller's is the caller's.
    engine = sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: db.open_another(source, "reflect"),
        poolclass=sa.pool.NullPool,
    )
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    wanted = sorted(tables)
    with engine.connect() as connection, warnings.catch_warnings():
        warnings.simplefilter("ignore", sa.exc.SAWarning)  # a type that SQLAlchemy does not know is mirrored as text
        inspector = sa.inspect(connection)
        listed = inspector.get_multi_columns(within, filter_names=wanted)
        keys = inspector.get_multi_pk_constraint(within, filter_names=wanted)
    found = {}
    types = load_types(source, wanted, within)
    for table in wanted:
        if (within, table) not in listed:
            raise ConfigError(
                f"{schema} store has no table {within}.{table}, which the route maps: {_advise_on_missing(source, table, within)}"
            )
        key = tuple(keys[within, table]["constrained_columns"])
        if not key:
            raise ConfigError(f"legacy table {table} has no primary key: add one, chunks and replay need it")
        columns = []
        for column in listed[within, table]:
            kind = _mirrored(column["type"])
            columns.append(
                Column(column["name"], kind.compile(dialect=dialect) if kind else "text", types[table, column["name"]])
            )
        found[table] = MirrorTable(table, key, tuple(columns), schema, within)
        if unfit := [c for c in columns if c.name in key and not c.carried]:
            raise ConfigError(
                f"legacy table {table}: change events do not carry its key {unfit[0].name} ({unfit[0].legacy}) exactly: "
                "give it a primary key of another type"
            )
    return found


def _advise_on_missing(source: Connection, table: str, within: str) -> str:
    elsewhere = source.execute(
        "SELECT quote_ident(nspname) || '.' || quote_ident(relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE relname = %s AND relkind IN ('r', 'p') AND nspname !~ '^pg_' ORDER BY 1",
        (table,),
    ).fetchone()
    if elsewhere:
        return (
            f"{elsewhere[0]} is there, but only tables of schema {within} can be moved: "
            f"ALTER TABLE {elsewhere[0]} SET SCHEMA {within}, and leave its application a view of the old name"
        )
    return "check DSN and route; for tables of another schema, or with capitals, see docs/howto/own-stores.md"


def _mirrored(kind: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any] | None:
    """The type in the mirror; None: as text."""
    if isinstance(kind, postgresql.DOMAIN):
        return _mirrored(kind.data_type)
    if isinstance(kind, sa.ARRAY):
        item = _mirrored(kind.item_type)
        return type(kind)(item) if item and type(item) is type(kind.item_type) else None
    if isinstance(kind, postgresql.MONEY):
        return sa.Numeric()  # money means another amount under another lc_monetary
    if isinstance(kind, sa.String) and kind.collation:  # the new shop may not have it, and no value depends on it
        plain = copy.copy(kind)
        plain.collation = None
        kind = plain
    return kind if isinstance(kind, _PLAIN) and not isinstance(kind, sa.Enum) else None


def load_types(source: Connection, tables: Iterable[str], within: str = "public") -> dict[tuple[str, str], str]:
    """Load the type of every column of a schema's tables, by (table, column), as the source's catalogue has it now."""
    rows = source.execute(_TYPES, (within, sorted(tables))).fetchall()
    return {(table, column): kind for table, column, kind in rows}


def key_type_of(target: Connection, unit: Unit, tables: Mapping[str, MirrorTable]) -> str:
    """Find the type of a unit's aggregate key, from its first simple source."""
    for source in unit.simple_sources:
        if source.is_identity:
            return "text" if source.column in {"cluster", "shop_id"} else "bigint"
        table = tables[source.name]
        for column in table.columns:
            if column.name == source.column:
                return column.type
        if str(source.column).isidentifier():
            raise MappingError(f"{unit.file}:1: source {source.relation} has no column {source.column}")
        return _find_type(target, unit, source, table)
    raise MappingError(f"{unit.file}:1: no source with a column: the backfill would not know which keys there are")


def _find_type(target: Connection, unit: Unit, source: Source, table: MirrorTable) -> str:
    """Find the type of an expression that a source has in place of a column."""
    row = SQL(", ").join(SQL("NULL::{} AS {}").format(SQL(c.type), Identifier(c.name)) for c in table.columns)
    try:
        with target.transaction():
            found = target.execute(
                SQL("SELECT pg_typeof({})::text FROM (SELECT {}) r").format(name_or_expression(str(source.column)), row)
            ).fetchone()
    except psycopg.Error as error:
        raise MappingError(f"{unit.file}:{source.line}: {source.relation}: {error.diag.message_primary}") from None
    assert found
    return str(found[0])


def create(target: Connection, route: Route, tables: Mapping[str, MirrorTable]) -> None:
    """Create the mirror's tables, views and the indexes that lineage needs; idempotent.

    Raises ConfigError when a mirror table stands already and lacks a column that is mapped now.
    """
    standing = load(target)
    if not standing:
        require_free(target, route.schema)
    target.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(route.schema)))
    for name, table in tables.items():
        if taken := set(table.names) & {*_OWN, "_n", "_k", "_v"}:
            raise ConfigError(
                f"legacy table {name}: a mapping reads column {min(taken)}, whose name the mirror needs for itself: rename it"
            )
        if name in standing:
            if missing := set(table.names) - set(standing[name].names):
                raise ConfigError(
                    f"mirror of {name} lacks {', '.join(sorted(missing))}, mapped since it was made: "
                    "drop schemas mirror, legacy and ferry in the new shop and begin anew"
                )
            continue
        columns = SQL(", ").join(SQL("{} {}").format(Identifier(c.name), SQL(c.type)) for c in table.columns)
        key = SQL(", ").join(map(Identifier, table.key))
        with blaming(f"mirror of legacy table {name}"):
            target.execute(
                SQL(
                    "CREATE TABLE {} ({}, _lsn pg_lsn NOT NULL DEFAULT '0/0', _gone boolean NOT NULL DEFAULT false, "
                    "_generation integer NOT NULL DEFAULT 0, PRIMARY KEY ({}))"
                ).format(table.base, columns, key)
            )
        for column in table.columns:
            # The mirror's own catalogue remembers what legacy's said: by it replay knows what events may get wrong.
            target.execute(
                SQL("COMMENT ON COLUMN {}.{} IS {}").format(table.base, Identifier(column.name), Literal(column.legacy))
            )
        names = SQL(", ").join(map(Identifier, table.names))
        view = SQL("CREATE VIEW {} AS SELECT {} FROM {} WHERE NOT _gone")
        target.execute(view.format(table.view, names, table.base))
        target.execute(SQL("COMMENT ON TABLE {} IS {}").format(table.base, Literal(f"{table.schema} {table.within}")))
    for name, table in tables.items():
        # The last look before a switch asks for what moved last, and writers wait for it. Copied rows have position 0/0.
        target.execute(
            SQL("CREATE INDEX IF NOT EXISTS {} ON {} (_lsn) WHERE _lsn > '0/0'").format(
                Identifier(shorten_name(f"{name}_moved")), table.base
            )
        )
    for name, index, listed in sorted(_find_indexes(route, tables)):
        label = shorten_name(f"{name}_{''.join(c if c.isalnum() else '_' for c in index)}")
        with blaming(f"index on legacy.{name}({listed})"):
            target.execute(
                SQL("CREATE INDEX IF NOT EXISTS {} ON {} ({})").format(
                    Identifier(label), tables[name].base, SQL(listed)
                )
            )


def _find_indexes(route: Route, tables: Mapping[str, MirrorTable]) -> set[tuple[str, str, str]]:
    """Find one index for each column that leads from a changed row to an affected key, and those a mapping asks for.

    Each as (table, what it is called by, its columns in SQL).
    """
    wanted: set[tuple[str, str, str]] = set()
    for unit in route.units:
        wanted |= {(table, columns, columns) for table, columns in unit.indexes}
        for source in unit.simple_sources:
            if not source.is_identity and (source.column,) != tables[source.name].key[:1]:
                column = str(source.column)
                wanted.add((source.name, column, name_or_expression(column).as_string(None)))
    return wanted


def load(target: Connection, only: str | None = None) -> dict[str, MirrorTable]:
    """Load the mirror as it stands, or `only` one of its tables, from its own catalogue."""
    rows = target.execute(
        """SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
                  coalesce(array_position(i.indkey::int2[], a.attnum), -1), coalesce(d.description, ''),
                  coalesce(o.description, 'legacy public')
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
           JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
           LEFT JOIN pg_description d ON (d.classoid, d.objoid, d.objsubid) = ('pg_class'::regclass, c.oid, a.attnum)
           LEFT JOIN pg_description o ON (o.classoid, o.objoid, o.objsubid) = ('pg_class'::regclass, c.oid, 0)
           WHERE n.nspname = 'mirror' AND c.relkind = 'r' AND a.attname <> ALL(%s) AND c.relname = coalesce(%s, c.relname)
           ORDER BY c.relname, a.attnum""",
        (list(_OWN), only),
    ).fetchall()
    found: dict[str, MirrorTable] = {}
    for name in sorted({r[0] for r in rows}):
        mine = [r for r in rows if r[0] == name]
        key = tuple(r[1] for r in sorted((r for r in mine if r[3] >= 0), key=lambda r: r[3]))
        schema, _, within = mine[0][5].partition(" ")
        found[name] = MirrorTable(
            name, key, tuple(Column(r[1], r[2], r[4]) for r in mine), schema, within or _WITHIN[schema]
        )
    return found


@cache
def select_values(table: MirrorTable) -> SQL:
    """Compose the captured columns as the source's SELECT must give them: in the mirror's types (mostly a no-op)."""
    cast = SQL(", ").join(SQL("{}::{}").format(Identifier(c.name), SQL(c.type)) for c in table.columns)
    return SQL(cast.as_string(None))
