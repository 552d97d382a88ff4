"""What looks like people's data: all that was planted is found, and of ordinary values next to none."""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta

import pytest
from faker import Faker
from shopferry.privacy import detectors
from shopferry.privacy.detectors import Kind, find_in, judge, tells_of_health
from stdnum import luhn
from stdnum.it import codicefiscale
from stdnum.pl import nip, pesel
from stdnum.ro import cnp

Column = tuple[str, list[str], list[tuple[str, Kind]]]  # what it is, ordinary values, planted ones


def digits(chance: random.Random, count: int) -> str:
    return "".join(chance.choices("0123456789", k=count))


def birthday(chance: random.Random) -> date:
    return date(1930, 1, 1) + timedelta(days=chance.randrange(29_000))


def make_pesel(chance: random.Random) -> str:
    born = birthday(chance)
    body = f"{born.year % 100:02}{born.month + (20 if born.year >= 2000 else 0):02}{born.day:02}{digits(chance, 4)}"
    return body + pesel.calc_check_digit(body)


def make_cnp(chance: random.Random) -> str:
    born = birthday(chance)
    first = chance.choice("56" if born.year >= 2000 else "12")
    body = f"{first}{born:%y%m%d}{chance.randint(1, 46):02}{chance.randint(1, 999):03}"
    return body + str(cnp.calc_check_digit(body))


def make_nip(chance: random.Random) -> str:
    while True:
        number = chance.choice("12345678") + digits(chance, 9)
        if nip.is_valid(number):
            return number


def make_fiscal_code(chance: random.Random) -> str:
    born = birthday(chance)
    letters = "".join(chance.choices("BCDFGLMNPRSTVZ", k=6))
    body = f"{letters}{born:%y}{'ABCDEHLMPRST'[born.month - 1]}{born.day:02}{chance.choice('AFHL')}{chance.randint(100, 999)}"
    return body + codicefiscale.calc_check_digit(body)


def make_iban(chance: random.Random) -> str:
    body = digits(chance, 24)
    check = 98 - int(f"{body}252100") % 97
    return f"PL{check:02}{body}"


def make_card(chance: random.Random) -> str:
    body = f"4{digits(chance, 14)}"
    return body + luhn.calc_check_digit(body)


def in_fours(text: str) -> str:
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def make_planted(chance: random.Random) -> dict[str, list[tuple[str, Kind]]]:
    """200 identifiers, 20 of each way in which they are written, by the column they are planted in."""

    def mobile() -> str:
        return f"{chance.choice(['50', '51', '60', '66', '69', '72', '78'])}{digits(chance, 7)}"

    def grouped() -> str:
        number = mobile()
        return chance.choice(["{} {} {}", "{}-{}-{}"]).format(number[:3], number[3:6], number[6:])

    def abroad() -> str:
        return chance.choice(["+48{}", "+48 {}", "0048 {}", "(+48) {}"]).format(mobile())

    def address() -> str:
        local = chance.choice(["Jan.Nowak", "ewa_k", "m-rossi+shop", "IOANA"])
        return f"{local}{digits(chance, 3)}@{chance.choice(['wp.pl', 'mail.example.ro'])}"

    ways: dict[str, list[tuple[Callable[[], str], Kind]]] = {
        "references": [(address, Kind.EMAIL), (abroad, Kind.PHONE)],
        "skus": [(lambda: make_fiscal_code(chance), Kind.NATIONAL), (grouped, Kind.PHONE)],
        "short numbers": [(lambda: make_pesel(chance), Kind.NATIONAL), (lambda: make_cnp(chance), Kind.NATIONAL)],
        "hashes": [(lambda: make_iban(chance), Kind.BANK), (lambda: in_fours(make_card(chance)), Kind.CARD)],
        "sentences": [
            (lambda: f"PESEL {make_pesel(chance)}, bitte", Kind.NATIONAL),
            (lambda: f"faktura: NIP {make_nip(chance)}", Kind.NATIONAL),
        ],
    }
    return {column: [(make(), kind) for make, kind in of for _ in range(20)] for column, of in ways.items()}


