"""The page *Requests* in Airflow: what people have asked, with the clock running; numbers and dates, nothing personal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from shopferry import db, pages
from shopferry.control import requests
from shopferry.control.requests import Request
from shopferry.orchestration.connections import load_settings
from shopferry.pages.languages import Language
from shopferry.route import language as route_language
from shopferry.route.route import Route

DAG_ID = "privacy_request"  # who may start it may see the page
_SOON_DAYS = 7


@dataclass(frozen=True)
class Line:
    """One request as the page shows it; `left` are the days until it is due, None once it is closed."""

    request: Request
    left: int | None

    @property
    def mark(self) -> str:
        """How urgent it is: late, soon, running or closed."""
        if self.left is None:
            return "closed"
        return "late" if self.left < 0 else "soon" if self.left <= _SOON_DAYS else "running"

    @property
    def next(self) -> str:
        """What is to be done with it."""
        number = self.request.id
        if self.request.state == "open":
            return f"shopferry request decide {number}"
        if self.left is None:
            return ""
        if self.request.kind == "erasure":
            return "DAG privacy_request"
        return f"shopferry request {'run' if self.request.kind in requests.RUN_KINDS else 'close'} {number}"


def build() -> str:
    """Build the page from the route's requests as they stand now."""
    settings = load_settings()
    route = Route.load(settings.route)
    with db.connect(settings.target_dsn, "page") as shop:
        # Ahead of `phase init`, and after `finish`, there are none.
        found = requests.load_all(shop, route.base_name) if db.exists(shop, "ferry.request") else []
    return render(route.base_name, route_language.load(route.name), found, date.today())


def render(route: str, language: Language, found: Sequence[Request], today: date) -> str:
    """Render the page: those whose clock runs first, the latest of them at the top, then those that are closed, newest first."""
    lines = [Line(r, (r.due - today).days if r.closed is None else None) for r in found]
    running = sorted((x for x in lines if x.left is not None), key=lambda x: (x.request.due, x.request.id))
    closed = sorted((x for x in lines if x.left is None), key=lambda x: x.request.id, reverse=True)
    return pages.render(
        "requests.html",
        language,
        route=route,
        running=running,
        closed=closed,
        late=sum(x.mark == "late" for x in running),
        today=today,
    )
