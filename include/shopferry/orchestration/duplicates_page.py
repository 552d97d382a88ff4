"""The page *Duplicates* in Airflow: pairs of accounts that may be one person, side by side as shapes; no value of anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shopferry import db, pages
from shopferry.control import pairs
from shopferry.control.pairs import Count, Pair, Search, Wanted
from shopferry.insight import pair_files, pair_search, similarity
from shopferry.insight.similarity import Account
from shopferry.orchestration.connections import load_settings
from shopferry.pages.languages import Language
from shopferry.route import language as route_language
from shopferry.route.route import Route
from shopferry.shapes import mask

SHOWN = 20  # pairs side by side
_MARKS = {"name": "name", "email": "e-mail", "phone": "phone", "address": "address", "card": "card"}


@dataclass(frozen=True)
class Line:
    """One thing that is compared: both accounts' values as shapes, and how alike they are, None where one lacks it."""

    what: str
    one: tuple[str, ...]
    other: tuple[str, ...]
    alike: float | None

    @property
    def mark(self) -> str:
        """How alike, as a word of the page's style."""
        if self.alike is None:
            return "unknown"
        return "same" if self.alike >= 0.95 else "near" if self.alike > 0 else "other"


@dataclass(frozen=True)
class Card:
    """One pair side by side."""

    pair: Pair
    lines: tuple[Line, ...]


def build() -> str:
    """Build the page from what `pair find` has found and people have decided."""
    settings = load_settings()
    route = Route.load(settings.route)
    language = route_language.load(route.name)
    if not pair_files.has_rules(route):
        return render(route.base_name, language, None, [], [], {}, has_rules=False)
    rules = pair_files.load(route)
    entity = rules.identity.identity
    with db.connect(settings.target_dsn, "page") as shop:
        # Ahead of `phase init`, and after `finish`, there are none.
        if not db.exists(shop, "ferry.pair"):
            return render(route.base_name, language, None, [], [], {})
        counted = pairs.count(shop, route.base_name, entity, similarity.SURE)
        shown = pairs.find(shop, route.base_name, entity, Wanted(state="new", above=similarity.SURE), SHOWN)
        keys = [key for pair in shown for key in (pair.a, pair.b)]
        accounts = pair_search.read_accounts(shop, rules, keys) if keys else {}
        last = pairs.load_search(shop, route.base_name)
    return render(route.base_name, language, last, counted, shown, accounts)


def render(
    route: str,
    language: Language,
    last: Search | None,
    counted: Sequence[Count],
    shown: Sequence[Pair],
    accounts: Mapping[int, Account],
    *,
    has_rules: bool = True,
) -> str:
    """Render the page; `shown` are the first undecided pairs that are surely alike, `accounts` those of them."""
    rules = sorted({c.rule for c in counted})
    table = {(c.rule, c.state): c.pairs for c in counted}
    return pages.render(
        "duplicates.html",
        language,
        route=route,
        has_rules=has_rules,
        last=last,
        rules=[(rule, [table.get((rule, state), 0) for state in pairs.STATES]) for rule in rules],
        sums=[sum(c.pairs for c in counted if c.state == state) for state in pairs.STATES],
        states=pairs.STATES,
        sure=similarity.SURE,
        undecided=sum(c.sure for c in counted if c.state in {"new", "later"}),
        cards=[_lay_out(pair, accounts) for pair in shown],
    )


def _lay_out(pair: Pair, accounts: Mapping[int, Account]) -> Card:
    one, other = (_mask(accounts.get(key)) for key in (pair.a, pair.b))
    return Card(pair, tuple(Line(_MARKS[w], one[w], other[w], pair.features.get(w)) for w in _MARKS))


def _mask(account: Account | None) -> dict[str, tuple[str, ...]]:
    """Mask what is compared of an account; one that is gone, or cannot be carried any more, has nothing."""
    if account is None:
        return dict.fromkeys(_MARKS, ())
    given = {
        "name": [" ".join(part for part in (account.given, account.family) if part)],
        "email": [account.email or ""],
        "phone": account.phones,
        "address": [f"{street}, {postcode}" for postcode, street in account.addresses],
        "card": account.cards,
    }
    return {what: tuple(mask(v) or "" for v in values if v) for what, values in given.items()}
