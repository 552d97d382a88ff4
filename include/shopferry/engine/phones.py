"""Telephone numbers: E.164 of the first number in `country|number`, by libphonenumber's rules for that country.

People write several numbers in a field, extensions, remarks, and slashes that part either two numbers or an area code from
the rest. A number is carried only where there is one way to read it: another way would reach somebody else.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import phonenumbers

from shopferry.engine.countries import NOWHERE, split_country
from shopferry.engine.texts import Standard

_EXTENSION_WORDS: Final = (
    "extension|extn|ext|x|wewnętrzny|wewn|wew|w|durchwahl|dw|apparat|app|klappe|klapka|kl|linka|poste|interno|interne|interior|int|"
    "toestel|tst|ramal|anexo|mellék|mell|anknytning"
)
_EXTENSION = re.compile(
    rf"(?:(?<![^\W\d_])(?:{_EXTENSION_WORDS})(?![^\W\d_])|#)[\s:.=-]*[0-9]{{1,6}}(?![0-9])", re.IGNORECASE
)
_TOKEN = re.compile(r"(\+?[0-9]+)|([/\\])|([^\W\d_]|[,;&|\n])")  # digits, a slash, what stands between numbers
_PLAIN = re.compile(r"\+?([0-9]+)[0-9 .-]*")  # nothing to part: most are so
_DECIMAL = re.compile(r"(?<=[0-9])\.0\s*$")  # what a spreadsheet makes of a number
_POWER = re.compile(r"[0-9][.,]?[0-9]*e\+?[0-9]+\s*$", re.IGNORECASE)  # the same, with digits lost
_PLACEHOLDER = re.compile(r"(?:\+?48)?(?:(\d)\1{8}|123456789|987654321)")
_POLISH = re.compile(r"(?:\+48|0048|48)?([1-9]\d{8})")
_POLISH_TRUNK = re.compile(r"0[1-9]\d{8}")  # with the zero that was dialled until 2005
_NO_MARKS = str.maketrans("", "", " .-")
_DIALLED = re.compile(r"^\+?00")
_ABROAD = ("+", "00")

_WHOLE = 7  # digits of a whole number at least
_AREA = 6  # digits of an area code at most, with its zero; a country's code comes on top
# There people dial without the area code within a town, and lengths vary: fewer digits with no zero before them may be
# such a number, of a town that nobody wrote.
_LOCAL_DIALLING: Final = frozenset(["AT", "BA", "BG", "DE", "FI", "HR", "ID", "IE", "IN", "ME", "MK", "MY", "RS", "SE"])
_NOT_LOCAL = 9


@dataclass(frozen=True, slots=True)
class _Piece:
    """Digits that belong together, and how they were written."""

    digits: str
    head: str  # up to the first blank or bracket
    after_slash: bool = False
    has_area: bool = False  # a slash stood after the area code

    def join(self, other: _Piece) -> _Piece:
        return _Piece(self.digits + other.digits, self.head, self.after_slash, True)


def phone(raw: str) -> Standard:
    """E.164 of the first number, with a note if there were more; none where the text can be read in two ways."""
    code, rest = split_country(raw)
    pieces = _read_pieces(rest)
    if not pieces:
        return Standard(None, "phone_invalid" if any(c.isalnum() for c in rest) else "phone_missing")
    if _POWER.search(rest):
        return Standard(None, "phone_invalid")
    abroad = code == NOWHERE or not raw.partition("|")[0].strip()
    pieces = _join_areas(pieces, code, abroad)
    for n, piece in enumerate(pieces):
        number = _read(piece, code, abroad)
        if number is None:
            continue
        if piece.after_slash and not piece.digits.startswith(("+", "0")):
            break  # what stood before the slash may be part of it
        following = pieces[n + 1] if n + 1 < len(pieces) else None
        if (
            following
            and following.after_slash
            and _read(following, code, abroad) is None
            and _read(piece.join(following), code, abroad)
        ):
            return Standard(None, "phone_ambiguous")
        return Standard(number, "phone_several" if len(pieces) > 1 else None)
    placeholder = _PLACEHOLDER.fullmatch(pieces[0].digits)
    return Standard(None, "phone_placeholder" if placeholder else "phone_invalid")


def _read_pieces(rest: str) -> list[_Piece]:
    """Part a text where a slash, a word or a sign stands between digits. Extensions are dropped: E.164 has none."""
    text = _DECIMAL.sub("", rest)
    if plain := _PLAIN.fullmatch(text):
        return [_Piece(text.translate(_NO_MARKS), plain[1])]
    if not text.isascii():
        text = "".join(str(unicodedata.digit(c)) if c.isdigit() else c for c in text)
    text = re.sub(r"\+\s+", "+", text)
    if first := re.search("[0-9]", text):
        text = text[: first.start()] + _EXTENSION.sub(";", text[first.start() :])
    pieces: list[_Piece] = []
    slash = between = False
    for digits, is_slash, is_between in _TOKEN.findall(text):
        if is_slash or is_between:
            slash, between = slash or bool(is_slash), between or bool(is_between)
        elif not pieces or slash or between or digits.startswith("+"):
            pieces.append(_Piece(digits, digits, bool(pieces) and slash and not between))
            slash = between = False
        else:
            last = pieces[-1]
            pieces[-1] = _Piece(last.digits + digits, last.head, last.after_slash)
    return pieces


def _join_areas(pieces: list[_Piece], code: str, abroad: bool) -> list[_Piece]:
    """Join what a slash parts where the first part is no whole number: an area code, a prefix, a group of digits."""
    joined = pieces[:1]
    for piece in pieces[1:]:
        last = joined[-1]
        if piece.after_slash and _can_continue(last.digits, piece.digits) and _read(last, code, abroad) is None:
            joined[-1] = last.join(piece)
        else:
            joined.append(piece)
    return joined


def _can_continue(first: str, then: str) -> bool:
    """Whether digits after a slash may go on with those before it, by their lengths and by the zero of a new number."""
    if then.startswith("+"):
        return False
    if then.startswith("0") and not first.startswith(_ABROAD) and len(then) > 4:
        return False
    area = len(first) <= _AREA + (4 if first.startswith(_ABROAD) else 0)
    return area or (first.startswith(("+", "0")) and len(then) <= 3)


def _read(piece: _Piece, code: str, abroad: bool) -> str | None:
    """Return E.164 of a whole and valid number, else None. `abroad`: nobody knows the country it was written in."""
    digits = _DIALLED.sub("+", piece.digits)
    if len(digits) < _WHOLE or _PLACEHOLDER.fullmatch(digits):
        return None
    if code == "PL":
        if (plain := _POLISH.fullmatch(digits)) and _polish_block(plain[1][:6]):
            return f"+48{plain[1]}"
        if _POLISH_TRUNK.fullmatch(digits):
            digits = digits[1:]
    if code in _LOCAL_DIALLING and not piece.has_area and digits[0] not in "+0" and len(digits) < _NOT_LOCAL:
        return None
    found = _parse(digits, None if code == NOWHERE else code)
    if found is None and abroad and digits[0] not in "+0":
        # Many wrote the country's code without + or 00. It counts where it stands apart, and no country is known.
        found = _parse(f"+{digits}", None)
        if found and str(found.country_code) != piece.head:
            return None
    return phonenumbers.format_number(found, phonenumbers.PhoneNumberFormat.E164) if found else None


def _parse(digits: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None
    return number if phonenumbers.is_valid_number(number) else None


@lru_cache(maxsize=65536)
def _polish_block(block: str) -> bool:
    """Whether Polish numbers that begin with these six digits are valid (blocks are given out by prefix)."""
    return all(
        phonenumbers.is_valid_number(phonenumbers.PhoneNumber(country_code=48, national_number=int(block + tail)))
        for tail in ("000", "999")
    )
