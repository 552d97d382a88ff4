"""Values that JSON cannot carry, and those it can: each reaches mirror and shop exactly, by the copy and by the stream."""

from __future__ import annotations

import pytest
from alike import ALIKE
from live import Flow, insert
from psycopg.sql import SQL, Identifier
from samples import CARRIED, LOSSY

pytestmark = pytest.mark.stack


def same(flow: Flow, table: str) -> None:
    """Legacy's rows and the shop's, as text of all columns, column by column."""
    flow.clean()
    names = [c.name for c in flow.shop.execute(f"SELECT * FROM shop.{table} LIMIT 0".encode()).description or ()]
    for name in names:
        kind = "numeric::text" if name == "cash" else "text"
        query = SQL("SELECT id, {}::" + kind + " FROM {}").format(Identifier(name), Identifier(table))
        theirs = dict(flow.legacy.execute(query).fetchall())
        ours = dict(flow.ask(f"SELECT id, {name}::text FROM shop.{table}"))
        assert [n for n in theirs if theirs[n] != ours.get(n)] == [], name
        assert ours.keys() == theirs.keys()


@pytest.mark.parametrize(("table", "samples"), [("carried", CARRIED), ("lossy", LOSSY)], ids=["carried", "lossy"])
def test_every_value_arrives_exactly(values: Flow, table: str, samples: dict[str, dict[str, object]]) -> None:
    same(values, table)  # by the copy
    for number, sample in enumerate(samples.values(), 1):
        insert(values.legacy, table, 100 + number, sample)
    same(values, table)  # by an insert
    for number, sample in enumerate(samples.values(), 1):
        insert(values.legacy, table, 200 + number, {})
        for column, value in sample.items():
            query = SQL("UPDATE {} SET {} = %s WHERE id = %s").format(Identifier(table), Identifier(column))
            values.legacy.execute(query, (value, 200 + number))
        query = SQL("UPDATE {} SET id = %s WHERE id = %s").format(Identifier(table))
        values.legacy.execute(query, (300 + number, 200 + number))
    same(values, table)  # by updates of one column after the other, and under another key
    column = "words" if table == "carried" else "words2"
    values.legacy.execute(f"UPDATE {table} SET {column} = 'w' WHERE id BETWEEN 301 AND 400".encode())
    values.legacy.execute(f"DELETE FROM {table} WHERE id BETWEEN 101 AND 199".encode())
    same(values, table)
    assert values.ask("SELECT * FROM ferry.quarantine") == []


def test_a_change_to_a_value_that_looks_alike_arrives(values: Flow) -> None:
    cases = [
        (table, column, theirs, other)
        for table, columns in ALIKE.items()
        for column, pairs in columns.items()
        for theirs, other in pairs
    ]
    for number, (table, column, theirs, _) in enumerate(cases, 501):
        insert(values.legacy, table, number, {column: theirs})
    for table in ALIKE:
        same(values, table)
    for number, (table, column, _, other) in enumerate(cases, 501):
        query = SQL("UPDATE {} SET {} = %s WHERE id = %s").format(Identifier(table), Identifier(column))
        values.legacy.execute(query, (other, number))
    for table in ALIKE:
        same(values, table)
