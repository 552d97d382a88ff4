"""Texts of a legacy store that keeps bytes as they come (SQL_ASCII): which of them are no UTF-8, row by row.

PostgreSQL hands such bytes on unchecked. One of them ends a copy, and an event with one ends the connector for good.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from psycopg.sql import SQL, Identifier

from shopferry import db
from shopferry.assess.findings import EXAMPLES, Example, Finding, Severity, read_value
from shopferry.assess.rights import LEGACY
from shopferry.db import Connection
from shopferry.engine.mirror import MirrorTable
from shopferry.keys import key_text

_TEXTS = {"text", "character varying", "character", "citext", "name"}
_AT_A_TIME = 5_000


def check_encoding(legacy: Connection, tables: Mapping[str, MirrorTable]) -> Iterator[Finding]:
    """Check the encoding of legacy, and where it promises nothing each text that a mapping reads."""
    encoding = read_value(legacy, "SHOW server_encoding")
    if encoding == "UTF8":
        return
    if encoding != "SQL_ASCII":
        yield Finding(
            LEGACY,
            Severity.WARNING,
            f"the encoding is {encoding}, not UTF8",
            "texts are converted; one of the new shop that this encoding lacks stops the way back",
            "before a cutover, move legacy to UTF8 if it can be",
        )
        return
    yield Finding(
        LEGACY,
        Severity.WARNING,
        "the encoding is SQL_ASCII: nothing keeps a text from being no text",
        "a single byte of another encoding that the application writes ends the connector, until the row is mended",
        "see that the application writes UTF-8 only, or move legacy to a database with ENCODING 'UTF8' first",
    )
    with db.open_another(legacy, "assess texts") as raw:
        raw.execute("SET client_encoding = 'SQL_ASCII'; SET default_transaction_read_only = on")
        for table in tables.values():
            for column in table.columns:
                if column.legacy_base in _TEXTS:
                    yield from _find_invalid(raw, table, column.name)


def _find_invalid(raw: Connection, table: MirrorTable, column: str) -> Iterator[Finding]:
    """Find the rows whose text in this column is no UTF-8; `raw` gives texts as bytes."""
    rows, examples = 0, list[Example]()
    query = SQL("SELECT {0}, {1} FROM {2} WHERE {1} ~ {3}").format(
        key_text(table.key), Identifier(column), table.captured, SQL(r"'[\x80-\xff]'")
    )
    with raw.transaction(), raw.cursor("texts") as cursor:
        cursor.itersize = _AT_A_TIME
        for key, text in cursor.execute(query):
            try:
                bytes(text).decode()
            except UnicodeDecodeError:
                rows += 1
                if len(examples) < EXAMPLES:
                    examples.append(Example(bytes(key).decode(errors="backslashreplace")))
    if rows:
        yield Finding(
            f"legacy {table.name}.{column}",
            Severity.BLOCKING,
            "texts hold bytes that are no UTF-8",
            "they can be neither copied nor followed",
            f"write them anew: UPDATE … SET {column} = convert_from({column}::bytea, 'LATIN1') for what is Latin-1, and so on",
            rows,
            examples=tuple(examples),
        )
