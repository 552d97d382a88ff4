"""What the libraries make of raw values: the shapes real shops hold, and the properties every kind must have."""

from __future__ import annotations

import phonenumbers
import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given
from hypothesis import strategies as st
from shopferry.engine import marks
from shopferry.engine.standardize import KINDS, standardize
from shopferry.engine.texts import Standard


def misread(text: str, codec: str) -> str:
    return text.encode().decode(codec)


@pytest.mark.parametrize(
    ("kind", "raw", "value", "problem"),
    [
        ("text", "Main Street 5", "Main Street 5", None),
        ("text", "  ul.  Długa\t5 ", "ul. Długa 5", None),
        ("text", misread("Łódź, ul. Świętokrzyska „5”", "iso8859-2"), "Łódź, ul. Świętokrzyska „5”", "text_repaired"),
        ("text", misread("Żółć", "latin1"), "Żółć", "text_repaired"),
        ("text", "BeĹź", "Beż", "text_repaired"),
        ("text", "Zażółć gęślą jaźń", "Zażółć gęślą jaźń", None),
        ("text", "Kov&amp;aacute;cs &amp; Synowie", "Kovács & Synowie", "text_repaired"),
        ("text", "Anna\x00\\x00 \x07Nowak", "Anna Nowak", "text_repaired"),
        ("text", " \t", None, "text_missing"),
        ("given_name", "Jan Maria Kowalski", "Jan Maria", None),
        ("family_name", "Jan Maria Kowalski", "Kowalski", None),
        ("given_name", "KOWALSKI, JAN", "Jan", None),
        ("family_name", "KOWALSKI, JAN", "Kowalski", None),
        ("family_name", "mgr inż. anna nowak-kowalska", "Nowak-Kowalska", None),
        ("family_name", "Jan van der Berg", "van der Berg", None),
        ("given_name", "Cher", None, "given_name_missing"),
        ("family_name", "jan@example.com", None, "name_missing"),
        ("email", " Jan.Kowalski@Example.COM ", "jan.kowalski@example.com", None),
        ("email", "Jan <jan@example.com>", "jan@example.com", None),
        ("email", "a@example.com; b@example.com", "a@example.com", "email_several"),
        ("email", "jan kowalski@example.com", None, "email_invalid"),
        ("email", "jan@łódź.pl", "jan@łódź.pl", None),
        ("email", "brak", None, "email_invalid"),
        ("email", "", None, "email_missing"),
        ("country", "polska", "PL", None),
        ("country", "POL", "PL", None),
        ("country", "616", "PL", None),
        ("country", "Deutschland", "DE", None),
        ("country", "Czechy", "CZ", None),
        ("country", "Polnad", None, "country_unknown"),
        ("country", "Atlantyda", None, "country_unknown"),
        ("postcode", "PL|00950", "00-950", None),
        ("postcode", "Polska|PL 00 950", "00-950", None),
        ("postcode", "|1234", "01-234", "postcode_padded"),
        ("postcode", "PL|123", None, "postcode_invalid"),
        ("postcode", "Czechy|11000", "110 00", None),
        ("postcode", "BR|3052", "03052", "postcode_padded"),
        ("postcode", "GB|sw1a1aa", "SW1A 1AA", None),
        ("phone", "PL|601 234 567", "+48601234567", None),
        ("phone", "|0048 601-234-567", "+48601234567", None),
        ("phone", "|(22) 826-50-12 wew. 12", "+48228265012", None),
        ("phone", "|022 8265012", "+48228265012", None),
        ("phone", "|601234567 / 602345678", "+48601234567", "phone_several"),
        ("phone", "Niemcy|0171 2345678", "+491712345678", None),
        ("phone", "|49 171 2345678", "+491712345678", None),
        ("phone", "PL|000-000-000", None, "phone_placeholder"),
        ("phone", "PL|brak", None, "phone_invalid"),
        ("phone", "PL| - ", None, "phone_missing"),
        ("tax_number", "|NIP: 526-000-12-46", "5260001246", None),
        ("tax_number", "Polska|PL 526 000 12 46", "5260001246", None),
        ("tax_number", "PL|526-000-12-47", None, "tax_number_invalid"),
        ("tax_number", "PL|0000000000", None, "tax_number_invalid"),
        ("tax_number", "PL|526000124\u096c", None, "tax_number_invalid"),
        ("tax_number", "PL| - ", None, "tax_number_missing"),
        ("tax_number", "RO|RO 185 472 90", "18547290", None),
        ("tax_number", "Włochy|IT00743110157", "00743110157", None),
        ("tax_number", "DE|DE136695976", None, "tax_number_unchecked"),
        ("tax_number", "Jugosławia|526-000-12-46", None, "tax_number_unchecked"),
        ("currency", "zł", "PLN", None),
        ("currency", "pln ", "PLN", None),
        ("currency", "$", None, "currency_unknown"),
        ("ip", "10.0.0.1, 10.0.0.2", "10.0.0.1", None),
        ("ip", "unknown", None, "ip_invalid"),
        ("date", "05.03.2011", "2011-03-05", None),
        ("date", "2011-03-05 00:00:00", "2011-03-05", None),
        ("date", "0000-00-00", None, "date_missing"),
        ("date", "31.02.2011", None, "date_invalid"),
        ("date", "2099-01-01", None, "date_in_future"),
        ("email_mark", "Jan <jan@example.com>", marks.make("jan@example.com"), None),
        ("email_mark", "a@example.com; b@example.com", marks.make("a@example.com"), "email_several"),
        ("email_mark", "jan@", None, "email_invalid"),
        ("phone_mark", "PL|601 234 567", marks.make("+48601234567"), None),
        ("phone_mark", "PL|brak", None, "phone_invalid"),
    ],
)
def test_verdict(kind: str, raw: str, value: str | None, problem: str | None) -> None:
    assert standardize(kind, raw) == Standard(value, problem)


