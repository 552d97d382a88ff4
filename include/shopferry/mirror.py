"""The mirror: captured legacy tables inside the shop's database, kept as they are, with a version and a tombstone.

Base tables live in schema `mirror` (`_lsn` version, `_gone` tombstone, `_generation` of the backfill that the row is
newer than); schema `legacy` has one view for each, showing the live rows only, so that a mapping just reads
`legacy.orders` and can never see a tombstone.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.sql import SQL, Composable, Composed, Identifier, Literal
from sqlalchemy.dialects import postgresql

from shopferry.db import Connection
from shopferry.errors import ConfigError, MappingError
from shopferry.mapping import Route, Unit, changed_table

_MODIFIER = re.compile(r"\(.*?\)")

# Types that exist on every server and travel unchanged in binary COPY; all others (enums, domains, extensions) are
# mirrored as text.
_PLAIN = (
    sa.Integer, sa.Numeric, sa.Float, sa.Boolean, sa.String, sa.Date, sa.Time, sa.DateTime, sa.LargeBinary, sa.Uuid,
    postgresql.INTERVAL, postgresql.JSON, postgresql.JSONB, postgresql.INET, postgresql.CIDR, postgresql.MACADDR,
    postgresql.BIT, postgresql.MONEY, postgresql.OID,
)  # fmt: skip


# What change events carry exactly, but for single values (cdc/fidelity.py). All else is read again from legacy.
_CARRIED = frozenset((
    "smallint", "integer", "bigint", "oid", "real", "double precision", "numeric", "boolean", "text", "character varying",
    "character", "citext", "date", "timestamp without time zone", "timestamp with time zone", "time without time zone",
    "uuid", "bytea", "json", "jsonb", "inet", "cidr", "macaddr",
))  # fmt: skip

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

    def unboxed(self, value: Composable) -> Composable:
        """The SQL that makes an event's value one of the mirror's type."""
        if self.type.lower() == "bytea":
            return SQL("decode({}, 'hex')").format(value)
        return SQL("{}::{}").format(value, SQL(self.type)) if self.boxed else value


@dataclass(frozen=True)
class MirrorTable:
    """One captured table: key and columns in its store's order; `schema` is that of the mirror's view."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    schema: str = "legacy"

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
        return Identifier(captured_schema(self.schema), self.name)

    @property
    def changed(self) -> str:
        """The temp table of before and after images."""
        return changed_table(self.relation)


def captured_schema(schema: str) -> str:
    """Where the tables lie that a mirror's schema shows: a legacy store's in `public`, the new shop's in one of that name."""
    return "public" if schema == "legacy" else schema


def reflect(legacy: Connection, tables: Iterable[str], schema: str = "legacy") -> dict[str, MirrorTable]:
    """Read the catalogue of the store that is read: every column of each table; `schema` is that of the mirror's views.

    Raises ConfigError for a table that is missing, has no primary key, or one whose type events do not carry.
    """
    # A connection of its own: SQLAlchemy ends transactions as it likes, and the caller's is the caller's.
    engine = sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(legacy.info.dsn, password=legacy.info.password),
        poolclass=sa.pool.NullPool,
    )
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    inspector = sa.inspect(engine)
    within = captured_schema(schema)
    present = set(inspector.get_table_names(schema=within))
    found = {}
    types = types_in_legacy(legacy, tables, schema)
    for table in sorted(tables):
        if table not in present:
            raise ConfigError(f"{schema} store has no table {within}.{table}, which the route maps: check DSN and route")
        key = tuple(inspector.get_pk_constraint(table, schema=within)["constrained_columns"])
        if not key:
            raise ConfigError(f"legacy table {table} has no primary key: add one, chunks and replay need it")
        columns = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", sa.exc.SAWarning)  # a type that SQLAlchemy does not know is mirrored as text
            listed = inspector.get_columns(table, schema=within)
        for column in listed:
            kind = _mirrored(column["type"])
            columns.append(
                Column(column["name"], kind.compile(dialect=dialect) if kind else "text", types[table, column["name"]])
            )
        found[table] = MirrorTable(table, key, tuple(columns), schema)
        if unfit := [c for c in columns if c.name in key and not c.carried]:
            raise ConfigError(
                f"legacy table {table}: change events do not carry its key {unfit[0].name} ({unfit[0].legacy}) exactly: "
                "give it a primary key of another type"
            )
    return found


