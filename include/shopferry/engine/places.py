"""What depends on a country: its own code, its postcodes and its telephone numbers.

A raw value may have its country before it (`PL|601 234 567`), as the legacy store wrote it; an empty one means Poland,
where the demo shop is at home.
"""

from __future__ import annotations

import gettext
import re
import unicodedata
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import Final

import phonenumbers
import pycountry

from shopferry.engine.texts import Standard, repair

# -- countries ----------------------------------------------------------------------------------------------------

_COUNTRY_ALIASES: Final = {
    "rp": "PL",
    "pol": "PL",
    "rzeczpospolitapolska": "PL",
    "polen": "PL",
    "polsko": "PL",
    "polonia": "PL",
    "d": "DE",
    "brd": "DE",
    "ger": "DE",
    "rfn": "DE",
    "deutschland": "DE",
    "nemecko": "DE",
    "a": "AT",
    "f": "FR",
    "i": "IT",
    "b": "BE",
    "e": "ES",
    "h": "HU",
    "s": "SE",
    "n": "NO",
    "czechy": "CZ",
    "ceskarepublika": "CZ",
    "cesko": "CZ",
    "republikaczeska": "CZ",
    "slovensko": "SK",
    "uk": "GB",
    "england": "GB",
    "scotland": "GB",
    "wales": "GB",
    "greatbritain": "GB",
    "anglia": "GB",
    "wielkabrytania": "GB",
    "usa": "US",
    "america": "US",
    "stanyzjednoczone": "US",
    "holandia": "NL",
    "holland": "NL",
    "rosja": "RU",
    "russia": "RU",
    "turcja": "TR",
    "turkey": "TR",
    "brasil": "BR",
}


def _country_key(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.casefold().replace("ł", "l"))
    return "".join(c for c in plain if c.isalnum())


@cache
def _countries() -> dict[str, str]:
    names: dict[str, str] = {}
    translations = [gettext.translation("iso3166-1", pycountry.LOCALES_DIR, languages=[code]) for code in ("pl", "de")]
    for one in pycountry.countries:
        spelt = [getattr(one, name, "") for name in ("name", "official_name", "common_name")]
        spelt += [tongue.gettext(name) for tongue in translations for name in spelt if name]
        for name in (one.alpha_2, one.alpha_3, one.numeric, *spelt):
            names.setdefault(_country_key(name), one.alpha_2)
    names.pop("", None)
    return names | _COUNTRY_ALIASES


@lru_cache(maxsize=65536)
def country(raw: str) -> Standard:
    """ISO 3166-1 alpha-2 from a code or a Polish, German or English name; a misspelt one is noted as guessed."""
    key = _country_key(raw)
    if not key:
        return Standard(None, "country_missing")
    known = _countries()
    if code := known.get(key) or known.get(_country_key(repair(raw))):
        return Standard(code)
    if len(key) >= 5 and (near := get_close_matches(key, [k for k in known if len(k) >= 5], n=1, cutoff=0.82)):
        return Standard(known[near[0]], "country_guessed")
    return Standard(None, "country_unknown")


def _with_country(raw: str) -> tuple[str, str]:
    """(alpha-2, the rest) of `country|rest`; nothing written means PL, an unknown one ZZ."""
    written, _, rest = raw.partition("|")
    verdict = country(written) if written else Standard("PL")
    return verdict.value or ("PL" if verdict.problem == "country_missing" else "ZZ"), rest


# -- postcodes ----------------------------------------------------------------------------------------------------

_DIGITS: Final = {  # country: (digits, where a dash or blank goes, which)
    "PL": (5, 2, "-"),
    "CZ": (5, 3, " "),
    "SK": (5, 3, " "),
    "SE": (5, 3, " "),
    "DE": (5, 0, ""),
    "FR": (5, 0, ""),
    "IT": (5, 0, ""),
    "ES": (5, 0, ""),
    "AT": (4, 0, ""),
    "BE": (4, 0, ""),
    "DK": (4, 0, ""),
    "CH": (4, 0, ""),
    "HU": (4, 0, ""),
}
_OTHER_POSTCODE = re.compile(r"[A-Z0-9][A-Z0-9 -]{1,9}")


