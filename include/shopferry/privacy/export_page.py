"""The answer to an access request as a page for the person who asked: self-contained, and readable on a phone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shopferry import pages

_FEW = 3  # rows of a table that are shown without a click
_NUMBERS = {"key", "none"}
_MOMENT = re.compile(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::00(?:\.0+)?)?(?=$|[+Z:])")
_STORES = {"legacy": "old shop", "shop": "new shop"}


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


def render(document: Mapping[str, Any]) -> str:
    """Render person.json's document as one page."""
    parts = [part for entry in document["data"] if (part := _make_part(entry, document["columns"])).rows]
    return pages.render(
        "person.html",
        d=document,
        stores=_STORES,
        parts=parts,
        rows=sum(len(entry["rows"]) for entry in document["data"]),
        shown=_show_row,
        name=_name_table,
    )


def _make_part(entry: Mapping[str, Any], columns: Mapping[str, Mapping[str, Any]]) -> Part:
    prefix = f"{entry['store']}.{entry['table']}."
    mine = {name.removeprefix(prefix): said for name, said in columns.items() if name.startswith(prefix)}
    return Part(
        _name_table(entry["table"]),
        _STORES[entry["store"]],
        tuple(shown for row in entry["rows"] if (shown := _show_row(row, mine))),
        tuple(_gather_reasons(mine)),
    )


def _gather_reasons(columns: Mapping[str, Mapping[str, Any]]) -> Iterable[Reason]:
    alike: dict[tuple[str, str, str, str], list[str]] = {}
    for name, said in columns.items():
        if said["basis"]:
            why = ", ".join(said["purposes"]), said["basis"], said["kept"], ", ".join(said["recipients"])
            alike.setdefault(why, []).append(_name_table(name))
    for (purposes, basis, kept, recipients), names in alike.items():
        yield Reason(tuple(names), purposes, basis, kept, recipients)


def _show_row(row: Mapping[str, Any], columns: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, str]:
    """Show a row's fields by their names; empty ones are left out, and those that `columns` says are numbers of rows."""
    return {
        _name_table(name): _show(value)
        for name, value in row.items()
        if value not in (None, "", [], {}) and not (columns and columns[name]["category"] in _NUMBERS)
    }


def _show(value: object) -> str:
    """Show one value as people read it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_show, value))
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_show(inner)}" for name, inner in value.items())
    return _MOMENT.sub(r"\1 \2", str(value))


def _name_table(name: str) -> str:
    """Write a table's or a column's name as words."""
    return name.rpartition(".")[2].replace("_", " ")
