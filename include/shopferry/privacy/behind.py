"""What stands behind a person's rows in the new shop: rows of legacy that legacy's own queries do not lead to.

A guest's order whose e-mail was written with a blank in it belongs to nobody in legacy. In the new shop, where the e-mail is
clean, it is a customer's. A row that has changed in legacy since the new shop's was made of it counts no more: it may be
somebody else's by now.
"""

from __future__ import annotations

from psycopg.sql import SQL, Identifier

from shopferry.control import phases, requests
from shopferry.control.phases import State
from shopferry.db import Connection
from shopferry.engine import mirror
from shopferry.engine.noted import keep_together
from shopferry.engine.pair import Stores
from shopferry.engine.statements import counted_key, load_columns
from shopferry.engine.writes import target_of
from shopferry.errors import PhaseError
from shopferry.keys import match_keys
from shopferry.privacy import person
from shopferry.privacy.person import Questions


def require_still(target: Connection, route: str, what: str) -> None:
    """Raise PhaseError while a phase is copied or merged: rows of the new shop may be old then, and another person's by now.

    `what` waits for the phase.
    """
    for phase in phases.load_all(target, route):
        if State(phase.state) in {State.COPYING, State.MERGING}:
            raise PhaseError(f"phase {phase.phase} is {phase.state}: {what} waits until it is in sync")


def name(s: Stores, asked: Questions, request: int) -> None:
    """Name such rows among those that a request is about, as `orders/48`."""
    persons = requests.load_persons(s.target, request)
    with keep_together(s.target, s.route):  # a row of the shop is made of the mirror's as it stands
        found = find(s, asked, persons["legacy"], person.follow(s.target, asked, persons)["shop"])
    if found:
        requests.name_persons(s.target, request, "legacy", found)


def find(s: Stores, asked: Questions, accounts: list[str], customers: list[str]) -> list[str]:
    """Find such rows of a person, who is these accounts in legacy and these customers in the new shop."""
    counted = _find_counted(s, asked, customers)
    found: list[str] = []
    while missing := _find_missing(s, asked, [*accounts, *found], counted):
        table, keys = missing
        standing = _find_unchanged(s, table, keys)
        found += [f"{table}/{key}" for key in standing]
        counted[table] = [key for key in counted[table] if key in standing or key not in keys]
    return found


def _find_counted(s: Stores, asked: Questions, customers: list[str]) -> dict[str, list[str]]:
    """Find the keys of legacy's rows, by table, that the person's rows in the new shop account for; accounts aside."""
    found: dict[str, list[str]] = {}
    there, here = asked.tables("legacy")[1:], asked.tables("shop")
    with s.target.transaction(force_rollback=True):
        person.stage(s.target, asked, "shop", customers)
        for unit in s.route.mappings:
            table = unit.entity.partition(".")[2]
            if unit.counts is None or table not in here or unit.counts.table not in there:
                continue
            key = load_columns(s.target, f"pg_temp.their_{table}")
            same = SQL(" AND ").join(SQL("t.{0} = p.{0}").format(Identifier(k)) for k in key)
            rows = s.target.execute(
                SQL(
                    "SELECT DISTINCT k::text FROM (SELECT {} AS k FROM {} t JOIN {} p ON {}) c WHERE k IS NOT NULL"
                ).format(counted_key(unit.counts, "t"), target_of(unit), Identifier(f"their_{table}"), same)
            )
            found.setdefault(unit.counts.table, []).extend(key for (key,) in rows.fetchall())
    return found


def _find_missing(
    s: Stores, asked: Questions, keys: list[str], counted: dict[str, list[str]]
) -> tuple[str, list[str]] | None:
    """Find what is counted of the first table that lacks any of it among the person's rows; other rows may hang on it."""
    with s.source.transaction(force_rollback=True):
        person.stage(s.source, asked, "legacy", keys)
        for table in (t for t in asked.tables("legacy") if t in counted):
            rows = s.source.execute(
                SQL(
                    "SELECT k FROM unnest(%s::text[]) k WHERE k NOT IN (SELECT id::text FROM {} p (id)) ORDER BY 1"
                ).format(Identifier(f"their_{table}")),
                (counted[table],),
            ).fetchall()
            if rows:
                return table, [key for (key,) in rows]
    return None


def _find_unchanged(s: Stores, name: str, keys: list[str]) -> set[str]:
    """Find those of these rows that stand in legacy just as the mirror has them."""
    table = mirror.load(s.target, name)[name]
    kind = next(c.type for c in table.columns if c.name == table.key[0])
    within = match_keys(table.key[:1], [kind], keys)
    there, here = (
        {
            (key, values)
            for key, values in conn.execute(
                SQL("SELECT r.{}::text, to_jsonb(r)::text FROM (SELECT {} FROM {} WHERE {}) r").format(
                    Identifier(table.key[0]), columns, relation, within
                )
            )
        }
        for conn, columns, relation in (
            (s.source, mirror.select_values(table), table.captured),
            (s.target, SQL(", ").join(map(Identifier, table.names)), table.view),
        )
    )
    return {key for key, _ in there & here}
