"""Faults of rows: what stands in the new shop and should not, and what cannot get there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shopferry.control import differences, quarantine
from shopferry.cutover.gates import QUARANTINE_ROWS, QUARANTINE_SHARE
from shopferry.demo.drill.fault import CUTOVER
from shopferry.demo.drill.ground import Ground
from shopferry.health.problems import RUNBOOK, Code
from shopferry.route.route import Route
from shopferry.stores import fence

_VERIFY = "docs/runbooks/verify.md"


def _read(ground: Ground, query: str, *args: object) -> list[tuple[Any, ...]]:
    with ground.shop() as shop:
        return shop.execute(query.encode(), args).fetchall()


@dataclass
class StoreOpen:
    """A table of the new shop has lost its fence, and an application has written there before its time."""

    title: str = "the new shop takes writes though it is closed, and somebody has written"
    shows: str = (
        "`shopferry status`: takes writes, though the other store is the one that is open; gate *new shop closed*"
    )
    remedy: str = (
        "`shopferry phase init` raises the fence; `shopferry verify` and `repair` undo what was written; find out who"
    )
    runbook: str = f"{RUNBOOK}#{Code.STORE_OPEN}"
    _before: list[tuple[Any, ...]] = field(default_factory=list)

    def plant(self, ground: Ground) -> None:
        self._before = _read(ground, "SELECT id, phone FROM shop.customer WHERE phone IS NOT NULL ORDER BY id LIMIT 3")
        with ground.shop() as shop:
            fence.lift_fence(shop, ["shop.customer"])
            shop.execute(
                "UPDATE shop.customer SET phone = NULL WHERE id = ANY(%s)", ([row[0] for row in self._before],)
            )

    def is_seen(self, ground: Ground) -> bool:
        return Code.STORE_OPEN in ground.list_complaints()

    def mend(self, ground: Ground) -> None:
        ground.run("phase", "init")
        ground.run("verify", "contacts")
        ground.run("repair", "contacts", "--who", "drill")

    def is_gone(self, ground: Ground) -> bool:
        with ground.shop() as shop:
            if fence.find_unfenced(shop, Route.load(ground.settings.route).entities):
                return False
        keys = [row[0] for row in self._before]
        emptied = "SELECT id FROM shop.customer WHERE id = ANY(%s) AND phone IS NULL"
        return not _read(ground, emptied, keys)


@dataclass
class OrdersDiffer:
    """Orders of the new shop have other sums than legacy's: a script has "corrected" them."""

    title: str = "orders differ between legacy and the new shop"
    shows: str = "`shopferry verify`: exit code 1; `shopferry difference list` names shop.customer_order"
    remedy: str = "`shopferry repair orders`: it makes the rows what the mappings say; explaining them away is none"
    runbook: str = f"{_VERIFY}#when-judge-fails"
    _before: dict[int, Any] = field(default_factory=dict)

    def plant(self, ground: Ground) -> None:
        rows = _read(ground, "SELECT id, total FROM shop.customer_order ORDER BY id LIMIT 7")
        self._before = {int(key): total for key, total in rows}
        ground.damage(
            f"UPDATE shop.customer_order SET total = total + 1 WHERE id IN ({', '.join(map(str, self._before))})"
        )

    def is_seen(self, ground: Ground) -> bool:
        return ground.run("verify", "orders") == 1

    def mend(self, ground: Ground) -> None:
        ground.run("repair", "orders", "--who", "drill")

    def is_gone(self, ground: Ground) -> bool:
        now = _read(ground, "SELECT id, total FROM shop.customer_order WHERE id = ANY(%s)", list(self._before))
        return not [key for key, total in now if total == self._before[key] + 1]


@dataclass
class RefusalLost:
    """People who took their consent back stand in the new shop as if they had agreed."""

    title: str = "consents that were taken back stand as granted in the new shop"
    shows: str = "`shopferry verify contacts`: exit code 1; `shopferry difference list` names shop.consent"
    remedy: str = "`shopferry repair contacts` before anybody is written to; then ask who was written to meanwhile"
    runbook: str = f"{_VERIFY}#when-judge-fails"
    _keys: list[int] = field(default_factory=list)

    def plant(self, ground: Ground) -> None:
        rows = _read(ground, "SELECT id FROM shop.consent WHERE state = 'withdrawn' ORDER BY id LIMIT 5")
        self._keys = [int(row[0]) for row in rows]
        ground.damage(
            "UPDATE shop.consent SET state = 'granted', granted_at = coalesce(granted_at, now()), withdrawn_at = NULL, "
            f"wording_version = coalesce(wording_version, 'v6') WHERE id IN ({', '.join(map(str, self._keys))})"
        )

    def is_seen(self, ground: Ground) -> bool:
        return ground.run("verify", "contacts") == 1

    def mend(self, ground: Ground) -> None:
        ground.run("repair", "contacts", "--who", "drill")

    def is_gone(self, ground: Ground) -> bool:
        return not _read(ground, "SELECT id FROM shop.consent WHERE id = ANY(%s) AND state = 'granted'", self._keys)


@dataclass
class ImportRunsWild:
    """An import writes orders into legacy with a status that no mapping knows."""

    title: str = "more rows of one reason wait in quarantine than the gate allows"
    shows: str = "`shopferry gates`: *quarantine small*, status_unknown; `shopferry quarantine list`"
    remedy: str = "correct the cause, in legacy: `UPDATE orders SET status_code = 'NEW' WHERE status_code = 'IMPORT'`"
    runbook: str = f"{CUTOVER}#the-gates"
    _before: int = 0

    def _count(self, ground: Ground) -> int:
        with ground.shop() as shop:
            return sum(rows for _, reason, rows in quarantine.count_by_reason(shop) if reason == "status_unknown")

    def plant(self, ground: Ground) -> None:
        self._before = self._count(ground)
        with ground.shop() as shop:
            accounts = differences.load_latest(shop, ground.settings.route)["orders"].accounting
        rows = sum(account["legacy_rows"] for account in accounts)
        many = max(int(QUARANTINE_SHARE * rows), QUARANTINE_ROWS) + 10
        with ground.legacy() as legacy:
            legacy.execute(
                """INSERT INTO orders (number, customer_id, email, status_code, total, currency, payment_code, delivery_code,
                                       created_at)
                   SELECT 'IMPORT-' || n, 0, 'import' || n || '@example.com', 'IMPORT', 10, 'PLN', 'CARD', 'DPD',
                          '2024-03-01 10:00'
                   FROM generate_series(1, %s) AS n""",
                (many,),
            )

    def is_seen(self, ground: Ground) -> bool:
        return "quarantine small" in ground.list_unmet()

    def mend(self, ground: Ground) -> None:
        correct = "UPDATE orders SET status_code = 'NEW' WHERE status_code = 'IMPORT'"
        ground.say(f"legacy=# {correct}")
        with ground.legacy() as legacy:
            legacy.execute(correct)

    def is_gone(self, ground: Ground) -> bool:
        return self._count(ground) <= self._before + QUARANTINE_ROWS
