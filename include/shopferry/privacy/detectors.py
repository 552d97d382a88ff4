"""What looks like people's data in values, without models: by form, checksum and numbering plan, and words of health.

A value that is digits and nothing else says little by itself: one order number of ten digits in eleven has the checksum of a tax
number. Such values are judged as a column, and count only where they are far more than chance explains.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path

import phonenumbers
from stdnum import iban, luhn
from stdnum.it import codicefiscale
from stdnum.pl import nip, pesel
from stdnum.ro import cnp

_HEALTH = Path(__file__).with_name("health_words.toml")
_FILES = {"png", "jpg", "jpeg", "gif", "svg", "webp", "pdf", "css", "js", "html", "php", "xml", "txt"}  # logo@2x.png
_EMAIL = re.compile(r"[\w.%+-]+@(?:[^\W_](?:[\w-]*[^\W_])?\.)+([^\W\d_]{2,24})(?![\w@])")
_ABROAD = re.compile(r"(?<![\w+.,/-])(?:\+ ?|00(?=[1-9]\d{0,2}[ ().-]))[1-9](?:[ ().-]{0,2}\d){7,14}(?![\w/-]|[.,]\d)")
_AT_HOME = re.compile(r"(?<![\w+.,:/-])\(?\d{2,5}\)?(?:[ -]\d{2,4}){1,4}(?![\w/-]|[.,: ]\d)")
_TOKEN = re.compile(r"(?<![\w.,/-])\d{11}(?:\d{2})?(?![\w/-]|[.,]\d)")
_CARD = re.compile(
    r"(?<![\w.,/-])\d{4}(?:[ -]?\d{4}){2}[ -]?\d{3,4}(?![\w/-]|[.,]\d)|(?<![\w.,/-])3\d{3} \d{6} \d{5}(?!\w)"
)
_NIP = re.compile(r"(?<!\w)(?:NIP\W{0,3}(?:PL ?)?|PL ?)(\d{3}-?\d{2,3}-?\d{2}-?\d{2,3})(?![\w-])", re.IGNORECASE)
_NIP_WRITTEN = re.compile(r"(?<![\w-])\d{3}-\d{3}-\d{2}-\d{2}(?![\w-])|(?<![\w-])\d{3}-\d{2}-\d{2}-\d{3}(?![\w-])")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?(?!\w)", re.IGNORECASE)
_FISCAL = re.compile(
    r"(?<!\w)[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z](?!\w)", re.IGNORECASE
)
_BARE = re.compile(r"\d{9,19}")
_ISSUED = re.compile(r"4|5[1-5]|2[2-7]|3[47]|6(?:011|5)")  # by which the cards begin that people have
_MOBILE = re.compile(  # bare: Poland, Romania, Italy, Germany, Britain, France, at home or with the country's code
    r"(?:(?:00)?48)?(?:45|5[0137]|6[069]|7[2389]|88)\d{7}|(?:0|(?:00)?40)7\d{8}|(?:(?:00)?39)?3[1-9]\d{8}"
    r"|(?:0|(?:00)?49)1[567]\d{8,9}|(?:0|(?:00)?44)7[1-9]\d{8}|(?:0|(?:00)?33)[67]\d{8}"
)
_REGIONS = ("PL", "RO", "IT", "DE", "GB", "FR")  # whose numbers are known without their country's code
_OLDEST = 1915
_FEW, _BEYOND_CHANCE = 5, 5


class Kind(StrEnum):
    """What a value looks like."""

    EMAIL = "e-mail addresses"
    PHONE = "phone numbers"
    NATIONAL = "national numbers"
    BANK = "bank account numbers"
    CARD = "card numbers"
    HEALTH = "words about health"


@dataclass
class Found:
    """How many rows look like one kind, and the first values that do, by the key of a row that holds each."""

    rows: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)


def find_in(text: str) -> set[Kind]:
    """Find what stands in a text for sure, by its form; bare digits and health are asked elsewhere."""
    found = set()
    if "@" in text and any(m[1].lower() not in _FILES for m in _EMAIL.finditer(text)):
        found.add(Kind.EMAIL)
    if sum(map(str.isdigit, text)) < 6:  # the fewest are in a fiscal code with letters for digits
        return found
    if any(iban.is_valid(m[0]) for m in _IBAN.finditer(text)):
        found.add(Kind.BANK)
    if any(map(_is_fiscal_code, _FISCAL.findall(text))):
        found.add(Kind.NATIONAL)
    if not _BARE.fullmatch(text.strip()):
        found |= _find_numbers(text)
    return found


def _find_numbers(text: str) -> set[Kind]:
    found = set()
    if any(_is_card(re.sub(r"\D", "", number)) for number in _CARD.findall(text)):
        found.add(Kind.CARD)
    numbers = [*_NIP.findall(text), *_NIP_WRITTEN.findall(text)]
    if any(map(_is_personal, _TOKEN.findall(text))) or any(map(nip.is_valid, numbers)):
        found.add(Kind.NATIONAL)
    elif any(_is_abroad(m[0]) for m in _ABROAD.finditer(text)) or any(
        _is_at_home(m[0]) for m in _AT_HOME.finditer(text)
    ):
        found.add(Kind.PHONE)
    return found


def tells_of_health(text: str) -> bool:
    """Tell whether a text holds one of the words that speak of somebody's health."""
    return _read_health_words().search(text) is not None


