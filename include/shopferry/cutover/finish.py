"""The end of a migration: all that shopferry has put into both stores and the broker goes, the audit log stays.

The new shop's part is one transaction and comes first: with it goes what replay works on, so that nothing heals the stream
while its slot and topics are dropped. Every step after it is idempotent; the next try completes what a death has left.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from shopferry import db
from shopferry.cdc import slot
from shopferry.cdc.broker import forget, topics
from shopferry.control import quarantine, routes
from shopferry.cutover import close_out
from shopferry.cutover.close_out import Keeper
from shopferry.cutover.turn import require_as_approved
from shopferry.db import Connection
from shopferry.engine import clean
from shopferry.errors import GateError, PhaseError, ShopferryError, TransientError
from shopferry.privacy import roles
from shopferry.retry import retrying
from shopferry.route import settings as route_settings
from shopferry.route.route import Route, name_reverse
from shopferry.settings import REVERSE, Settings
from shopferry.stores import fence, origin, scratch

_Q = db.load_queries(Path(__file__).parent / "sql" / "finish.sql")
_ORIGINS_S = 15.0  # for the flows, which notice the end within seconds
_LOCK_WAIT = "10s"  # readers of the control tables are done sooner
_SHORT_WAIT = "200ms"  # for a moment without readers: so long others wait behind us
_FENCES_S = 60.0  # so long such a moment is waited for
_WARNING = "legacy's tables take writes again: take the application's rights away there, or switch that server off"


@dataclass
class Finished:
    """What was dropped, one line each, and what those who finished should know."""

    dropped: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    certificate: Mapping[str, Any] = field(default_factory=dict)  # what was removed where, what stays, until when
    file: Path | None = None  # in which the certificate stands


def finish(
    settings: Settings,
    typed: str,
    first: str,
    second: str,
    approved: datetime | None = None,
    keeper: Keeper | None = None,
) -> Finished:
    """Drop all of ours from both stores, the broker and the backups; the audit log stays. Completes a finish that died half-way.

    `typed` is the route's name as a person typed it, `first` and `second` are those who approved, `approved` is when the first
    of them did, where that was not just now. Without a `keeper` the dumps are deleted. Raises GateError when `typed` is not the
    name, when both are one person, when the new shop is not the active store or the shop was switched since, while the way back
    is promised, or while objects of others depend on ours; PhaseError when there is nothing of ours; then nothing was changed.
    """
    route, done = Route.load(settings.route), Finished()
    terms = route_settings.load(route.name).retention
    with db.connect(settings.target_dsn, "finish") as shop, db.connect(settings.source_dsn, "finish") as legacy:
        if routes.is_installed(shop):
            _require(shop, legacy, route, typed, first, second, keeper)
            require_as_approved(shop, route, approved)
            gone = _drop_scratch(shop, route)
            _finish_shop(shop, legacy, route, f"{first}, {second}", keeper, done)
            close_out.book(shop, route, "new shop", gone)
            done.dropped += [f"new shop: {what}" for what in gone]
        elif not routes.is_finished(shop, route.name):
            raise PhaseError(f"route {route.name}: nothing is installed in the new shop, there is nothing to finish")
        if settings.connect:
            for flow in _flows(route):
                _delete_connector(settings.connect, flow.publication, done)
        _finish_way_back(shop, route, done)
        _finish_legacy(legacy, shop, route, done)
        gone = [f"topic {name}" for r in _flows(route) for name in forget(settings, r.name, topics(r, r.tables))]
        close_out.book(shop, route, "broker", gone)
        done.dropped += [f"broker: {what}" for what in gone]
        went, elsewhere = close_out.end_dumps(shop, route, terms)
        close_out.book(shop, route, "backups", went)
        done.dropped += [f"backups: {what}" for what in went]
        done.warnings += elsewhere
        done.certificate, done.file = close_out.certify(shop, route, terms)
        left = [f"new shop: {what}" for what in _find_left(shop, route)]
        left += [f"legacy: {what}" for what in _find_left(legacy, route)]
        if left:
            raise ShopferryError(f"finished, but these still stand: {', '.join(left)}; drop them by hand")
    return done


def find_refusals(shop: Connection, route: Route) -> list[str]:
    """Find what speaks against the end now, one clause each; asks no person."""
    standing = routes.find_standing(shop, route.name)
    if standing is None or standing.active != "shop":
        return ["legacy is the active store: the migration is not over"]
    refused = find_dependents(shop)
    days = route_settings.load(route.name).way_back_days
    until = standing.changed_at + timedelta(days=days)
    if until > datetime.now(UTC):
        refused.append(
            f"the way back is promised until {until:%Y-%m-%d %H:%M} UTC, {days:g} days after the switch "
            f"(way_back_days in {route.name}/{route_settings.FILE})"
        )
    if waiting := quarantine.count_by_reason(shop):
        named = ", ".join(f"{entity} {reason} {rows}" for entity, reason, rows in waiting)
        refused.append(
            f"rows wait in quarantine and would be lost: {named}. Let them in (`shopferry quarantine release`) or give them up "
            "by name (`shopferry quarantine drop --why …`)"
        )
    return refused


def find_keeping_faults(keeper: Keeper | None) -> list[str]:
    """Find what is wrong with how long a person shall keep the dumps."""
    if keeper and keeper.end <= datetime.now(UTC):
        return [f"{keeper.name} shall keep the dumps until {keeper.until}, which is over: name a day to come"]
    return []


def find_dependents(conn: Connection) -> list[str]:
    """Find objects of others in this store that depend on ours: they would be dropped with them, without a word."""
    if not routes.is_installed(conn):
        return []
    built = [str(row[0]) for row in conn.execute(_Q["built_on"]).fetchall()]
    return (
        [f"in {conn.info.dbname} others build on what would be dropped, so drop it first: {', '.join(built)}"]
        if built
        else []
    )


def _require(
    shop: Connection, legacy: Connection, route: Route, typed: str, first: str, second: str, keeper: Keeper | None
) -> None:
    refused = find_refusals(shop, route) + find_dependents(legacy) + find_keeping_faults(keeper)
    if typed != route.name:
        refused.append(f"type the route's name, {route.name!r}, to finish it")
    if not first or not second or first == second:
        refused.append("two different people have to approve")
    if refused:
        raise GateError(f"not finished: {'; '.join(refused)}")


def _finish_shop(
    shop: Connection, legacy: Connection, route: Route, who: str, keeper: Keeper | None, done: Finished
) -> None:
    """Write the audit log, drop everything else, in one transaction."""
    given = {"route": route.name, "who": who}
    _drop_fences(shop, route)
    try:
        with shop.transaction():
            shop.execute(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'".encode())
            routes.pause(shop, route.name)
            shop.execute(_Q["audit"].encode())
            shop.execute(_Q["gather"], given)
            shop.execute(_Q["note"], given)
            close_out.settle(shop, legacy, route, route_settings.load(route.name).retention, keeper)
            standing = _find_left(shop, route)
            looking = roles.drop(shop, route)
            clean.drop(shop)
            close_out.book(shop, route, "new shop", [*standing, *looking.dropped])
            _drop_schemas(
                shop, "legacy", "mirror", "ferry"
            )  # with ferry go the triggers that give legacy's keys at birth
    except psycopg.errors.LockNotAvailable:
        raise TransientError(
            f"somebody has read the control tables for longer than {_LOCK_WAIT}: nothing was changed"
        ) from None
    done.dropped += [f"new shop: {what}" for what in (*standing, *looking.dropped)]
    done.warnings += [f"new shop: {what}" for what in looking.left]


def _drop_scratch(shop: Connection, route: Route) -> list[str]:
    """Drop what rehearsals have kept or left: no sweep comes after the end, and the roles of those who look have rights there."""
    gone = []
    for name, end in scratch.find_standing(shop, route.name):
        if not scratch.drop_standing(shop, name, end):
            raise TransientError(f"scratch database {name} is looked at: have its sessions end, then finish again")
        gone.append(f"scratch database {name}")
    return gone


def _drop_fences(shop: Connection, route: Route) -> None:
    """Drop the new shop's fences, which are lifted, one by one: each needs a moment without readers, and the shop is live."""
    for entity in route.shop_tables:
        try:
            retrying(partial(_drop_fence, shop, entity), shop, give_up_after=_FENCES_S)
        except psycopg.errors.LockNotAvailable:
            raise TransientError(
                f"somebody has read {entity} for longer than {_FENCES_S:.0f} s, so its fence, which is open, could not "
                "be dropped: try again"
            ) from None


