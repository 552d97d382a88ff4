"""Names that follow from a route's."""

from __future__ import annotations

import pytest
from shopferry.settings import name_slot


@pytest.mark.parametrize(
    ("route", "slot"),
    [
        ("demo", "shopferry_demo"),
        ("demo_reverse", "shopferry_demo_reverse"),
        ("oscar-medusa", "shopferry_oscar_medusa"),
        ("PrestaShop.8", "shopferry_prestashop_8"),
    ],
)
def test_a_slot_has_a_name_that_postgresql_takes(route: str, slot: str) -> None:
    assert name_slot(route) == slot
