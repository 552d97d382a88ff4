"""The answer to an access request as a page for the person who asked: self-contained, and readable on a phone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shopferry import pages
from shopferry.pages.languages import Language

_FEW = 3  # rows of a table that are shown without a click
_NUMBERS = {"key", "none"}
_MOMENT = re.compile(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::00(?:\.0+)?)?(?=$|[+Z:])")


@dataclass(frozen=True)
class Reason:
    """Columns of one table that are held for the same reason, on the same basis, as long as each other."""

    columns: tuple[str, ...]
    purposes: str
    basis: str
    kept: str
    recipients: str


@dataclass(frozen=True)
class Part:
    """One table as the page shows it: rows without their empty fields, and without the numbers of rows."""

    title: str
    store: str
    rows: tuple[Mapping[str, str], ...]
    reasons: tuple[Reason, ...]

    @property
    def short(self) -> bool:
        """Whether its rows are shown without a click."""
        return len(self.rows) <= _FEW


def render(document: Mapping[str, Any], language: Language) -> str:
    """Render person.json's document as one page in a language; values stay as they are held, but for days and times."""
    shown = Shown(language)
    parts = [part for entry in document["data"] if (part := shown.make_part(entry, document["columns"])).rows]
    _ = language.gettext
    return pages.render(
        "person.html",
        language,
        d=document,
        stores={
            "legacy": (_("In the old shop"), _("In the old shop, which is open now")),
            "shop": (_("In the new shop"), _("In the new shop, which is open now")),
        },
        parts=parts,
        rows=sum(len(entry["rows"]) for entry in document["data"]),
        shown=shown.show_row,
        name=shown.name,
    )


@dataclass(frozen=True)
class Shown:
    """How tables, columns and values are shown in a language."""

    language: Language

    def make_part(self, entry: Mapping[str, Any], columns: Mapping[str, Mapping[str, Any]]) -> Part:
        """Make what the page shows of one table."""
        prefix = f"{entry['store']}.{entry['table']}."
        mine = {name.removeprefix(prefix): said for name, said in columns.items() if name.startswith(prefix)}
        return Part(
            self.name(entry["table"]),
            entry["store"],
            tuple(shown for row in entry["rows"] if (shown := self.show_row(row, mine))),
            tuple(self._gather_reasons(mine)),
        )

    def _gather_reasons(self, columns: Mapping[str, Mapping[str, Any]]) -> Iterable[Reason]:
        alike: dict[tuple[str, str, str, str], list[str]] = {}
        tell = self.language.tell
        for name, said in columns.items():
            if said["basis"]:
                why = (
                    ", ".join(map(tell, said["purposes"])),
                    self.language.word(said["basis"], "basis"),
                    tell(said["kept"]),
                    ", ".join(map(tell, said["recipients"])),
                )
                alike.setdefault(why, []).append(self.name(name))
        for (purposes, basis, kept, recipients), names in alike.items():
            yield Reason(tuple(names), purposes, basis, kept, recipients)

    def show_row(
        self, row: Mapping[str, Any], columns: Mapping[str, Mapping[str, Any]] | None = None
    ) -> dict[str, str]:
        """Show a row's fields by their names; empty ones are left out, and those that `columns` says are numbers of rows."""
        return {
            self.name(name): self._show(value)
            for name, value in row.items()
            if value not in (None, "", [], {}) and not (columns and columns[name]["category"] in _NUMBERS)
        }

    def _show(self, value: object) -> str:
        """Show one value as people read it."""
        if value is None:
            return "–"
        if isinstance(value, bool):
            return self.language.gettext("yes") if value else self.language.gettext("no")
        if isinstance(value, list):
            return ", ".join(map(self._show, value))
        if isinstance(value, dict):
            return "; ".join(f"{name}: {self._show(inner)}" for name, inner in value.items())
        return self.language.write_moment(_MOMENT.sub(r"\1 \2", str(value)))

    def name(self, name: str) -> str:
        """Write a table's or a column's name as words."""
        return self.language.word(name.rpartition(".")[2], "column")
