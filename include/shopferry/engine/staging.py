"""The units' temp tables in one session, and the statements over them, composed once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import psycopg
from psycopg.sql import SQL, Composable, Identifier, Literal

from shopferry.control import identity
from shopferry.db import Connection
from shopferry.engine import changes, constraints, statements
from shopferry.engine.statements import Statements
from shopferry.keys import name_or_expression
from shopferry.route.entities import IdentityMapping, Unit
from shopferry.route.route import Route
from shopferry.stores import origin

_TIDY_AFTER = (
    10_000  # keys that went through the temp tables: dead rows are read again and again until they are cleared
)
_TIDIED = (
    4  # temp tables that are cleared before one unit of work: all of them take 0.3 s, which a batch would wait for
)


@dataclass
class Staging:
    """The temp tables and statements of a route's units on one connection."""

    conn: Connection
    route: Route
    _staged: dict[str, Statements] = field(default_factory=dict)
    _keys: int = 0  # that went through since tables were looked at
    _untidy: list[Identifier] = field(default_factory=list)

    def stage(self, units: Iterable[Unit]) -> None:
        """Make the units' temp tables and compose their statements. Call it outside of a transaction.

        Raises MappingError where a mapping does not yield what its target needs.
        """
        fresh = [u for u in units if u.name not in self._staged]
        # What is made within a transaction may go with it, unnoticed here.
        assert not fresh or self.conn.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
        if fresh:
            origin.take(self.conn, self.route.name)
            followers = constraints.find_followers(self.conn, self.route)
            with changes.commit_unflushed(self.conn):
                for unit in fresh:
                    self._staged[unit.name] = statements.stage(self.conn, self.route, unit, followers)
        if fresh or (self._keys > _TIDY_AFTER and not self._untidy):
            self._keys = 0
            tables = [t for s in self._staged.values() for t in (s.affected, s.yielded, s.held) if t]
            tables += [Identifier("pg_temp", name) for name in sorted(self._find_changed_tables().values())]
            self._untidy = changes.find_untidy(self.conn, tables)
        now = len(self._untidy) if fresh else _TIDIED
        changes.tidy(self.conn, self._untidy[:now])
        self._untidy = self._untidy[now:]

    def has_staged(self, units: Iterable[Unit]) -> bool:
        """Tell whether the units' statements are composed in this session."""
        return all(u.name in self._staged for u in units)

    def statements(self, unit: Unit) -> Statements:
        """Return the unit's statements, composed at first use."""
        if unit.name not in self._staged:
            self.stage([unit])
        return self._staged[unit.name]

    def count(self, keys: int) -> None:
        """Count keys that went through the tables, which are tidied after so many."""
        self._keys += keys

    def ripple(self, unit: Unit, keys: frozenset[str]) -> set[str]:
        """Count these aggregates of a unit as changed, for the units that read its table; returns the relations.

        A refused row leaves the shop without a change of its identity or its parents; those after it must see it go.
        """
        touched = set()
        key_type = self.statements(unit).key_type
        for source in unit.simple_sources if keys else ():
            relation: Composable = Identifier(unit.schema, source.name)
            if source.is_identity:
                relation = SQL("(SELECT {} FROM ferry.identity WHERE entity = {})").format(
                    identity.COLUMNS, Literal(source.name)
                )
            self.conn.execute(
                SQL("INSERT INTO {} SELECT * FROM {} r WHERE {} = ANY({}::{}[])").format(
                    Identifier("pg_temp", source.changed),
                    relation,
                    name_or_expression(str(source.column)),
                    Literal(sorted(keys)),
                    SQL(key_type),
                )
            )
            touched.add(source.relation)
        return touched

    def forget_changes(self, relations: Iterable[str]) -> None:
        """Empty the temp tables of changed rows of these relations."""
        filled = set(relations)
        with self.conn.pipeline():
            for relation, name in sorted(self._find_changed_tables().items()):
                if relation in filled:
                    self.conn.execute(f"DELETE FROM pg_temp.{name}".encode(), prepare=True)

    def _find_changed_tables(self) -> dict[str, str]:
        """Find the temp tables of changed rows that the staged units read or fill, by relation."""
        staged = [u for u in self.route.units if u.name in self._staged]
        read = {s.relation: s.changed for u in staged for s in u.sources}
        return read | {
            u.relation: u.changed for u in staged if isinstance(u, IdentityMapping) or self._staged[u.name].after
        }
