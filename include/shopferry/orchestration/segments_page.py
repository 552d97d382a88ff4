"""The page *Segments* in Airflow: how many customers each segment has, and how that has moved; counts alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from shopferry import db, pages
from shopferry.control import segments
from shopferry.insight import picture
from shopferry.insight.picture import Picture
from shopferry.orchestration.connections import load_settings
from shopferry.route.route import Route


def build() -> str:
    """Build the page from what ticks have counted in the last 90 days."""
    settings = load_settings()
    route = Route.load(settings.route)
    since = datetime.now(UTC).date() - timedelta(days=picture.DAYS)
    with db.connect(settings.target_dsn, "page") as shop:
        # Ahead of `phase init`, and after `finish`, nothing is counted.
        there = db.exists(shop, "ferry.segment_count")
        history = segments.load_since(shop, route.base_name, since) if there else {}
    return render(route.base_name, picture.draw(history))


def render(route: str, drawn: Picture | None) -> str:
    """Render the page of what is drawn."""
    return pages.render("segments.html", route=route, picture=drawn, width=picture.WIDTH, height=picture.HEIGHT)
