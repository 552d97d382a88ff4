"""Everything that can be known of a route without moving a row: its files, what PostgreSQL says of them, what is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import psycopg

from shopferry import db
from shopferry.assess import coverage, data_map, rights, sign_offs
from shopferry.assess.findings import Finding, Severity, sort_worst_first
from shopferry.authoring import files, gaps, plans, queries
from shopferry.authoring.plans import Planned
from shopferry.db import Connection
from shopferry.errors import ShopferryError
from shopferry.route import personal, signed_off
from shopferry.route.route import Route
from shopferry.settings import Settings, routes_dir


def check(settings: Settings) -> list[Finding]:
    """Check a route, the worst first; `subject` of each finding is file and line. Changes nothing in either store."""
    route, found = files.load(settings.route)
    if route:
        with db.connect(settings.source_dsn, "check") as legacy, db.connect(settings.target_dsn, "check") as shop:
            found += _check_stores(legacy, shop, route)
    return sort_worst_first(list(dict.fromkeys(found)))


def _check_stores(legacy: Connection, shop: Connection, route: Route) -> Iterator[Finding]:
    folder = routes_dir() / route.name
    try:
        with shop.transaction(force_rollback=True), legacy.transaction(force_rollback=True):
            planned, found = plans.plan(legacy, shop, route)
            yield from found
            if planned:
                yield from queries.find_unplanned(legacy, shop, planned.route, planned.full)
                yield from gaps.find_lineage_gaps(shop, planned.route)
                yield from gaps.find_unindexed(legacy, shop, planned)
                yield from _check_lists(legacy, shop, route, planned)
    except psycopg.errors.InsufficientPrivilege as error:
        yield plans.find_denied(error, rights.SHOP)
    if route.back:
        yield from _check_way_back(legacy, shop, route, route.back)
    yield from gaps.find_unreachable(route, folder)


def _check_lists(legacy: Connection, shop: Connection, route: Route, planned: Planned) -> Iterator[Finding]:
    """Check what the route's lists say of columns and tables; each that cannot be read is found already."""
    whole = planned.route == route
    for finding in coverage.find_unfollowed(legacy, planned.kept):
        table = re.sub(r"^legacy (table )?|\..*", "", finding.subject)
        unit = next(u for u in route.units if table in u.tables)
        line = next((s.line for s in unit.sources if s.name == table), unit.line)
        yield replace(finding, subject=f"{unit.file}:{line}", text=f"{finding.subject}: {finding.text}")
    try:
        settled = signed_off.load(route)
        if whole:  # else what the broken mappings read would count as unread
            yield from gaps.find_unread(legacy, planned, route)
        yield from _place(route, sign_offs.find_outdated(planned.full, planned.kept, settled))
        yield from _place(route, sign_offs.find_unmatched(legacy, settled))
    except ShopferryError:
        pass
    try:
        people = personal.load(route)
    except ShopferryError:
        return
    if whole:
        yield from _place(route, data_map.find_gaps(legacy, shop, route, planned.kept, people), personal.FILE)


def _place(route: Route, found: Iterator[Finding], otherwise: str = "") -> Iterator[Finding]:
    """Name the file of findings whose subject is a line of one of the route's lists, or else a table."""
    for finding in found:
        if re.match(r"\w+\.txt", finding.subject):
            yield replace(finding, subject=f"{route.name}/{finding.subject}")
        else:
            yield replace(finding, subject=f"{route.name}/{otherwise}", text=f"{finding.subject}: {finding.text}")


def _check_way_back(legacy: Connection, shop: Connection, route: Route, back: Route) -> Iterator[Finding]:
    """Plan the SELECTs that lead back, in legacy, where no table is touched; and find what they do not carry."""
    try:
        with legacy.transaction(force_rollback=True):
            planned, found = plans.plan(shop, legacy, back, merge=False)
            yield from found
    except psycopg.errors.InsufficientPrivilege as error:
        yield plans.find_denied(error, rights.LEGACY)
        return
    if planned and planned.route == back:
        try:
            yield from gaps.find_undecided(shop, route, planned, routes_dir() / route.name)
        except ShopferryError:
            return  # found already, where the file was read


def is_right(found: list[Finding]) -> bool:
    """Tell whether nothing keeps the route from being installed."""
    return not any(f.severity is Severity.BLOCKING for f in found)
