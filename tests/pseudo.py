"""A language that nobody speaks: what comes from a catalogue stands between ⟦ and ⟧, so that what stands outside is seen.

Only the words of a message are marked, not the values in it: a value is data, or has to be translated by itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date, datetime
from html.parser import HTMLParser

from babel import Locale
from shopferry.pages import languages
from shopferry.pages.formats import LocalFormats
from shopferry.pages.languages import Language
from shopferry.route.route import find_folder

OPEN, CLOSE = "⟦", "⟧"
SHOWN_ATTRIBUTES = ("title", "alt", "aria-label", "placeholder", "data-of", "label")
DATA_TAGS, DATA_CLASSES = {"code", "bdi", "style"}, {"key", "mask", "v"}
# Names, units and codes that are the same in every language.
NAMES = {"shopferry", "GDPR", "Art", "ms", "s", "h", "min", "GiB", "MiB", "kB", "PostgreSQL"}
_WORD = re.compile(r"[^\W\d_][\w'’-]*")
# What a program gave a name: it has an underscore, a full stop, a slash or a colon in it, is in capitals, or between backticks.
_IDENTIFIER = re.compile(r"`[^`]*`|\[\[?[\w.]+\]?\]|\S*\w[_./:]\w\S*|\b[A-Z]{2,}\b|\S+@\S+|\bv\d+\b|\w+Error\b")


class MarkedFormats(LocalFormats):
    """Numbers and days between marks, since they are of the language."""

    def decimal(self, value: float, digits: int) -> str:
        return f"{OPEN}{super().decimal(value, digits)}{CLOSE}"

    def duration(self, seconds: float) -> str:
        return f"{OPEN}{super().duration(seconds)}{CLOSE}"

    def day(self, at: date) -> str:
        return f"{OPEN}{super().day(at)}{CLOSE}"

    def moment(self, at: datetime, *, seconds: bool = False) -> str:
        return f"{OPEN}{super().moment(at, seconds=seconds)}{CLOSE}"


def make_pseudo(route: str = "demo", code: str = "pl") -> Language:
    """The language of a route's and our messages, as far as this language has translated them."""
    catalogues = [languages.read(f / f"{code}.po", code) for f in (find_folder(route) / "locale", languages.FOLDER)]
    for catalogue in catalogues:
        for message in catalogue:
            if isinstance(message.id, str):
                message.string = message.id and message.string and mark(message.id)
            else:
                forms = [message.id[0], *[message.id[1]] * (catalogue.num_plurals - 1)]
                message.string = tuple(map(mark, forms)) if all(message.string) else ""
    return replace(languages.make(code, catalogues), formats=MarkedFormats(Locale.parse(code)))


def mark(message: str) -> str:
    """Put a message between marks, but for the places of its values."""
    parts = re.split(r"(\{[a-z_0-9]+\}|%\([a-z_0-9]+\)s)", message)
    return "".join(part if n % 2 or not part else f"{OPEN}{part}{CLOSE}" for n, part in enumerate(parts))


class _Reader(HTMLParser):
    """Gathers the words that people are shown outside all marks."""

    def __init__(self, values: Collection[str]) -> None:
        super().__init__()
        self.values = sorted(values, key=len, reverse=True)
        self.depth, self.stack, self.found = 0, list[tuple[str, bool]](), list[str]()

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        data = tag in DATA_TAGS or bool(DATA_CLASSES & set((given.get("class") or "").split()))
        if tag not in {"meta", "br", "wbr", "link", "input"}:
            self.stack.append((tag, data or bool(self.stack and self.stack[-1][1])))
        for name in SHOWN_ATTRIBUTES:
            if given.get(name):
                self.look(strip(given[name] or "")[0])

    def handle_startendtag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in {"meta", "br", "wbr", "link", "input"}:
            self.stack.pop()

    def handle_endtag(self, tag: str) -> None:
        while self.stack and self.stack.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        outside, self.depth = strip(data, self.depth)
        if not (self.stack and (self.stack[-1][1] or self.stack[-1][0] == "script")):
            self.look(outside)

    def look(self, outside: str) -> None:
        for value in sorted(self.values, key=len, reverse=True):
            outside = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", " ", outside)
        words = [w for w in _WORD.findall(_IDENTIFIER.sub(" ", outside)) if w not in NAMES]
        if words:
            self.found.append(f"{' '.join(words)!r} in {outside.strip()!r}")


def strip(text: str, depth: int = 0) -> tuple[str, int]:
    """Leave what stands outside the marks; `depth` is how many are open before, and after."""
    outside = []
    for letter in text:
        depth += (letter == OPEN) - (letter == CLOSE)
        outside.append(" " if depth or letter == CLOSE else letter)
    return "".join(outside), depth


def find_untranslated(page: str, values: Collection[str] = ()) -> list[str]:
    """Find what a page shows that no catalogue has said; `values` are the data's own words that may stand there."""
    reader = _Reader({*values})
    reader.feed(page.replace("<wbr>", ""))
    reader.close()
    assert reader.depth == 0, "the page has a mark that is not closed"
    return reader.found


_LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`')


def find_untranslated_script(page: str, names: Collection[str]) -> list[str]:
    """Find the texts of a page's script that are no names and that no catalogue has said."""
    script = "\n".join(re.findall(r"<script>(.*?)</script>", page, re.DOTALL))
    script = re.sub(r"^\s*//.*$", "", script, flags=re.MULTILINE)
    found = []
    for quoted, template in _LITERAL.findall(script):
        text = (
            quoted.encode().decode("unicode_escape")
            if "\\u" in quoted
            else quoted or re.sub(r"\$\{[^}]*\}", " ", template)
        )
        outside = re.sub(r"\{\w+\}", " ", strip(text)[0])
        style = re.fullmatch(r"[a-z-]+:\S+|\\\\n", text)
        if text not in names and not style and [w for w in _WORD.findall(outside) if w not in NAMES]:
            found.append(text)
    return found
