"""Who answers for an area of the shop accepts what was moved of it, once it is verified; a gate of the cutover asks for that."""

from __future__ import annotations

from shopferry import db
from shopferry.control import acceptances, differences, routes
from shopferry.control.gates import Gate
from shopferry.engine.pair import Stores
from shopferry.errors import ConfigError, PhaseError
from shopferry.route import settings as route_settings
from shopferry.route.settings import Terms
from shopferry.settings import Settings


def accept(settings: Settings, area: str, note: str, who: str) -> None:
    """Record that an area is accepted as it stands.

    Raises ConfigError for an area that route.toml does not name, PhaseError while nothing is verified.
    """
    areas = route_settings.load(settings.route).cutover.acceptance
    if area not in areas:
        known = ", ".join(areas) or "none: name areas and people in [cutover.acceptance] of route.toml"
        raise ConfigError(f"area {area!r} is none of the route's; they are {known}")
    if not note.strip():
        raise ConfigError("--note is empty: say what was looked at")
    with db.connect(settings.target_dsn, "accept") as shop, shop.transaction():
        if not routes.is_installed(shop) or not differences.load_latest(shop, settings.route):
            raise PhaseError("no phase is verified yet: there is nothing to accept")
        acceptances.record(shop, settings.route, area, note, who)


def judge(s: Stores, terms: Terms) -> Gate:
    """Judge whether each area that route.toml names was accepted since the last verification of any phase."""
    verified = [v.at for v in differences.load_latest(s.target, s.route.name).values()]
    given = acceptances.load_latest(s.target, s.route.name)
    late, told = [], []
    for area, people in terms.acceptance.items():
        one = given.get(area)
        if one is None or (verified and one.at < max(verified)):
            late.append(
                f"{area}: not by {people}" + (f" since the last verification, by {one.who} before" if one else "")
            )
        else:
            told.append(f"{area}: by {one.who} at {one.at:%Y-%m-%d %H:%M}")
    return Gate(
        "accepted by every area",
        not late,
        "; ".join(late or told) or "route.toml names no area",
        "have them look at what was moved, then `shopferry accept AREA --note …`",
    )
