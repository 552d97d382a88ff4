"""Every case folder below demo/: legacy rows in, shop rows out, through the real engine.

`legacy.sql` fills the legacy store, `changes.sql` (optional) changes it later, `optouts.csv` (optional) is imported,
`expected.json` says what the shop, the quarantine and the left-out rows must hold in the end. Cases with changes or
opt-outs run twice: with them there from the start, and coming after everything was merged, the opt-outs first; both
must end alike, since the same mapping made them.

In expected.json "shop.<table>" lists rows, each with the columns that matter; "@7" is the shop key of legacy customer 7, and
"@order:7" that of another identity.
"quarantine" and "left_out" list the case's own entity completely; other entities are looked at when they are named.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pair import Pair
from shopferry import db
from shopferry.control import phases
from shopferry.control.phases import State
from shopferry.engine.backfill import begin_merge, copy_next, merge_next, plan_copy, resync, standardize
from shopferry.engine.pair import Stores
from shopferry.privacy import optout_files, optouts
from shopferry.route.route import Route


def comes_later(case: Path) -> bool:
    return (case / "changes.sql").exists() or (case / "optouts.csv").exists()


CASES = sorted(p.parent for p in Path(__file__).parent.glob("demo/*/*/*/expected.json"))
RUNS = [(c, way) for c in CASES for way in (("batch", "changes") if comes_later(c) else ("batch",))]


def ferry(stores: Stores, last: str) -> None:
    """All phases up to the last, one after the other, as the CLI would run them."""
    route = stores.route
    for phase in route.phases[: route.phases.index(last) + 1]:
        phases.move(stores.target, route.name, phase, State.COPYING)
        plan_copy(stores, phase)
        while copy_next(stores, phase, "test"):
            pass
        standardize(stores, phase)
        begin_merge(stores, phase)
        while merge_next(stores, phase, "test"):
            pass
        phases.move(stores.target, route.name, phase, State.IN_SYNC)
        phases.move(stores.target, route.name, phase, State.VERIFIED)


def import_optouts(stores: Stores, case: Path) -> None:
    """The case's opt-outs, if it has any, as `optout import` takes them."""
    file = case / "optouts.csv"
    if file.exists():
        optouts.take(stores, optout_files.read(file.read_bytes(), file.name, "csv"), "list", "csv", "test")


@pytest.mark.parametrize(("case", "way"), RUNS, ids=lambda v: "-".join(v.parts[-3:]) if isinstance(v, Path) else v)
def test_case(case: Path, way: str, pair: Pair) -> None:
    run_case(case, way, pair)


def run_case(case: Path, way: str, pair: Pair) -> None:
    """One case, with its changes there from the start or coming later; its folder is <phase>/<entity>/<case>."""
    pair.legacy.execute((case / "legacy.sql").read_bytes())
    changes = (case / "changes.sql").read_bytes() if (case / "changes.sql").exists() else None
    if way == "batch":
        import_optouts(pair.stores, case)
    if changes and way == "batch":
        pair.legacy.execute(changes)
    ferry(pair.stores, case.parts[-3])
    if way == "changes":
        import_optouts(pair.stores, case)
    if changes and way == "changes":
        pair.legacy.execute(changes)
        resync(pair.stores, "test")
    expected = json.loads((case / "expected.json").read_text())
    entity = f"{pair.route.shop_schema}.{case.parent.name}"
    assert outcome(pair.shop, entity, expected) == fill(expected, entity, pair.shop)
    assert unaccounted(pair.shop, pair.route, case.parts[-3]) == []


def outcome(shop: db.Connection, entity: str, expected: dict[str, Any]) -> dict[str, Any]:
    """What the shop holds of what the case names, in the shape of expected.json."""
    shop.execute("SET timezone TO 'UTC'")
    held: dict[str, Any] = {}
    for table, rows in expected.items():
        if "." in table:
            named = sorted({column for row in rows for column in row})
            found = [r[0] for r in shop.execute(f"SELECT to_jsonb(t) FROM {table} t").fetchall()]
            held[table] = in_order([{column: row[column] for column in named} for row in found])
    for table, column in (("quarantine", "reasons"), ("left_out", "reason")):
        held[table] = {e: {} for e in {entity, *expected.get(table, {})}}
        for e, key, why in shop.execute(f"SELECT entity, row_key, {column} FROM ferry.{table}").fetchall():
            if e in held[table]:
                held[table][e][key] = why
    return held


def fill(expected: dict[str, Any], own: str, shop: db.Connection) -> dict[str, Any]:
    """The expectation with shop keys in place of "@<legacy customer>" or "@<identity>:<legacy key>", the rest empty."""
    keys = {}
    for entity, legacy_key, key in shop.execute(
        "SELECT entity, legacy_key, coalesce(to_jsonb(shop_id), to_jsonb(shop_key)) FROM ferry.identity"
    ).fetchall():
        keys |= {f"@{legacy_key}": key, f"@{entity}:{legacy_key}": key}
    filled: dict[str, Any] = {
        table: in_order([{c: keys.get(v, v) if isinstance(v, str) else v for c, v in row.items()} for row in rows])
        for table, rows in expected.items()
        if "." in table
    }
    for table in ("quarantine", "left_out"):
        named = {own: {}, **expected.get(table, {})}
        filled[table] = {e: {str(keys.get(k, k)): why for k, why in rows.items()} for e, rows in named.items()}
    return filled


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True, default=str))


def unaccounted(shop: db.Connection, route: Route, phase: str) -> list[str]:
    """The phase's tables whose live rows are not exactly those migrated, quarantined or left out."""
    wrong = []
    for unit in route.mappings:
        if unit.counts is None or unit.phase != phase:
            continue
        total, parts = shop.execute(
            f"""SELECT (SELECT count(*) FROM legacy.{unit.counts.table}),
                       (SELECT count({unit.counts.expression}) FROM {unit.entity} t)
                     + (SELECT count(*) FROM ferry.quarantine WHERE entity = %(e)s)
                     + (SELECT count(*) FROM ferry.left_out WHERE entity = %(e)s)""",
            {"e": unit.entity},
        ).fetchone() or (0, 0)
        if total != parts:
            wrong.append(f"{unit.counts.table}: {total} rows, {parts} accounted for")
    return wrong
