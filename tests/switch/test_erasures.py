"""Erasing somebody on the real stack, while others buy: they stay gone over the cutover and the way back."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from live import RATE, Flow
from shopferry import db, phase_steps
from shopferry.cdc import proof
from shopferry.control.requests import Opening
from shopferry.cutover import switch
from shopferry.cutover.rollback import roll_back
from shopferry.demo.writer import run_beside
from shopferry.engine.pair import open_stores
from shopferry.errors import PhaseError
from shopferry.privacy import erasure, reception, search
from shopferry.settings import Settings

pytestmark = pytest.mark.stack
_ALONE = """
SELECT c.id, c.email FROM shop.customer c
JOIN shop.customer_address o ON o.customer_id = c.id AND o.phone IS NOT NULL
WHERE c.email IS NOT NULL AND c.status = 'active'
  AND (SELECT count(*) FROM shop.customer_account m WHERE m.customer_id = c.id) = 1
  AND EXISTS (SELECT FROM shop.customer_order x WHERE x.customer_id = c.id)
  AND EXISTS (SELECT FROM shop.consent s WHERE s.customer_id = c.id)
ORDER BY c.id LIMIT 1
"""


def erase(settings: Settings, key: str) -> dict[str, object]:
    """Erase somebody, from the request to the certificate."""
    with open_stores(settings, "test") as s:
        number = reception.open_request(
            s, Opening("erasure", date(2026, 1, 2), "care", "passport"), reception.read_keys([key])
        )
        with pytest.raises(PhaseError, match="only a granted erasure runs"):
            erasure.run(settings, number, "test")
        reception.grant(s, number, "dpo", "the test wants it now")
    made = dict(erasure.run(settings, number, "test"))
    assert erasure.run(settings, number, "test") == made
    return made


def find_somebody(settings: Settings) -> tuple[int, str]:
    """Somebody with one account, addresses, orders and consents: the new shop's number and the e-mail."""
    with db.connect(settings.target_dsn, "test") as new:
        [found] = new.execute(_ALONE).fetchall()
    return found


def count_places(settings: Settings, *values: str) -> dict[str, int]:
    """The tables of both stores that hold any of these values, but for invoices and what others have written of guests."""
    found = {}
    for store, dsn in (("legacy", settings.source_dsn), ("shop", settings.target_dsn)):
        with db.connect(dsn, "test") as conn:
            counts = search.search_store(conn, values, lambda *_: False)
            found |= {f"{store}: {place}": n for place, n in counts.items()}
    return found


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
