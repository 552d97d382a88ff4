"""Pseudonyms that keep a value's shape: the same value becomes the same pseudonym everywhere, and none can be turned back.

Letters become letters and digits digits, blanks, case and punctuation stay: so what was a duplicate, misspelt, too long or
no address at all still is. Nothing is kept but the key, and that only as long as the object lives. A pseudonym is drawn
without a look at the other values, so by chance it may be a number that somebody else has.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Callable, Iterator

_LETTERS, _OTHERS, _DIGITS, _HEX = "abcdefghijklmnopqrstuvwxyz", "ąćęłńóśźż", "0123456789", "0123456789abcdef"
_WORD = re.compile(r"&#?\w+;|\w+")  # an entity is what is wrong with a text, not what it says
_ADDRESS = re.compile(r"([^\s;,@]+)(\s*@\s*)([^\s;,]+)|[^\s;,@]+")
_NUMBER = re.compile(r"[^,;/]+")
_LIKE_HEX = re.compile(r"[0-9a-fA-F:]+")
_PLACEHOLDERS = ("123456789", "987654321")
NOBODYS = ".example.com"  # no mail that a test sends shall reach anybody


class Pseudonyms:
    """One rehearsal's pseudonyms, under a key of its own that is written nowhere."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or secrets.token_bytes(32)

    def replace(self, kind: str, value: str) -> str:
        """Return the pseudonym of a value. Raises KeyError for a kind that is not in `KINDS`."""
        return KINDS[kind](self, value)

    def replace_words(self, value: str) -> str:
        """Replace names, streets, towns, companies, notes word by word, so that their order and company do not matter."""
        return _WORD.sub(lambda m: m[0] if m[0].startswith("&") else self._shape("word", m[0]), value)

    def replace_email(self, value: str) -> str:
        """Replace addresses, each by itself, in domains that belong to no one; what has no domain gets none."""

        def one(found: re.Match[str]) -> str:
            if not found[2]:
                return self._shape("local", found[0])
            whole = found[1] + found[3]
            shaped = self._shape("email", whole)
            local, domain = shaped[: len(found[1])], shaped[len(found[1]) :]
            return f"{local}{found[2]}{domain}" + (NOBODYS if "." in domain else "")

        return _ADDRESS.sub(one, value)

    def replace_phone(self, value: str) -> str:
        """Replace the last six digits of numbers: the rest is what the rules know their country by. Placeholders stay."""

        def one(found: re.Match[str]) -> str:
            digits = [c for c in found[0] if c.isdigit()]
            number = "".join(digits)
            if len(digits) < 7 or len(set(number[-9:])) == 1 or number.endswith(_PLACEHOLDERS):
                return found[0]
            stream = self._stream("phone", number[-9:])
            digits[-6:] = [_DIGITS[next(stream) % 10] for _ in range(6)]
            left = iter(digits)
            return "".join(next(left) if c.isdigit() else c for c in found[0])

        return _NUMBER.sub(one, value)

    def replace_code(self, value: str) -> str:
        """Replace numbers of orders and cards, character by character."""
        return self._shape("code", value)

    def replace_postcode(self, value: str) -> str:
        """Replace all digits of a postcode but the first two: a rule of its country decides on the rest."""
        stream, seen, made = self._stream("postcode", value.strip().lower()), 0, []
        for c in value:
            seen += c.isdigit()
            made.append(_DIGITS[next(stream) % 10] if c.isdigit() and seen > 2 else c)
        return "".join(made)

    def replace_ip(self, value: str) -> str:
        """Replace addresses of the internet by private ones."""
        try:
            version = ipaddress.ip_address(value.strip()).version
        except ValueError:
            return self._shape("ip", value)
        stream = self._stream("ip", value.strip().lower())
        if version == 4:
            return "10." + ".".join(str(next(stream)) for _ in range(3))
        return "fd00::" + ":".join(f"{next(stream) << 8 | next(stream):x}" for _ in range(4))

    def replace_secret(self, value: str) -> str:
        """Replace password hashes and salts; marks of their scheme stay, and nothing that could be verified is left."""
        if "$" not in value:
            return self._replace_part(value)
        return "$".join(
            self._replace_part(part) if len(part) > 15 and "=" not in part else part for part in value.split("$")
        )

    def _replace_part(self, part: str) -> str:
        return self._shape("secret", part, _HEX if _LIKE_HEX.fullmatch(part) else None)

    def _shape(self, kind: str, value: str, alphabet: str | None = None) -> str:
        stream = self._stream(kind, "".join(c for c in value if c.isalnum()).lower())
        return "".join(_draw_like(c, next(stream), alphabet) if c.isalnum() else c for c in value)

    def _stream(self, kind: str, seed: str) -> Iterator[int]:
        """Yield as many bytes as are asked for; without the key they cannot be foretold."""
        count = 0
        while True:
            yield from hmac.digest(self._key, f"{kind} {count} {seed}".encode(), hashlib.sha256)
            count += 1


KINDS: dict[str, Callable[[Pseudonyms, str], str]] = {
    "words": Pseudonyms.replace_words,
    "email": Pseudonyms.replace_email,
    "phone": Pseudonyms.replace_phone,
    "code": Pseudonyms.replace_code,
    "postcode": Pseudonyms.replace_postcode,
    "ip": Pseudonyms.replace_ip,
    "secret": Pseudonyms.replace_secret,
}


def _draw_like(c: str, byte: int, alphabet: str | None) -> str:
    """Return another character of the same sort."""
    if alphabet:
        made = alphabet[byte % len(alphabet)]
    elif c.isdigit():
        return _DIGITS[byte % 10]
    else:
        among = _LETTERS if c.lower() in _LETTERS else _OTHERS
        made = among[byte % len(among)]
    return made.upper() if c.isupper() else made
