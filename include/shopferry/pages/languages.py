"""The languages of the pages: catalogues of messages (gettext's .po), and how a sentence made in Python or SQL is found in them.

The code, the command line, the logs and the control tables are in English. A template marks its own words by gettext. What a page
shows of elsewhere (a gate's evidence, a finding, a line of the route's SQL) is an English sentence by then: `Language.tell` finds
the message whose form it has, `{table} does not exist` for `shop.customer does not exist`, and translates that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po

from shopferry.errors import ConfigError
from shopferry.pages.formats import Formats, LocalFormats

LANGUAGES = ("en", "pl", "ro", "it")
DEFAULT = "en"
FOLDER = Path(__file__).parent / "locale"
_PLACE = re.compile(r"\{([a-z_0-9]+)\}")
_PLACES = re.compile(r"\{[a-z_0-9]+\}|%\([a-z_0-9]+\)s")
_COUNT = re.compile(r"-?\d{1,3}(,\d{3})+|\d+\.\d+")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_WEAK = 6  # letters
_CLAUSES = ("; ", ", ")


@dataclass(frozen=True)
class Form:
    """A message with places for values, and what a sentence of its form looks like."""

    message: str
    pattern: re.Pattern[str]
    ours: bool  # not the route's

    @property
    def weak(self) -> bool:
        """Whether many a sentence has this form by chance, as `{phase} is {state}`."""
        return sum(letter.isalpha() for letter in _PLACE.sub("", self.message)) < _WEAK

    def is_plain(self, text: str) -> bool:
        """Whether a text has this form, surely and with plain values."""
        if (found := self.pattern.fullmatch(text)) is None:
            return False
        return not any("; " in v or (self.weak and not _is_single(v)) for v in found.groups())

    @property
    def rank(self) -> tuple[int, str]:
        """The more letters are given, the sooner it is tried."""
        return -len(_PLACE.sub("", self.message)), self.message


@dataclass(frozen=True, eq=False)
class Language:
    """One language with a route's own messages in front of ours."""

    code: str
    translations: NullTranslations
    messages: frozenset[str]
    words: frozenset[str]  # of ours alone: single words that may stand in a sentence
    forms: tuple[Form, ...]
    formats: Formats

    def gettext(self, message: str) -> str:
        """Translate a message of the code's own."""
        return self.translations.gettext(message)

    def pgettext(self, context: str, message: str) -> str:
        """Translate a word that has several meanings; one that has no translation in this context has it in none."""
        found = self.translations.pgettext(context, message)
        return self.translations.gettext(message) if found == message else found

    def word(self, name: str, context: str = "") -> str:
        """Translate a name of an enumeration, as `cut_over`, a reason code or a column; unknown ones stay, as words."""
        words = name.replace("_", " ")
        for text in (name, words, words.rpartition(".")[2]):
            found = self.pgettext(context, text) if context else self.gettext(text)
            if found != text:
                return found
        return words

    def tell(self, text: str) -> str:
        """Translate a sentence made elsewhere: as it stands, by its form, or clause by clause; values stay as they are."""
        if not self.messages:
            return text
        if text in self.messages:
            return self.gettext(text)
        if found := self._fill(text, within=True):
            return found
        for mark in _CLAUSES:
            clauses = text.split(mark)
            if len(clauses) > 1 and any(self._knows(clause) for clause in clauses):
                return mark.join(map(self.tell, clauses))
        return self._fill(text, within=False) or self._write(text)

    def _knows(self, clause: str) -> bool:
        """Tell whether a clause is a message by itself, its values no clauses."""
        return clause in self.messages or any(form.is_plain(clause) for form in self.forms)

    def _fill(self, text: str, *, within: bool) -> str | None:
        """Translate a sentence by its form; `within`: only where no value holds the end of a clause."""
        for form in self.forms:
            found = form.pattern.fullmatch(text)
            if not found or (within and any("; " in v and not self._knows(v) for v in found.groups())):
                continue
            if form.weak and not self._fits(found.groups()):
                continue
            told = {name: self._tell_value(value, form) for name, value in found.groupdict().items()}
            return self.gettext(form.message).format(**told)
        return None

    def _fits(self, values: Sequence[str]) -> bool:
        """Tell whether a sentence has a weak form not by chance: its values are single words, or one is a known clause."""
        return all(map(_is_single, values)) or any(map(self._knows, values))

    def _tell_value(self, value: str, form: Form) -> str:
        """Translate what stands in a sentence: a clause or a known word; a name, a key or a command stays.

        In our own sentences a single word is one of ours: `orders` is a phase there, and not what a route calls orders.
        """
        if value in self.words or (not form.ours and value in self.messages):
            return self.gettext(value)
        if " " not in value:
            return self._write(value)
        start = value[: len(value) - len(value.lstrip(" ;,"))]
        return start + self.tell(value[len(start) :])

    def _write(self, value: str) -> str:
        """Write a count or a day as the language does."""
        if _COUNT.fullmatch(value):
            digits = len(value.partition(".")[2])
            return self.formats.decimal(float(value.replace(",", "")), digits)
        return self.write_moment(value)

    def write_moment(self, value: str) -> str:
        """Write a day, or a day with a time, as the language does; any other text stays."""
        with suppress(ValueError):
            if _MOMENT.fullmatch(value):
                return self.formats.moment(datetime.fromisoformat(value), seconds=len(value) > len("2026-11-30 04:05"))
            if _DAY.fullmatch(value):
                return self.formats.day(date.fromisoformat(value))
        return value


