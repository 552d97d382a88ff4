"""How alike two accounts are: each thing by itself, and together as a score from 0 to 1. Pure functions, fixed points.

The points are in docs/howto/duplicates.md. A score of SURE or more wants names that agree, and more than one other thing or
one that only one person has. So father and son, twins and colleagues with one phone stay below it, whatever else they share.
Nothing is learned, and no score decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

from shopferry.engine.names import fold

SURE: Final = 0.95  # from here on somebody has to decide before the cutover
LISTED: Final = 0.65  # what is less alike is not kept
_MOST: Final = 0.99  # only people are sure

# How two names agree, and the points for it.
_SAME, _TYPO, _NEAR, _MARRIED, _OTHER = 1.0, 0.9, 0.7, 0.6, 0.0
_NAME_POINTS: Final = {_SAME: 0.60, _TYPO: 0.55, _NEAR: 0.45, _MARRIED: 0.40, None: 0.30, _OTHER: 0.0}
_CAPS: Final = {_NEAR: 0.90, _MARRIED: 0.90, None: 0.90, _OTHER: 0.50}
# How two addresses of mail agree: one mailbox, a typing error of its domain, dots only, the same name elsewhere.
_MAILBOX, _DOMAIN, _DOTS, _ELSEWHERE = 1.0, 0.95, 0.9, 0.5
_EMAIL_POINTS: Final = {_MAILBOX: 0.38, _DOMAIN: 0.36, _DOTS: 0.33, _ELSEWHERE: 0.12}
_POINTS: Final = {"phone": 0.25, "address": 0.20, "card": 0.36}

_GENERATIONS: Final = frozenset({"jr", "sr", "jun", "sen", "ii", "iii", "iv", "junior", "senior", "filho", "neto"})
_GOOGLE: Final = ("gmail.com", "googlemail.com")
_LEAST_LOCAL: Final = 5  # letters: shorter ones, and `info`, are many people's
_WORD = re.compile(r"[^\W_]+")
_STREET_WORDS: Final = frozenset(
    {"ul", "ulica", "al", "aleja", "aleje", "os", "osiedle", "pl", "plac", "m", "lok", "nr"}
)


@dataclass(frozen=True, slots=True)
class Account:
    """What is compared of one account, as the libraries have standardised it; addresses are (postcode, street)."""

    key: int
    given: str | None
    family: str | None
    email: str | None
    phones: tuple[str, ...]
    addresses: tuple[tuple[str, str], ...]
    cards: tuple[str, ...]


Features = dict[str, float | None]


def compare(one: Account, other: Account) -> tuple[float, Features]:
    """Compare two accounts; returns the score and how alike each thing is, None where an account lacks it."""
    features: Features = {
        "name": compare_names((one.given, one.family), (other.given, other.family)),
        "email": compare_emails(one.email, other.email),
        "phone": _share(one.phones, other.phones),
        "address": compare_addresses(one.addresses, other.addresses),
        "card": _share(one.cards, other.cards),
    }
    return score(features), features


def score(features: Features) -> float:
    """Sum the points of all that agrees; how names agree sets a limit."""
    name, email = features["name"], features["email"]
    points = _NAME_POINTS[name] + _EMAIL_POINTS.get(email or 0.0, 0.0)
    points += sum(share * (features[what] or 0.0) for what, share in _POINTS.items())
    return round(min(points, _CAPS.get(name, _MOST), _MOST), 4)


def _share(some: tuple[str, ...], others: tuple[str, ...]) -> float | None:
    if not some or not others:
        return None
    return 1.0 if set(some) & set(others) else 0.0


# -- names --------------------------------------------------------------------------------------------------------


def compare_names(one: tuple[str | None, str | None], other: tuple[str | None, str | None]) -> float | None:
    """Compare (given, family): the same, but for a typing error, near, the same given name alone, or other people's."""
    (given, family, born), (given2, family2, born2) = _split(*one), _split(*other)
    if not family or not family2:
        return None
    if born and born2 and born != born2:
        return _OTHER
    if given and given == family2 and family == given2:
        return _TYPO
    families = _compare_families(family, family2)
    if not given or not given2:
        return _NEAR if families == _SAME else _OTHER
    givens = _compare_given(given, given2)
    if families == _OTHER:
        return _MARRIED if givens == _SAME else _OTHER
    return min(givens, families, _NEAR if born != born2 else _SAME)


