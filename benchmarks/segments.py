"""How long profiles and segments of many customers take: the phase, a night's tick, a rebuild by the file handed over.

    python benchmarks/segments.py [--customers 1000000]

It brings up an embedded stack of its own, moves a small generated shop, and puts customers with three orders each into the new
shop's tables. Prints one JSON object: seconds, and how many customers a tick touches.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from replay import own_stack
from shopferry import db, phase_steps
from shopferry.db import Connection
from shopferry.demo import shop
from shopferry.engine import clock
from shopferry.engine.pair import open_stores
from shopferry.insight import derived, sql_file
from shopferry.phase_steps import Options
from shopferry.route.route import Route
from shopferry.stores import fence

_FIRST = 10_000_000  # keys that the moved shop has not
_FILL = """
SET session_replication_role = replica;
INSERT INTO shop.customer (id, email, given_name, family_name, registered_at, last_seen_at)
SELECT {first} + n, 'p' || n || '@example.com', 'Anna', 'Nowak', TIMESTAMPTZ '2018-01-01' + n % 2000 * interval '1 day',
       TIMESTAMPTZ '2024-01-01' + n % 900 * interval '1 day'
FROM generate_series(1, {many}) n;
INSERT INTO ferry.identity (entity, legacy_key, cluster, shop_key)
SELECT 'customer', {first} + n, 'p' || n || '@example.com', {first} + n FROM generate_series(1, {many}) n;
INSERT INTO shop.customer_order (id, number, customer_id, status, currency, total, placed_at)
SELECT {first} + n * 3 + o, 'B' || n || '-' || o, {first} + n, 'delivered', CASE n % 9 WHEN 0 THEN 'EUR' ELSE 'PLN' END,
       20 + n % 500, now() - (n::bigint * 7919 + o * 104729) % 1200 * interval '1 day'
FROM generate_series(1, {many}) n, generate_series(0, 2) o;
INSERT INTO shop.payment (order_id, method, state, amount, currency)
SELECT id, 'blik', 'paid', total, currency FROM shop.customer_order WHERE id >= {first};
INSERT INTO shop.delivery (order_id, method, state, currency)
SELECT id, 'courier', 'delivered', currency FROM shop.customer_order WHERE id >= {first};
INSERT INTO shop.consent (customer_id, purpose, channel, state, granted_at, wording_version)
SELECT {first} + n, 'marketing', 'email', 'granted', now(), 'v6' FROM generate_series(1, {many}, 2) n;
INSERT INTO shop.loyalty_account (id, customer_id, balance)
SELECT {first} + n, {first} + n, 100 FROM generate_series(1, {many}, 3) n;
INSERT INTO shop.loyalty_entry (account_id, kind, points, happened_at)
SELECT id, 'earned', 100, now() - id % 900 * interval '1 day' FROM shop.loyalty_account WHERE id >= {first};
"""


def measure(work: Callable[[], Any]) -> tuple[float, Any]:
    """Run it; returns the seconds, and what it returned."""
    began = time.monotonic()
    found = work()
    return round(time.monotonic() - began, 1), found


def run_file(conn: Connection, text: str) -> None:
    """Run the file as the shop's team would, once shopferry is gone."""
    conn.execute(text.encode())


def main() -> None:
    """Run it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--customers", type=int, default=1_000_000)
    given = options.parse_args()
    told: dict[str, Any] = {"customers": given.customers}
    with own_stack() as settings:
        route = Route.load(settings.route)
        shop.seed(settings, 50)
        for phase in route.phases[:-1]:
            phase_steps.run(settings, phase, "benchmark", Options(without_rehearsal="benchmark"), lambda _: None)
        with db.connect(settings.target_dsn, "benchmark") as new:
            new.execute("SET shopferry.writer = 'ferry'")
            for statement in _FILL.format(many=given.customers, first=_FIRST).split(";\n"):
                new.execute(statement.encode())
            new.execute("SET session_replication_role = origin")
            new.execute("VACUUM ANALYZE")
        last = route.phases[-1]
        work = lambda: phase_steps.run(  # noqa: E731
            settings, last, "benchmark", Options(without_rehearsal="benchmark"), lambda _: None
        )
        told["phase_s"], _ = measure(work)
        with open_stores(settings, "benchmark") as stores:
            day = clock.load(stores.target)
            told["tick_s"], ticked = measure(lambda: derived.tick(stores, day + timedelta(days=1)))
            told["tick_keys"], told["tick_share"] = ticked.merged, round(ticked.merged / given.customers, 4)
            told["renew_nothing_s"], told["renewed"] = measure(lambda: derived.renew(stores))
            stores.merger.stage(route.derived)
            text = sql_file.write(stores.target, route)
            fence.lift_fence(stores.target, route.shop_tables)
        with db.connect(settings.target_dsn, "benchmark") as new:
            new.execute("TRUNCATE shop.customer_profile, shop.customer_segment")
            told["rebuild_by_file_s"], _ = measure(lambda: run_file(new, text))
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
