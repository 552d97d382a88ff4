"""The words for news stand in several files of the demo's route, which must know the same ones."""

from __future__ import annotations

import re

from shopferry.settings import SQL_ROOT

ROUTE = SQL_ROOT / "demo"


def read_block(file: str, name: str) -> str:
    """The VALUES of a WITH of that name."""
    return (ROUTE / file).read_text().partition(f"{name} AS (VALUES")[2].partition("\n), ")[0]


def read_words(text: str) -> set[str]:
    return set(re.findall(r"'([^']*)'", text)) - {""}


def read_pairs(file: str, name: str) -> dict[str, str]:
    return dict(re.findall(r"\('([^']+)', '([^']+)'\)", read_block(file, name)))


def test_the_way_back_reads_wishes_as_the_way_forth_does() -> None:
    for name in ("often(written, frequency)", "about(written, topic)"):
        forth = read_pairs("contacts/communication_preference.sql", name)
        assert len(forth) > 15
        assert read_pairs("reverse/contacts/customers.sql", name) == forth


def test_a_word_is_noted_as_unknown_where_no_mapping_reads_it() -> None:
    frequencies = read_pairs("contacts/communication_preference.sql", "often(written, frequency)")
    topics = read_pairs("contacts/communication_preference.sql", "about(written, topic)")
    assert read_words(read_block("contacts/customer.sql", "often(written)")) == set(frequencies)
    assert read_words(read_block("contacts/customer.sql", "about(written)")) == set(topics)
    of_frequency, of_topics = (ROUTE / "assess" / "news_wishes_unread.sql").read_text().split("UNION ALL")
    assert read_words(of_frequency.partition(" IN (")[2]) == set(frequencies)
    assert read_words(of_topics.partition(" IN (")[2].partition(")\n")[0]) == set(topics)


def test_a_check_knows_each_word_for_never() -> None:
    frequencies = read_pairs("contacts/communication_preference.sql", "often(written, frequency)")
    asked = (ROUTE / "checks" / "contacts_never.sql").read_text().partition(" IN (")[2].partition(")\n")[0]
    assert read_words(asked) == {word for word, frequency in frequencies.items() if frequency == "never"}
