"""The route's campaign lists: `campaign/*.sql`, each one SELECT of whom to ask for something, why, and how they may be asked.

To ask by e-mail is marketing, whatever is asked for. So a file proposes how, and the engine allows e-mail, SMS and telephone
only where marketing by that channel is granted to the person now. The grammar is in docs/howto/activation.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from shopferry.control import looks
from shopferry.db import Connection
from shopferry.errors import MappingError
from shopferry.insight import activation, handover, permission, selects
from shopferry.insight.activation_file import read_headed, require_one_of
from shopferry.insight.formats import write_csv
from shopferry.insight.permission import Permission, Questions
from shopferry.insight.selects import NUMBER, Select
from shopferry.route.route import Route
from shopferry.settings import routes_dir

FOLDER = "campaign"
COLUMNS = (NUMBER, "why", "may_ask_by")
GRANTED = ("email", "sms", "phone")  # ways that want a consent
POST, SIGN_IN, NOBODY = "post", "next_sign_in", "nobody"
WAYS = (*GRANTED, POST, SIGN_IN, "order_mail", NOBODY)
_WORDS = ("campaign", "owner", "purpose")
_LONGEST = 200  # characters of a reason


@dataclass(frozen=True)
class Campaign:
    """One list: what it is for, who answers for it, and the purpose for which a consent must be granted."""

    name: str  # the file's stem
    meaning: str
    owner: str
    purpose: str
    select: Select


@dataclass(frozen=True)
class Asked:
    """One person on the list: why, how they may be asked, and how the file would have had it."""

    customer_id: str
    why: str
    may_ask_by: str  # one of WAYS
    proposed: str


def load(route: Route, root: Path | None = None) -> tuple[Campaign, ...]:
    """Read every campaign list of the route, by name; a route may have none. Raises MappingError with file and line."""
    root = root or routes_dir()
    files = sorted((root / route.base_name / FOLDER).glob("*.sql"))
    purposes = permission.load(route, root).purposes if files else ()
    found = []
    for file in files:
        text = read_headed(file, root, _WORDS)
        require_one_of(text, "purpose", purposes)
        said = {word: text.first(word) for word in _WORDS}
        meaning = " ".join((said["campaign"].value, *said["campaign"].more))
        select = Select(text.where, text.body.line, text.body.text)
        found.append(Campaign(file.stem, meaning, said["owner"].value, said["purpose"].value, select))
    return tuple(found)


def find(loaded: tuple[Campaign, ...], name: str) -> Campaign:
    """Find a campaign list by its name. Raises MappingError naming those that there are."""
    for campaign in loaded:
        if campaign.name == name:
            return campaign
    known = ", ".join(c.name for c in loaded) or "the route has none"
    raise MappingError(f"there is no campaign list {name!r}: {known}")


def draw(shop: Connection, route: Route, questions: Questions, campaign: Campaign) -> list[Asked]:
    """Draw a list, each person with the way in which they may be asked now; changes nothing.

    Raises MappingError for a SELECT that does not run or yields something else, PhaseError while the shop is being filled.
    """
    activation.require_ready(shop, route)
    select = campaign.select
    with selects.at_one_moment(shop):
        selects.require_columns(shop, select, COLUMNS)
        rows = selects.read(shop, select, COLUMNS[1:])
        selects.require_once(select, rows)
        allowed = {
            channel: permission.ask(shop, route, questions, campaign.purpose, channel) for channel in (*GRANTED, POST)
        }
    found = []
    for customer, why, way in rows:
        if way not in WAYS:
            raise select.error(f"may_ask_by of customer {customer} is none of {', '.join(WAYS)}")
        if not isinstance(why, str) or not 0 < len(why) <= _LONGEST:
            raise select.error(f"why of customer {customer} wants to be a text of 1 to {_LONGEST} characters")
        found.append(Asked(customer, why, _judge(customer, way, allowed), way))
    return found


def _judge(customer: str, way: str, allowed: Mapping[str, Permission]) -> str:
    """Say how a person may be asked, where the file would have it this way.

    Who has refused a channel is asked by no other way instead; who never said yes with proof may be asked when they come by.
    """
    if customer in allowed[POST].frozen:
        return NOBODY
    if way in GRANTED and not allowed[way].allows(customer):
        return NOBODY if allowed[way].bars(customer) else SIGN_IN
    if way == POST and allowed[POST].bars(customer):
        return NOBODY
    return way


def count(drawn: list[Asked]) -> list[dict[str, object]]:
    """Count a list by how people may be asked and why; `turned` are those whom the file would have asked otherwise."""
    people = Counter((one.may_ask_by, one.why) for one in drawn)
    turned = Counter((one.may_ask_by, one.why) for one in drawn if one.may_ask_by != one.proposed)
    return [
        {"may_ask_by": way, "why": why, "people": n, "turned": turned[way, why]}
        for (way, why), n in sorted(people.items(), key=lambda item: (WAYS.index(item[0][0]), -item[1], item[0][1]))
    ]


def write(
    shop: Connection, route: Route, campaign: Campaign, drawn: list[Asked], folder: Path, *, who: str, why: str
) -> list[Path]:
    """Write a list as a file, customers by their keys, and book the look; returns the file."""
    rows = [(one.customer_id, one.why, one.may_ask_by) for one in drawn]
    with shop.transaction():
        relation = f"{FOLDER} {campaign.name}"
        looks.book(shop, route.base_name, who, "campaign run", why, {relation: [one.customer_id for one in drawn]})
    content = write_csv(COLUMNS, rows, ",")
    prefix = f"{campaign.name}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    return handover.write(handover.Parcel([("list.csv", content)]), folder, prefix)
