"""Pseudonyms: the same everywhere, of the same shape, and without a way back."""

from __future__ import annotations

import re

import pytest
from shopferry.engine.standardize import standardize
from shopferry.rehearsal.pseudonyms import KINDS, Pseudonyms

P = Pseudonyms(b"k" * 32)


def test_the_same_address_meets_itself_however_it_is_typed() -> None:
    variants = [
        "jan.kowalski7@poczta.pl",
        "JAN.KOWALSKI7@POCZTA.PL",
        " jan.kowalski7@poczta.pl ",
        "Jan.kowalski7 @poczta.pl",
    ]
    made = [P.replace_email(v) for v in variants]
    assert len({standardize("email", m).value for m in made}) == 1
    assert made[1].startswith(made[0].split(".example")[0].upper())
    assert made[0].endswith(".example.com")
    assert "kowalski" not in str(made).lower()
    first = P.replace_email("jan.kowalski7@poczta.pl; biuro@poczta.pl").split(";")[0]
    assert first == made[0]
    assert P.replace_email("jan.kowalski8@poczta.pl") != made[0]


@pytest.mark.parametrize("broken", ["brak", "jan@", "jan@nowhere", "jan(at)poczta.pl", "jan@poczta.pl@@", ""])
def test_what_is_no_address_stays_none(broken: str) -> None:
    made = P.replace_email(broken)
    assert standardize("email", made).value is None
    assert made == "" or made != broken


@pytest.mark.parametrize(
    "number", ["601 123 456", "+48 601-123-456", "0048601123456", "(+48) 601123456", "tel. 601 123 456", "601123456"]
)
def test_the_same_number_meets_itself_and_stays_one(number: str) -> None:
    made = standardize("phone", f"PL|{P.replace_phone(number)}").value
    assert made == standardize("phone", f"PL|{P.replace_phone('601123456')}").value
    assert made not in {None, "+48601123456"}


@pytest.mark.parametrize("number", ["000000000", "123456789", "brak", "601 23", "-", ""])
def test_what_is_no_number_stays_as_it_is(number: str) -> None:
    assert P.replace_phone(number) == number


def test_of_two_numbers_each_is_another() -> None:
    one, two = P.replace_phone("601123456, 22 826 50 11").split(", ")
    assert one == P.replace_phone("601123456") and two == P.replace_phone("22 826 50 11")


def test_a_name_is_the_same_in_any_order_case_and_company() -> None:
    given, family = P.replace_words("Jan Kowalski").split()
    assert P.replace_words("KOWALSKI, JAN") == f"{family.upper()}, {given.upper()}"
    assert P.replace_words("Kowalski sp. z o.o.").split()[0] == family
    assert re.fullmatch(r"[A-Z][a-z]{2} [A-Z][a-z]{7}", f"{given} {family}")
    assert P.replace_words("Łukasz &oacute;")[0] in "ĄĆĘŁŃÓŚŹŻ" and P.replace_words("Łukasz &oacute;").endswith(
        "&oacute;"
    )


@pytest.mark.parametrize(
    ("value", "scheme"),
    [
        ("d41d8cd98f00b204e9800998ecf8427e", r"[0-9a-f]{32}"),
        ("D41D8CD98F00B204E9800998ECF8427E:1a2b", r"(?i)[0-9a-f]{32}:[0-9a-f]{4}"),
        ("$2y$10$" + "a./Z" * 13 + "x", r"\$2y\$10\$.{53}"),
        ("$P$B" + "c" * 30, r"\$P\$.{31}"),
        ("$wp$2y$10$" + "Q" * 53, r"\$wp\$2y\$10\$.{53}"),
        (
            "$argon2id$v=19$m=65536,t=4,p=1$" + "c2FsdHNhbHRzYWx0c2Fsd" + "$" + "h" * 43,
            r"\$argon2id\$v=19\$m=65536,t=4,p=1\$\w{21}\$\w{43}",
        ),
        ("haslo123", r"[a-z]{5}[0-9]{3}"),
    ],
)
def test_a_hash_keeps_its_scheme_and_nothing_else(value: str, scheme: str) -> None:
    made = P.replace_secret(value)
    assert re.fullmatch(scheme, value) and re.fullmatch(scheme, made)
    assert made[-16:] != value[-16:]


def test_addresses_and_codes_keep_their_form() -> None:
    assert re.fullmatch(r"10(\.\d+){3}", P.replace_ip("89.12.3.4")) and P.replace_ip("89.12.3.4") == P.replace_ip(
        " 89.12.3.4"
    )
    assert P.replace_ip("2001:db8::1").startswith("fd00::")
    assert re.fullmatch(r"00-\d{3}", P.replace_postcode("00-950")) and P.replace_postcode("brak") == "brak"
    assert re.fullmatch(r"[A-Z]-\d{4}", P.replace_code("A-2020"))


def test_without_the_key_nobody_can_repeat_it() -> None:
    for kind in KINDS:
        given = "89.12.3.4" if kind == "ip" else "Jan.Kowalski7@poczta.pl 601123456789012"
        assert Pseudonyms().replace(kind, given) != Pseudonyms().replace(kind, given)
        assert P.replace(kind, given) == Pseudonyms(b"k" * 32).replace(kind, given)