def _mirrored(kind: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any] | None:
    """The type in the mirror; None: as text."""
    if isinstance(kind, postgresql.DOMAIN):
        return _mirrored(kind.data_type)
    if isinstance(kind, sa.ARRAY):
        return kind if _mirrored(kind.item_type) is kind.item_type else None
    if isinstance(kind, postgresql.MONEY):
        return sa.Numeric()  # money means another amount under another lc_monetary
    return kind if isinstance(kind, _PLAIN) and not isinstance(kind, sa.Enum) else None


def types_in_legacy(legacy: Connection, tables: Iterable[str], schema: str = "legacy") -> dict[tuple[str, str], str]:
    """The type of every column of these tables, by (table, column), as the catalogue of the store that is read has it now."""
    rows = legacy.execute(_TYPES, (captured_schema(schema), sorted(tables))).fetchall()
    return {(table, column): kind for table, column, kind in rows}


def key_type_of(unit: Unit, tables: Mapping[str, MirrorTable]) -> str:
    """The type of a unit's aggregate key, from its first simple source."""
    for source in unit.simple_sources:
        if source.is_identity:
            return "bigint"
        table = tables[source.name]
        for column in table.columns:
            if column.name == source.column:
                return column.type
        raise MappingError(f"{unit.file}:1: source {source.relation} has no column {source.column}")
    raise MappingError(f"{unit.file}:1: no source with a column: the backfill would not know which keys there are")


def create(shop: Connection, route: Route, tables: Mapping[str, MirrorTable]) -> None:
    """Create the mirror's tables, views and the indexes that lineage needs; idempotent.

    Raises ConfigError when a mirror table stands already and lacks a column that is mapped now.
    """
    standing = load(shop)
    if not standing and shop.execute("SELECT to_regnamespace(%s) IS NOT NULL", (route.schema,)).fetchall()[0][0]:
        raise ConfigError(
            f"database {shop.info.dbname} has a schema {route.schema} of its own, where the mirror's views belong: rename it"
        )
    shop.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(route.schema)))
    for name, table in tables.items():
        if name in standing:
            if missing := set(table.names) - set(standing[name].names):
                raise ConfigError(
                    f"mirror of {name} lacks {', '.join(sorted(missing))}, mapped since it was made: "
                    "drop schemas mirror, legacy and ferry in the new shop and begin anew"
                )
            continue
        columns = SQL(", ").join(SQL("{} {}").format(Identifier(c.name), SQL(c.type)) for c in table.columns)
        key = SQL(", ").join(map(Identifier, table.key))
        shop.execute(
            SQL(
                "CREATE TABLE {} ({}, _lsn pg_lsn NOT NULL DEFAULT '0/0', _gone boolean NOT NULL DEFAULT false, "
                "_generation integer NOT NULL DEFAULT 0, PRIMARY KEY ({}))"
            ).format(table.base, columns, key)
        )
        for column in table.columns:
            # The mirror's own catalogue remembers what legacy's said: by it replay knows what events may get wrong.
            shop.execute(
                SQL("COMMENT ON COLUMN {}.{} IS {}").format(table.base, Identifier(column.name), Literal(column.legacy))
            )
        names = SQL(", ").join(map(Identifier, table.names))
        view = SQL("CREATE VIEW {} AS SELECT {} FROM {} WHERE NOT _gone")
        shop.execute(view.format(table.view, names, table.base))
        shop.execute(SQL("COMMENT ON TABLE {} IS {}").format(table.base, Literal(table.schema)))
    for name, index in sorted(_indexes(route, tables)):
        label = f"{name}_{''.join(c if c.isalnum() else '_' for c in index)}"[:60]
        shop.execute(SQL("CREATE INDEX IF NOT EXISTS {} ON {} ({})").format(
            Identifier(label), tables[name].base, SQL(index)))  # fmt: skip


def _indexes(route: Route, tables: Mapping[str, MirrorTable]) -> set[tuple[str, str]]:
    """One index for each column that leads from a changed row to an affected key, and those a mapping asks for."""
    wanted: set[tuple[str, str]] = set()
    for unit in route.units:
        wanted |= set(unit.indexes)
        for source in unit.simple_sources:
            if not source.is_identity and (source.column,) != tables[source.name].key[:1]:
                wanted.add((source.name, str(source.column)))
    return wanted


