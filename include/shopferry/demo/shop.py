"""The demo's two stores: legacy filled by the generator, the new shop with its empty tables."""

from __future__ import annotations

from shopferry import db
from shopferry.db import Connection
from shopferry.demo import generator
from shopferry.errors import ConfigError
from shopferry.settings import SQL_ROOT, Settings


def seed(settings: Settings, customers: int, seed: int = 7) -> dict[str, int]:
    """Fill an empty legacy store and create the new shop's tables; returns the rows per table.

    Raises ConfigError when either store already has tables: a generated shop never mixes with a real one.
    """
    with db.connect(settings.source_dsn, "seed") as legacy, db.connect(settings.target_dsn, "seed") as shop:
        _require_empty(legacy, "public.customers", "legacy store")
        _require_empty(shop, "shop.customer", "new shop")
        with shop.transaction():
            shop.execute((SQL_ROOT / settings.route / "shop.sql").read_bytes())
        return generator.seed(legacy, customers=customers, seed=seed)


def _require_empty(conn: Connection, table: str, store: str) -> None:
    if db.exists(conn, table):
        raise ConfigError(f"{store} already has {table}: seed only empty databases (`shopferry stack down --purge`)")