def _is_single(value: str) -> bool:
    """Tell whether a value is one word, or a moment."""
    return " " not in value or bool(_MOMENT.fullmatch(value))


def load(code: str, own: Path | None = None) -> Language:
    """Load a language: our catalogue, and in front of it the one in the folder `own` where a route brings one."""
    file = own / f"{code}.po" if own else None
    there = bool(file and file.exists())
    return _load(code, file if there else None, file.stat().st_mtime_ns if file and there else 0)


@cache
def _load(code: str, own: Path | None, _changed: int) -> Language:
    ours = [] if code == DEFAULT else [read(FOLDER / f"{code}.po", code)]
    return make(code, [read(own, code), *ours] if own else ours)


def read(file: Path, code: str) -> Catalog:
    """Read a catalogue. Raises ConfigError for one that is none, or whose translations name what their messages do not give."""
    try:
        with file.open("rb") as source:
            found = read_po(source, locale=code, abort_invalid=True)
    except (PoFileError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(f"{file.name} is no catalogue: {error}") from None
    for message in found:
        for text in (message.string,) if isinstance(message.string, str) else message.string or ():
            if extra := list_places(text) - list_places("".join(message.id)):
                raise ConfigError(f"{file.name}:{message.lineno}: the message gives no {', '.join(sorted(extra))}")
    return found


def list_places(text: str) -> set[str]:
    """List the places that a message has for values, with their marks."""
    return {found[0] for found in _PLACES.finditer(text)}


def make(code: str, catalogues: Iterable[Catalog]) -> Language:
    """Make a language of catalogues; the first that has a message says it, and the last is ours."""
    found = list(catalogues)
    translations = NullTranslations()
    for catalogue in reversed(found):
        compiled = BytesIO()
        write_mo(compiled, catalogue)
        compiled.seek(0)
        front = GNUTranslations(compiled)
        front.add_fallback(translations)
        translations = front
    known = [text for catalogue in found for text in _list_texts(catalogue)]
    words = [text for text in _list_texts(found[-1]) if " " not in text] if found and code != DEFAULT else []
    formats = Formats() if code == DEFAULT else LocalFormats(Locale.parse(code))
    of_ours = set(_list_texts(found[-1])) if words else set()
    forms = {make_form(text, ours=text in of_ours) for text in known if _PLACE.search(text)}
    ordered = tuple(sorted(forms, key=lambda form: form.rank))
    return Language(code, translations, frozenset(known), frozenset(words), ordered, formats)


def _list_texts(catalogue: Catalog) -> Iterator[str]:
    """List the messages that a sentence may have the form of: whole ones, of no context and of one form."""
    for message in catalogue:
        if isinstance(message.id, str) and message.id and not message.context and _is_done(message):
            yield message.id


def _is_done(message: Message) -> bool:
    return bool(message.string) and not message.fuzzy


def make_form(message: str, *, ours: bool = True) -> Form:
    """Make the form of a message: what is between its places is given; each place holds something, but one glued to a word."""
    parts, seen = [], set()
    at = 0
    for place in _PLACE.finditer(message):
        parts.append(re.escape(message[at : place.start()]))
        name = place[1]
        optional = _is_glued(message, place)
        parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>.{'*' if optional else '+'}?)")
        seen.add(name)
        at = place.end()
    return Form(message, re.compile("".join([*parts, re.escape(message[at:])]), re.DOTALL), ours)


def _is_glued(message: str, place: re.Match[str]) -> bool:
    """Tell whether a place has a word or the end of a sentence right beside it: what stands there may be left out."""
    before, after = message[: place.start()][-2:], message[place.end() :][:1]
    return before[-1:].isalpha() or after.isalpha() or (before[-1:] == "." and before[:1].isalpha())
