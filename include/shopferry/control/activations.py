"""What activations have handed over to recipients outside the shop: runs, and who is with which recipient, by key and mark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from shopferry.control.schema import SQL
from shopferry.db import Connection, exists, load_queries

_Q = load_queries(SQL / "activations.sql")

# Requests that keep a person from being written to, and those that keep their data from any use.
OBJECTING = ("objection",)
FROZEN = ("restriction", "erasure")


@dataclass(frozen=True)
class Member:
    """One customer with one address, as a recipient has them; `state` is in, out, refused or failed."""

    customer_id: str
    mark: str
    row_hash: str
    state: str


@dataclass(frozen=True)
class Run:
    """One run as it is booked before anything is handed over."""

    route: str
    activation: str
    destination: str
    recipient: str
    fields: Sequence[str]
    who: str
    approved_by: str | None
    gained: int
    changed: int
    lost: int
    suppressed: int
    withheld: int


@dataclass(frozen=True)
class Latest:
    """The newest run of an activation that was handed over, and how many people the recipient has."""

    activation: str
    id: int
    handed_over: datetime
    who: str
    approved_by: str | None
    members: int


@dataclass(frozen=True)
class HandedOver:
    """That a recipient was handed a person's data, which fields, when, and whether it was told to let them go."""

    recipient: str
    activation: str
    destination: str
    fields: tuple[str, ...]
    first_sent: datetime
    last_sent: datetime
    let_go: bool


def load_members(conn: Connection, route: str, activation: str) -> list[Member]:
    """Load everybody whom the recipient of an activation has, had, or may have."""
    with conn.cursor(row_factory=class_row(Member)) as cur:
        return cur.execute(_Q["members"], {"route": route, "activation": activation}).fetchall()


def begin(conn: Connection, run: Run, members: Iterable[Member]) -> int:
    """Book a run and those whom it is about to hand over, as `failed` until `end`; returns its number."""
    row = conn.execute(_Q["begin"], vars(run) | {"fields": list(run.fields)}).fetchone()
    assert row
    announced = list(members)
    given = {
        "route": run.route,
        "activation": run.activation,
        "run": row[0],
        "customers": [m.customer_id for m in announced],
        "marks": [m.mark for m in announced],
        "hashes": [m.row_hash for m in announced],
    }
    conn.execute(_Q["announce"], given)
    return int(row[0])


def book_answer(conn: Connection, run: Run, number: int, state: str, members: Iterable[tuple[str, str]]) -> None:
    """Book that the recipient has taken (`in`) or refused (`refused`) members of a run that is under way."""
    conn.execute(_Q["answered"], _name_keys(run, number, members) | {"state": state})


def let_go(conn: Connection, run: Run, number: int, leavers: Iterable[tuple[str, str]]) -> None:
    """Book that the recipient was told to let these go, each a customer with a mark."""
    conn.execute(_Q["let_go"], _name_keys(run, number, leavers))


def book_all_taken(conn: Connection, number: int) -> None:
    """Book that all whom a run has announced are with the recipient."""
    conn.execute(_Q["hand_over"], {"run": number})


def end(conn: Connection, number: int, withheld: int) -> None:
    """Book that a run is handed over; so many more were withheld while it was."""
    conn.execute(_Q["end"], {"run": number, "withheld": withheld})


def _name_keys(run: Run, number: int, keys: Iterable[tuple[str, str]]) -> dict[str, object]:
    named = list(keys)
    return {
        "route": run.route,
        "activation": run.activation,
        "run": number,
        "customers": [customer for customer, _ in named],
        "marks": [mark for _, mark in named],
    }


def load_latest(conn: Connection, route: str) -> dict[str, Latest]:
    """Load the newest run of each activation that was handed over."""
    with conn.cursor(row_factory=class_row(Latest)) as cur:
        return {latest.activation: latest for latest in cur.execute(_Q["latest"], {"route": route}).fetchall()}


def load_handed_over(conn: Connection, route: str, customers: Sequence[str]) -> list[HandedOver]:
    """Load to whom the data of these customers of the new shop was handed over; nothing before `phase init`."""
    if not exists(conn, "ferry.activation_member"):
        return []
    rows = conn.execute(_Q["of_customers"], {"route": route, "customers": list(customers)}).fetchall()
    return [HandedOver(r, a, d, tuple(fields), first, last, gone) for r, a, d, fields, first, last, gone in rows]


def load_barred(conn: Connection, route: str, identity: str | None, kinds: Sequence[str]) -> set[str]:
    """Load the new shop's keys of customers with a request of these kinds that was not refused.

    `identity` joins legacy's keys to the new shop's; without one they are the same.
    """
    rows = conn.execute(_Q["barred"], {"route": route, "identity": identity, "kinds": list(kinds)}).fetchall()
    return {str(key) for (key,) in rows}


def load_opted_out(conn: Connection, route: str, channel: str) -> set[str]:
    """Load the marks of addresses that refuse a channel, as other tools and registers keep them."""
    return {str(mark) for (mark,) in conn.execute(_Q["opted_out"], {"route": route, "channel": channel}).fetchall()}


def find_addresses(conn: Connection, marks: Sequence[str]) -> dict[str, str]:
    """Find the addresses that marks stand for, as far as a mapping has met them."""
    return dict(conn.execute(_Q["addresses"], {"marks": list(marks)}).fetchall())
