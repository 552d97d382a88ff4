"""Requests of people about the data held on them: which, by when, who decided, what was done. They name people by keys alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg.rows import class_row

from shopferry.control.schema import SQL
from shopferry.db import Connection, exists, load_queries
from shopferry.errors import ConfigError

_Q = load_queries(SQL / "requests.sql")
RUN_KINDS = ("access", "erasure")  # the others are done by people, in the shop
KINDS = (*RUN_KINDS, "rectification", "restriction", "objection")


@dataclass(frozen=True)
class Request:
    """One request; `state` is open, granted, running, done or refused."""

    id: int
    kind: str  # one of KINDS
    received: date
    due: date
    verified_by: str
    verified_how: str
    state: str
    decided_by: str | None
    decided_at: datetime | None
    despite: str | None
    refusal: str | None
    closed: datetime | None
    certificate: Mapping[str, Any] | None


@dataclass(frozen=True)
class Opening:
    """What is known of a request when it comes in."""

    kind: str
    received: date
    verified_by: str
    verified_how: str


def open_request(conn: Connection, route: str, given: Opening, persons: Mapping[str, Sequence[str]]) -> int:
    """Open a request about these persons, keys by store; returns its number."""
    row = conn.execute(_Q["open"], {"route": route, **vars(given)}).fetchone()
    assert row
    for store, keys in persons.items():
        name_persons(conn, row[0], store, keys)
    return int(row[0])


def name_persons(conn: Connection, request: int, store: str, keys: Sequence[str]) -> None:
    """Name keys of the request's person in one store; those that are named stay."""
    conn.execute(_Q["name_persons"], {"request": request, "store": store, "keys": list(keys)})


def load_persons(conn: Connection, request: int) -> dict[str, list[str]]:
    """Load the keys that a request is about, by store."""
    found: dict[str, list[str]] = {"legacy": [], "shop": []}
    for store, key in conn.execute(_Q["persons"], {"request": request}).fetchall():
        found[store].append(key)
    return found


def load_all(conn: Connection, route: str) -> list[Request]:
    """Load all requests of a route, in their order."""
    with conn.cursor(row_factory=class_row(Request)) as cur:
        return cur.execute(_Q["all"], {"route": route}).fetchall()


def list_running(conn: Connection, route: str) -> list[int]:
    """List the numbers of the requests that run now; none before `phase init`."""
    return [r.id for r in load_all(conn, route) if r.state == "running"] if exists(conn, "ferry.request") else []


def load_of_same(conn: Connection, request: int) -> list[Request]:
    """Load all requests that are about any of this one's accounts, itself among them."""
    with conn.cursor(row_factory=class_row(Request)) as cur:
        return cur.execute(_Q["of_same"], {"request": request}).fetchall()


def load(conn: Connection, route: str, request: int) -> Request:
    """Load one. Raises ConfigError for a number that is none."""
    for found in load_all(conn, route):
        if found.id == request:
            return found
    raise ConfigError(f"there is no request {request} on route {route}: `shopferry request list` lists them")


def grant(conn: Connection, request: int, who: str, despite: str | None) -> None:
    """Grant an open request."""
    given = {"state": "granted", "who": who, "despite": despite, "refusal": None, "request": request}
    conn.execute(_Q["decide"], given)


def refuse(conn: Connection, request: int, who: str, why: str) -> None:
    """Refuse an open request, which closes it."""
    conn.execute(_Q["decide"], {"state": "refused", "who": who, "despite": None, "refusal": why, "request": request})


def begin(conn: Connection, request: int) -> None:
    """Say that a granted request runs."""
    conn.execute(_Q["begin"], {"request": request})


def close(conn: Connection, request: int, certificate: Mapping[str, Any]) -> None:
    """Close a request that is done, and forget the values that it was done by."""
    conn.execute(_Q["close"], {"request": request, "certificate": json.dumps(certificate)})
    conn.execute(_Q["forget_values"], {"request": request})


def keep_values(conn: Connection, request: int, values: Sequence[tuple[str, str]]) -> None:
    """Keep values, as (kind, value), until the request is closed."""
    given = {"request": request, "kinds": [k for k, _ in values], "values": [v for _, v in values]}
    conn.execute(_Q["keep_values"], given)


def load_values(conn: Connection, request: int) -> list[tuple[str, str]]:
    """Load the values that are kept, as (kind, value)."""
    return [(kind, value) for kind, value in conn.execute(_Q["values"], {"request": request}).fetchall()]


def note_step(conn: Connection, request: int, step: str, done: Mapping[str, Any]) -> None:
    """Note a step as done, with its counts."""
    conn.execute(_Q["note_step"], {"request": request, "step": step, "done": json.dumps(done)})


def load_steps(conn: Connection, request: int) -> dict[str, dict[str, Any]]:
    """Load the steps that are done, with their counts."""
    return dict(conn.execute(_Q["steps"], {"request": request}).fetchall())
