"""What libraries make of one raw value: pure functions, one per kind, gathered in KINDS.

A `Standard` has a value, or a problem that says why there is none, or both: then the problem is a note on what was
put right beyond doubt-free tidying. Names stand in `names`, what depends on a country in `countries`, `phones`,
`postcodes` and `tax_numbers`, the repair of texts in `texts`. A guess is never carried: it would be somebody else's value.
The same raw value gets the same answer, always.
"""

from __future__ import annotations

import html
import ipaddress
import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import Final

import pycountry
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from shopferry.engine import marks
from shopferry.engine.countries import country
from shopferry.engine.names import family_name, given_name, name_words
from shopferry.engine.phones import phone
from shopferry.engine.postcodes import postcode
from shopferry.engine.tax_numbers import tax_number
from shopferry.engine.texts import CONTROL, JUNK, Standard, repair, text
from shopferry.errors import MappingError
from shopferry.route.route import Route

VERSION = 2  # raise it when a raw value may get another result: the next run of a phase then judges its values again

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
        value = _AROUND_AT.sub("@", CONTROL.sub("", JUNK.sub("", html.unescape(value)))).strip(" \t\r\n,;.<>\"'\u00a0")
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
    written = repair(raw).upper().strip(" .")
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


def _mark(verdict: Standard) -> Standard:
    """The same verdict, with the mark of its value in the value's place."""
    return Standard(marks.make(verdict.value) if verdict.value is not None else None, verdict.problem)


KINDS: Final[dict[str, Callable[[str], Standard]]] = {
    "country": country,
    "currency": currency,
    "date": iso_date,
    "email": email,
    "family_name": family_name,
    "given_name": given_name,
    "ip": ip,
    "name_words": name_words,
    "phone": phone,
    "postcode": postcode,
    "tax_number": tax_number,
    "text": text,
    "email_mark": lambda raw: _mark(email(raw)),
    "phone_mark": lambda raw: _mark(phone(raw)),
}


def require_known(route: Route) -> None:
    """Raise MappingError with file and line for a mapping that asks for a kind that is none."""
    for unit in route.units:
        for wanted in unit.standardize:
            if wanted.kind not in KINDS:
                raise MappingError(
                    f"{unit.file}:{wanted.line}: standardize: kind {wanted.kind!r} is none of {', '.join(sorted(KINDS))}"
                )


def standardize(kind: str, raw: str) -> Standard:
    """The verdict on one raw value. Raises KeyError for a kind that KINDS does not hold."""
    return KINDS[kind](raw)