def test_unknown_kind_is_an_error() -> None:
    with pytest.raises(KeyError):
        standardize("shoe_size", "43")


@pytest.mark.parametrize("kind", sorted(KINDS))
@given(raw=st.text(max_size=60))
@example(raw="\\00|")
@example(raw="PL|" + "9" * 40)
def test_any_text_gets_a_verdict(kind: str, raw: str) -> None:
    verdict = standardize(kind, raw)
    assert verdict.problem if verdict.value is None else verdict.value.strip()
    assert "\x00" not in (verdict.value or "")
    assert standardize(kind, raw) == verdict


POLISH = st.text("aąbcćdeęfghijklłmnńoóprsśtuwyzźżAĄĆĘŁŃÓŚŹŻ -.0123456789", min_size=1, max_size=40)


@given(POLISH, st.sampled_from(["iso8859-2", "latin1"]))
def test_polish_text_survives_being_misread(text: str, codec: str) -> None:
    assert standardize("text", misread(text, codec)).value == (" ".join(text.split()) or None)


@given(POLISH)
def test_good_polish_text_is_left_alone(text: str) -> None:
    assert standardize("text", text).value == (" ".join(text.split()) or None)


@given(st.from_regex(r"[a-z0-9_.+-]{1,20}@[a-z0-9.-]{1,20}\.(pl|com|test|example|co\.uk)", fullmatch=True))
def test_the_short_way_for_plain_addresses_agrees_with_the_library(address: str) -> None:
    try:
        expected = validate_email(address, check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        expected = None
    if expected == address.strip("."):  # what we tidy first is not the library's business
        assert standardize("email", address).value == expected
    elif expected is None and not address.startswith((".", "mailto")):
        assert standardize("email", address).value is None


@given(st.integers(100_000_000, 999_999_999))
def test_the_short_way_for_polish_numbers_agrees_with_the_library(number: int) -> None:
    verdict = standardize("phone", f"PL|{number}")
    if verdict.value == f"+48{number}":
        assert phonenumbers.is_valid_number(phonenumbers.parse(f"+48{number}"))