@lru_cache(maxsize=65536)
def _split(given: str | None, family: str | None) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Split a name into words without accents: given names, family names, and what tells father from son."""
    givens, families = (tuple(fold(w) for w in _WORD.findall(part or "")) for part in (given, family))
    generation = [w for w in families[1:] if w in _GENERATIONS]
    return givens, tuple(w for w in families if w not in generation), " ".join(generation)


def _compare_given(one: tuple[str, ...], other: tuple[str, ...]) -> float:
    if set(one) <= set(other) or set(other) <= set(one):
        return _SAME
    a, b = one[0], other[0]
    if 1 in {len(a), len(b)}:
        return _NEAR if a[0] == b[0] else _OTHER
    # A letter apart is never the same: Daniel and Daniela, Marcin and Martin may be twins, with one house and one number.
    return _NEAR if OSA.normalized_similarity(a, b) >= 0.75 else _OTHER


def _compare_families(one: tuple[str, ...], other: tuple[str, ...]) -> float:
    if one == other:
        return _SAME
    if set(one) <= set(other) or set(other) <= set(one):
        return _TYPO
    return _TYPO if _is_typo("".join(one), "".join(other), least=5) else _OTHER


def _is_typo(a: str, b: str, *, least: int) -> bool:
    shorter = min(len(a), len(b))
    return shorter >= least and a[0] == b[0] and OSA.distance(a, b, score_cutoff=2) <= (2 if shorter >= 9 else 1)


# -- addresses of mail and of houses --------------------------------------------------------------------------------


def compare_emails(one: str | None, other: str | None) -> float | None:
    """Compare two addresses of mail; None where one is missing."""
    if not one or not other:
        return None
    (local, plain, domain), (local2, plain2, domain2) = _split_email(one), _split_email(other)
    if plain != plain2:
        return 0.0
    if domain == domain2:
        return _MAILBOX if local == local2 or domain == _GOOGLE[0] else _DOTS
    if len(plain) < _LEAST_LOCAL:
        return 0.0
    return _DOMAIN if _is_typo(domain, domain2, least=6) else _ELSEWHERE


def _split_email(email: str) -> tuple[str, str, str]:
    """Split into the name without its tag, the same without dots, and the domain."""
    name, _, domain = email.rpartition("@")
    local = name.partition("+")[0]
    return local, local.replace(".", ""), _GOOGLE[0] if domain in _GOOGLE else domain


def compare_addresses(some: tuple[tuple[str, str], ...], others: tuple[tuple[str, str], ...]) -> float | None:
    """Compare where two accounts live or have lived; the best of all pairs, None where one has no address."""
    if not some or not others:
        return None
    return max(
        (_compare_streets(street, other) for code, street in some for code2, other in others if code == code2),
        default=0.0,
    )


def _compare_streets(one: str, other: str) -> float:
    (name, numbers), (name2, numbers2) = _split_street(one), _split_street(other)
    if not name or not numbers or numbers != numbers2:
        return 0.0
    if name == name2:
        return 1.0
    return 0.9 if fuzz.ratio(name, name2) >= 85 else 0.0


@lru_cache(maxsize=65536)
def _split_street(street: str) -> tuple[str, str]:
    """Split into the street's name and its numbers, written in one way."""
    words = [fold(w) for w in _WORD.findall(street)]
    numbered = [w for w in words if w[0].isdigit()]
    return " ".join(w for w in words if w not in _STREET_WORDS and w not in numbered), " ".join(numbered)
