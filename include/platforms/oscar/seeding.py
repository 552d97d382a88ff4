"""A shop of some age: accounts whose passwords were hashed in all the ways that Django still takes, and their orders."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import acts
import stock
from django.db import transaction
from ledger import Ledger, Write

_STRONG = ("pbkdf2_sha256", "bcrypt_sha256", "bcrypt")  # half a second each; most accounts have the quick one
_STRONG_OF_EACH = 3
_YEARS = 4


def seed(ledger: Ledger, accounts: int, orders: int) -> dict[str, int]:
    """Fill an empty shop with that many accounts, besides the odd ones, and orders."""
    random = Random(7)
    with transaction.atomic():
        stock.fill()
    users, writes = _register_all(random, accounts)
    ledger.book(writes)
    placed = 0
    while placed < orders:
        with transaction.atomic():
            writes = _order_and_after(random, random.choice(users) if random.random() < 0.8 else None)
        ledger.book(writes)
        placed += 1
    return {"accounts": len(users), "orders": placed}


@transaction.atomic
def _register_all(random: Random, accounts: int) -> tuple[list[Any], list[Write]]:
    """Return users that may order, and all writes."""
    users, writes = [], []
    hashers = [name for name in _STRONG for _ in range(_STRONG_OF_EACH)]
    for number in range(accounts):
        hasher = hashers[number] if number < len(hashers) else "md5"
        user, written = acts.register(random, f"old{number}", hasher, date_joined=_moment(random))
        users.append(user)
        writes += written
        for _ in range(random.randint(0, 2)):
            writes += acts.add_address(random, user)
    for tag, fields in _ODD.items():
        user, written = acts.register(random, tag, "md5", **fields)
        writes += written
        users.append(user)
    unusable, written = acts.register(random, "unusable", "md5")
    unusable.set_unusable_password()
    unusable.save()
    return users, writes + written


# What Oscar allows and the new shop may not: its log-in looks at e-mails without regard to capitals, and tries each account.
_ODD: dict[str, dict[str, Any]] = {
    "twin1": {"email": "twins@example.com"},
    "twin2": {"email": "Twins@Example.com"},
    "capitals": {"email": "Capital.Letters@Example.COM"},
    "blocked": {"is_active": False},
    "clerk": {"is_staff": True},
}


def _moment(random: Random) -> datetime:
    return datetime.now(UTC) - timedelta(days=random.uniform(30, 365 * _YEARS))


def _order_and_after(random: Random, user: Any) -> list[Write]:
    """An order of some time ago, and how far it has come since."""
    guest = f"guest{random.randint(1, 12)}@example.com"
    if random.random() < 0.1:
        guest = guest.replace("guest", "old")  # a guest who has an account as well
    placed, writes = acts.order(random, user, email=guest, paid=random.random() < 0.8, date_placed=_moment(random))
    while random.random() < 0.75 and (states := placed.available_statuses()):
        writes += acts.move_on(placed, random.choice(states))
    if placed.sources.exists() and random.random() < 0.15:
        writes += acts.refund(placed, placed.total_incl_tax if random.random() < 0.5 else placed.shipping_incl_tax or 1)
    return writes
