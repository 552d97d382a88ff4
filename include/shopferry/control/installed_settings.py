"""The settings of the installation as mappings read them: table ferry.setting."""

from __future__ import annotations

from collections.abc import Mapping

from shopferry.db import Connection


def store(conn: Connection, values: Mapping[str, tuple[str, bool]]) -> None:
    """Store (value, whether it is secret) by name, and take out all others; those that change count as not merged."""
    conn.execute("DELETE FROM ferry.setting WHERE name <> ALL(%s)", (list(values),))
    for name, (value, secret) in values.items():
        conn.execute(
            """INSERT INTO ferry.setting AS s (name, value, secret) VALUES (%s, %s, %s)
               ON CONFLICT (name) DO UPDATE
               SET value = excluded.value, secret = excluded.secret, merged = s.merged AND s.value = excluded.value
               WHERE (s.value, s.secret) IS DISTINCT FROM (excluded.value, excluded.secret)""",
            (name, value, secret),
        )


def load(conn: Connection) -> dict[str, str]:
    """Load the values by name."""
    return dict(conn.execute("SELECT name, value FROM ferry.setting").fetchall())


def replace(conn: Connection, name: str, value: str) -> bool:
    """Replace the value of one setting as if it had never been another; returns whether there is such a setting."""
    return bool(conn.execute("UPDATE ferry.setting SET value = %s WHERE name = %s", (value, name)).rowcount)


def list_unmerged(conn: Connection) -> list[str]:
    """List the settings that were changed, and whose readers were not merged again yet."""
    return [name for (name,) in conn.execute("SELECT name FROM ferry.setting WHERE NOT merged ORDER BY 1").fetchall()]


def mark_merged(conn: Connection, names: list[str]) -> None:
    """Note that what reads these settings was merged again."""
    conn.execute("UPDATE ferry.setting SET merged = true WHERE name = ANY(%s)", (names,))
