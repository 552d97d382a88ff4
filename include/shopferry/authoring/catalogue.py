"""What the catalogue of a store says of its tables, as far as a draft of mappings needs it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from shopferry.db import Connection

_OURS = ["ferry", "mirror", "legacy", "clean", "shopferry", "information_schema"]
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")

_COLUMNS = """
SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       a.atthasdef OR a.attidentity <> '' AS filled, a.attgenerated <> '' AS generated,
       coalesce(a.attnum = ANY(i.indkey::int2[]), false) AS in_key, t.typtype = 'e' AS enum, greatest(c.reltuples, 0)::bigint
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname !~ '^pg_' AND n.nspname <> ALL(%s)
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2, a.attnum
"""
_POINTS = """
SELECT n.nspname, c.relname, a.attname, m.nspname, p.relname FROM pg_constraint f
JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class p ON p.oid = f.confrelid JOIN pg_namespace m ON m.oid = p.relnamespace
JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
WHERE f.contype = 'f' AND cardinality(f.conkey) = 1 AND f.conparentid = 0
"""


@dataclass(frozen=True)
class Field:
    """One column of a table."""

    name: str
    type: str
    required: bool  # NOT NULL, and neither a default nor a number of its own
    generated: bool
    in_key: bool
    enum: bool

    @property
    def base(self) -> str:
        """Its type without length, precision and scale."""
        return re.sub(r"\(.*?\)", "", self.type)

    @property
    def length(self) -> int | None:
        """How many characters it holds at most; None where that has no limit."""
        match = re.fullmatch(r"character varying\((\d+)\)", self.type)
        return int(match[1]) if match else None


@dataclass(frozen=True)
class Table:
    """One table, with the tables that its columns point at, by column."""

    schema: str
    name: str
    fields: tuple[Field, ...]
    rows: int  # as the planner knows it
    points: Mapping[str, tuple[str, str]]

    @property
    def key(self) -> tuple[Field, ...]:
        """The columns of the primary key; none where it has none."""
        return tuple(f for f in self.fields if f.in_key)

    @property
    def odd(self) -> str | None:
        """Why no header of a mapping can name it as it is called; None where one can."""
        if not self.key:
            return "it has no primary key"
        if not _PLAIN.fullmatch(self.name):
            return "its name has capitals or signs"
        if wrong := [f.name for f in self.key if not _PLAIN.fullmatch(f.name)]:
            return f"its key {', '.join(wrong)} has capitals or signs in its name"
        return None

    def find(self, name: str) -> Field | None:
        """Return the column of this name."""
        return next((f for f in self.fields if f.name == name), None)


def read(conn: Connection) -> list[Table]:
    """Read all tables of a store, but for PostgreSQL's own, those of extensions, and ours."""
    points: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}
    for schema, table, column, to_schema, to in conn.execute(_POINTS).fetchall():
        points.setdefault((schema, table), {})[column] = (to_schema, to)
    fields: dict[tuple[str, str], list[Field]] = {}
    rows: dict[tuple[str, str], int] = {}
    for schema, table, name, kind, notnull, filled, generated, in_key, enum, count in conn.execute(
        _COLUMNS, (_OURS,)
    ).fetchall():
        fields.setdefault((schema, table), []).append(
            Field(name, kind, notnull and not filled, generated, in_key, enum)
        )
        rows[schema, table] = count
    return [Table(*name, tuple(own), rows[name], points.get(name, {})) for name, own in fields.items()]
