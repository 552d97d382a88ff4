"""Faults of what has to be there before a cutover, though nothing of it moves: backups, and what people have said."""

from __future__ import annotations

from dataclasses import dataclass

from shopferry.control import backups
from shopferry.cutover import acceptance
from shopferry.demo.drill.fault import CUTOVER
from shopferry.demo.drill.ground import Ground
from shopferry.engine.pair import open_stores
from shopferry.route import settings as route_settings
from shopferry.route.settings import STORES


@dataclass
class BackupTooOld:
    """The backups are of the day before yesterday: a restore would lose the orders since."""

    title: str = "there is no fresh backup of the stores"
    shows: str = "`shopferry gates`: *backup fresh and restored*; `shopferry backup list`"
    remedy: str = "`shopferry backup --test-restore`: take both again and try to restore them"
    runbook: str = "docs/howto/backups.md"

    def plant(self, ground: Ground) -> None:
        with ground.shop() as shop:
            shop.execute("UPDATE ferry.backup SET taken = taken - interval '2 days'")

    def is_seen(self, ground: Ground) -> bool:
        return "backup fresh and restored" in ground.list_unmet()

    def mend(self, ground: Ground) -> None:
        ground.run("backup", "--test-restore", "--who", "drill")

    def is_gone(self, ground: Ground) -> bool:
        with ground.shop() as shop:
            taken = backups.list_all(shop, ground.settings.route)
        return {b.store for b in taken if b.proven} == set(STORES)


@dataclass
class AcceptanceStale:
    """The areas were accepted before the last verification: what people saw may have changed."""

    title: str = "an area was not accepted since the last verification"
    shows: str = "`shopferry gates`: *accepted by every area* names the areas and who answers for each"
    remedy: str = "they look again, then `shopferry accept AREA --note … --who …` for each; not in their name"
    runbook: str = f"{CUTOVER}#the-gates"

    def plant(self, ground: Ground) -> None:
        with ground.shop() as shop:
            shop.execute("UPDATE ferry.acceptance SET at = at - interval '2 days'")

    def is_seen(self, ground: Ground) -> bool:
        return "accepted by every area" in ground.list_unmet()

    def mend(self, ground: Ground) -> None:
        for area in route_settings.load(ground.settings.route).cutover.acceptance:
            ground.run("accept", area, "--note", "twenty customers of last week", "--who", "drill")

    def is_gone(self, ground: Ground) -> bool:
        with open_stores(ground.settings, "drill") as stores:
            return acceptance.judge(stores, route_settings.load(ground.settings.route).cutover).met
