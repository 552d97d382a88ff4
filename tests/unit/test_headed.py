"""Files of `-- word: value` lines: what is a header, what belongs to a SELECT, and where each begins."""

from __future__ import annotations

from pathlib import Path

import pytest
from shopferry.errors import MappingError
from shopferry.route import headed
from shopferry.route.headed import HeadedFile, Header

TEXT = """-- title: sums   -- of all orders
--        and of their lines
-- Prose, which may say: anything.
-- note: not asked for
--       nor this

-- part: one
-- A comment above a SELECT is no part of it.
SELECT 1;
-- title: a second one
-- A comment within it is.
-- part: two
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file that holds TEXT."""
    file = tmp_path / "sums.sql"
    file.write_text(TEXT)
    return file


def read(file: Path, *words: str) -> HeadedFile:
    """Read it as a file of these words, with parts."""
    return headed.read(file, Path("sums.sql"), words or None, divider="part")


def test_only_the_words_that_are_asked_for_are_headers(file: Path) -> None:
    text = read(file, "title", "part")
    assert [(h.word, h.value, h.line) for h in text.headers] == [
        ("title", "sums", 1),
        ("part", "one", 7),
        ("title", "a second one", 10),
        ("part", "two", 12),
    ]
    assert text.first("title") == Header("title", "sums", 1, ("and of their lines",))


def test_a_divider_begins_a_section_and_names_its_first_line(file: Path) -> None:
    text = read(file, "title", "part")
    assert [(s.name, s.line, s.text) for s in text.sections] == [
        ("", 1, ""),
        ("one", 9, "SELECT 1;\n-- A comment within it is."),
        ("two", 12, ""),
    ]


def test_without_words_every_word_counts_but_only_above_the_select(file: Path) -> None:
    file.write_text("-- odd: 1\n-- even: 2\nSELECT 1\n-- odd: 3\nFROM t;\n")
    text = read(file)
    assert [(h.word, h.value) for h in text.headers] == [("odd", "1"), ("even", "2")]
    assert (text.body.line, text.body.text) == (3, "SELECT 1\n-- odd: 3\nFROM t")


def test_what_is_missing_is_named(file: Path) -> None:
    text = read(file, "title", "part")
    with pytest.raises(MappingError, match=r"^sums\.sql:1: header line `-- phase:` is missing$"):
        text.first("phase")
    with pytest.raises(MappingError, match=r"^sums\.sql:1: there is no SELECT$"):
        _ = text.body


def test_a_plain_list_has_comments_and_empty_lines(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    assert list(headed.read_lines(file)) == []
    file.write_text("# what\n\n a.b -- why \n  # indented\nc -- because\n")
    assert list(headed.read_lines(file)) == [(3, "a.b -- why"), (5, "c -- because")]