def load(shop: Connection) -> dict[str, MirrorTable]:
    """The mirror as it stands, from its own catalogue."""
    rows = shop.execute(
        """SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
                  coalesce(array_position(i.indkey::int2[], a.attnum), -1), coalesce(col_description(c.oid, a.attnum), ''),
                  coalesce(obj_description(c.oid, 'pg_class'), 'legacy')
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
           JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
           WHERE n.nspname = 'mirror' AND c.relkind = 'r' AND left(a.attname, 1) <> '_'
           ORDER BY c.relname, a.attnum"""
    ).fetchall()
    found: dict[str, MirrorTable] = {}
    for name in sorted({r[0] for r in rows}):
        mine = [r for r in rows if r[0] == name]
        key = tuple(r[1] for r in sorted((r for r in mine if r[3] >= 0), key=lambda r: r[3]))
        found[name] = MirrorTable(name, key, tuple(Column(r[1], r[2], r[4]) for r in mine), mine[0][5])
    return found


def stage(shop: Connection, table: MirrorTable) -> None:
    """Make the temp table `incoming` in the shape of the mirror's base table, for `COPY` or `json_populate_recordset`."""
    shop.execute(SQL("CREATE TEMP TABLE incoming ON COMMIT DROP AS SELECT * FROM {} LIMIT 0").format(table.base))


def apply_events(shop: Connection, table: MirrorTable, rows: bytes, *, images: bool) -> psycopg.Cursor[Any]:
    """Upsert and tombstone one table's events in one statement; its result is how many rows were written.

    `rows` is a JSON array with one object per key: the row's columns beside _lsn, _gone and _generation. A row of the
    mirror that is newer than its event stays as it is. `images` leaves the live rows of these keys, as they were before
    and as they are then, in the table's `changed` temp table, which must be there.
    """
    # as bytes the rows would travel as bytea, which is no json
    return shop.execute(_event_statement(table, images), (rows.decode(),), prepare=True)


@cache
def _event_statement(table: MirrorTable, images: bool) -> bytes:
    names = [*table.names, "_lsn", "_gone", "_generation"]
    # Some types arrive as another text than PostgreSQL's, so the recordset is read through a row type of its own.
    shape = SQL(", ").join(
        SQL("{} {}").format(Identifier(c.name), SQL("text" if c.boxed else c.type)) for c in table.columns
    )
    values = SQL(", ").join(SQL("{} AS {}").format(c.unboxed(Identifier(c.name)), Identifier(c.name)) for c in table.columns)
    before = SQL(
        "INSERT INTO {changed} SELECT {mine} FROM {base} m JOIN incoming i USING ({key}) WHERE NOT m._gone"
    ) if images else SQL("SELECT")
    after = SQL(
        "INSERT INTO {changed} SELECT {mine} FROM written m WHERE NOT m._gone"
    ) if images else SQL("SELECT")
    given = {
        "base": table.base, "changed": Identifier("pg_temp", table.changed), "values": values, "shape": shape,
        "key": SQL(", ").join(map(Identifier, table.key)), "columns": SQL(", ").join(map(Identifier, names)),
        "mine": SQL(", ").join(SQL("m.{}").format(Identifier(n)) for n in table.names),
        "assign": SQL(", ").join(SQL("{0} = excluded.{0}").format(Identifier(n)) for n in names if n not in table.key),
    }  # fmt: skip
    return SQL(
        """WITH incoming AS MATERIALIZED (
               SELECT {values}, _lsn, _gone, _generation
               FROM json_to_recordset(%s::json) AS r ({shape}, _lsn pg_lsn, _gone boolean, _generation integer)
           ), before AS ({before}), written AS (
               INSERT INTO {base} AS m ({columns}) SELECT {columns} FROM incoming ORDER BY {key}
               ON CONFLICT ({key}) DO UPDATE SET {assign} WHERE m._lsn <= excluded._lsn
               RETURNING m.*
           ), after AS ({after})
           SELECT count(*) FROM written"""
    ).format(before=before.format(**given), after=after.format(**given), **given).as_string(None).encode()


def note_images(table: MirrorTable) -> Composed:
    """The statement that notes, in the `changed` temp table, the live rows of `incoming`'s keys as they stand."""
    return SQL("INSERT INTO {} SELECT {} FROM {} m JOIN pg_temp.incoming i USING ({}) WHERE NOT m._gone").format(
        Identifier("pg_temp", table.changed), SQL(", ").join(SQL("m.{}").format(Identifier(n)) for n in table.names),
        table.base, SQL(", ").join(map(Identifier, table.key)),
    )  # fmt: skip


def note_gone(shop: Connection, table: MirrorTable, within: Composed) -> None:
    """Add to `incoming`, as gone, the mirror's live rows that the condition selects and `incoming` does not have."""
    key = SQL(", ").join(map(Identifier, table.key))
    same = SQL(" AND ").join(SQL("m.{0} = i.{0}").format(Identifier(k)) for k in table.key)
    shop.execute(
        SQL(
            "INSERT INTO pg_temp.incoming ({0}, _gone) SELECT {0}, true FROM {1} m WHERE {2} AND NOT m._gone "
            "AND NOT EXISTS (SELECT FROM pg_temp.incoming i WHERE {3})"
        ).format(key, table.base, within, same)
    )


