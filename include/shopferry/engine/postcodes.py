"""Postcodes, in the forms that the Universal Postal Union publishes for each country.

A raw value is `country|postcode`; where no country was written it was HOME. Of a country that stands nowhere here the
postcode stays as it was written.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from shopferry.engine.countries import country, split_country
from shopferry.engine.texts import Standard

_FORMS: Final = {  # each 9 is a digit, anything else is written as it stands here
    **dict.fromkeys(("AL", "AM", "AT", "AU", "BE", "BG", "CH", "CY", "DK", "GE"), ("9999",)),
    **dict.fromkeys(("HU", "LI", "LU", "MK", "NO", "NZ", "SI", "TN", "ZA"), ("9999",)),
    **dict.fromkeys(("BA", "DE", "EE", "EG", "ES", "FI", "FR", "HR", "IT", "KR", "MA"), ("99999",)),
    **dict.fromkeys(("MC", "ME", "MX", "MY", "RS", "SM", "TH", "TR", "UA", "VA"), ("99999",)),
    **dict.fromkeys(("CZ", "GR", "SE", "SK"), ("999 99",)),
    **dict.fromkeys(("BY", "CN", "CO", "IN", "RO", "RU", "SG"), ("999999",)),
    "AD": ("AD999",),
    "BR": ("99999", "99999-999"),  # five digits until 1992
    "IS": ("999",),
    "JP": ("999-9999",),
    "LT": ("LT-99999",),
    "LV": ("LV-9999",),
    "MD": ("MD-9999",),
    "PL": ("99-999",),
    "PT": ("9999", "9999-999"),  # four digits until 1998
    "US": ("99999", "99999-9999"),
}
_LETTERED: Final = {  # two parts with a blank between
    "CA": (re.compile(r"([ABCEGHJ-NPRSTVXY][0-9][ABCEGHJ-NPRSTV-Z])([0-9][ABCEGHJ-NPRSTV-Z][0-9])"),),
    "GB": (
        re.compile(r"([A-Z]{1,2}[0-9][0-9A-Z]?)([0-9][ABD-HJLNP-UW-Z]{2})"),
        re.compile(r"(BFPO)([1-9][0-9]{0,3})"),  # the forces'
        re.compile(r"(GIR)(0AA)"),  # Girobank's
    ),
    "IE": (re.compile(r"([AC-FHKNPRTV-Y][0-9][0-9W])([0-9AC-FHKNPRTV-Y]{4})"),),
    "NL": (re.compile(r"([1-9][0-9]{3})([A-Z]{2})"),),
}
_LIKE: Final = {  # countries that have the codes of another
    **dict.fromkeys(("GG", "IM", "JE"), "GB"),
    **dict.fromkeys(("AS", "GU", "MP", "PR", "VI"), "US"),
    **dict.fromkeys(("GF", "GP", "MQ", "NC", "PF", "PM", "RE", "YT"), "FR"),
}
# Whose codes may begin with zero: only theirs can have lost one.
_ZERO_FIRST: Final = frozenset(
    {"AU", "BR", "CN", "CO", "DE", "DK", "EG", "ES", "FI", "FR", "IT", "JP", "KR", "LT"}
    | {"MX", "MY", "NO", "NZ", "PL", "RO", "SG", "SK", "TR", "UA", "US", "VA", "ZA"}
)
_CAR_SIGNS: Final = {"FL": "LI", "CDN": "CA", "SF": "FI"}  # where they are no name of the country elsewhere

_PREFIX = re.compile(r"([A-Z]{1,3})(?:[ -]+|(?=[0-9]))")
_DECIMAL = re.compile(r"(?<=[0-9])[.,]0$")  # what a spreadsheet makes of a number
_BETWEEN = re.compile(r"[ /–—-]+")
_OTHER = re.compile(r"(?=.*[0-9])(?!.*[A-Z]{5})[A-Z0-9][A-Z0-9 -]{1,9}")


def postcode(raw: str) -> Standard:
    """A postcode as its country writes it; one that lost its leading zero gets it back, with a note."""
    code, rest = split_country(raw)
    rest = " ".join(unicodedata.normalize("NFKC", rest).upper().split())
    if not rest.strip("-. "):
        return Standard(None, "postcode_missing")
    if not re.search(r"[1-9A-Z]", rest):  # zeros are written where there is none
        return Standard(None, "postcode_invalid")
    like = _LIKE.get(code, code)
    if like not in _FORMS and like not in _LETTERED:
        return Standard(rest) if _OTHER.fullmatch(rest) else Standard(None, "postcode_invalid")
    rest = _DECIMAL.sub("", rest).replace(".", "").strip(" -")
    for written in (rest, _drop_prefix(rest, {code, like})):
        if found := _read_letters(like, written) or _read_digits(like, written):
            return found
    return Standard(None, "postcode_invalid")


def _drop_prefix(rest: str, codes: set[str]) -> str:
    """Drop the country's own sign before a code (D-10115). Another country's stays, and makes the code invalid."""
    sign = _PREFIX.match(rest)
    if sign and (_CAR_SIGNS.get(sign[1]) or country(sign[1]).value) in codes:
        return rest[sign.end() :]
    return rest


def _read_letters(code: str, written: str) -> Standard | None:
    plain = _BETWEEN.sub("", written)
    for form in _LETTERED.get(code, ()):
        if match := form.fullmatch(plain):
            return Standard(f"{match[1]} {match[2]}")
    return None


def _read_digits(code: str, written: str) -> Standard | None:
    """Read a code of digits, all of them or all but a leading zero; None if there is no such form."""
    groups, forms = _BETWEEN.split(written), _FORMS.get(code, ())
    if not all(group.isdigit() and group.isascii() for group in groups):
        return None
    begins_with_zero = groups[0].startswith("0")
    if begins_with_zero and code not in _ZERO_FIRST:
        return None
    for form in forms:
        if value := _fill(form, groups, in_place=len(forms) > 1):
            return Standard(value)
    if code in _ZERO_FIRST and not begins_with_zero:
        for form in forms:
            if value := _fill(form, ["0" + groups[0], *groups[1:]], in_place=True):
                return Standard(value, "postcode_padded")
    return None


def _fill(form: str, groups: list[str], *, in_place: bool) -> str | None:
    """Write digits into a form; None if they are too many or too few.

    `in_place`: where they were parted, they must be parted as the form is. So 12-34 lacks its last digit, not its first.
    """
    digits = "".join(groups)
    if len(digits) != form.count("9"):
        return None
    if in_place and len(groups) > 1 and [len(g) for g in groups] != [len(g) for g in re.findall("9+", form)]:
        return None
    left = iter(digits)
    return "".join(next(left) if c == "9" else c for c in form)
