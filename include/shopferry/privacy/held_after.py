"""What is kept of people after the end of a move: files, dumps that a person keeps, the ledger of erasures, names of staff."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from shopferry.db import Connection, exists, load_queries
from shopferry.privacy import held_files
from shopferry.privacy.held import Held
from shopferry.route.settings import Retention

_Q = load_queries(Path(__file__).with_suffix(".sql"))


def find(shop: Connection, route: str, terms: Retention) -> Iterator[Held]:
    """Find what is left of the route where nothing is installed; before a move that is files alone."""
    booked = set[str]()
    if exists(shop, "shopferry_audit.entry"):
        for number, file, taken, until in shop.execute(_Q["backups"], {"route": route}).fetchall():
            booked.add(file)
            yield Held(
                held_files.BACKUPS, Path(file).name, 1, taken, until, remove=partial(_remove, shop, number, Path(file))
            )
        yield from _find_names(shop, route)
    if exists(shop, "shopferry_audit.erased"):
        yield from _find_ledger(shop, route)
    yield from held_files.find_unbooked(route, terms, booked)
    yield from held_files.find_papers(terms)


def _remove(shop: Connection, number: int, file: Path) -> int:
    if not file.parent.is_dir():
        return 0
    held_files.remove_dump(file)
    shop.execute(_Q["removed"], {"id": number})
    return 1


def _find_names(shop: Connection, route: str) -> Iterator[Held]:
    for count, since, until in shop.execute(_Q["names"], {"route": route}).fetchall():
        yield Held(
            "audit log", "names of staff", count, since, until, remove=partial(_forget, shop, "forget_names", route)
        )


def _find_ledger(shop: Connection, route: str) -> Iterator[Held]:
    for count, since, until in shop.execute(_Q["ledger"], {"route": route}).fetchall():
        remove = partial(_forget, shop, "forget_ledger", route)
        yield Held("ledger of erasures", "rows, as keyed marks", count, since, until, remove=remove)


def _forget(shop: Connection, query: str, route: str) -> int:
    return shop.execute(_Q[query], {"route": route}).rowcount
