"""Pages that people read: one self-contained HTML file each, without script and without a request to anywhere."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape


def render(template: str, **values: Any) -> str:
    """Fill one of the templates beside this module; everything put into it is escaped."""
    return _environment().get_template(template).render(**values)


def write(html: str, file: Path) -> None:
    """Write a page, whole or not at all: whoever has the old one open never sees half of the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.tmp")
    unfinished.write_text(html, encoding="utf-8")
    unfinished.replace(file)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("shopferry", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"number": number, "money": money, "name": breakable, "size": size, "time": duration}
    return made


def breakable(name: str) -> Markup:
    """A name of parts, escaped, that may go on in the next line behind each of them."""
    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[_.:])", name))


def number(value: float) -> str:
    """A count with its thousands apart, by blanks that do not break."""
    return f"{value:,.0f}".replace(",", "\u202f")


def money(value: float) -> str:
    """An amount with two decimals."""
    return f"{value:,.2f}".replace(",", "\u202f")


def size(count: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} TB"


def duration(seconds: float) -> str:
    """Seconds as people read them."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 1 else "under 1 s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
