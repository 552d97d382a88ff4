"""Fences: what makes a store refuse writes that are not ours.

A fence is a statement trigger on each table and partition, which fires in every replication role of a session. As DDL it
reaches every session at its next statement, in every isolation level; the refusal has its own SQLSTATE, so that an
application can tell "moved" from a failure. It carries the route, the store to write to and the route's version from which
on that holds. A fence is lifted by switching its trigger off: to drop one takes a lock that readers are in the way of.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.sql import SQL, Identifier, Literal

from shopferry.control import routes
from shopferry.db import Connection

MOVED = "SF001"  # SQLSTATE of a write that a fence refuses
_NAME = "shopferry_fence"


def raise_fence(conn: Connection, tables: Sequence[str], route: str, moved: tuple[str, int] | None = None) -> None:
    """Raise the fence on each schema-qualified table where it does not stand; the caller's transaction makes it hold.

    `moved` is what a refused writer is told: the store to write to, and the route's version that makes it so. Without it
    the new shop's fence tells how the route stands now.
    """
    told = moved or _find_standing(conn, route)
    arguments = [route, *([told[0], str(told[1])] if told else [])]
    for table in find_unfenced(conn, tables):
        name = Identifier(*table.split("."))
        conn.execute(
            SQL(
                "CREATE OR REPLACE TRIGGER {} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {} "
                "FOR EACH STATEMENT EXECUTE FUNCTION shopferry.refuse_write({})"
            ).format(Identifier(_NAME), name, SQL(", ").join(map(Literal, arguments)))
        )
        conn.execute(SQL("ALTER TABLE ONLY {} ENABLE ALWAYS TRIGGER {}").format(name, Identifier(_NAME)))


def lift_fence(conn: Connection, tables: Sequence[str]) -> None:
    """Let each table take writes again; idempotent."""
    for table in _find_with_trigger(conn, tables, "tgenabled <> 'D'"):
        conn.execute(
            SQL("ALTER TABLE ONLY {} DISABLE TRIGGER {}").format(Identifier(*table.split(".")), Identifier(_NAME))
        )


def drop_fence(conn: Connection, table: str) -> None:
    """Take the fence off a table for good, waiting for its readers; idempotent."""
    for part in _find_with_trigger(conn, [table], "true"):
        conn.execute(SQL("DROP TRIGGER IF EXISTS {} ON {}").format(Identifier(_NAME), Identifier(*part.split("."))))


def find_fenced(conn: Connection) -> list[str]:
    """Find the tables of this store whose fence stands."""
    return _find_triggers(conn, "tgenabled = 'A'")


def find_unfenced(conn: Connection, tables: Sequence[str]) -> list[str]:
    """Find those of these tables, and of their partitions, whose fence does not stand."""
    return sorted(set(_find_parts(conn, tables)) - set(find_fenced(conn)))


def _find_with_trigger(conn: Connection, tables: Sequence[str], condition: str) -> list[str]:
    return sorted(set(_find_parts(conn, tables)) & set(_find_triggers(conn, condition)))


def _find_triggers(conn: Connection, condition: str) -> list[str]:
    rows = conn.execute(
        f"""SELECT n.nspname || '.' || c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace WHERE t.tgname = %s AND {condition} ORDER BY 1""".encode(),
        (_NAME,),
    ).fetchall()
    return [r[0] for r in rows]


def _find_parts(conn: Connection, tables: Sequence[str]) -> list[str]:
    """Find the tables and all their partitions: a statement that names a partition passes by a fence of the whole."""
    rows = conn.execute(
        """SELECT name FROM unnest(%(tables)s::text[]) AS t (name)
           UNION SELECT n.nspname || '.' || c.relname FROM unnest(%(tables)s::text[]) AS t (name)
           CROSS JOIN LATERAL pg_partition_tree(to_regclass(t.name)) p
           JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY 1""",
        {"tables": list(tables)},
    ).fetchall()
    return [r[0] for r in rows]


def _find_standing(conn: Connection, route: str) -> tuple[str, int] | None:
    """Read the route's active store and version; None in legacy, which does not know them."""
    standing = routes.find_standing(conn, route) if routes.is_installed(conn) else None
    return (standing.active, standing.version) if standing else None
