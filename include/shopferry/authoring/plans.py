"""Plan every SELECT of a route, and try its merges with no row, in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import psycopg
from psycopg.sql import SQL, Identifier

from shopferry.assess import coverage
from shopferry.assess.findings import Finding, Severity
from shopferry.authoring.files import blame
from shopferry.control import installed_settings, schema
from shopferry.db import Connection
from shopferry.engine import captured, trial
from shopferry.engine.mirror import MirrorTable
from shopferry.errors import ShopferryError
from shopferry.route.entities import Unit
from shopferry.route.route import Route

_OURS = ("ferry", "mirror", "clean")


@dataclass(frozen=True)
class Planned:
    """The part of a route that can be planned, its captured tables with all columns, and with those that it reads."""

    route: Route
    full: Mapping[str, MirrorTable]
    kept: Mapping[str, MirrorTable]


def set_aside(conn: Connection, *schemas: str) -> None:
    """Rename what is installed of us, for the rest of a transaction that is rolled back: nobody else sees it, none waits."""
    for name in (*_OURS, *schemas):
        with conn.transaction():
            if conn.execute("SELECT to_regnamespace(%s)", (name,)).fetchone() != (None,):
                conn.execute(SQL("ALTER SCHEMA {} RENAME TO {}").format(Identifier(name), Identifier(f"{name}_aside")))


def plan(
    source: Connection, target: Connection, route: Route, *, merge: bool = True
) -> tuple[Planned | None, list[Finding]]:
    """Plan a route in the caller's transaction, which is to be rolled back; what is wrong is found mapping by mapping.

    `merge` tries the merges as well. What is made for it stands until the transaction ends.
    """
    set_aside(target, "legacy" if route.schema == "legacy" else route.schema)
    schema.install_control(target)
    installed_settings.store(target, {s.name: (s.value, s.secret) for s in route.settings})
    full, found = _reflect(source, route)
    left = replace(route, units=tuple(u for u in route.units if u.tables <= full.keys()))
    left = _drop_needing(left, {u.relation for u in route.units} - {u.relation for u in left.units})
    while left.units:
        try:
            with target.transaction():
                kept = captured.cut_to_read(target, left, full)
                if merge:
                    trial.try_merge(target, left, kept)
            return Planned(left, full, kept), found
        except ShopferryError as error:
            found.append(blame(error))
            wrong = next((u for u in left.units if str(error).startswith(f"{u.file}:")), None)
            if not wrong:
                return None, found
            left = _drop_needing(left, {wrong.relation})
    return None, found


def _reflect(source: Connection, route: Route) -> tuple[dict[str, MirrorTable], list[Finding]]:
    full, missing = coverage.reflect_mapped(source, route)
    absent = [t for t in route.tables if t not in full]
    found = []
    for table, finding in zip(absent, missing, strict=False):
        unit = next(u for u in route.units if table in u.tables)
        line = next((s.line for s in unit.sources if s.name == table), unit.line)
        found.append(replace(finding, subject=f"{unit.file}:{line}"))
    return full, found


def _drop_needing(route: Route, gone: set[str]) -> Route:
    """Leave out the mappings that make these relations, and those that read them."""
    units: tuple[Unit, ...] = ()
    for unit in route.units:
        if unit.relation in gone or gone & {s.relation for s in unit.sources}:
            gone = gone | {unit.relation}
        else:
            units = (*units, unit)
    return replace(route, units=units)


def find_denied(error: psycopg.Error, store: str) -> Finding:
    """Make the finding that a role may not try what `phase init` will do."""
    return Finding(
        store,
        Severity.WARNING,
        f"could not be planned, {error.diag.message_primary}",
        "",
        "let the role make schemas there: GRANT CREATE ON DATABASE; `shopferry assess` says what else it needs",
    )
