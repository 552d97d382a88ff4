"""Assess both stores, the broker and the route before anything moves; changes nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg

from shopferry.assess import (
    coverage,
    data_map,
    declared,
    encodings,
    orphans,
    own_checks,
    personal_values,
    readiness,
    rights,
    sign_offs,
    sources,
    values,
)
from shopferry.assess.findings import Example, Finding, Severity, attempt, sort_worst_first
from shopferry.assess.sizing import Estimate, check_head_room, estimate
from shopferry.db import Connection
from shopferry.errors import ConfigError, MappingError, ShopferryError
from shopferry.route import personal, signed_off
from shopferry.route.route import Route
from shopferry.settings import Settings

__all__ = ["Assessment", "Estimate", "Example", "Finding", "Severity", "assess", "findings", "require_fit"]


@dataclass(frozen=True)
class Assessment:
    """What was found, worst first, and what the move will take (None where a store or the route stood in the way)."""

    route: str
    at: datetime
    seconds: float
    findings: tuple[Finding, ...]
    estimate: Estimate | None

    @property
    def blocked(self) -> bool:
        """Whether something must be mended before a phase can start."""
        return any(f.blocking for f in self.findings)


def assess(settings: Settings) -> Assessment:
    """Assess servers, route, every value and a timed sample. Reads for as long as a few scans take."""
    started = time.monotonic()
    found: list[Finding] = []
    estimates: list[Estimate] = []
    for item in _look(settings, thorough=True):
        (estimates if isinstance(item, Estimate) else found).append(item)  # type: ignore[arg-type]
    seconds = round(time.monotonic() - started, 1)
    return Assessment(
        settings.route, datetime.now(UTC), seconds, tuple(sort_worst_first(found)), estimates[0] if estimates else None
    )


def find_obstacles(settings: Settings) -> list[Finding]:
    """Find what may stand in a phase's way, blocking findings first: servers, route, and the route's own blocking checks."""
    return sort_worst_first([f for f in _look(settings, thorough=False) if isinstance(f, Finding)])


def require_fit(settings: Settings) -> list[Finding]:
    """Return what may stand in a phase's way and does not block it. Raises ConfigError with all that does."""
    found = find_obstacles(settings)
    if blocking := [str(f) for f in found if f.blocking]:
        raise ConfigError("; ".join(blocking))
    return found


def _look(settings: Settings, *, thorough: bool) -> Iterator[Finding | Estimate]:
    try:
        route = Route.load(settings.route)
        settled, questions, people = signed_off.load(route), own_checks.load(route), personal.load(route)
    except ShopferryError as error:
        yield _blame_mapping(error)
        return
    legacy, shop = None, None
    try:
        legacy, finding = readiness.reach(
            settings.source_dsn, rights.LEGACY, "SHOPFERRY_LEGACY_DSN or connection legacy_db"
        )
        if finding:
            yield finding
        shop, finding = readiness.reach(settings.target_dsn, rights.SHOP, "SHOPFERRY_SHOP_DSN or connection shop_db")
        if finding:
            yield finding
        yield from readiness.check_broker(settings)
        if legacy:
            yield from readiness.check_legacy(legacy, route)
        if shop:
            yield from readiness.check_shop(shop, route)
        if legacy and shop:
            yield from _assess_route(legacy, shop, route, settled, questions, people, thorough=thorough)
    finally:
        for conn in (legacy, shop):
            if conn:
                conn.close()


def _assess_route(
    legacy: Connection,
    shop: Connection,
    route: Route,
    settled: tuple[signed_off.SignedOff, ...],
    questions: tuple[own_checks.OwnCheck, ...],
    people: personal.DataMap,
    *,
    thorough: bool,
) -> Iterator[Finding | Estimate]:
    full, missing = coverage.reflect_mapped(legacy, route)
    yield from missing
    if missing:
        return
    try:
        kept = coverage.cut_to_captured(shop, route, full)
    except ShopferryError as error:
        yield _blame_mapping(error)
        return
    except psycopg.errors.InsufficientPrivilege:
        return  # said already
    if absent := [t for t in full if t not in kept]:
        yield _blame_mapping(MappingError(f"the mirror lacks {', '.join(absent)}, mapped since it was made"))
        return
    yield from attempt("texts of legacy", lambda: encodings.check_encoding(legacy, kept))
    yield from attempt("legacy tables", lambda: coverage.find_unfollowed(legacy, kept))
    yield from attempt("unmapped data", lambda: coverage.find_unmapped(legacy, full, kept, settled))
    yield from sign_offs.find_outdated(full, kept, settled)
    yield from sign_offs.find_unmatched(legacy, settled)
    yield from data_map.find_gaps(legacy, shop, route, kept, people)
    yield from personal_values.find_telling_keys(route, kept, people)
    yield from attempt("people's data", lambda: personal_values.find_hidden(legacy, kept, people))
    for check in questions:
        if thorough or check.severity is Severity.BLOCKING:
            yield from attempt(check.subject, lambda check=check: own_checks.run(legacy, check))  # type: ignore[misc]
    if not thorough:
        return
    yield from attempt("sources of mappings", lambda: sources.find_misleading(legacy, shop, route, kept))
    yield from attempt("declared types", lambda: declared.find_broken(legacy, shop, route, kept))
    yield from attempt("codes", lambda: declared.find_unknown_codes(legacy, route, kept))
    yield from attempt("parents", lambda: orphans.find_orphans(legacy, route, kept))
    yield from attempt("values", lambda: values.judge_values(legacy, route, kept))
    yield from attempt("texts", lambda: values.find_broken_texts(legacy, route, kept))
    yield from attempt("free text", lambda: personal_values.find_in_free_text(legacy, kept, people))
    expected = estimate(legacy, shop, route, full, kept)
    yield expected
    yield from check_head_room(legacy, expected)


def _blame_mapping(error: Exception) -> Finding:
    return Finding("mappings", Severity.BLOCKING, str(error), "what they say cannot be done", "mend the file")
