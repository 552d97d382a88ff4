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
    return _make_environment().get_template(template).render(**values)


def write(html: str, file: Path) -> None:
    """Write a page whole or not at all: a reader of the old one never sees half of the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}.tmp")
    unfinished.write_text(html, encoding="utf-8")
    unfinished.replace(file)


@cache
def _make_environment() -> Environment:
    made = Environment(
        loader=PackageLoader("shopferry", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "number": render_number,
        "money": render_money,
        "name": allow_breaks,
        "size": render_size,
        "time": render_duration,
    }
    return made


def allow_breaks(name: str) -> Markup:
    """Return a name, escaped, that may go on in the next line behind each of its parts."""
    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[_.:])", name))


def render_number(value: float) -> str:
    """Render a count with its thousands apart, by blanks that do not break."""
    return f"{value:,.0f}".replace(",", "\u202f")


def render_money(value: float) -> str:
    """Render an amount with two decimals."""
    return f"{value:,.2f}".replace(",", "\u202f")


def render_size(count: float) -> str:
    """Render bytes as people read them."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} TB"


def render_duration(seconds: float) -> str:
    """Render seconds as people read them."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 1 else "under 1 s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
