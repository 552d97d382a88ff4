"""The close-out of a migration: dumps go or have a keeper, the ledger of erasures is handed over, and a certificate says so.

All of it is read from the audit log, which outlives the control tables: so an end that died half-way is completed, and its
certificate is the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from shopferry import pages
from shopferry.control import erasures
from shopferry.db import Connection, exists, load_queries
from shopferry.privacy import held_files
from shopferry.route.route import Route
from shopferry.route.settings import Retention
from shopferry.settings import data_dir

_Q = load_queries(Path(__file__).parent / "sql" / "close_out.sql")


@dataclass(frozen=True)
class Keeper:
    """Who keeps the dumps beyond the end of the move, and up to which day."""

    name: str
    until: date

    @property
    def end(self) -> datetime:
        """The end of that day."""
        return datetime.combine(self.until, time(23, 59, 59), UTC)


@dataclass(frozen=True)
class _Dump:
    id: int
    store: str
    taken: datetime
    file: str
    method: str
    kept_by: str | None
    keep_until: datetime
    removed: bool

    @property
    def told(self) -> str:
        return f"backup of store {self.store}, taken {self.taken:%Y-%m-%d %H:%M}"


def settle(shop: Connection, legacy: Connection, route: Route, terms: Retention, keeper: Keeper | None) -> None:
    """Give dumps, ledger and names their ends in the audit log; in the transaction in which the control tables go."""
    given = {"route": route.name}
    shop.execute(_Q["names"], given | {"until": datetime.now(UTC) + timedelta(days=terms.staff_names)})
    if keeper:
        shop.execute(_Q["keep"], given | {"name": keeper.name, "until": keeper.end})
    if exists(legacy, "shopferry.erased"):  # a store that was restored may lack what the other still knows
        for request, rows in erasures.load(legacy, route.name).items():
            erasures.note(shop, route.name, request, rows)
    row = shop.execute(_Q["last_end"], given).fetchone()
    if row and row[0] and erasures.has_any(shop, route.name):
        shop.execute(_Q["ledger"].encode())
        shop.execute(_Q["hand_over"], given | {"until": row[0]})


def book(shop: Connection, route: Route, where: str, what: Sequence[str]) -> None:
    """Book what is dropped in one place, for the certificate."""
    if what:
        shop.execute(_Q["book"], {"route": route.name, "where": where, "what": list(what)})


def end_dumps(shop: Connection, route: Route, terms: Retention) -> tuple[list[str], list[str]]:
    """Delete the dumps that nobody keeps; returns those that went, and those that lie in a folder that this machine has not."""
    went, left = list[str](), list[str]()
    dumps = _load_dumps(shop, route)
    for dump in (d for d in dumps if not d.removed and d.kept_by is None):
        if not Path(dump.file).parent.is_dir():
            left.append(f"{dump.told}: no such folder here, delete {dump.file} where it was taken")
            continue
        held_files.remove_dump(Path(dump.file))
        shop.execute(_Q["removed"], {"id": dump.id})
        went.append(dump.told)
    if not any(d.kept_by for d in dumps):
        for held in held_files.find_unbooked(route.name, terms, {d.file for d in dumps if not d.removed}):
            if held.remove and held.remove():
                went.append(f"file {held.what} beside the backups")
    return went, left


def _load_dumps(shop: Connection, route: Route) -> list[_Dump]:
    return [_Dump(*row) for row in shop.execute(_Q["dumps"], {"route": route.name}).fetchall()]


def certify(shop: Connection, route: Route, terms: Retention) -> tuple[Mapping[str, Any], Path]:
    """Write the certificate of the end below `<data>/reports`; returns it, and its file."""
    given = {"route": route.name}
    [(at, who, _)] = shop.execute(_Q["finish"], given).fetchall()
    removed = dict(shop.execute(_Q["dropped"], given).fetchall())
    made = {
        "route": route.name,
        "finished": at.isoformat(timespec="seconds"),
        "approved_by": who,
        "removed": removed,
        "stays": list(_list_staying(shop, route, terms)),
    }
    file = data_dir() / held_files.REPORTS / f"close-out-{route.name}.json"
    pages.write(json.dumps(made, indent=2, ensure_ascii=False) + "\n", file)
    return made, file


def _list_staying(shop: Connection, route: Route, terms: Retention) -> Iterator[dict[str, str | None]]:
    given = {"route": route.name}
    [(_, _, names_until)] = shop.execute(_Q["finish"], given).fetchall()
    names = f"no end; names of staff until {names_until:%Y-%m-%d}" if names_until else "no end; names of staff are gone"
    yield _state("new shop", "audit log shopferry_audit.entry, without rows' values", names)
    for dump in _load_dumps(shop, route):
        if not dump.removed:
            yield _state(dump.file, dump.told, f"{dump.keep_until:%Y-%m-%d}", dump.kept_by)
        elif dump.method == "command":
            where = "where SHOPFERRY_BACKUP_COMMAND has put it"
            yield _state(where, dump.told, f"{dump.keep_until:%Y-%m-%d}, by whoever runs that place")
    if exists(shop, "shopferry_audit.erased"):
        [(count, until)] = shop.execute(_Q["erased"], given).fetchall()
        if count:
            what = f"ledger of erasures shopferry_audit.erased, {count} rows as keyed marks"
            yield _state("new shop", what, f"{until:%Y-%m-%d}")
    papers = [held for held in held_files.find_papers(terms) if not held.what.startswith("close-out-")]
    for place, days in ((held_files.REPORTS, terms.reports), (held_files.EXPORTS, terms.exports)):
        if count := sum(held.place == place for held in papers):
            yield _state(str(data_dir()), f"{count} {place}", f"{days:g} days after each was made")
    until = f"{terms.legacy_until}" if terms.legacy_until else "not said: `legacy_until` in route.toml"
    yield _state("legacy", "its own tables, which take writes again", until)


def _state(where: str, what: str, until: str, kept_by: str | None = None) -> dict[str, str | None]:
    return {"where": where, "what": what, "until": until, "kept_by": kept_by}
