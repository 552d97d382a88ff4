"""Names as the route's files write them: SQL identifiers, in quotes where SQL wants them, several joined by dots.

A name without quotes is in small letters, as PostgreSQL would make it; one that holds capitals, blanks or signs stands in
quotes. In a pattern `*` and `?` outside quotes stand for any characters.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from fnmatch import translate

_LONGEST, _DIGEST = 63, 8  # bytes of a name, letters of a digest
_PLAIN = r"[^\W\d][\w$]*"
_QUOTED = r'"(?:[^"]|"")+"'
NAME = f"(?:{_PLAIN}|{_QUOTED})"  # for patterns of lines that hold names
_IN_PATTERN = re.compile(rf"{_QUOTED}|[\w$*?]+")
_NEEDS_NO_QUOTES = re.compile(r"[a-z_\u0080-\uffff][a-z0-9_$\u0080-\uffff]*")


@dataclass(frozen=True)
class NamePattern:
    """One name, or what it has to look like."""

    matches: re.Pattern[str]
    written: str

    def covers(self, name: str) -> bool:
        """Tell whether a name is meant."""
        return bool(self.matches.fullmatch(name))

    @property
    def is_any(self) -> bool:
        """Whether every name is meant."""
        return self.written == "*"


# Reserved by PostgreSQL 18, also those that may be functions or types.
_RESERVED = frozenset(
    re.split(
        " ",
        "all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation "
        "column concurrently constraint create cross current_catalog current_date current_role current_schema "
        "current_time current_timestamp current_user default deferrable desc distinct do else end except false fetch for "
        "foreign freeze from full grant group having ilike in initially inner intersect into is isnull join lateral "
        "leading left like limit localtime localtimestamp natural not notnull null offset on only or order outer overlaps "
        "placing primary references returning right select session_user similar some symmetric system_user table "
        "tablesample then to trailing true union unique user using variadic verbose when where window with",
    )
)


def read_name(text: str) -> str:
    """Return the name that this text writes. Raises ValueError for one with capitals and no quotes."""
    if text.startswith('"'):
        return text[1:-1].replace('""', '"')
    if text != text.lower():
        raise ValueError(f'write "{text}" in quotes: without them SQL reads {text.lower()}')
    return text


def read_pattern(text: str) -> list[NamePattern]:
    """Read names joined by dots, each of which may be a pattern. Raises ValueError for anything else."""
    parts, at = [], 0
    while match := _IN_PATTERN.match(text, at):
        written = match[0]
        exact = written.startswith('"')
        name = read_name(written)
        parts.append(
            NamePattern(re.compile(re.escape(name) if exact else translate(name.replace("[", "[[]"))), written)
        )
        at = match.end()
        if at == len(text):
            return parts
        if text[at] != ".":
            break
        at += 1
    raise ValueError(f"{text!r} is no name, nor names joined by dots; one with blanks or signs stands in quotes")


def is_reserved(name: str) -> bool:
    """Tell whether PostgreSQL reserves the word, so that a table of that name must be qualified or quoted."""
    return name in _RESERVED


def write_name(*parts: str) -> str:
    """Write names joined by dots as a route's file wants them, in quotes where they need them."""
    return ".".join(
        part if _NEEDS_NO_QUOTES.fullmatch(part) and part == part.lower() else _quote(part) for part in parts
    )


def shorten_name(name: str) -> str:
    """Return a name that PostgreSQL does not cut: a long one ends in a digest of all of it, so that no two become one."""
    whole = name.encode()
    if len(whole) <= _LONGEST:
        return name
    digest = hashlib.sha256(whole).hexdigest()[:_DIGEST]
    return f"{whole[: _LONGEST - _DIGEST - 1].decode(errors='ignore')}_{digest}"


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
