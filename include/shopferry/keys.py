"""Keys and ranges of keys as SQL: what names a row, and what cuts a table into parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from shopferry.db import Connection


def key_text(names: Sequence[str], alias: str | None = None) -> Composed:
    """A row's key as one text, as differences, findings and quarantine name it; `alias` is of the relation it is read from.

    The parts of a key of several columns are escaped as in a JSON Pointer (RFC 6901): no two keys have the same text.
    """
    part = "{}::text" if len(names) == 1 else "replace(replace({}::text, '~', '~0'), '/', '~1')"
    columns = (Identifier(alias, n) if alias else Identifier(n) for n in names)
    return SQL("concat_ws('/', {})").format(SQL(", ").join(SQL(part).format(c) for c in columns))


def key_parts(names: Sequence[str], text: str) -> list[str]:
    """What `key_text` made one text of: the value of each column, as text."""
    if len(names) == 1:
        return [text]
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")]


def match_keys(names: Sequence[str], types: Sequence[str], keys: Iterable[str], alias: str | None = None) -> Composed:
    """The condition for rows with these keys, given as `key_text` writes them, which the key's index can serve."""
    rows = [key_parts(names, k) for k in sorted(keys)]
    columns = [SQL("{}::{}[]").format(Literal([row[n] for row in rows]), SQL(kind)) for n, kind in enumerate(types)]
    own = [Identifier(alias, n) if alias else Identifier(n) for n in names]
    if len(names) == 1:
        return SQL("{} = ANY({})").format(own[0], columns[0])
    return SQL("({}) IN (SELECT * FROM unnest({}))").format(SQL(", ").join(own), SQL(", ").join(columns))


def write_key(values: Sequence[object]) -> str:
    """Write a key as one text, as `key_text` does it in SQL; for numbers, texts and uuids, whose texts are the same here."""
    if len(values) == 1:
        return str(values[0])
    return "/".join(str(v).replace("~", "~0").replace("/", "~1") for v in values)


def name_or_expression(text: str) -> Composable:
    """Compose a column, or an expression over columns that a mapping's header has in place of one."""
    return Identifier(text) if text.isidentifier() else SQL("({})").format(SQL(text))


def key_range(table_key: Sequence[str], low: Sequence[object] | None, high: Sequence[object] | None) -> Composed:
    """The WHERE condition of a key range, `low` exclusive and `high` inclusive; open where None."""
    key = SQL("({})").format(SQL(", ").join(map(name_or_expression, table_key)))
    parts = []
    if low is not None:
        parts.append(SQL("{} > ({})").format(key, SQL(", ").join(map(Literal, low))))
    if high is not None:
        parts.append(SQL("{} <= ({})").format(key, SQL(", ").join(map(Literal, high))))
    return SQL(" AND ").join(parts) if parts else Composed([SQL("true")])


def key_ranges(
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
