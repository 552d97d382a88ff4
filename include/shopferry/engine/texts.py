"""Texts as they were meant: mojibake reversed, HTML entities read, control characters dropped."""

from __future__ import annotations

import html
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import ftfy


@dataclass(frozen=True, slots=True)
class Standard:
    """`value` is None when the raw value cannot be used; `problem` then says why, else it is a note or None."""

    value: str | None
    problem: str | None = None


PLAIN = re.compile(r"[!-%'-\[\]-~]+(?: [!-%'-\[\]-~]+)*")  # ASCII without & and \, tidy blanks: nothing to repair
JUNK = re.compile(r"\\x00|\\u0000|\\0(?!\d)|[\u2400\ufffd\ufeff\u200b]")  # what importers write instead of NUL
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
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


def repair(raw: str) -> str:
    """Return the text as it was meant, with single blanks; it may be empty."""
    text = raw
    for _ in range(2):  # &amp;oacute; has been escaped twice
        if "&" in text and (unescaped := html.unescape(text)) != text:
            text = unescaped
    text = JUNK.sub("", text)
    if not text.isascii():
        text = MISREAD.sub(_reread, text)
        fixed = ftfy.fix_text(text, _REPAIRS)
        if _is_european(fixed) or not _is_european(text):  # "ćŁĄ" is no Chinese sign, whatever its bytes spell
            text = fixed
    return " ".join(CONTROL.sub("", text).split())


def text(raw: str) -> Standard:
    """Repair a text; what was more than a needless blank is noted."""
    if PLAIN.fullmatch(raw):
        return Standard(raw)
    value = repair(raw)
    if not value:
        return Standard(None, "text_missing")
    return Standard(value, None if value == " ".join(raw.split()) else "text_repaired")
