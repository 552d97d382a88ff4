"""What libraries make of one raw value: pure functions, one per kind, gathered in KINDS.

A `Standard` has a value, or a problem that says why there is none, or both: then the problem is a note on what was
put right beyond doubt-free tidying. Raw values with a country before them (`PL|601 234 567`) carry it as the legacy
store wrote it; an empty one means Poland, where the demo shop is at home. Same raw value, same answer, always.
"""

from __future__ import annotations

import gettext
import html
import ipaddress
import re
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import Final

import ftfy
import phonenumbers
import pycountry
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email


@dataclass(frozen=True, slots=True)
class Standard:
    """`value` is None when the raw value cannot be used; `problem` then says why, else it is a note or None."""

    value: str | None
    problem: str | None = None


# -- text ---------------------------------------------------------------------------------------------------------

_PLAIN = re.compile(r"[!-%'-\[\]-~]+(?: [!-%'-\[\]-~]+)*")  # ASCII without & and \, tidy blanks: nothing to repair
_JUNK = re.compile(r"\\x00|\\u0000|\\0(?!\d)|[\u2400\ufffd\ufeff\u200b]")  # what importers write instead of NUL
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_REPAIRS = ftfy.TextFixerConfig(unescape_html=False, uncurl_quotes=False, fix_character_width=False, explain=False)
_POLISH_LETTERS = frozenset("ąćęłńóśźżĄĆĘŁŃÓŚŹŻ")
# In order of preference. "sloppy" are ftfy's codecs, in which every byte is a character.
_CODECS: Final = ("iso8859-2", "sloppy-windows-1250", "iso8859-1", "sloppy-windows-1252")


def _misread_pairs(codec: str) -> str:
    """UTF-8 letters (lead bytes C2–C5) and punctuation (E2 80 …) as they look when read in `codec`."""
    follow = "".join(re.escape(bytes([b]).decode(codec, "replace")) for b in range(0x80, 0xC0))
    lead = "".join(bytes([b]).decode(codec) for b in (0xC2, 0xC3, 0xC4, 0xC5))
    return f"[{lead}][{follow}]|{bytes([0xE2]).decode(codec)}[{follow}][{follow}]"


# ftfy knows these codecs but often finds short Polish words too plausible to touch. A lead byte followed by a
# continuation byte is never plausible, so each such pair is reversed exactly.
MISREAD = re.compile("|".join(map(_misread_pairs, _CODECS)))


def _reread(match: re.Match[str]) -> str:
    """The letter that was misread; where two codecs allow two letters, the Polish one."""
    readings = []
    for codec in _CODECS:
        with suppress(UnicodeError):
            readings.append(match[0].encode(codec).decode("utf-8"))
    return next((r for r in readings if r in _POLISH_LETTERS), readings[0] if readings else match[0])


def _is_european(text: str) -> bool:
    return all(c < "\u0250" or "\u2000" <= c < "\u2200" for c in text)


def _repair(raw: str) -> str:
    text = raw
    for _ in range(2):  # &amp;oacute; has been escaped twice
        if "&" in text and (unescaped := html.unescape(text)) != text:
            text = unescaped
    text = _JUNK.sub("", text)
    if not text.isascii():
        text = MISREAD.sub(_reread, text)
        fixed = ftfy.fix_text(text, _REPAIRS)
        if _is_european(fixed) or not _is_european(text):  # "ćŁĄ" is no Chinese sign, whatever its bytes spell
            text = fixed
    return " ".join(_CONTROL.sub("", text).split())


def text(raw: str) -> Standard:
    """Mojibake reversed, HTML entities read, control characters and needless blanks dropped."""
    if _PLAIN.fullmatch(raw):
        return Standard(raw)
    value = _repair(raw)
    if not value:
        return Standard(None, "text_missing")
    return Standard(value, None if value == " ".join(raw.split()) else "text_repaired")


# -- names --------------------------------------------------------------------------------------------------------

_TITLE = re.compile(r"(?:(?:pan|pani|p|dr|mgr|inż|inz|prof|hab|mr|mrs|ms|herr|frau|lek|ks)\.?\s+)+", re.IGNORECASE)
_PARTICLES = {"von", "van", "der", "den", "de", "da", "di", "del", "la", "le", "dos", "du", "ter", "zu"}
_WORD = re.compile(r"[^\W\d_]+")


def _capital(word: str) -> str:
    return word.lower() if word.lower() in _PARTICLES else _WORD.sub(lambda m: m[0].capitalize(), word)


@lru_cache(maxsize=4096)
def _split(raw: str) -> tuple[str, str]:
    """(given, family) of a full name; a single word is the family name, `Kowalski, Jan` is turned round."""
    name = raw if _PLAIN.fullmatch(raw) else _repair(raw)
    name = _TITLE.sub("", name, count=1) if _TITLE.match(name) else name
    if "@" in name or not _WORD.search(name):
        return "", ""
    if name.isupper() or name.islower():
        name = " ".join(map(_capital, name.split(" ")))
    family, comma, given = name.partition(",")
    if comma and given.strip():
        return given.strip(" ,"), family.strip()
    words = family.strip().split(" ")
    cut = len(words) - 1
    while cut > 1 and words[cut - 1].lower() in _PARTICLES:
        cut -= 1
    return " ".join(words[:cut]), " ".join(words[cut:])


