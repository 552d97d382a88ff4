"""First loads: units of a phase that were never merged, and the keys that the stream touches while one is being loaded.

Whether a unit waits, is being loaded or is loaded changes only under the locks of propagation and of merging, so that a batch and
the merge behind it see it stand still.
"""

from __future__ import annotations

from collections.abc import Sequence

from shopferry.control.schema import SQL
from shopferry.db import Connection, load_queries

_Q = load_queries(SQL / "loads.sql")


def plan(conn: Connection, route: str, unit: str, *, noted: bool) -> None:
    """Let a unit wait for its load; `noted`, what the stream touches of it is noted already."""
    conn.execute(_Q["plan"], {"route": route, "unit": unit, "noted": noted})


def load_units(conn: Connection, route: str) -> dict[str, bool]:
    """Load the units that are not loaded yet, each with whether it is being loaded now."""
    return dict(conn.execute(_Q["units"], {"route": route}, prepare=True).fetchall())


def begin(conn: Connection, route: str, unit: str) -> None:
    """Have the stream note what it touches of a unit."""
    conn.execute(_Q["begin"], {"route": route, "unit": unit})


def finish(conn: Connection, route: str, unit: str) -> None:
    """Have the stream merge a unit itself again."""
    conn.execute(_Q["finish"], {"route": route, "unit": unit})


def has_touched(conn: Connection, route: str) -> bool:
    """Tell whether any key waits that the stream touched during a load."""
    row = conn.execute(_Q["has_touched"], {"route": route}).fetchone()
    return bool(row and row[0])


def find_last_noted(conn: Connection, route: str, units: Sequence[str], about: int) -> tuple[int | None, int | None]:
    """Find the number up to which whole transactions have noted keys of these units, about so many; and the last number.

    Both are None when nothing is noted.
    """
    given = {"route": route, "units": list(units), "about": about}
    [(last, newest)] = conn.execute(_Q["last_noted"], given, prepare=True).fetchall()
    return last, newest


def forget_gone(conn: Connection, route: str, units: Sequence[str]) -> None:
    """Forget the keys that were noted for units which the route has no more."""
    conn.execute(_Q["forget_gone"], {"route": route, "units": list(units)})


def list_noted(conn: Connection, route: str, units: Sequence[str]) -> list[str]:
    """List which of these units have keys that wait to be merged, and are not being loaded."""
    given = {"route": route, "units": list(units)}
    return [name for (name,) in conn.execute(_Q["noted"], given, prepare=True).fetchall()]


def list_waiting(conn: Connection, route: str, units: Sequence[str]) -> list[str]:
    """List which of these units have keys waiting that a batch which ran ahead has noted, and are not being loaded."""
    given = {"route": route, "units": list(units)}
    return [name for (name,) in conn.execute(_Q["waiting"], given, prepare=True).fetchall()]


def take_touched(conn: Connection, route: str, unit: str, limit: int) -> list[str]:
    """Take up to `limit` of the keys that were noted for a unit."""
    return [r[0] for r in conn.execute(_Q["take_touched"], {"route": route, "unit": unit, "limit": limit}).fetchall()]


def are_done(conn: Connection, route: str, units: Sequence[str]) -> bool:
    """Tell whether these units are loaded and nothing waits that the stream touched meanwhile."""
    row = conn.execute(_Q["are_done"], {"route": route, "units": list(units)}).fetchone()
    return bool(row and row[0])
