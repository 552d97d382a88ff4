"""The page *Quality* in Airflow: the route's audits, the worst first, each with a line of its last 90 days; counts alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from shopferry import db, pages
from shopferry.control import audits as books
from shopferry.control.audits import Value
from shopferry.insight import audits, quality
from shopferry.insight.audits import Audit
from shopferry.orchestration.connections import load_settings
from shopferry.pages.languages import Language
from shopferry.route import language as route_language
from shopferry.route.route import Route


def build() -> str:
    """Build the page from what the route's audits have counted until now."""
    settings, now = load_settings(), datetime.now(UTC)
    route = Route.load(settings.route)
    with db.connect(settings.target_dsn, "page") as shop:
        # Ahead of `phase init`, and after `finish`, nothing is counted.
        there = db.exists(shop, "ferry.audit_run")
        history = books.load_since(shop, route.base_name, now - timedelta(days=quality.DAYS), now) if there else []
    return render(route.base_name, route_language.load(route.name), audits.load(route), history, now)


def render(route: str, language: Language, loaded: Sequence[Audit], history: Sequence[Value], now: datetime) -> str:
    """Render the page of these audits and what they have counted; `history` is in the order of its runs."""
    panels = quality.build(loaded, history, now)
    states = [s.judged.state for p in panels for s in p.segments]
    return pages.render(
        "quality.html",
        language,
        route=route,
        panels=panels,
        last=history[-1].at if history else None,
        late=bool(history) and now - history[-1].at > timedelta(hours=36),
        errors=states.count("error"),
        warnings=states.count("warn"),
        width=quality.WIDTH,
        height=quality.HEIGHT,
        days=quality.DAYS,
    )