def key_text(names: Sequence[str], alias: str | None = None) -> Composed:
    """A row's key as one text, as differences, findings and quarantine name it; `alias` is of the relation it is read from."""
    columns = (Identifier(alias, n) if alias else Identifier(n) for n in names)
    return SQL("concat_ws('/', {})").format(SQL(", ").join(SQL("{}::text").format(c) for c in columns))


def key_range(table_key: Sequence[str], low: Sequence[object] | None, high: Sequence[object] | None) -> Composed:
    """The WHERE condition of a key range, `low` exclusive and `high` inclusive; open where None."""
    key = SQL("({})").format(SQL(", ").join(map(Identifier, table_key)))
    parts = []
    if low is not None:
        parts.append(SQL("{} > ({})").format(key, SQL(", ").join(map(Literal, low))))
    if high is not None:
        parts.append(SQL("{} <= ({})").format(key, SQL(", ").join(map(Literal, high))))
    return SQL(" AND ").join(parts) if parts else Composed([SQL("true")])


def load_chunk(shop: Connection, table: MirrorTable, within: Composed, generation: int, *, images: bool) -> None:
    """Bring the mirror's key range to what stands in `incoming`, but for rows the stream has touched in this generation.

    Rows of the range that are not in `incoming` are gone from legacy. `images` leaves before and after images of
    what changed in the `changed` temp table. `incoming` is used up.
    """
    key = SQL(", ").join(map(Identifier, table.key))
    columns = SQL(", ").join(map(Identifier, table.names))
    same = SQL(" AND ").join(SQL("m.{0} = i.{0}").format(Identifier(k)) for k in table.key)
    mine = SQL(", ").join(SQL("m.{}").format(Identifier(n)) for n in table.names)
    theirs = SQL(", ").join(SQL("i.{}").format(Identifier(n)) for n in table.names)
    # The mirror grows faster than its statistics: a range is always read through the key's index.
    shop.execute("SET LOCAL enable_seqscan = off")
    note_gone(shop, table, within)
    # What the mirror already has, or has newer, is not touched at all.
    shop.execute(
        SQL(
            "DELETE FROM pg_temp.incoming i USING {} m WHERE {} "
            "AND (m._generation >= {} OR (NOT m._gone AND i._gone IS NULL AND ROW({})::text = ROW({})::text))"
        ).format(table.base, same, Literal(generation), mine, theirs)
    )
    if images:
        shop.execute("ANALYZE pg_temp.incoming")
        shop.execute(note_images(table))
    assign = SQL(", ").join(
        SQL("{0} = excluded.{0}").format(Identifier(n))
        for n in (*table.names, "_lsn", "_gone", "_generation")
        if n not in table.key
    )
    shop.execute(
        SQL(
            "INSERT INTO {0} AS m ({1}, _lsn, _gone, _generation) "
            "SELECT {1}, '0/0', coalesce(_gone, false), {2} FROM pg_temp.incoming ORDER BY {3} "
            "ON CONFLICT ({3}) DO UPDATE SET {4} WHERE m._generation < {5}"
        ).format(table.base, columns, Literal(generation - 1), key, assign, Literal(generation))
    )
    if images:
        shop.execute(note_images(table))  # and so as they are now
    shop.execute("DROP TABLE pg_temp.incoming")
    shop.execute("SET LOCAL enable_seqscan = on")


def ranges(
    conn: Connection, relation: Composable, key: Sequence[str], size: int
) -> list[tuple[list[object] | None, list[object] | None]]:
    """Cut a relation into key ranges of about `size` rows; the first and the last are open, so that they cover all."""
    columns = SQL(", ").join(map(Identifier, key))
    bounds = [
        row[0]
        for row in conn.execute(
            SQL(
                "SELECT json_build_array({0}) FROM (SELECT {0}, row_number() OVER (ORDER BY {0}) AS n FROM {1} r) k "
                "WHERE n % {2} = 0 ORDER BY n"
            ).format(columns, relation, Literal(size))
        ).fetchall()
    ]
    return list(zip([None, *bounds], [*bounds, None], strict=True))


def values(table: MirrorTable) -> Composed:
    """The captured columns as legacy's SELECT must give them: in the mirror's types (for most columns a no-op)."""
    return SQL(", ").join(SQL("{}::{}").format(Identifier(c.name), SQL(c.type)) for c in table.columns)
