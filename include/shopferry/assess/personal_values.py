"""Values that look like people's data where the data map says there are none, in keys, and in free text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from psycopg.sql import SQL, Identifier

from shopferry.assess.findings import EXAMPLES, Example, Finding, Severity, mask
from shopferry.assess.values import choose_sample
from shopferry.db import Connection
from shopferry.engine.mirror import Column, MirrorTable
from shopferry.keys import key_text
from shopferry.privacy.detectors import Found, Kind, judge
from shopferry.route.identifiers import write_name
from shopferry.route.personal import FILE, Category, DataMap, Line
from shopferry.route.route import Route

_SHARE = 1_000  # one value in so many may look like people's data by chance
_WORDLESS = {"smallint", "integer", "real", "double precision", "boolean", "date", "interval", "uuid", "bytea", "bit"}
_NUMBERS = {"bigint", "numeric"}  # hold national numbers at most: of an e-mail or a phone too much is lost there
_TELLING = {  # what must not stand in a key, and so in every log
    Category.IDENTITY,
    Category.CONTACT,
    Category.ADDRESS,
    Category.CREDENTIAL,
    Category.PAYMENT,
    Category.FREE_TEXT,
}
# Only what a detector could take for something; "\\y" and the like would cost more than they save.
_WORTH_A_LOOK = "@|([0-9][ ().-]{0,2}){8}[0-9]|[A-Za-z]{6}[0-9]{2}[A-Za-z]"
_IN_LOGS = "keys stand in logs, in quarantine and in reports: people's data would be there, where no erasure finds it"


def find_telling_keys(route: Route, kept: Mapping[str, MirrorTable], data_map: DataMap) -> Iterator[Finding]:
    """Find primary keys, in legacy and of what the route fills, that the data map itself calls people's data."""
    keys = [("legacy", t.name, column) for t in kept.values() for column in t.key]
    keys += [(*m.entity.split(".", 1), column) for m in route.mappings for column in m.key]  # type: ignore[misc]
    for schema, table, column in sorted(set(keys)):
        line = data_map.find(schema, table, column)
        if line and line.category in _TELLING:
            yield Finding(
                f"{'legacy ' if schema == 'legacy' else f'{schema}.'}{table}.{column}",
                Severity.BLOCKING,
                f"is part of the table's key, and {FILE} calls it {line.category}",
                _IN_LOGS,
                "give the table a key that tells nothing, such as a number, and leave this column UNIQUE",
            )


def find_hidden(legacy: Connection, kept: Mapping[str, MirrorTable], data_map: DataMap) -> Iterator[Finding]:
    """Find columns of nobody's data, and keys, in which more than one value in a thousand looks like people's data."""
    for table, column in ((t, c) for t in kept.values() for c in t.columns):
        line = data_map.find("legacy", table.name, column.name)
        in_key = column.name in table.key
        if line and (in_key or not line.category.of_people) and line.category not in (_TELLING if in_key else ()):
            for kind, found, total in _judge(legacy, table, column):
                if found.rows * _SHARE > total:
                    yield _blame(table, column, line, kind, found)


def find_in_free_text(legacy: Connection, kept: Mapping[str, MirrorTable], data_map: DataMap) -> Iterator[Finding]:
    """Find what free text tells of people beside what it is for: identifiers, and words about health."""
    for table, column in ((t, c) for t in kept.values() for c in t.columns):
        line = data_map.find("legacy", table.name, column.name)
        if line and line.category is Category.FREE_TEXT:
            factor = choose_sample(legacy, table.name)[1]
            for kind, found, _ in _judge(legacy, table, column, free_text=True):
                yield Finding(
                    f"legacy {table.name}.{column.name}",
                    Severity.WARNING,
                    f"free texts with {kind}",
                    "they are carried whole, to all who may see the column, and nobody looks for them there",
                    "leave such notes out, or cut them, in the mapping; or know that they arrive",
                    found.rows,
                    examples=_show(found, table, column),
                ).scale(factor)


def _judge(
    legacy: Connection, table: MirrorTable, column: Column, *, free_text: bool = False
) -> Iterator[tuple[Kind, Found, int]]:
    """Judge a column's values, or a sample of them; with the number of values that were there."""
    base = column.legacy_base
    if base in _WORDLESS or base.startswith(("time", "bit")):
        return
    sample, _ = choose_sample(legacy, table.name)
    name, source = Identifier(column.name), SQL("public.{} {}").format(Identifier(table.name), sample)
    wanted = SQL("true") if free_text else SQL("{}::text ~ {}").format(name, _WORTH_A_LOOK)
    query = SQL("SELECT {0}::text, min({1}), count(*) FROM {2} WHERE {0} IS NOT NULL AND {3} GROUP BY 1")
    values = legacy.execute(query.format(name, key_text(table.key), source, wanted)).fetchall()
    if not values:
        return
    [(total,)] = legacy.execute(SQL("SELECT count({}) FROM {}").format(name, source)).fetchall()
    for kind, found in judge(values, free_text=free_text).items():
        if base not in _NUMBERS or kind is Kind.NATIONAL:
            yield kind, found, total


def _blame(table: MirrorTable, column: Column, line: Line, kind: Kind, found: Found) -> Finding:
    subject, examples = f"legacy {table.name}.{column.name}", _show(found, table, column)
    if line.despite:
        text = f"values that look like {kind}, and are none: {line.despite}"
        nothing = "nothing, as long as that is true"
        return Finding(
            subject, Severity.NOTE, text, "they are treated as nobody's data", nothing, found.rows, examples=examples
        )
    in_key = column.name in table.key
    where = "the table's key" if in_key else f"a column that {FILE} calls {line.category}"
    return Finding(
        subject,
        Severity.BLOCKING,
        f"values look like {kind}, in {where}",
        _IN_LOGS
        if in_key
        else "no erasure would find them, no export show them, and a rehearsal gives them to testers",
        f"{'give the table another key' if in_key else 'give it the category that it has'}; or sign that they are none: "
        f"`{write_name('legacy', table.name, column.name)} -- {line.category}; despite WHY` in the route's {FILE}",
        found.rows,
        examples=examples,
    )


def _show(found: Found, table: MirrorTable, column: Column) -> tuple[Example, ...]:
    """Show the first examples, masked, and without the key where the key is what looks like people's data."""
    in_key = column.name in table.key
    return tuple(Example("" if in_key else key, mask(text)) for key, text in found.examples[:EXAMPLES])
