"""Raw values of many countries, beside the right value as public rules have it: numbering plans, postal formats, law.

`data/standardize.tsv` was written by hand, before the code: kind, country, raw, right, why. Nothing under `right` means that
nobody can know the value. Of phones and postcodes `country` is what stands in the country's field; a name is
`given|family`. Numbers are those kept for films where a country has them, else invented ones.
"""

from __future__ import annotations

import csv
from pathlib import Path

from shopferry.engine.standardize import standardize
from shopferry.engine.texts import Standard

with (Path(__file__).parent / "data" / "standardize.tsv").open(encoding="utf-8", newline="") as table:
    ROWS = list(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE))


def judge(row: dict[str, str]) -> str:
    """What the code makes of a row, as the table writes it."""
    kind, raw = row["kind"], row["raw"]
    if kind == "name":
        given, family = standardize("given_name", raw), standardize("family_name", raw)
        return f"{given.value or ''}|{family.value}" if family.value else ""
    verdict: Standard = standardize(kind, f"{row['country']}|{raw}" if kind in {"phone", "postcode"} else raw)
    assert verdict.value or verdict.problem
    return verdict.value or ""


def check(kind: str) -> None:
    """Fail with all rows of one kind that do not become what is right."""
    of_kind = [row for row in ROWS if row["kind"] == kind]
    assert of_kind
    wrong = [
        f"{row['country']} {row['raw']!r}: {made!r}, right is {row['right']!r} ({row['why']})"
        for row in of_kind
        if (made := judge(row)) != row["right"]
    ]
    assert not wrong, f"{len(wrong)} of {len(of_kind)}:\n" + "\n".join(wrong)


def test_a_phone_is_the_number_that_was_meant_or_none() -> None:
    check("phone")


def test_a_postcode_is_written_as_its_country_does_or_is_none() -> None:
    check("postcode")


def test_a_country_is_known_by_its_exact_names_only() -> None:
    check("country")


def test_a_name_loses_no_part() -> None:
    check("name")


def test_an_address_meets_its_other_spellings_and_no_others() -> None:
    check("email")


def test_a_text_is_repaired_where_it_is_broken() -> None:
    check("text")


def test_the_table_is_wide_enough() -> None:
    assert {row["kind"] for row in ROWS} == {"phone", "postcode", "country", "name", "email", "text"}
    assert len(ROWS) >= 300
    for kind in ("phone", "postcode", "country"):
        assert len({row["country"] for row in ROWS if row["kind"] == kind}) >= 15
    assert len({(row["kind"], row["country"], row["raw"]) for row in ROWS}) == len(ROWS)