def make_ordinary(chance: random.Random, count: int) -> Iterator[tuple[str, list[str]]]:
    """Columns of values such as a shop has, each of so many."""
    fake = Faker(["pl_PL", "ro_RO", "it_IT", "de_DE", "en_GB"])
    fake.seed_instance(chance.randrange(10**6))
    names = [fake.name() for _ in range(2_000)]
    streets = [fake.street_address() for _ in range(2_000)]
    start = datetime(2009, 1, 1)
    moments = [start + timedelta(seconds=chance.randrange(500_000_000)) for _ in range(count)]
    goods = ["Kubek 330 ml", "Buty 42 / 43", "Logo logo@2x.png", "USB 3.2 Gen 2", "A4 80 g/m2", "Wiertarka 18V 2,0 Ah"]
    makers: dict[str, Callable[[int], str]] = {
        "references": lambda n: chance.choice([f"ZAM/{n}/2023", f"A-{n:06}", f"2023-{n:07}", f"#{n}", f"R{n}.{n % 7}"]),
        "skus": lambda n: f"{chance.choice('ABCDEF')}{chance.choice('XYZ')}-{digits(chance, 3)}-{digits(chance, 4)}",
        "short numbers": lambda n: str(100_000 + n),
        "hashes": lambda n: hashlib.sha256(str(n).encode()).hexdigest()[: chance.choice([32, 40, 64])],
        "sentences": lambda n: (
            f"{chance.choice(['Order', 'Paczka', 'Colet'])} {digits(chance, 8)} on {moments[n]:%d.%m.%Y %H:%M}"
        ),
        "numbers of nine": lambda n: str(100_000_000 + 37 * n),
        "numbers of ten": lambda n: digits(chance, 10),
        "numbers of eleven": lambda n: digits(chance, 11),
        "bar codes": lambda n: f"590{digits(chance, 10)}",
        "parcels": lambda n: chance.choice([digits(chance, 24), f"1Z{digits(chance, 16)}", digits(chance, 14)]),
        "numbers of sixteen": lambda n: digits(chance, 16),
        "seconds": lambda n: str(int(moments[n].timestamp())),
        "milliseconds": lambda n: str(int(moments[n].timestamp() * 1000)),
        "dates": lambda n: moments[n].strftime(
            chance.choice(["%Y-%m-%d", "%d.%m.%Y", "%Y-%m-%d %H:%M:%S", "%d/%m/%y %H:%M"])
        ),
        "iso": lambda n: moments[n].strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "prices": lambda n: chance.choice(["{:.2f}", "{:,.2f} zł", "EUR {:.4f}", "-{:.0f}"]).format(
            chance.random() * 10**5
        ),
        "uuids": lambda n: str(uuid.UUID(int=chance.getrandbits(128))),
        "names": lambda n: chance.choice(names),
        "streets": lambda n: chance.choice(streets),
        "goods": lambda n: chance.choice(goods),
        "machines": lambda n: f"{n % 223}.{n % 97}.{n % 61}.{n % 251}" if n % 2 else f"v{n % 9}.{n % 30}.{n}",
    }
    for name, make in makers.items():
        yield name, [make(n) for n in range(count)]


def make_columns(seed: int, count: int) -> list[Column]:
    chance = random.Random(seed)
    planted = make_planted(chance)
    return [(name, ordinary, planted.get(name, [])) for name, ordinary in make_ordinary(chance, count)]