def _drop_fence(shop: Connection, entity: str) -> None:
    with shop.transaction():
        shop.execute(f"SET LOCAL lock_timeout = '{_SHORT_WAIT}'".encode())
        fence.drop_fence(shop, entity)


def _finish_legacy(legacy: Connection, shop: Connection, route: Route, done: Finished) -> None:
    """Drop slot, publication, markers and fences; it is no error when one of them is gone already."""
    name = route.publication
    standing = _find_left(legacy, route)
    close_out.book(shop, route, "legacy", standing)
    legacy.execute(
        SQL("DROP PUBLICATION IF EXISTS {}").format(Identifier(name))
    )  # first: a connector then waits for it
    slot.drop_slot(legacy, name)
    with legacy.transaction():
        for table in route.legacy_tables:
            fence.drop_fence(legacy, table)
        _drop_schemas(legacy, "shopferry")
        if routes.is_installed(legacy):
            clean.drop(legacy)
            _drop_schemas(legacy, "shop", "mirror", "ferry")
    origin.drop(legacy, name_reverse(route.name), _ORIGINS_S)
    done.dropped += [f"legacy: {what}" for what in standing]
    done.warnings.append(_WARNING)


def _finish_way_back(shop: Connection, route: Route, done: Finished) -> None:
    """Drop the slot and publication by which the way back has read the new shop, and both origins."""
    name = route.publication + REVERSE
    standing = _find_left(shop, route)
    close_out.book(shop, route, "new shop", standing)
    shop.execute(SQL("DROP PUBLICATION IF EXISTS {}").format(Identifier(name)))
    slot.drop_slot(shop, name)
    _drop_schemas(shop, "shopferry")
    origin.drop(shop, route.name, _ORIGINS_S)
    done.dropped += [f"new shop: {what}" for what in standing]


def _flows(route: Route) -> list[Route]:
    back = route.back
    return [route, back] if back else [route]


def _drop_schemas(conn: Connection, *names: str) -> None:
    for name in names:
        conn.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(name)))


def _find_left(conn: Connection, route: Route) -> list[str]:
    """Find every object of ours in this store, but for the audit log. Legacy may have a schema called `legacy` itself."""
    of_shop = conn.execute("SELECT to_regnamespace('shopferry_audit') IS NOT NULL").fetchone()
    given = {"route": route.name, "slot": route.publication, "shop": bool(of_shop and of_shop[0])}
    return [str(row[0]) for row in conn.execute(_Q["standing"], given).fetchall()]


def _delete_connector(url: str, name: str, done: Finished) -> None:
    request = urllib.request.Request(f"{url.rstrip('/')}/connectors/{name}", method="DELETE")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30):  # noqa: S310
            done.dropped.append(f"Kafka Connect: connector {name}")
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise TransientError(f"Kafka Connect answers {error.code} to the connector's removal") from None
    except OSError as error:
        raise TransientError(f"Kafka Connect cannot be reached at {url}: {error}") from None
