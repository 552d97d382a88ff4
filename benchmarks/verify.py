"""How fast verification is: layer 1 beside the bare checksum and reladiff, layer 2, and all of it beside the backfill.

    python benchmarks/verify.py [--customers 50000] [--copies 1] [--reladiff PATH]

`--copies 10` has ten times as many customers, nine of ten being copies with keys, addresses, order and card numbers of their
own: the generator would take an hour for a million of them.

It brings up an embedded stack of its own, moves a generated shop through all phases, and compares it, all in one run on
the same machine. `--reladiff` is the program of that name (pip install 'reladiff[postgresql]', in an environment of its
own), which then compares the same table. Prints one JSON object, and each phase as it ends on stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier
from replay import own_stack
from shopferry import db, phase_steps
from shopferry.demo import shop
from shopferry.engine import mirror
from shopferry.phase_steps import Options
from shopferry.route.entities import EntityMapping
from shopferry.route.route import Route
from shopferry.settings import Settings
from shopferry.verify import checksums, differ

# Column → the table whose keys it holds: a copy's are moved beyond all others.
KEYS = {
    "customers": {"id": "customers"},
    "addresses": {"id": "addresses", "customer_id": "customers"},
    "consents": {"id": "consents", "customer_id": "customers"},
    "orders": {"id": "orders", "customer_id": "customers"},
    "order_items": {"id": "order_items", "order_id": "orders"},
    "order_status_log": {"id": "order_status_log", "order_id": "orders"},
    "order_invoices": {"id": "order_invoices", "order_id": "orders"},
    "loyalty_accounts": {"id": "loyalty_accounts", "customer_id": "customers"},
    "loyalty_log": {"id": "loyalty_log", "account_id": "loyalty_accounts", "order_id": "orders"},
    "loyalty_redemptions": {"id": "loyalty_redemptions", "account_id": "loyalty_accounts", "order_id": "orders"},
    "loyalty_rewards": {"id": "loyalty_rewards", "customer_id": "customers", "order_id": "orders"},
}
OTHERS_MAIL = r"left(regexp_replace({column}, '([[:alnum:]])', 'c{copy}\1'), 96)"
OTHERS = {
    ("customers", "login"): OTHERS_MAIL,
    ("customers", "email"): OTHERS_MAIL,
    ("orders", "email"): OTHERS_MAIL,
    ("orders", "number"): "{column} || '-{copy}'",
    ("loyalty_accounts", "card_number"): "overlay({column} placing lpad('{copy}', 2, '5') from 1 for 2)",
}
TABLE, ENTITY, CHANGED = "order_items", "shop.order_line", 100
OPTIONS = Options(without_rehearsal="benchmark")


def multiply(settings: Settings, copies: int) -> None:
    """Have so many of every customer, with all that belongs to them; keys that lead nowhere still do."""
    with db.connect(settings.source_dsn, "benchmark") as legacy:
        steps = {t: legacy.execute(SQL("SELECT max(id) FROM {}").format(Identifier(t))).fetchone()[0] for t in KEYS}  # type: ignore[index]
        for table, keys in KEYS.items():
            columns = [
                c
                for (c,) in legacy.execute(
                    "SELECT column_name FROM information_schema.columns WHERE (table_schema, table_name) = ('public', %s) "
                    "ORDER BY ordinal_position",
                    (table,),
                ).fetchall()
            ]
            with legacy.transaction():
                for copy in range(1, copies):
                    values = [
                        f"CASE WHEN {c} <> 0 THEN {c} + {copy * steps[keys[c]]} ELSE {c} END"
                        if c in keys
                        else OTHERS.get((table, c), "{column}").format(column=c, copy=copy)
                        for c in columns
                    ]
                    legacy.execute(
                        f"INSERT INTO {table} ({', '.join(columns)}) "
                        f"SELECT {', '.join(values)} FROM {table} WHERE id <= {steps[table]}".encode()
                    )
                legacy.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", (table, copies * steps[table]))
            legacy.execute(SQL("ANALYZE {}").format(Identifier(table)))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """(seconds, result)."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def bare(settings: Settings, table: mirror.MirrorTable) -> None:
    """The least that comparing whole tables on their servers can be: one hash of every row, on both."""
    text = SQL("ROW({})::text").format(mirror.select_values(table))
    for dsn, schema in ((settings.source_dsn, "public"), (settings.target_dsn, "legacy")):
        with db.connect(dsn, "benchmark") as conn:
            conn.execute("SET max_parallel_workers_per_gather = 0")
            conn.execute(
                SQL("SELECT sum(hashtextextended({}, 0)) FROM {}").format(text, Identifier(schema, table.name))
            )


