"""Labelled pairs of accounts, seeded: two of one person, or of two who share much. Each pair has a house and a number alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random

from faker import Faker

_ASCII = str.maketrans("ąćęłńóśźż", "acelnoszz")
_MAIL = ("gmail.com", "wp.pl", "onet.pl", "interia.pl", "o2.pl", "example.com")
_MISTYPED = {"gmail.com": "gmial.com", "interia.pl": "interai.pl", "example.com": "exmaple.com"}
# Twins are often given names that look alike.
_TWINS = (
    ("Anna", "Hanna"),
    ("Maria", "Marta"),
    ("Mariusz", "Dariusz"),
    ("Daniel", "Daniela"),
    ("Jan", "Janusz"),
    ("Karolina", "Paulina"),
    ("Stanisław", "Stanisława"),
    ("Piotr", "Paweł"),
    ("Marcin", "Martin"),
    ("Julia", "Julian"),
)
_GIVEN = (
    "Katarzyna",
    "Małgorzata",
    "Agnieszka",
    "Krzysztof",
    "Tomasz",
    "Andrzej",
    "Ewa",
    "Jan",
    "Magdalena",
    "Piotr",
    "Zofia",
)


@dataclass(frozen=True)
class Account:
    """What a person typed when they opened an account; `card` is empty for most."""

    given: str
    family: str
    email: str
    phone: str
    street: str
    postcode: str
    card: str = ""


@dataclass(frozen=True)
class Labelled:
    """One pair: what made it, and whether it is one person."""

    kind: str
    same: bool
    one: Account
    other: Account


class _Makers:
    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.fake = Faker("pl_PL")
        self.fake.seed_instance(seed)
        self.count = 0

    def make_person(self) -> Account:
        self.count += 1
        given, family = self.rng.choice(_GIVEN), self.fake.last_name_male()
        if given.endswith("a"):
            family = self.fake.last_name_female()
        return Account(given, family, self.mail(given, family), self.phone(), *self.home())

    def mail(self, given: str, family: str, domain: str = "") -> str:
        said = f"{given}.{family}{self.count}".lower().translate(_ASCII).replace(" ", "")
        return f"{said}@{domain or self.rng.choice(_MAIL)}"

    def phone(self) -> str:
        self.count += 1
        return f"+48 6{self.count // 1_000_000 % 10}{self.count % 1_000_000:06}{self.rng.randrange(10)}"

    def home(self) -> tuple[str, str]:
        self.count += 1
        street = f"{self.fake.street_name()} {self.count % 190 + 1}/{self.count // 190 + 1}"
        return street, f"{self.rng.randrange(10, 99)}-{self.rng.randrange(100, 999)}"

    def mistype(self, word: str) -> str:
        """Drop, double or swap a letter inside a word."""
        at = self.rng.randrange(1, max(len(word) - 2, 2))
        return self.rng.choice(
            (
                word[:at] + word[at + 1 :],
                word[:at] + word[at] + word[at:],
                word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            )
        )

    def write_again(self, street: str) -> str:
        return self.rng.choice((street, f"ul. {street}", street.replace("/", " m. "), street.upper()))

    # -- one person ------------------------------------------------------------------------------------------------

    def moved_house(self) -> tuple[Account, Account]:
        one = self.make_person()
        street, postcode = self.home()
        other = replace(one, street=street, postcode=postcode)
        name, _, domain = one.email.partition("@")
        kept = [
            replace(other, email=f"{name}+zakupy@{domain}"),  # the number, too
            replace(other, email=f"{name}@{self.rng.choice([m for m in _MAIL if m != domain])}"),
            replace(other, email=f"{name}+zakupy@{domain}", phone=self.phone()),
        ]
        return one, self.rng.choice(kept)

    def married(self) -> tuple[Account, Account]:
        one = self.make_person()
        family = self.fake.last_name()
        name = family if self.rng.random() < 0.7 else f"{one.family}-{family}"
        other = replace(one, family=name, email=self.mail(one.given, family), street=self.write_again(one.street))
        return one, other if self.rng.random() < 0.7 else replace(other, street="Nowa 1/1", postcode="00-001")

    def mistyped(self) -> tuple[Account, Account]:
        one = self.make_person()
        family = self.mistype(one.family)
        other = replace(one, family=family, email=self.mail(one.given, family), street=self.write_again(one.street))
        dice = self.rng.random()
        if dice < 0.3:
            other = replace(other, given=self.mistype(one.given), family=one.family)
        elif dice < 0.6:
            name, _, domain = one.email.partition("@")
            other = replace(one, email=f"{name}@{_MISTYPED.get(domain, domain)}", phone="")
            other = (
                other
                if domain in _MISTYPED
                else replace(other, email=f"{name.replace('.', '')}@{domain}", phone=one.phone)
            )
        return one, other

    def came_again(self) -> tuple[Account, Account]:
        one = self.make_person()
        other = replace(one, email=f"sklep{self.count}@{self.rng.choice(_MAIL)}", street=self.write_again(one.street))
        dice = self.rng.random()
        if dice < 0.3:
            return one, replace(other, phone="")
        if dice < 0.5:
            card = f"PL{self.count:08}"
            return replace(one, card=card), replace(other, card=card, phone=self.phone(), street="", postcode="")
        return one, other

    # -- two who share much ----------------------------------------------------------------------------------------

    def twins(self) -> tuple[Account, Account]:
        one = self.make_person()
        given, born_with = self.rng.choice(_TWINS)
        one = replace(one, given=given, email=self.mail(given, one.family))
        other = replace(
            one, given=born_with, email=self.mail(born_with, one.family), street=self.write_again(one.street)
        )
        if self.rng.random() < 0.2:  # one card for the family
            one, other = replace(one, card=f"TW{self.count:08}"), replace(other, card=f"TW{self.count:08}")
        return one, other

    def father_and_son(self) -> tuple[Account, Account]:
        one = replace(self.make_person(), given="Jan")
        family = self.fake.last_name_male()
        one = replace(one, family=family, email=self.mail("Jan", family))
        if self.rng.random() < 0.4:
            other = replace(one, family=f"{family} Jr.", email=self.mail("jan.jr", family))
            return replace(one, family=f"{family} Sr.") if self.rng.random() < 0.5 else one, other
        return one, replace(one, given=self.rng.choice(("Adam", "Jakub", "Janusz")), email=self.mail("syn", family))

    def shared_number(self) -> tuple[Account, Account]:
        one, other = self.make_person(), self.make_person()
        other = replace(other, phone=one.phone)
        if self.rng.random() < 0.5:  # colleagues, who have the firm's address, too
            other = replace(other, street=one.street, postcode=one.postcode)
        return one, replace(other, given=one.given) if self.rng.random() < 0.3 else other

    def namesakes(self) -> tuple[Account, Account]:
        one, other = self.make_person(), self.make_person()
        name, _, domain = one.email.partition("@")
        elsewhere = self.rng.choice([m for m in _MAIL if m != domain])
        return one, replace(other, given=one.given, family=one.family, email=f"{name}@{elsewhere}")


def make(count: int, seed: int = 2026) -> Iterator[Labelled]:
    """Make so many pairs, three in five of one person."""
    makers = _Makers(seed)
    kinds: list[tuple[bool, Callable[[], tuple[Account, Account]]]] = [
        (True, makers.moved_house),
        (True, makers.married),
        (True, makers.mistyped),
        (True, makers.came_again),
        (False, makers.twins),
        (False, makers.father_and_son),
        (False, makers.shared_number),
        (False, makers.namesakes),
    ]
    for n in range(count):
        same, maker = kinds[makers.rng.choices(range(8), (4, 3, 3, 2, 2, 2, 2, 2))[0]] if n >= 8 else kinds[n]
        one, other = maker()
        yield Labelled(maker.__name__, same, one, other)
