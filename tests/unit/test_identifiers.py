"""Names as SQL writes them: what is in quotes is taken as it stands, and what should be is refused in one sentence."""

from __future__ import annotations

import re

import pytest
from shopferry.route.identifiers import read_pattern, write_name


@pytest.mark.parametrize(
    ("pattern", "name", "covered"),
    [
        ("last_ip", "last_ip", True),
        ("last_ip", "last_ip6", False),
        ("last?ip", "last_ip", True),
        ("cms_*", "cms_pages", True),
        ("*", "Anything at all", True),
        ('"lastIp"', "lastIp", True),
        ('"lastIp"', "lastip", False),
        ('"a*b"', "a*b", True),
        ('"a*b"', "axb", False),
        ('"a b.c"', "a b.c", True),
        ('"say ""hi"""', 'say "hi"', True),
        ("größe", "größe", True),
        ("a$b", "a$b", True),
    ],
)
def test_a_pattern_covers_what_it_says(pattern: str, name: str, covered: bool) -> None:
    [part] = read_pattern(pattern)
    assert part.covers(name) == covered


def test_names_are_joined_by_dots_outside_quotes() -> None:
    assert [p.written for p in read_pattern('sales."Order.Lines".*')] == ["sales", '"Order.Lines"', "*"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("lastIp", 'write "lastIp" in quotes: without them SQL reads lastip'),
        ("orders.last ip", "is no name, nor names joined by dots"),
        ("orders.", "is no name"),
        ('"orders', "is no name"),
        ("a-b", "is no name"),
        ('""', "is no name"),
    ],
)
def test_what_is_no_name_is_refused_in_one_sentence(wrong: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        read_pattern(wrong)


@pytest.mark.parametrize(
    ("parts", "written"),
    [
        (("orders", "last_ip"), "orders.last_ip"),
        (("Order", "lastIp"), '"Order"."lastIp"'),
        (("sales", 'say "hi"'), 'sales."say ""hi"""'),
        (("größe",), "größe"),
        (("2020",), '"2020"'),
    ],
)
def test_what_is_written_is_read_again(parts: tuple[str, ...], written: str) -> None:
    assert write_name(*parts) == written
    assert all(p.covers(part) for p, part in zip(read_pattern(written), parts, strict=True))