@pytest.mark.parametrize("seed", [1, 2])
def test_all_that_is_planted_is_found_and_next_to_nothing_else(seed: int) -> None:
    columns = make_columns(seed, 5_000)
    assert sum(len(ordinary) for _, ordinary, _ in columns) >= 100_000
    missed, false, planted = [], [], 0
    for name, ordinary, hidden in columns:
        values = [*ordinary, *(text for text, _ in hidden)]
        random.Random(seed).shuffle(values)
        found = judge((text, str(n), 1) for n, text in enumerate(values))
        said = {(text, kind) for kind, one in found.items() for _, text in one.examples}
        missed += [(name, text) for text, kind in hidden if (text, kind) not in said]
        false += [(name, kind, text) for text, kind in said if text not in {t for t, _ in hidden}]
        planted += len(hidden)
    assert planted == 200
    assert missed == []
    assert len(false) <= 2, false


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (make_nip, Kind.NATIONAL),
        (make_pesel, Kind.NATIONAL),
        (make_cnp, Kind.NATIONAL),
        (make_card, Kind.CARD),
        (lambda chance: f"60{digits(chance, 7)}", Kind.PHONE),
        (lambda chance: f"07{digits(chance, 8)}", Kind.PHONE),
    ],
)
def test_bare_digits_count_where_chance_does_not_explain_them(make: Callable[[random.Random], str], kind: Kind) -> None:
    chance = random.Random(4)
    all_of_them = [make(chance) for _ in range(200)]
    assert judge((text, "", 3) for text in all_of_them)[kind].rows == 600
    among_others = all_of_them[:5] + [
        str(chance.randrange(1, 10)) + digits(chance, len(all_of_them[0]) - 1) for _ in range(5_000)
    ]
    assert judge((text, "", 1) for text in among_others) == {}


@pytest.mark.parametrize(
    "text", ["logo@2x.png", "@home", "a @ b.c", "2024-01-05 12", "12 345 678", "601987123", "v1.2.3-4.5.6"]
)
def test_what_only_resembles_is_not_found(text: str) -> None:
    assert find_in(text) == set()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("zadzwoń 601 987 123 wieczorem", Kind.PHONE),
        ("tel. 0722 123 456", Kind.PHONE),
        ("06 6982 1234", Kind.PHONE),
        ("+39 347 1234567.", Kind.PHONE),
        ("Karta: 4111-1111-1111-1111", Kind.CARD),
        ("NIP: 526-025-02-74", Kind.NATIONAL),
        ("PL5260250274", Kind.NATIONAL),
        ("piszcie na Jan.Kowalski@poczta.pl!", Kind.EMAIL),
        ("cod fiscal RSSMRA85T10A562S", Kind.NATIONAL),
        ("konto PL61 1090 1014 0000 0712 1981 2874", Kind.BANK),
    ],
)
def test_identifiers_within_a_text_are_found(text: str, kind: Kind) -> None:
    assert find_in(text) == {kind}


@pytest.mark.parametrize(
    "text",
    [
        "proszę o lodówkę na INSULINĘ",
        "sunt însărcinată",
        "allergia alle noci",
        "wheelchair access",
        "bin schwanger",
        "po chemioterapii",
    ],
)
def test_words_of_health_are_known_in_five_languages(text: str) -> None:
    assert tells_of_health(text)


@pytest.mark.parametrize(
    "text", ["zostawić u sąsiada", "lăsați la vecin", "lasciare dal vicino", "leave at the door", "kurz klingeln"]
)
def test_ordinary_notes_tell_nothing_of_health(text: str) -> None:
    assert not tells_of_health(text)


def test_health_is_asked_only_of_free_text() -> None:
    values = [("insulina w paczce", "1", 2)]
    assert judge(values) == {}
    assert judge(values, free_text=True)[Kind.HEALTH].rows == 2


def test_every_plan_of_bare_digits_says_what_chance_explains() -> None:
    chance = random.Random(5)
    for plan in detectors._PLANS:
        for length, said in plan.chance.items():
            fit = sum(plan.fits(digits(chance, length)) for _ in range(5_000)) / 5_000
            assert fit <= said * 1.15, (plan.name, length)
