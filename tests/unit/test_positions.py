"""Stored positions beside what the broker holds: what is gone is named, by replay and on the screen alike."""

from __future__ import annotations

import pytest
from shopferry.cdc import positions
from shopferry.cdc.broker import Unread
from shopferry.cdc.positions import Held
from shopferry.health import measure

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
def test_replay_and_the_screen_find_the_same_gap(bounds: tuple[int, int] | None, what: str | None) -> None:
    stored = {ORDERS: 50}
    lost = positions.find_lost(stored, {}, {ORDERS: Held("id", *bounds)} if bounds else {})
    gaps = measure._find_gaps({ORDERS: Unread(*bounds)} if bounds else {}, stored)
    if what is None:
        assert lost is None and gaps == []
    else:
        assert lost and f"orders[0]: applied up to offset 50, but {what}: changes are lost" in lost
        assert gaps == [measure.Gap(*ORDERS, 50, what)]


def test_a_topic_of_another_id_is_another_topic_however_far_it_has_grown() -> None:
    lost = positions.find_lost({ORDERS: 50}, {ORDERS[0]: "old"}, {ORDERS: Held("new", 0, 100)})
    assert lost and "the topic was deleted and made anew" in lost
