"""A trial of what `phase init` and the first merge will do, with no row: what PostgreSQL refuses then, it refuses now."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg

from shopferry.db import Connection
from shopferry.engine import captured, constraints, statements
from shopferry.engine.constraints import Follower
from shopferry.engine.mirror import MirrorTable
from shopferry.errors import MappingError
from shopferry.route.entities import IdentityMapping, Unit
from shopferry.route.route import Route
from shopferry.stores import origin


def try_merge(target: Connection, route: Route, tables: Mapping[str, MirrorTable]) -> None:
    """Make the mirror, and merge no keys by every mapping. Call it in a transaction that is rolled back.

    Raises MappingError with file and line, ConfigError for a table that the mirror cannot hold.
    """
    captured.create_relations(target, route, tables)
    target.execute(f"SELECT {origin.WRITER}".encode())
    followers = constraints.find_followers(target, route)
    for unit in route.units:
        try:
            _try_unit(target, route, unit, followers)
        except psycopg.Error as error:
            # About rows it cannot be: there are none.
            said = [error.diag.message_primary, error.diag.message_detail, error.diag.message_hint]
            told = "; ".join(" ".join(text.split()) for text in said if text)
            raise MappingError(f"{unit.file}:{unit.line}: {unit.target}: {told}") from None


def _try_unit(target: Connection, route: Route, unit: Unit, followers: Mapping[str, tuple[Follower, ...]]) -> None:
    own = statements.stage(target, route, unit, followers)
    for statement in (own.take, own.fill, *([] if isinstance(unit, IdentityMapping) else [own.settle]), *own.writes):
        target.execute(statement.encode())
