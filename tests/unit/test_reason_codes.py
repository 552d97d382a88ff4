"""Every reason code that mappings and standardizers can give is explained in docs/reference/reason-codes.md."""

from __future__ import annotations

import re

from shopferry.route.route import Route
from shopferry.settings import PROJECT

ENGINE = PROJECT / "include" / "shopferry" / "engine"
STANDARDIZERS = [
    ENGINE / f"{name}.py"
    for name in ("standardize", "countries", "names", "phones", "postcodes", "tax_numbers", "texts")
]
PAGE = PROJECT / "docs" / "reference" / "reason-codes.md"
SUFFIXES = (
    "missing|invalid|unknown|negative|implausible|future|quarantined|positive|deleted|duplicate|long|customer|empty|superseded|"
    "several|ambiguous|undivided|padded|repaired|unchecked|placeholder|log"
)


def test_every_code_is_explained() -> None:
    explained = set(re.findall(r"`([a-z0-9_]+)`", PAGE.read_text()))
    texts = [unit.body for unit in Route.load("demo").mappings] + [file.read_text() for file in STANDARDIZERS]
    given = {code for text in texts for code in re.findall(rf"['\"]([a-z]+(?:_[a-z]+)*_(?:{SUFFIXES}))['\"]", text)}
    assert len(given) > 50
    assert given <= explained
