"""The assessment of shops that nobody here made up names the defects which the README of their data lists and the data has."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import real_input
from shopferry import assess, db
from shopferry.assess import Finding, readiness
from shopferry.settings import SQL_ROOT, Settings

pytestmark = pytest.mark.skipif(
    not real_input.available(), reason="needs ../shared/data, which is not part of the project"
)

POSTCODES = "legacy addresses (coalesce(country, '') || '|' || postcode)"
# Of the README's list the import has settled month/day dates and payments of several kinds: its legacy store has one
# payment per order, and times. What is left:
LISTED = {
    "unsalted 32-char and salted 40-char hashes": ("legacy customers.pass_hash", "by the scheme", 17),
    "leading-space phones": ("legacy customers", "with blanks around them", 1),
    "shared phones": ("legacy customers.phone", "share a telephone number", 2),
    "login ≠ e-mail": ("legacy customers.login", "login is not their e-mail", 17),
    "three currencies, and the marketplace's": ("legacy orders.currency", "by currency", 5_000),
    "an undefined status": ("legacy orders.status_code", "code", 1),
    "an order off its totals, payments that differ": ("legacy orders.total", "is not the sum of lines", 1),
    "the same person under several customer ids": ("legacy customers.email", "share their email", 2),
    "postcodes that lost their leading zero": (POSTCODES, "postcode_padded", 100),
    "cities without diacritics": ("legacy addresses.city", "without capitals and without diacritics", 4_000),
    "no names": ("legacy customers.full_name", "name_missing", 5_000),
}


@pytest.fixture(scope="module")
def found(make_template: Callable[..., str]) -> tuple[Finding, ...]:
    """What the assessment finds in both shops."""
    legacy, shop = make_template("real_legacy"), make_template("real_shop")
    with db.connect(legacy, "test") as conn:
        real_input.load(conn)
        conn.execute("ANALYZE")
    with db.connect(shop, "test") as conn:
        conn.execute((SQL_ROOT / "demo" / "shop.sql").read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readiness, "check_broker", lambda settings: iter(()))
        return assess.assess(Settings(legacy, shop, "")).findings


@pytest.mark.parametrize("defect", sorted(LISTED))
def test_a_listed_defect_is_named(found: tuple[Finding, ...], defect: str) -> None:
    subject, words, at_least = LISTED[defect]
    named = [f for f in found if f.subject == subject and words in f.text]
    assert named, f"not found among {sorted({f.subject for f in found})}"
    assert (named[0].count or 0) >= at_least
    assert named[0].consequence and named[0].remedy


def test_both_generations_of_hashes_are_counted(found: tuple[Finding, ...]) -> None:
    (schemes,) = [f for f in found if "by the scheme" in f.text]
    counted = {e.key: e.rows for e in schemes.examples}
    assert counted["md5"] > 0 and counted["sha1_salted"] > 0 and counted["none"] >= 5_000


def test_nothing_of_it_blocks(found: tuple[Finding, ...]) -> None:
    assert not [f for f in found if f.blocking]
    assert {f.severity.value for f in found} == {"warning", "note"}
