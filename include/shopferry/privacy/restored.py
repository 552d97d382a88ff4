"""A store that was restored from a backup holds people again who were erased since: they are erased again, by the ledgers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

from psycopg.sql import SQL, Identifier

from shopferry import db
from shopferry.control import erasures, routes
from shopferry.control.erasures import Erased
from shopferry.db import Connection
from shopferry.engine import erased
from shopferry.engine.pair import Stores
from shopferry.keys import key_text
from shopferry.privacy import person
from shopferry.privacy.erasure import Erasure, writing
from shopferry.privacy.erasure_plan import TableErasure
from shopferry.route.route import Route
from shopferry.settings import Settings


def reapply(settings: Settings) -> dict[str, int]:
    """Erase again what the ledgers name, in both stores, after one of them was restored from a backup; returns rows by store.

    A row is erased when it holds what was erased there: a key that was given to somebody else is left alone. What a ledger
    lost with its store is taken from the other.
    """
    counts = {}
    with ExitStack() as stack:
        route = Route.load(settings.route)
        source = stack.enter_context(db.connect(settings.source_dsn, "erasure"))
        target = stack.enter_context(db.connect(settings.target_dsn, "erasure"))
        stores, asked = Stores(source, target, route), person.load(route)
        one = Erasure(settings, stores, 0, asked, routes.find_active(target, route.name))
        _join_ledgers(source, target, one.route)
        noted = {(row.relation, row.key): row for row, _ in erasures.load_all(target, one.route)}
        for store in person.STORES:
            with writing(one, store) as conn:
                counts[store] = sum(_erase_again(conn, plan, noted) for plan in one.plans[store])
    return counts


def _join_ledgers(source: Connection, target: Connection, route: str) -> None:
    """Give each store's ledger what only the other has."""
    for one, other in ((source, target), (target, source)):
        for row, number in erasures.load_all(one, route):
            erasures.note(other, route, number, [row])


def _erase_again(conn: Connection, plan: TableErasure, noted: Mapping[tuple[str, str], Erased]) -> int:
    """Erase the rows of one table that hold what was erased; returns how many."""
    keys = [key for relation, key in noted if relation == plan.relation]
    if not keys or not plan.statement:
        return 0
    rows = conn.execute(
        SQL("SELECT {0}, to_jsonb(t) FROM {1} t WHERE {0} = ANY(%s)").format(key_text(plan.key, "t"), plan.name),
        (keys,),
    ).fetchall()
    theirs = [key for key, row in rows if erased.is_same(noted[plan.relation, key], plan.texts, row)]
    names = SQL(", ").join(SQL("t.{}").format(Identifier(k)) for k in plan.key)
    conn.execute(
        SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {} t WHERE {} = ANY(%s)").format(
            plan.theirs, names, plan.name, key_text(plan.key, "t")
        ),
        (theirs,),
    )
    return conn.execute(plan.statement).rowcount
