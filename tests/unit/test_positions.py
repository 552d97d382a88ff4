"""Stored positions beside what the broker holds: what is gone is named, by replay and on the screen alike."""

from __future__ import annotations

import pytest
from shopferry.cdc import positions
from shopferry.cdc.positions import Gap, Held

ORDERS = ("demo.public.orders", 0)


@pytest.mark.parametrize(
    ("bounds", "what"),
    [
        ((0, 100), None),
        ((0, 50), None),  # all is applied
        ((50, 100), None),  # what is applied may be gone
        ((51, 100), "the broker begins at 51"),
        ((0, 49), "the broker ends at 49"),
        (None, "the broker does not have this partition any more"),
    ],
)
def test_a_gap_is_found_and_says_what_to_do(bounds: tuple[int, int] | None, what: str | None) -> None:
    held = {ORDERS: Held("id", *bounds)} if bounds else {}
    gaps = positions.find_gaps({ORDERS: 50}, {}, held)
    assert gaps == ([Gap(*ORDERS, 50, what)] if what else [])
    for gap in gaps:
        assert f"orders[0]: applied up to offset 50, but {what}: changes are lost" in str(gap)


def test_a_topic_of_another_id_is_another_topic_however_far_it_has_grown() -> None:
    def find(topic_id: str) -> list[str]:
        gaps = positions.find_gaps({ORDERS: 50}, {ORDERS[0]: "old"}, {ORDERS: Held(topic_id, 0, 100)})
        return [gap.what for gap in gaps]

    assert find("new") == ["the topic was deleted and made anew"]
    assert find("old") == find("") == []