def postcode(raw: str) -> Standard:
    """A postcode as its country writes it; one that lost its leading zero gets it back, with a note."""
    code, rest = _with_country(raw)
    rest = " ".join(rest.upper().split())
    if not rest.strip("-. "):
        return Standard(None, "postcode_missing")
    digits = re.sub(r"[^0-9A-Z]", "", rest).removeprefix(code)
    note = None
    if form := _DIGITS.get(code):
        length, cut, mark = form
        if digits.isdigit() and len(digits) == length - 1 == 4:
            digits, note = f"0{digits}", "postcode_padded"
        if not digits.isdigit() or len(digits) != length:
            return Standard(None, "postcode_invalid")
        return Standard(f"{digits[:cut]}{mark}{digits[cut:]}" if cut else digits, note)
    if code in {"US", "BR"} and digits.isdigit() and len(digits) in {4, 5, 8, 9}:
        if len(digits) == 4:
            digits, note = f"0{digits}", "postcode_padded"
        return Standard(digits if len(digits) == 5 else f"{digits[:5]}-{digits[5:]}", note)
    if code == "GB" and len(digits) in {5, 6, 7}:
        return Standard(f"{digits[:-3]} {digits[-3:]}")
    return Standard(rest) if _OTHER_POSTCODE.fullmatch(rest) else Standard(None, "postcode_invalid")


# -- telephone numbers --------------------------------------------------------------------------------------------

_SEVERAL = re.compile(r"[,;/]|\s(?:lub|oraz|or|i|albo)\s", re.IGNORECASE)
_EXTENSION = re.compile(r"\b(?:wew|ext|w)\.?\s*\d+\s*$", re.IGNORECASE)
_NO_SIGN = re.compile(r"[^\d+]")
_PLACEHOLDER = re.compile(r"(?:\+?48)?(?:(\d)\1{8}|123456789|987654321)")
_POLISH = re.compile(r"(?:\+48|0048|48)?(\d{9})")


@lru_cache(maxsize=65536)
def _polish_block(block: str) -> bool:
    """Whether Polish numbers that begin with these six digits are valid (blocks are given out by prefix)."""
    return all(
        phonenumbers.is_valid_number(phonenumbers.PhoneNumber(country_code=48, national_number=int(block + tail)))
        for tail in ("000", "999")
    )


def phone(raw: str) -> Standard:
    """E.164 of the first number in `country|number`, by libphonenumber's rules for that country."""
    code, rest = _with_country(raw)
    parts = [part for part in _SEVERAL.split(rest) if sum(c.isdigit() for c in part) >= 7] or [rest]
    note = "phone_several" if len(parts) > 1 else None
    digits = _NO_SIGN.sub("", _EXTENSION.sub("", parts[0]))
    if not digits:
        return Standard(None, "phone_invalid" if any(c.isalnum() for c in rest) else "phone_missing")
    if _PLACEHOLDER.fullmatch(digits):
        return Standard(None, "phone_placeholder")
    if code == "PL" and (plain := _POLISH.fullmatch(digits)) and plain[1][0] != "0" and _polish_block(plain[1][:6]):
        return Standard(f"+48{plain[1]}", note)
    if code == "PL" and re.fullmatch(r"0[1-9]\d{8}", digits):
        digits = digits[1:]  # the trunk zero that was dialled until 2005
    # Many wrote the country's code without + or 00; that reading is tried last.
    for attempt in (re.sub(r"^00", "+", digits), f"+{digits.lstrip('+0')}"):
        try:
            number = phonenumbers.parse(attempt, None if code == "ZZ" else code)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return Standard(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164), note)
    return Standard(None, "phone_invalid")
