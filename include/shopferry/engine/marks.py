"""Keyed marks: a mark stands for an e-mail or a phone number, and does not tell which.

A mark is HMAC-SHA-256 of the standardized value, in hexadecimal, cut to 32 digits. These 128 bits are half of the whole, which
RFC 2104 allows: of a billion values no two are likely to share a mark, and an index is half as large. The key is in neither
database, so who has a database alone cannot try out numbers until one fits.
"""

from __future__ import annotations

import hmac
from functools import cache

from shopferry.control import mark_key
from shopferry.db import Connection
from shopferry.errors import ConfigError
from shopferry.route.route import Route
from shopferry.settings import read_mark_key

SUFFIX = "_mark"  # of the kinds of standardizers that yield marks
LENGTH = 32  # hexadecimal digits


def make(value: str) -> str:
    """Make the mark of a standardized e-mail or an E.164 phone number. Raises ConfigError without a key."""
    return _digest(_load_key(), value)


def is_used(route: Route) -> bool:
    """Tell whether a mapping of the route asks for marks."""
    return any(wanted.kind.endswith(SUFFIX) for unit in route.units for wanted in unit.standardize)


def require_key(target: Connection, route: Route) -> None:
    """Raise ConfigError when the route's mappings ask for marks and the key is missing, or another than before.

    `target` is the store that is written; it may be without our tables yet.
    """
    if is_used(route):
        require_same(target)


def require_same(target: Connection) -> str:
    """Return the key's fingerprint. Raises ConfigError when there is no key, or another than marks were made with."""
    fingerprint = _digest(_read_key(), "shopferry")
    if mark_key.find(target) not in {None, fingerprint}:
        raise ConfigError(
            "SHOPFERRY_MARK_KEY is not the key that the marks in ferry were made with, so that marks of before would no longer "
            "meet: set the key of before (docs/reference/settings.md says how to go on if it is lost)"
        )
    return fingerprint


@cache
def _load_key() -> bytes:
    return _read_key()  # once a process: the embedded stack's lies in a file


def _read_key() -> bytes:
    key = read_mark_key()
    if not key:
        raise ConfigError(
            "SHOPFERRY_MARK_KEY is not set, and marks of e-mails and phones are asked for: set it to a secret of at least 32 "
            "characters (`openssl rand -hex 32` makes one), the same for every service"
        )
    if len(key) < 32:
        raise ConfigError("SHOPFERRY_MARK_KEY has fewer than 32 characters: `openssl rand -hex 32` makes a good one")
    return key.encode()


def _digest(key: bytes, value: str) -> str:
    return hmac.digest(key, value.encode(), "sha256").hex()[:LENGTH]
