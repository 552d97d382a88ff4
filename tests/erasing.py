"""Somebody who asks to be erased on a running stack: who, the request, and where their values still stand."""

from __future__ import annotations

from datetime import date

from shopferry import db
from shopferry.control.requests import Opening
from shopferry.engine.pair import open_stores
from shopferry.privacy import reception, search
from shopferry.settings import Settings

# No guest has ordered by their e-mail: should they change it before they are erased, such an order would keep the old one.
_ALONE = """
SELECT c.id, c.email FROM shop.customer c
JOIN shop.customer_address o ON o.customer_id = c.id AND o.phone IS NOT NULL
WHERE c.email IS NOT NULL AND c.status = 'active'
  AND (SELECT count(*) FROM shop.customer_account m WHERE m.customer_id = c.id) = 1
  AND EXISTS (SELECT FROM shop.customer_order x WHERE x.customer_id = c.id)
  AND EXISTS (SELECT FROM shop.consent s WHERE s.customer_id = c.id)
  AND NOT EXISTS (SELECT FROM legacy.orders g WHERE lower(btrim(g.email)) = c.email AND coalesce(g.customer_id, 0) <= 0)
GROUP BY c.id ORDER BY c.id LIMIT %s
"""


def find_somebody(settings: Settings) -> tuple[int, str]:
    """Find somebody with one account, addresses, orders and consents: the new shop's number and the e-mail."""
    return find_people(settings, 1)[0]


def find_people(settings: Settings, count: int) -> list[tuple[int, str]]:
    """Find so many of them."""
    with db.connect(settings.target_dsn, "test") as new:
        return [(key, email) for key, email in new.execute(_ALONE, (count,)).fetchall()]


def grant_erasure(settings: Settings, key: str) -> int:
    """Open and grant a request; returns its number."""
    with open_stores(settings, "test") as s:
        number = reception.open_request(
            s, Opening("erasure", date(2026, 1, 2), "care", "passport"), reception.read_keys([key])
        )
        reception.grant(s, number, "dpo", "the test wants it now")
    return number


def count_places(settings: Settings, *values: str) -> dict[str, int]:
    """Count the rows that hold any of these values, by store and table."""
    found = {}
    for store, dsn in (("legacy", settings.source_dsn), ("shop", settings.target_dsn)):
        with db.connect(dsn, "test") as conn:
            counts = search.search_store(conn, values, lambda *_: False)
            found |= {f"{store}: {place}": n for place, n in counts.items()}
    return found
