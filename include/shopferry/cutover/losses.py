"""What the way back cannot carry: decided column by column in the route's losses.txt, and accepted by name before a cutover."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from shopferry import installation, mirror
from shopferry.backfill import Stores
from shopferry.control.gates import Gate
from shopferry.db import Connection
from shopferry.mapping import Route, route_folder

FILE = "losses.txt"
_NAMED = 5


def decided(back: Route) -> list[str]:
    """What becomes of what no mapping back carries as it is: the lines of the route's `losses.txt`, one for each column."""
    file = route_folder(back.name) / FILE
    if not file.exists():
        return []
    return [line for line in map(str.strip, file.read_text().splitlines()) if line and not line.startswith("#")]


def accepted(route: Route, by: str | None) -> Gate:
    """Whether somebody has accepted, by name, what the way back cannot carry."""
    back = installation.back_of(route)
    lost = [line for line in decided(back) if " -- carried: " not in line] if back else []
    told = f"{len(lost)} columns ({_listed(line.partition(' ')[0] for line in lost)})" if lost else "none"
    if lost and by:
        told += f", accepted by {by}"
    return Gate(
        "way back's losses accepted", not lost or bool(by), told,
        f"read reverse/{FILE}, and accept it by name: way_back_losses_accepted_by under [cutover] in route.toml",
    )  # fmt: skip


def covered(s: Stores) -> Gate:
    """Whether the way back reads every column of the tables that the route fills, or somebody has decided what becomes of it.

    Other tables, which neither direction knows, stay in the new shop with a rollback, and are named.
    """
    name, back = "way back covers all", installation.back_of(s.route)
    if back is None:
        return Gate(name, True, "the route has no mappings that lead back", "")
    read = {f"shop.{t.name}.{c}" for t in mirror.load(s.legacy).values() for c in t.names}
    if not read:
        return Gate(name, False, "it is not installed, so nobody knows what it reads", "run `shopferry arm`")
    settled = [line.partition(" ")[0] for line in decided(back)]
    tables = set(installation.shop_tables(s.route))
    left = [
        c for c in _columns(s.shop, installation.entities(s.route))
        if c not in read and not any(fnmatchcase(c, pattern) for pattern in settled)
    ]  # fmt: skip
    if left:
        return Gate(
            name, False, f"{len(left)} columns are lost by a rollback, and nobody has said so: {_listed(left)}",
            f"have a mapping back read them, then `shopferry arm`; or say in reverse/{FILE} what becomes of them",
        )  # fmt: skip
    others = [t for t in _beside(s.shop, tables) if not any(fnmatchcase(f"{t}.*", pattern) for pattern in settled)]
    told = f"; of tables that neither direction knows all stays in the new shop: {_listed(others)}" if others else ""
    return Gate(name, True, f"every column of {len(tables)} tables is read or decided{told}", "")


def _columns(shop: Connection, tables: Iterable[str]) -> list[str]:
    """The tables' columns that hold what somebody has written, each as schema.table.column."""
    rows = shop.execute(
        """SELECT t.name || '.' || a.attname FROM unnest(%s::text[]) AS t (name)
           JOIN pg_attribute a ON a.attrelid = to_regclass(t.name) AND a.attnum > 0 AND NOT a.attisdropped
           WHERE a.attgenerated = '' ORDER BY 1""",
        (list(tables),),
    ).fetchall()
    return [r[0] for r in rows]


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
