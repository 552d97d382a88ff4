"""What the way back cannot carry: decided column by column in the route's losses.txt, and accepted by name before a cutover."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from shopferry.control.gates import Gate
from shopferry.db import Connection
from shopferry.engine import mirror
from shopferry.engine.pair import Stores
from shopferry.route.losses import FILE, Decision, load_decisions
from shopferry.route.route import Route

_NAMED = 5


def judge_accepted(route: Route, by: str | None) -> Gate:
    """Judge whether a person has accepted, by name, what the way back cannot carry."""
    back = route.back
    lost = [d for d in load_decisions(back) if d.how != "carried"] if back else []
    told = f"{len(lost)} columns ({_listed(d.name for d in lost)})" if lost else "none"
    if lost and by:
        told += f"; accepted by {by}"
    return Gate(
        "way back's losses accepted",
        not lost or bool(by),
        told,
        f"read reverse/{FILE}, and accept it by name: way_back_losses_accepted_by under [cutover] in route.toml",
    )


def judge_covered(s: Stores) -> Gate:
    """Judge whether the way back reads every column of both directions' tables, or losses.txt decides about it.

    Tables that neither direction knows stay in the new shop with a rollback, and are named.
    """
    name, back = "way back covers all", s.route.back
    if back is None:
        return Gate(name, True, "the route has no mappings that lead back", "")
    read = {(f"{t.within}.{t.name}", c) for t in mirror.load(s.source).values() for c in t.names}
    if not read:
        return Gate(name, False, "it is not installed, so nobody knows what it reads", "run `shopferry arm`")
    settled, tables = load_decisions(back), s.route.carried_tables
    left = [f"{table}.{column}" for table, column in find_undecided(list_columns(s.target, tables), read, settled)]
    if left:
        return Gate(
            name,
            False,
            f"{len(left)} columns are lost by a rollback, and nobody has said so: {_listed(left)}",
            f"have a mapping back read them, then `shopferry arm`; or say in reverse/{FILE} what becomes of them",
        )
    whole = {d.table for d in settled if d.column == "*"}
    others = [t for t in _beside(s.target, s.route.shop_tables) if t not in whole]
    told = [f"every column of {len(tables)} tables is read or decided"]
    if others:
        told.append(f"of tables that neither direction knows all stays in the new shop: {_listed(others)}")
    return Gate(name, True, "; ".join(told), "")


def find_undecided(
    columns: Iterable[tuple[str, str]], read: Collection[tuple[str, str]], settled: Iterable[Decision]
) -> list[tuple[str, str]]:
    """Find those of the columns that are not read on the way back, and about which no line decides."""
    lines = tuple(settled)
    return [c for c in columns if c not in read and not any(d.settles(*c) for d in lines)]


def list_columns(shop: Connection, tables: Iterable[str]) -> list[tuple[str, str]]:
    """List (table, column) of all that hold what somebody has written."""
    return shop.execute(
        """SELECT t.name, a.attname::text FROM unnest(%s::text[]) AS t (name)
           JOIN pg_attribute a ON a.attrelid = to_regclass(t.name) AND a.attnum > 0 AND NOT a.attisdropped
           WHERE a.attgenerated = '' ORDER BY 1, 2""",
        (list(tables),),
    ).fetchall()


def _beside(shop: Connection, tables: Iterable[str]) -> list[str]:
    """The other tables of the same schemas."""
    rows = shop.execute(
        """SELECT n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = ANY(SELECT split_part(t, '.', 1) FROM unnest(%(tables)s::text[]) AS t)
             AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname || '.' || c.relname <> ALL(%(tables)s::text[])
           ORDER BY 1""",
        {"tables": list(tables)},
    ).fetchall()
    return [r[0] for r in rows]


def _listed(names: Iterable[str]) -> str:
    """The first few, and that there are more."""
    all_of_them = list(names)
    return ", ".join(all_of_them[:_NAMED]) + (", …" if len(all_of_them) > _NAMED else "")
