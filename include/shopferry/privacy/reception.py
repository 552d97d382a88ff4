"""Requests of people as they come in: who is found, what is opened, what is decided; nothing of theirs is stored but keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from shopferry.control import requests, routes
from shopferry.control.requests import KINDS, RUN_KINDS, Opening, Request
from shopferry.engine.pair import Stores
from shopferry.errors import ConfigError, PhaseError
from shopferry.privacy import person
from shopferry.privacy.person import Account, Questions
from shopferry.route.settings import STORES


def find(s: Stores, typed: str) -> list[Account]:
    """Find the accounts and the rows of guests that an identifier leads to. Raises ConfigError where it leads to none."""
    asked = person.load(s.route)
    found = [
        *person.find(s.source, asked, "legacy", typed),
        *person.find(s.target, asked, "shop", typed),
    ]
    if not found:
        raise ConfigError("no account and no guest has that e-mail or number, in neither store; nothing was stored")
    return found


def read_keys(written: Sequence[str]) -> dict[str, list[str]]:
    """Read keys as `person find` prints them, `legacy:7` or `shop:customer_order/31`. Raises ConfigError for another form."""
    found: dict[str, list[str]] = {}
    for text in written:
        store, _, key = text.partition(":")
        if store not in STORES or not key:
            raise ConfigError(f"{text!r} is no key: write legacy:7 or shop:103, as `shopferry person find` prints it")
        found.setdefault(store, []).append(key)
    return found


def open_request(s: Stores, given: Opening, keys: Mapping[str, Sequence[str]]) -> int:
    """Open a request about these accounts; returns its number.

    Raises ConfigError for a key that is none, and for accounts of the same person that are not named: they are one customer in
    the new shop, and perhaps not one human being.
    """
    if given.kind not in KINDS:
        raise ConfigError(f"kind {given.kind!r} is none of {', '.join(KINDS)}")
    asked = person.load(s.route)
    _require_there(s, asked, keys)
    together = person.follow(s.target, asked, keys)
    named = {(store, key) for store, listed in keys.items() for key in listed}
    if "legacy" in keys and (left := [k for k in together["legacy"] if ("legacy", k) not in named]):
        raise ConfigError(
            f"account {', '.join(keys['legacy'])} is one customer with {', '.join(f'legacy:{k}' for k in left)}, perhaps "
            "of another human being with the same e-mail: make sure, and name all of them; to part them, change the e-mail "
            "of one in legacy"
        )
    with s.target.transaction():
        return requests.open_request(s.target, s.route.base_name, given, together)


def grant(s: Stores, number: int, who: str, despite: str | None) -> None:
    """Grant a request. Raises PhaseError when something stands in the way, such as an open order, unless `despite` says why."""
    request = _require_open(s, number)
    asked, persons = person.load(s.route), requests.load_persons(s.target, number)
    if request.kind == "erasure" and not despite:
        store = routes.find_active(s.target, s.route.name)
        conn = s.source if store == "legacy" else s.target
        if left := person.find_obstacles(conn, asked, store, persons[store]):
            raise PhaseError(
                f"request {number}: {'; '.join(left)}. Settle that first, or grant it with --despite WHY, "
                "which the certificate tells"
            )
    requests.grant(s.target, number, who, despite)


def refuse(s: Stores, number: int, who: str, why: str) -> None:
    """Refuse a request, which closes it."""
    _require_open(s, number)
    requests.refuse(s.target, number, who, why)


def review(s: Stores, number: int) -> str:
    """Say of an erasure what a person must know who approves it, without naming anybody or anything of theirs.

    Raises ConfigError for a number that is none, PhaseError for what `request run` would refuse, and for what stands in the way
    of an open request.
    """
    request = requests.load(s.target, s.route.base_name, number)
    if request.kind == "access":
        raise PhaseError(
            f"request {number} is access: `shopferry request run {number}` answers it, since the password of its file is shown "
            "once, and Airflow would keep it"
        )
    if request.kind != "erasure":
        raise PhaseError(
            f"request {number} is {request.kind}: people do that in the shop; `shopferry request close` closes it"
        )
    if request.state == "refused":
        raise PhaseError(f"request {number} was refused by {request.decided_by}: open another")
    store, persons = routes.find_active(s.target, s.route.name), requests.load_persons(s.target, number)
    if request.state == "open":
        conn = s.source if store == "legacy" else s.target
        if left := person.find_obstacles(conn, person.load(s.route), store, persons[store]):
            raise PhaseError(
                f"request {number}: open orders or the like stand in the way ({len(left)}); "
                f"`shopferry request decide {number} --grant` names them, and takes --despite WHY"
            )
    days = (request.due - date.today()).days
    clock = f"{days} days are left" if days >= 0 else f"it is late by {-days} days"
    accounts = ", ".join(f"{len(keys)} in {name}" for name, keys in persons.items() if keys)
    decided = f"{request.state}, decided by {request.decided_by}" if request.decided_by else request.state
    return (
        f"Request {number}: erasure, received {request.received}, due {request.due} ({clock}); {decided}. "
        f"Who asks was made sure by {request.verified_by}. Accounts: {accounts}."
    )


def approve(s: Stores, number: int, who: str) -> None:
    """Grant a request in the name of the person who approved its run, unless somebody has decided it before."""
    if requests.load(s.target, s.route.base_name, number).state == "open":
        grant(s, number, who, None)


def close(s: Stores, number: int, who: str, what: str) -> dict[str, Any]:
    """Close a granted request of a kind that people do in the shop; returns its certificate.

    Raises PhaseError for a kind that `request run` does, and for a request that is not granted.
    """
    request = requests.load(s.target, s.route.base_name, number)
    if request.kind in RUN_KINDS:
        raise PhaseError(f"request {number} is {request.kind}: `shopferry request run {number}` does it, and closes it")
    if request.state != "granted":
        raise PhaseError(
            f"request {number} is {request.state}: only a granted one is closed (`shopferry request decide {number} --grant`)"
        )
    at = datetime.now(UTC).isoformat(timespec="seconds")
    certificate = {"request": number, "route": s.route.base_name, "at": at, "by": who, "what": what}
    with s.target.transaction():
        requests.close(s.target, number, certificate)
    return certificate


def _require_open(s: Stores, number: int) -> Request:
    request = requests.load(s.target, s.route.base_name, number)
    if request.state != "open":
        raise PhaseError(f"request {number} is {request.state} already, by {request.decided_by}: nothing was changed")
    return request


def _require_there(s: Stores, asked: Questions, keys: Mapping[str, Sequence[str]]) -> None:
    """Raise ConfigError for a key that is not there."""
    for store, listed in keys.items():
        conn, schema = (s.source, "public") if store == "legacy" else (s.target, s.route.shop_schema)
        if missing := person.find_missing(conn, asked, store, schema, listed):
            raise ConfigError(f"there is no {', '.join(f'{store}:{k}' for k in missing)}; nothing was stored")
