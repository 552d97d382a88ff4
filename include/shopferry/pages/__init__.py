"""Pages that people read: one self-contained HTML file each, without script and without a request to anywhere."""

from __future__ import annotations

import re
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from shopferry.pages.formats import Formats
from shopferry.pages.languages import Language

_ENGLISH = Formats()
render_size, render_duration = _ENGLISH.size, _ENGLISH.duration


def render(template: str, language: Language, **values: Any) -> str:
    """Fill one of the templates beside this module in a language; everything put into it is escaped."""
    return _make_environment(language).get_template(template).render(**values)


def write(html: str, file: Path) -> None:
    """Write a page whole or not at all: a reader of the old one never sees half of the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.tmp")
    unfinished.write_text(html, encoding="utf-8")
    unfinished.replace(file)


@cache
def _make_environment(language: Language) -> Environment:
    made = Environment(
        loader=PackageLoader("shopferry", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    told = language.translations
    made.install_gettext_callables(  # type: ignore[attr-defined]  # the extension's
        told.gettext, told.ngettext, newstyle=True, pgettext=told.pgettext, npgettext=told.npgettext
    )
    formats = language.formats
    made.globals["language"] = language.code
    made.filters |= {
        "number": formats.number,
        "decimal": formats.decimal,
        "money": formats.money,
        "share": formats.share,
        "size": formats.size,
        "time": formats.duration,
        "day": lambda at: formats.day(date.fromisoformat(at[:10]) if isinstance(at, str) else at),
        "moment": lambda at: formats.moment(datetime.fromisoformat(at) if isinstance(at, str) else at),
        "second": lambda at: formats.moment(at, seconds=True),
        "name": allow_breaks,
        "tell": language.tell,
        "word": language.word,
    }
    return made


def allow_breaks(name: str) -> Markup:
    """Return a name, escaped, that may go on in the next line behind each of its parts."""
    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[_.:])", name))
