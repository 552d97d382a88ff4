"""Values that PostgreSQL does not log again: kept from the mirror, or read again, and never replaced by a placeholder."""

from __future__ import annotations

import pytest
from live import LONG, TOASTED, Flow

pytestmark = pytest.mark.stack
COLUMNS = {"carried": ("words", "docb", "doc", "raw", "exact"), "lossy": ("words", "numbers", "words2")}
PLAIN = {"carried": "small = small + 1", "lossy": "bit1 = B'0'"}


def write(flow: Flow, table: str, number: int) -> None:
    columns = ", ".join(TOASTED[table])
    plain = "small" if table == "carried" else "bit1"
    one = "1" if table == "carried" else "B'1'"
    flow.write(
        f"INSERT INTO {table} (id, {plain}, {columns}) VALUES ({number}, {one}, {', '.join(TOASTED[table].values())})"
    )


def same(flow: Flow, table: str, number: int) -> None:
    flow.clean()
    for column in TOASTED[table]:
        query = f"SELECT md5({column}::text), length({column}::text) > 8000 FROM {{}}.{table} WHERE id = {number}"
        theirs = flow.legacy.execute(query.format("public").encode()).fetchone()
        assert theirs and theirs[1]
        assert flow.ask(query.format("shop")) == [theirs], column


@pytest.mark.parametrize("table", ["carried", "lossy"])
def test_for_a_row_that_only_the_stream_has_brought(values: Flow, table: str) -> None:
    write(values, table, 5_000)
    values.applied()
    for _ in range(3):
        values.write(f"UPDATE {table} SET {PLAIN[table]} WHERE id = 5000")
    same(values, table, 5_000)


@pytest.mark.parametrize("table", ["carried", "lossy"])
def test_for_a_row_that_the_copy_brought(values: Flow, table: str) -> None:
    values.write(f"UPDATE {table} SET {PLAIN[table]} WHERE id = {values.notes[table]['copied']}")
    same(values, table, values.notes[table]["copied"])


@pytest.mark.parametrize("table", ["carried", "lossy"])
def test_for_a_row_that_was_changed_before_the_copy(values: Flow, table: str) -> None:
    assert values.notes[table]["mirrored"] == 1  # by the event alone, and whole
    same(values, table, values.notes[table]["early"])


@pytest.mark.parametrize("table", ["carried", "lossy"])
def test_with_a_key_that_changes_in_the_same_transaction(values: Flow, table: str) -> None:
    write(values, table, 5_010)
    values.applied()
    values.write(
        f"UPDATE {table} SET {PLAIN[table]} WHERE id = 5010",
        f"UPDATE {table} SET id = 5011 WHERE id = 5010",
        f"UPDATE {table} SET {PLAIN[table]} WHERE id = 5011",
    )
    same(values, table, 5_011)
    assert values.one(f"SELECT count(*) FROM shop.{table} WHERE id = 5010") == 0


def test_a_value_that_changes_is_not_taken_from_the_mirror(values: Flow) -> None:
    write(values, "carried", 5_020)
    values.applied()
    values.write(
        f"UPDATE carried SET words = '{LONG}' WHERE id = 5020",
        "UPDATE carried SET small = 2 WHERE id = 5020",
        "UPDATE carried SET words = 'short' WHERE id = 5020",
        "UPDATE carried SET small = 3 WHERE id = 5020",
        f"UPDATE carried SET words = '{LONG}x' WHERE id = 5020",
        "UPDATE carried SET small = 4 WHERE id = 5020",
    )
    same(values, "carried", 5_020)


def test_many_of_them_in_one_batch(values: Flow) -> None:
    for number in range(5_100, 5_140):
        write(values, "carried", number)
    values.applied()
    values.shop.execute("DELETE FROM mirror.carried WHERE id BETWEEN 5120 AND 5139")  # as if they were not copied yet
    values.write("UPDATE carried SET small = small + 1 WHERE id BETWEEN 5100 AND 5139")
    values.clean()
    for number in (5_100, 5_139):
        same(values, "carried", number)


def test_a_row_that_no_broker_takes_is_read_again(values: Flow) -> None:
    """Its event has 20 MB. A later event of a value that fits does not help the connector past it."""
    write(values, "carried", 5_200)
    values.applied()
    values.write("UPDATE carried SET words = repeat('0123456789', 2000000), small = 7 WHERE id = 5200")
    values.write("UPDATE carried SET small = 8 WHERE id = 5200")
    same(values, "carried", 5_200)
    assert values.ask("SELECT length(words), small FROM shop.carried WHERE id = 5200") == [(20_000_000, 8)]
    values.write("UPDATE carried SET words = 'short again' WHERE id = 5200")
    values.clean()
