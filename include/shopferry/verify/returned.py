"""Who was erased and stands in a store again: one was restored from a backup, or something has written past the move.

What was erased is what the ledgers of both stores say together: a store that was restored has the ledger of that day.
"""

from __future__ import annotations

from dataclasses import dataclass

from shopferry.control import erasures, requests
from shopferry.control.differences import Difference
from shopferry.control.erasures import Erased
from shopferry.db import Connection, exists
from shopferry.engine import erased, marks
from shopferry.route.route import Route
from shopferry.route.settings import STORES

CHECK = "privacy_erased"
REMEDY = "`shopferry request reapply`; a mirror then follows by the stream, or by `shopferry sync resync`"


@dataclass(frozen=True)
class Returned:
    """What one store should not have: how many rows its ledger lacks, and the rows that hold what was erased."""

    store: str
    lacking: int
    rows: tuple[tuple[str, str, bool], ...]  # relation, key, whether it stands in the mirror


def require_key(source: Connection, target: Connection, route: Route) -> bool:
    """Tell whether anybody was erased. Raises ConfigError then without the key of marks, or with another than before."""
    held = [c for c in (source, target) if exists(c, "shopferry.erased") and erasures.has_any(c, route.base_name)]
    for conn in (source, target) if held else ():
        marks.require_same(conn)
    return bool(held)


def find(source: Connection, target: Connection, route: Route, phase: str | None = None) -> list[Returned]:
    """Find in both stores who stands there again; nothing where nobody was erased. Raises ConfigError as `require_key`.

    Of one phase only its tables are looked at; the first phase has those of none. What a request that runs now has noted is
    not looked for: it is being erased.
    """
    if not require_key(source, target, route):
        return []
    legacy, shop = (target, source) if route.reverse else (source, target)
    at_work = requests.list_running(shop, route.base_name)
    noted = erasures.load_joined((legacy, shop), route.base_name, at_work)
    wanted = {r for r in {relation for relation, _ in noted} if phase in {None, _name_phase(route, r)}}
    noted = {name: row for name, row in noted.items() if name[0] in wanted}
    schemas = {"legacy": "public", "shop": route.shop_schema}
    found = []
    for store, conn, other in zip(STORES, (legacy, shop), (shop, legacy), strict=True):
        lacking = erasures.count_lacking(conn, other, route.base_name, at_work)
        found.append(Returned(store, lacking, tuple(_find_rows(conn, store, schemas[store], noted))))
    return found


def find_breaches(source: Connection, target: Connection, route: Route, phase: str) -> list[Difference]:
    """Find the same of one phase's tables, as breaches of a business check."""
    places: dict[tuple[str, str], list[str]] = {}
    for one in find(source, target, route, phase):
        for relation, key, mirrored in one.rows:
            where = f"{one.store}'s mirror" if mirrored else one.store
            places.setdefault((relation, key), []).append(where)
    return [
        Difference("check", relation, key, "breach", CHECK, found=f"stands again in {', '.join(where)}")
        for (relation, key), where in sorted(places.items())
    ]


def _find_rows(
    conn: Connection, store: str, schema: str, noted: dict[tuple[str, str], Erased]
) -> list[tuple[str, str, bool]]:
    by_relation: dict[str, dict[str, Erased]] = {}
    for (relation, key), row in noted.items():
        by_relation.setdefault(relation, {})[key] = row
    return [
        (place.relation, key, place.mirrored)
        for place in erased.list_places(conn, store, schema, by_relation)
        for key in erased.find_holding(conn, place, by_relation[place.relation])
    ]


def _name_phase(route: Route, relation: str) -> str:
    store, _, table = relation.partition(".")
    of_target = store == ("legacy" if route.reverse else "shop")
    entity = f"{'public' if route.reverse else route.shop_schema}.{table}"
    for phase in route.phases:
        filled = {u.target for u in route.of(phase)}
        if entity in filled if of_target else table in route.tables_of(phase):
            return phase
    return route.phases[0]