def given_name(raw: str) -> Standard:
    """Given names of a full name, repaired, titles dropped, capitals put right where all letters had one case."""
    value = _split(raw)[0]
    return Standard(value) if value else Standard(None, "given_name_missing")


def family_name(raw: str) -> Standard:
    """Family name of a full name, with its particles (van der Berg)."""
    value = _split(raw)[1]
    return Standard(value) if value else Standard(None, "name_missing")


# -- e-mail -------------------------------------------------------------------------------------------------------

_EMAIL = re.compile(
    r"[a-z0-9_+-]{1,64}(?:\.[a-z0-9_+-]{1,64})*@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+([a-z]{2,63})"
)
_SPECIAL = tuple(f".{name}" for name in SPECIAL_USE_DOMAIN_NAMES)
_AROUND_AT = re.compile(r"\s*@\s*")
_IN_BRACKETS = re.compile(r"<([^<>@\s]+@[^<>\s]+)>")


def email(raw: str) -> Standard:
    """One lower-case address, checked for form, never for a mail server. Nothing is guessed: an e-mail is identity."""
    value = raw.strip().lower()
    note = None
    if not _plain_email(value):
        value = _AROUND_AT.sub("@", _CONTROL.sub("", _JUNK.sub("", html.unescape(value)))).strip(
            " \t\r\n,;.<>\"'\u00a0"
        )
        if inside := _IN_BRACKETS.search(value + ">"):
            value = inside[1]
        value = value.removeprefix("mailto:")
        if not value:
            return Standard(None, "email_missing")
        several = [part for part in re.split(r"[\s,;]+", value) if "@" in part]
        if len(several) > 1:
            value, note = several[0], "email_several"
        if not _plain_email(value):
            try:
                value = validate_email(value, check_deliverability=False).normalized.lower()
            except EmailNotValidError:
                return Standard(None, "email_invalid")
    return Standard(value, note)


def _plain_email(value: str) -> bool:
    """Addresses so plain that email-validator would say yes (a property test holds it to that)."""
    if len(value) > 254 or "--" in value or not _EMAIL.fullmatch(value):
        return False
    local, _, domain = value.partition("@")
    return len(local) <= 64 and not f".{domain}".endswith(_SPECIAL)


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
    if code := known.get(key) or known.get(_country_key(_repair(raw))):
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


# -- small ones ---------------------------------------------------------------------------------------------------

_CURRENCY_ALIASES: Final = {
    "ZŁ": "PLN",
    "ZL": "PLN",
    "PLZ": "PLN",
    "€": "EUR",
    "EURO": "EUR",
    "KČ": "CZK",
    "KC": "CZK",
    "£": "GBP",
    "R$": "BRL",
}


@lru_cache(maxsize=4096)
def currency(raw: str) -> Standard:
    """ISO 4217 from a code or a sign; `$` alone is too many currencies."""
    written = _repair(raw).upper().strip(" .")
    if not written:
        return Standard(None, "currency_missing")
    found = _CURRENCY_ALIASES.get(written) or getattr(pycountry.currencies.get(alpha_3=written), "alpha_3", None)
    return Standard(found) if found else Standard(None, "currency_unknown")


@lru_cache(maxsize=4096)
def ip(raw: str) -> Standard:
    """An IPv4 or IPv6 address; the first of a list that a proxy wrote."""
    written = raw.split(",")[0].strip()
    if not written:
        return Standard(None, "ip_missing")
    try:
        return Standard(str(ipaddress.ip_address(written)))
    except ValueError:
        return Standard(None, "ip_invalid")


_DATES: Final = (
    re.compile(r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?:[ T].*)?"),
    re.compile(r"(?P<d>\d{1,2})[-/.](?P<m>\d{1,2})[-/.](?P<y>\d{4})(?: .*)?"),
    re.compile(r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})"),
)


@lru_cache(maxsize=65536)
def iso_date(raw: str) -> Standard:
    """YYYY-MM-DD from the orders of parts seen in Europe; zero dates are missing ones, others must lie in 1995–2034."""
    written = raw.strip()
    if not written.strip("0-/.: T"):
        return Standard(None, "date_missing")
    for form in _DATES:
        if match := form.fullmatch(written):
            try:
                found = date(int(match["y"]), int(match["m"]), int(match["d"]))
            except ValueError:
                return Standard(None, "date_invalid")
            if found.year < 1995:
                return Standard(None, "date_implausible")
            return Standard(found.isoformat()) if found.year < 2035 else Standard(None, "date_in_future")
    return Standard(None, "date_invalid")


KINDS: Final[dict[str, Callable[[str], Standard]]] = {
    "country": country,
    "currency": currency,
    "date": iso_date,
    "email": email,
    "family_name": family_name,
    "given_name": given_name,
    "ip": ip,
    "phone": phone,
    "postcode": postcode,
    "text": text,
}


def standardize(kind: str, raw: str) -> Standard:
    """The verdict on one raw value. Raises KeyError for a kind that KINDS does not hold."""
    return KINDS[kind](raw)