@cache
def _read_health_words() -> re.Pattern[str]:
    listed = tomllib.loads(_HEALTH.read_text(encoding="utf-8"))
    words = sorted({re.escape(word) for words in listed.values() for word in words})
    return re.compile(rf"(?<!\w)(?:{'|'.join(words)})", re.IGNORECASE)


def judge(values: Iterable[tuple[str, str, int]], *, free_text: bool = False) -> Mapping[Kind, Found]:
    """Judge the values of one column, each with the key of a row that holds it, and how many do; health only in free text."""
    found: dict[Kind, Found] = defaultdict(Found)
    lengths: Counter[int] = Counter()  # of bare digits: values of each length
    bare: dict[tuple[int, str], list[tuple[str, str, int]]] = defaultdict(list)
    for text, key, rows in values:
        kinds = find_in(text)
        if free_text and tells_of_health(text):
            kinds.add(Kind.HEALTH)
        for kind in kinds:
            found[kind].rows += rows
            found[kind].examples.append((key, text))
        if not kinds and _BARE.fullmatch(digits := text.strip()):
            lengths[len(digits)] += 1
            for plan in _PLANS:
                if len(digits) in plan.chance and plan.fits(digits):
                    bare[len(digits), plan.name].append((key, text, rows))
    for plan in _PLANS:
        for length, chance in plan.chance.items():
            fitting = bare[length, plan.name]
            if len(fitting) >= _FEW and len(fitting) > _BEYOND_CHANCE * chance * lengths[length]:
                found[plan.kind].rows += sum(rows for *_, rows in fitting)
                found[plan.kind].examples += [(key, text) for key, text, _ in fitting]
    return found


def _is_personal(digits: str) -> bool:
    """Tell whether it is a PESEL or a CNP of somebody who may be alive."""
    if len(digits) == 11 and pesel.is_valid(digits):
        return bool(_OLDEST <= pesel.get_birth_date(digits).year < 2030)
    return len(digits) == 13 and bool(cnp.is_valid(digits)) and bool(_OLDEST <= cnp.get_birth_date(digits).year < 2030)


def _is_fiscal_code(code: str) -> bool:
    return bool(codicefiscale.is_valid(code))


def _is_card(digits: str) -> bool:
    return 15 <= len(digits) <= 16 and _ISSUED.match(digits) is not None and bool(luhn.is_valid(digits))


def _is_abroad(written: str) -> bool:
    digits = re.sub(r"\D", "", written)
    return _is_number(f"+{digits[2:] if digits.startswith('00') else digits}", None)


def _is_at_home(written: str) -> bool:
    """Tell whether digits in groups are a phone number: nine in Poland, else with a zero before them, or an Italian mobile."""
    digits = re.sub(r"\D", "", written)
    if len(digits) == 9 and digits[0] != "0":
        return _is_number(digits, "PL")
    if len(digits) == 10 and digits[0] == "3":
        return _is_number(digits, "IT")
    return digits[0] == "0" and 9 <= len(digits) <= 12 and any(_is_number(digits, region) for region in _REGIONS[1:])


def _is_number(text: str, region: str | None) -> bool:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return False
    return bool(
        phonenumbers.is_valid_number_for_region(number, region) if region else phonenumbers.is_valid_number(number)
    )


@dataclass(frozen=True)
class _Plan:
    """What bare digits may be: by their number, which part of arbitrary ones fits by chance."""

    name: str
    kind: Kind
    fits: Callable[[str], bool]
    chance: Mapping[int, float]


_PLANS = (
    _Plan("pesel, cnp", Kind.NATIONAL, _is_personal, {11: 0.005, 13: 0.002}),
    _Plan("nip", Kind.NATIONAL, lambda digits: bool(nip.is_valid(digits)), {10: 0.092}),
    _Plan("card", Kind.CARD, _is_card, {15: 0.025, 16: 0.025}),
    _Plan(
        "mobile",
        Kind.PHONE,
        lambda digits: _MOBILE.fullmatch(digits) is not None,
        {9: 0.13, 10: 0.11, 11: 0.02, 12: 0.02, 13: 0.01},
    ),
)
