"""The data map's file: what a line says, what its category's line adds, and what is refused by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from shopferry.errors import MappingError
from shopferry.rehearsal.pseudonyms import KINDS
from shopferry.route import personal
from shopferry.route.personal import DataMap

ALL = "for contract; basis contract; keep account; erase null; see care"


def read(folder: Path, text: str) -> DataMap:
    file = folder / "personal.txt"
    file.write_text(text)
    return personal.read(file, "own/personal.txt")


def test_a_line_says_all_that_is_asked(tmp_path: Path) -> None:
    line = (
        "legacy.customers.phone -- contact; for contract, delivery; basis contract; keep account; erase constant +48; "
        "see care, finance; to the carrier; of staff; pseudonym phone"
    )
    (one,) = read(tmp_path, f"# what it is\n\n{line}\n").lines
    assert (one.written, one.category, one.where) == ("legacy.customers.phone", "contact", "own/personal.txt:3")
    assert (one.purposes, one.basis, one.keep) == (("contract", "delivery"), "contract", "account")
    assert (one.erase, one.constant, one.see, one.recipients) == (
        "constant",
        "+48",
        ("care", "finance"),
        ("the carrier",),
    )
    assert (one.people, one.pseudonym, one.despite) == ("staff", "phone", "")


def test_a_category_says_what_holds_for_its_columns_unless_they_say_otherwise(tmp_path: Path) -> None:
    text = f"legacy.t.a -- free text\nfree text -- {ALL}\nlegacy.t.b -- free text; erase keep: the law; keep for ever\n"
    plain, own = read(tmp_path, text).lines
    assert (plain.keep, plain.erase, plain.pseudonym) == ("account", "null", "words")
    assert (own.keep, own.erase, own.kept_why, own.see) == ("for ever", "keep", "the law", ("care",))


def test_what_takes_a_values_place_may_be_nothing_or_what_a_json_value_keeps(tmp_path: Path) -> None:
    empty, some = read(
        tmp_path, "legacy.t.a -- technical; erase constant ''\nshop.t.b -- technical; erase all but legacy.id, size\n"
    ).lines
    assert (empty.erase, empty.constant, empty.but) == ("constant", "", ())
    assert (some.erase, some.constant, some.but) == ("all", "", ("legacy.id", "size"))


def test_what_is_nobodys_needs_no_more(tmp_path: Path) -> None:
    text = (
        "legacy.*.id -- key\nshop.*.* -- none\nlegacy.t.n -- none; despite article numbers\nlegacy.t.x -- technical\n"
    )
    found = read(tmp_path, text)
    assert [line.category for line in found.lines] == ["key", "none", "none", "technical"]
    assert found.lines[2].despite == "article numbers"
    assert found.find("legacy", "orders", "id") is found.lines[0] and not found.find("legacy", "orders", "number")
    assert {line.pseudonym for line in found.lines} == {personal.PLAIN}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("legacy.t.a - none", "1: wants `schema.table.column -- category"),
        ("legacy.t -- none", "1: 'legacy.t' is neither schema.table.column nor one of identity, contact"),
        ("legacy.t.A -- none", '1: write "A" in quotes'),
        ("\nlegacy.t.a -- secret", "2: category 'secret' is none of identity"),
        ("legacy.t.a -- none\nlegacy.t.a -- key", "2: legacy.t.a is what line 1 is about already"),
        ("legacy.t.a -- none; keep long", "1: `none` is nobody's data, and has no `keep`"),
        (
            "legacy.t.a -- identity",
            "1: identity wants for, basis, keep, erase, see; for, basis, keep, erase, see is neither",
        ),
        (f"legacy.t.a -- identity; {ALL.replace('see care', 'to us')}", "1: identity wants .*; see is neither"),
        (f"identity -- {ALL}\nidentity -- {ALL}", "2: what holds for identity is said twice"),
        (f"legacy.t.a -- identity; {ALL}; see all", "1: `see` is said twice"),
        (f"legacy.t.a -- identity; {ALL}; until then", "1: 'until then' begins with none of for, basis"),
        (
            f"legacy.t.a -- identity; {ALL.replace('basis contract', 'basis habit')}",
            "1: basis 'habit' is none of consent",
        ),
        (f"legacy.t.a -- identity; {ALL.replace('erase null', 'erase it')}", "1: erase is delete, null"),
        (f"legacy.t.a -- identity; {ALL.replace('erase null', 'erase all but the id')}", "1: erase is delete, null"),
        (f"legacy.t.a -- identity; {ALL}; pseudonym name", "1: pseudonym 'name' is none of words"),
        (f"legacy.t.a -- identity; {ALL}; despite it", "1: `despite` says why"),
        ("legacy.t.a -- identity?", "1: identity. is the draft's guess: read it"),
        (f"identity -- {ALL}\nlegacy.t.a -- identity; keep account?", "2: `keep account.` is the draft's guess"),
        ("identity -- for", "1: `for` says nothing"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(MappingError, match=rf"^own/personal\.txt:{what}"):
        read(tmp_path, text)


def test_lines_that_name_nothing_or_what_another_names_are_faults(tmp_path: Path) -> None:
    text = "legacy.*.id -- key\nlegacy.t.name -- none\nlegacy.t.id -- none\nlegacy.u.* -- none\nlegacy.v.a -- none\n"
    columns = [("legacy", "t", "id"), ("legacy", "u", "x"), ("legacy", "t", "nam")]
    assert read(tmp_path, text).find_faults(columns, {("legacy", "t"), ("legacy", "u")}) == [
        ("own/personal.txt:2", "legacy.t.name: there is no such column"),
        ("own/personal.txt:3", "legacy.t.id is what personal.txt:1 is about already"),
        ("own/personal.txt:5", "legacy.v.a: there is no such table"),
    ]


def test_a_route_without_the_file_has_an_empty_map(tmp_path: Path) -> None:
    assert personal.read(tmp_path / "personal.txt", "own/personal.txt") == DataMap(())


def test_every_kind_of_pseudonym_can_be_asked_for() -> None:
    assert set(personal.PSEUDONYMS) == set(KINDS)
