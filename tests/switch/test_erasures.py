"""Erasing somebody on the real stack, while others buy: they stay gone over the cutover and the way back."""

from __future__ import annotations

from pathlib import Path

import pytest
from erasing import count_places, find_somebody, grant_erasure
from live import RATE, Flow
from shopferry import phase_steps
from shopferry.cdc import proof
from shopferry.cutover import switch
from shopferry.cutover.rollback import roll_back
from shopferry.demo.writer import run_beside
from shopferry.privacy import erasure
from shopferry.settings import Settings

pytestmark = pytest.mark.stack


def erase(settings: Settings, key: str) -> dict[str, object]:
    """Erase somebody, from the request to the certificate."""
    number = grant_erasure(settings, key)
    made = dict(erasure.run(settings, number, "test"))
    assert erasure.run(settings, number, "test") == made
    return made


def test_who_is_erased_is_gone_from_everywhere_and_stays_gone(ready: Flow, settings: Settings, tmp_path: Path) -> None:
    first, first_mail = find_somebody(settings)
    with run_beside(tmp_path / "ledger.jsonl", RATE):
        made = erase(settings, f"shop:{first}")
        assert made["open store"] == "legacy"
        switch.cut_over(settings, "test")
        second, second_mail = find_somebody(settings)
        made = erase(settings, f"shop:{second}")
        assert made["open store"] == "shop"
    proof.await_both(settings)
    assert count_places(settings, first_mail, second_mail) == {}
    roll_back(settings, "test")
    phase_steps.run_again(settings, "test", lambda _: None)
    assert count_places(settings, first_mail, second_mail) == {}
    assert not ready.differences()
