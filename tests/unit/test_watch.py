"""What the watch complains of, and when it keeps quiet."""

from __future__ import annotations

from dataclasses import replace

import pytest
from shopferry.control.offsets import Consumer
from shopferry.watch import MIB, Limits, Slot, SyncHealth, complaints

SLOT = Slot("shopferry_demo", True, "reserved", 1000, 2000)
WELL = SyncHealth(
    begun=True, phases={"contacts": "merging"}, age_s=600.0, lag_s=0.3, slot=SLOT, consumer=Consumer("host", 1.0, None),
    quarantine={"status_unknown": 100_000},
)  # fmt: skip


def test_all_is_well_however_many_rows_wait_in_quarantine() -> None:
    assert complaints(WELL) == []


@pytest.mark.parametrize(
    ("health", "said"),
    [
        (replace(WELL, slot=None), "slot is gone"),
        (replace(WELL, slot=replace(SLOT, wal_status="lost")), "invalidated"),
        (replace(WELL, slot=replace(SLOT, active=False)), "nobody reads slot"),
        (replace(WELL, slot=replace(SLOT, lag_bytes=300 * MIB)), "300 MiB behind (limit 256)"),
        (replace(WELL, slot=replace(SLOT, retained_bytes=3000 * MIB)), "3000 MiB of log"),
        (replace(WELL, consumer=None), "no consumer was ever seen"),
        (replace(WELL, consumer=Consumer("host", 1.0, "EventError: t[0]@7")), "t[0]@7"),
        (replace(WELL, consumer=Consumer("host", 31.0, None)), "last seen 31 s ago (limit 30)"),
        (replace(WELL, lag_s=61.0), "61 s late (limit 60)"),
    ],
)
def test_each_limit_has_its_complaint(health: SyncHealth, said: str) -> None:
    [complaint] = complaints(health)
    assert said in complaint


def test_the_limits_are_the_callers() -> None:
    assert complaints(WELL, Limits(lag_s=0.1))


@pytest.mark.parametrize("health", [SyncHealth(begun=False), replace(WELL, active="shop", slot=None, consumer=None)])
def test_quiet_before_the_first_phase_and_after_the_cutover(health: SyncHealth) -> None:
    assert not health.watched
    assert complaints(health) == []


def test_connector_and_consumer_have_a_minute_to_begin() -> None:
    beginning = replace(WELL, age_s=20.0, slot=None, consumer=None)
    assert complaints(beginning) == []
    assert len(complaints(replace(beginning, age_s=61.0))) == 2
