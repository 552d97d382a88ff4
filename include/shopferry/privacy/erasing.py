"""One request's erasure: its stores, its plans, and how rows are erased in a store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from psycopg.sql import SQL, Identifier

from shopferry import db
from shopferry.control import erasures, requests
from shopferry.control.erasures import Erased
from shopferry.db import Connection
from shopferry.engine import erased
from shopferry.engine.pair import Stores
from shopferry.keys import match_keys
from shopferry.privacy import behind, erasure_plan, person
from shopferry.privacy.erasure_plan import TableErasure
from shopferry.privacy.person import Questions
from shopferry.route import personal
from shopferry.route.settings import STORES
from shopferry.settings import Settings
from shopferry.stores import origin

CONTACT = "contact"  # the kind of values that are searched for


@dataclass(frozen=True)
class Erasure:
    """One request's erasure, on connections of its own; `open` is the store that the application writes to."""

    settings: Settings
    stores: Stores  # of the route itself: legacy is read, the new shop written
    number: int
    asked: Questions
    open: str

    @property
    def route(self) -> str:
        """The route's name, which the ledger has."""
        return self.stores.route.base_name

    @property
    def other(self) -> str:
        """The store that is closed."""
        return "shop" if self.open == "legacy" else "legacy"

    @cached_property
    def persons(self) -> dict[str, list[str]]:
        """The keys of the person in each store, as they were when the request came in."""
        return requests.load_persons(self.stores.target, self.number)

    def look_behind(self) -> None:
        """Name among the person's keys the rows of legacy that only the new shop knows as theirs."""
        behind.name(self.stores, self.asked, self.number)
        self.__dict__.pop("persons", None)

    @cached_property
    def plans(self) -> dict[str, list[TableErasure]]:
        """What becomes of each table of each store, in order."""
        data_map, route = personal.load(self.stores.route), self.stores.route
        schemas = {"legacy": "public", "shop": route.shop_schema}
        return {
            store: erasure_plan.draw(self.connection(store), data_map, store, schemas[store], self.asked.tables(store))
            for store in STORES
        }

    @cached_property
    def searched(self) -> list[str]:
        """The values to search for: e-mails, numbers and the like that nobody else has, as read once a run."""
        return find_searched(self)

    def connection(self, store: str) -> Connection:
        """The connection to a store."""
        return self.stores.source if store == "legacy" else self.stores.target

    def load_noted(self) -> list[Erased]:
        """Load the rows that the request has noted in the ledger."""
        return erasures.load(self.stores.target, self.route, self.number).get(self.number, [])

    def note(self, rows: Sequence[Erased]) -> None:
        """Note rows in the ledger of both stores."""
        for store in STORES:
            with self.connection(store).transaction():
                erasures.note(self.connection(store), self.route, self.number, rows)


def find_searched(one: Erasure) -> list[str]:
    """Find the values to search for: e-mails, numbers and the like that nobody else has."""
    values = {v.strip() for kind, v in requests.load_values(one.stores.target, one.number) if kind == CONTACT}
    for store in STORES:
        conn = one.connection(store)
        with conn.transaction(force_rollback=True):
            person.stage(conn, one.asked, store, one.persons[store])
            for plan in one.plans[store]:
                kept = {k.column for k in plan.kept}
                for column in (c for c in plan.contacts if c not in kept):
                    rows = conn.execute(
                        SQL(
                            "SELECT v FROM unnest(%s::text[]) v "
                            "WHERE EXISTS (SELECT FROM {} t WHERE strpos(lower(t.{}::text), lower(v)) > 0 "
                            "AND NOT EXISTS (SELECT FROM {} p WHERE {}))"
                        ).format(plan.name, Identifier(column), plan.theirs, plan.matches),
                        (sorted(values),),
                    )
                    values -= {v for (v,) in rows.fetchall()}
    return sorted(values)


@contextmanager
def writing(one: Erasure, store: str) -> Iterator[Connection]:
    """A connection in one transaction that writes a store: the open one as its application does, the closed one as the move."""
    dsn = one.settings.source_dsn if store == "legacy" else one.settings.target_dsn
    route = one.stores.route if store == "shop" else one.stores.route.back
    with db.connect(dsn, "erasure of a person") as conn:
        if store == one.other and route:
            origin.take(conn, route.name)
        with conn.transaction():
            if store == one.other:
                conn.execute(f"SELECT {origin.WRITER}{', ' + origin.MARK if route else ''}".encode())
            yield conn


def execute(conn: Connection, plans: Sequence[TableErasure]) -> dict[str, Any]:
    """Execute the plans' statements; returns the rows that went or were emptied, and those that were kept, by table."""
    counts: dict[str, Any] = {}
    for plan in plans:
        kept = conn.execute(SQL("SELECT count(*) FROM {}").format(plan.theirs)).fetchone() if plan.kept else None
        if plan.statement:
            counts[plan.relation] = {"deleted" if plan.deletes else "emptied": conn.execute(plan.statement).rowcount}
        if kept and kept[0]:
            why = [{"column": k.column, "why": k.why, "until": k.keep} for k in plan.kept]
            counts.setdefault(plan.relation, {})["kept"] = {"rows": kept[0], "columns": why}
    return counts


def erase_noted(conn: Connection, plan: TableErasure, noted: Mapping[tuple[str, str], Erased]) -> int:
    """Erase the rows of one table that hold what was erased; returns how many.

    Of a row that is somebody else's, only the column goes that holds a value of theirs.
    """
    listed = {key: row for (relation, key), row in noted.items() if relation == plan.relation}
    if not listed or not plan.statement:
        return 0
    store, _, _ = plan.relation.partition(".")
    [place] = [p for p in erased.list_places(conn, store, plan.table[0], [plan.relation]) if not p.mirrored]
    holding = erased.find_holding(conn, place, listed)
    theirs = [key for key in holding if not plan.is_of_another(listed[key])]
    for key in holding:
        if plan.is_of_another(listed[key]):
            emptied = SQL(", ").join(SQL("{} = NULL").format(Identifier(c)) for c in listed[key].clears or ())
            conn.execute(
                SQL("UPDATE {} t SET {} WHERE {}").format(
                    plan.name, emptied, match_keys(place.key, place.types, [key], "t")
                )
            )
    names = SQL(", ").join(SQL("t.{}").format(Identifier(k)) for k in plan.key)
    conn.execute(
        SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {} t WHERE {}").format(
            plan.theirs, names, plan.name, match_keys(place.key, place.types, theirs, "t")
        )
    )
    return conn.execute(plan.statement).rowcount + len(holding) - len(theirs)
