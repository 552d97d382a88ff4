"""How alike two accounts are: what counts as the same name, e-mail and house, and what stays below the line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shopferry.insight import similarity
from shopferry.insight.similarity import (
    LISTED,
    SURE,
    Account,
    compare,
    compare_addresses,
    compare_emails,
    compare_names,
)

HOME = (("00-950", "ul. Długa 5/7"),)
JAN = Account(1, "Jan", "Kowalski", "jan.kowalski@gmail.com", ("+48601234567",), HOME, ("K100",))


def like(**others: object) -> Account:
    """Another account with what Jan has, but for these."""
    held = {name: getattr(JAN, name) for name in ("given", "family", "email", "phones", "addresses", "cards")}
    return Account(2, **(held | {"email": None, "phones": (), "addresses": (), "cards": ()} | others))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (("Jan", "Kowalski"), ("JAN", "Kowalski"), 1.0),
        (("Łucja", "Żak"), ("Lucja", "Zak"), 1.0),
        (("Anna Maria", "Nowak"), ("Anna", "Nowak"), 1.0),
        (("Katarzyna", "Nowak"), ("Katarzina", "Nowak"), 0.7),
        (("Jan", "Kowalski"), ("Jan", "Kowlaski"), 0.9),
        (("Jan", "Kowalski"), ("Kowalski", "Jan"), 0.9),
        (("Anna", "Nowak"), ("Anna", "Nowak-Wilk"), 0.9),
        (("Katarzyna", "Kowalski"), ("Katarzina", "Kowlaski"), 0.7),
        (("J.", "Kowalski"), ("Jan", "Kowalski"), 0.7),
        (("Jan", "Kowalski"), (None, "Kowalski"), 0.7),
        (("Jan", "Kowalski Jr."), ("Jan", "Kowalski"), 0.7),
        (("Anna", "Nowak"), ("Anna", "Wilk"), 0.6),
        (("Jan", "Kowalski"), ("Adam", "Kowalski"), 0.0),
        (("Jan", "Kowalski Jr."), ("Jan", "Kowalski Sr."), 0.0),
        (("Jan", "Kowalski"), ("Adam", "Wilk"), 0.0),
        ((None, None), ("Jan", "Kowalski"), None),
    ],
)
def test_names(one: tuple[str | None, str | None], other: tuple[str | None, str | None], alike: float | None) -> None:
    assert compare_names(one, other) == compare_names(other, one) == alike


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Anna", "Hanna"),
        ("Maria", "Marta"),
        ("Mariusz", "Dariusz"),
        ("Daniel", "Daniela"),
        ("Marcin", "Martin"),
        ("Stanisław", "Stanisława"),
    ],
)
def test_twins_have_no_typing_errors_in_their_names(one: str, other: str) -> None:
    assert (compare_names((one, "Nowak"), (other, "Nowak")) or 0) <= 0.7
    twins = Account(2, other, JAN.family, "x@wp.pl", JAN.phones, JAN.addresses, JAN.cards)
    assert compare(Account(1, one, JAN.family, JAN.email, JAN.phones, JAN.addresses, JAN.cards), twins)[0] < SURE


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("jan.kowalski@gmail.com", "jankowalski@googlemail.com", 1.0),
        ("jan@wp.pl", "jan+shop@wp.pl", 1.0),
        ("jan.kowalski@interia.pl", "jan.kowalski@interai.pl", 0.95),
        ("jan.kowalski@wp.pl", "jankowalski@wp.pl", 0.9),
        ("jan.kowalski@gmail.com", "jan.kowalski@ymail.com", 0.5),
        ("jan.kowalski@wp.pl", "jan.kowalski@o2.pl", 0.5),
        ("info@wp.pl", "info@o2.pl", 0.0),
        ("jan@wp.pl", "ala@wp.pl", 0.0),
        (None, "jan@wp.pl", None),
    ],
)
def test_emails(one: str | None, other: str | None, alike: float | None) -> None:
    assert compare_emails(one, other) == compare_emails(other, one) == alike


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("ul. Długa 5/7", "DLUGA 5 m. 7", 1.0),
        ("Marszałkowska 10", "Marszalkowsak 10", 0.9),
        ("Długa 5", "Długa 7", 0.0),
        ("Długa 5", "Krótka 5", 0.0),
        ("Długa", "Długa", 0.0),  # without a number it is half a town
    ],
)
def test_houses(one: str, other: str, alike: float) -> None:
    assert compare_addresses((("00-950", one),), (("00-950", other),)) == alike
    assert compare_addresses((("00-950", one),), (("30-001", other),)) == 0.0
    assert compare_addresses((("00-950", one),), ()) is None


@pytest.mark.parametrize(
    ("other", "score"),
    [
        (like(email="jan.kowalski+a@gmail.com"), 0.98),
        (like(cards=JAN.cards), 0.96),
        (like(phones=JAN.phones, addresses=HOME), 0.99),
        (like(phones=JAN.phones, email="jan.kowalski@wp.pl"), 0.97),
        (like(phones=JAN.phones), 0.85),
        (like(addresses=HOME), 0.80),
        (like(family="Kowlaski", phones=JAN.phones, addresses=HOME), 0.99),
        (like(given="Adam", phones=JAN.phones, addresses=HOME, cards=JAN.cards), 0.50),
        (like(family="Wilk", phones=JAN.phones, addresses=HOME, cards=JAN.cards), 0.90),
        (like(family="Wilk", phones=JAN.phones), 0.65),
        (like(given=None, family=None, email="jan.kowalski+a@gmail.com", phones=JAN.phones), 0.90),
        (like(), 0.60),
    ],
)
def test_points(other: Account, score: float) -> None:
    got, features = compare(JAN, other)
    assert got == pytest.approx(score)
    assert compare(other, JAN) == (got, features)
    assert (got >= LISTED) == (score >= 0.65)


_words = st.sampled_from(
    [None, "", "Jan", "Anna", "jr", "Kowalski", "Kowalska-Nowak", "J.", "Ł", "1", "von der Berg", "Jan Maria"]
)
_texts = st.sampled_from(["", "Długa 5", "1", "x", "ul. 3 Maja 7/2", "—"])
_accounts = st.builds(
    Account,
    key=st.just(1),
    given=_words,
    family=_words,
    email=st.sampled_from([None, "", "@", "a@b", "jan.kowalski@gmail.com", "jan+x@wp.pl", "nonsense"]),
    phones=st.lists(st.sampled_from(["+481", "+482"]), max_size=2).map(tuple),
    addresses=st.lists(st.tuples(st.sampled_from(["00-950", "1"]), _texts), max_size=2).map(tuple),
    cards=st.lists(st.sampled_from(["K1", "K2"]), max_size=2).map(tuple),
)


@given(_accounts, _accounts)
def test_any_two_accounts_have_a_score_that_does_not_depend_on_their_order(one: Account, other: Account) -> None:
    score, features = compare(one, other)
    assert 0 <= score <= 0.99
    assert compare(other, one) == (score, features)
    assert score < SURE or (features["name"] or 0) >= 0.9
    assert set(features) == {"name", "email", "phone", "address", "card"}
    assert similarity.score(features) == score
