"""The page *Segments* in Airflow: how many customers each segment has, and how that has moved; counts alone."""

from __future__ import annotations

from shopferry import db, pages
from shopferry.insight import picture
from shopferry.insight.picture import Picture
from shopferry.orchestration.connections import load_settings
from shopferry.pages.languages import Language
from shopferry.route import language as route_language
from shopferry.route.route import Route


def build() -> str:
    """Build the page from what ticks have counted in the last 90 days."""
    settings = load_settings()
    route = Route.load(settings.route)
    with db.connect(settings.target_dsn, "page") as shop:
        return render(route.base_name, route_language.load(route.name), picture.load(shop, route))


def render(route: str, language: Language, drawn: Picture | None) -> str:
    """Render the page of what is drawn."""
    return pages.render("segments.html", language, route=route, picture=drawn)