def layer1(settings: Settings, table: mirror.MirrorTable) -> int:
    """Differences that the first layer finds in one table."""
    with db.connect(settings.source_dsn, "benchmark") as legacy, db.connect(settings.target_dsn, "benchmark") as new:
        return sum(len(part.found) for part in checksums.compare(legacy, new, table, lambda: None))


def layer2(settings: Settings, unit: EntityMapping) -> int:
    """Differences that the second layer finds in one entity."""
    with db.connect(settings.target_dsn, "benchmark") as new:
        return sum(len(part.found) for part in differ.compare(new, unit))


def url(dsn: str) -> str:
    """A DSN as SQLAlchemy's and reladiff's URL."""
    d = conninfo_to_dict(dsn)
    return f"postgresql://{d['user']}:{d.get('password', '')}@{d['host']}:{d['port']}/{d['dbname']}"


def reladiff(program: str, settings: Settings, table: mirror.MirrorTable) -> int:
    """Lines that reladiff prints: two for each row that differs."""
    columns = [arg for name in table.names if name not in table.key for arg in ("-c", name)]
    found = subprocess.run(
        [
            program,
            url(settings.source_dsn),
            f"public.{table.name}",
            url(settings.target_dsn),
            f"mirror.{table.name}",
            "-k",
            table.key[0],
            *columns,
            "-j",
            "1",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode not in {0, 1} or "Traceback" in found.stderr:
        raise SystemExit(found.stderr)
    return len([line for line in found.stdout.splitlines() if line[:1] in {"+", "-"}])


def damage(settings: Settings, table: mirror.MirrorTable) -> None:
    """Change so many rows of the mirror, scattered."""
    with db.connect(settings.target_dsn, "benchmark") as new:
        new.execute(
            SQL(
                "UPDATE {0} SET quantity = quantity + 1 WHERE id IN "
                "(SELECT id FROM {0} ORDER BY md5(id::text) LIMIT {1})"
            ).format(table.base, SQL(str(CHANGED)))
        )


def main() -> None:
    """Run it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--customers", type=int, default=50_000)
    options.add_argument("--copies", type=int, default=1)
    options.add_argument("--reladiff")
    given = options.parse_args()
    with own_stack() as settings:
        shop.seed(settings, given.customers)
        multiply(settings, given.copies)
        route = Route.load(settings.route)
        backfill, again, compared = 0.0, 0.0, {}
        for phase in route.phases:
            steps: dict[str, float] = {"begun": time.perf_counter()}
            phase_steps.run(
                settings, phase, "benchmark", OPTIONS, lambda step, at=steps: at.update({step: time.perf_counter()})
            )  # type: ignore[misc]
            moved, all_of_it = steps["verifying"] - steps["begun"], time.perf_counter() - steps["begun"]
            print(
                f"{phase}: moved in {moved:.1f} s, and verified in {all_of_it - moved:.1f}", file=sys.stderr, flush=True
            )
            backfill += moved
        for phase in route.phases:
            took, outcome = timed(lambda p=phase: phase_steps.compare(settings, p))  # type: ignore[misc]
            print(f"{phase}: {outcome.rows_compared} rows verified in {took:.1f} s", file=sys.stderr, flush=True)
            again += took
            compared[phase] = {"rows": outcome.rows_compared, "differences": outcome.open, "s": round(took, 1)}
        with db.connect(settings.target_dsn, "benchmark") as new:
            table = mirror.load(new)[TABLE]
            row = new.execute(SQL("SELECT count(*) FROM {}").format(table.base)).fetchone()
            rows = int(row[0]) if row else 0
        unit = next(m for m in route.mappings if m.entity == ENTITY)
        bare(settings, table)  # warm
        floor, _ = timed(lambda: bare(settings, table))
        measured: dict[str, Any] = {"bare checksum": {"s": floor}}
        for state in ("identical", f"{CHANGED} differ"):
            if state != "identical":
                damage(settings, table)
            took, count = timed(lambda: layer1(settings, table))
            measured[f"layer 1, {state}"] = {"s": took, "found": count}
            if given.reladiff:
                took, count = timed(lambda: reladiff(given.reladiff, settings, table))
                measured[f"reladiff, {state}"] = {"s": took, "found": count}
        took, count = timed(lambda: layer2(settings, unit))
        measured["layer 2"] = {"s": took, "found": count}
    for line in measured.values():
        line |= {
            "s": round(line["s"], 2),
            "rows_per_s": round(rows / line["s"]),
            "of_bare": round(line["s"] / floor, 2),
        }
    print(
        json.dumps(
            {
                "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "postgres": "18 (embedded)"},
                "customers": given.customers * given.copies,
                "table": TABLE,
                "rows": rows,
                "measured": measured,
                "backfill_s": round(backfill, 1),
                "verification_s": round(again, 1),
                "verification_of_backfill": round(again / backfill, 3),
                "phases": compared,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
