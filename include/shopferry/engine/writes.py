"""The statements that write an entity's rows: what is yielded no more is deleted, what differs updated, what is new inserted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Composed, Identifier

from shopferry.db import Connection
from shopferry.route.entities import EntityMapping

RESERVED = ("problems", "left_out")
# A value as its column's type. A cast to `varchar(32)` cuts what is longer, and an assignment refuses it: so texts and bits
# are cast to types without a length, and are checked when they are written; `char(n)` is padded, which is no loss.
_FITTED = """
SELECT a.attname, CASE
    WHEN b.typname IN ('varchar', 'text') THEN '{0}::text'
    WHEN b.typname = 'bpchar' AND m.typmod > 4 THEN format(
        '(CASE WHEN length({0}::text) < %%1$s THEN rpad({0}::text, %%1$s) ELSE {0}::text END)::bpchar', m.typmod - 4)
    WHEN b.typname IN ('bit', 'varbit') THEN '{0}::varbit'
    WHEN b.typname IN ('_varchar', '_text') THEN '{0}::text[]'
    WHEN b.typname = '_varbit' THEN '{0}::varbit[]'
    ELSE '{0}::' || replace(replace(format_type(a.atttypid, a.atttypmod), '{', '{{'), '}', '}}') END
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_type b ON b.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
CROSS JOIN LATERAL (SELECT CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS typmod) m
WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""


def target_of(unit: EntityMapping) -> Identifier:
    """The entity's table."""
    return Identifier(*unit.entity.split("."))


def load_casts(conn: Connection, entity: str) -> dict[str, SQL]:
    """Load the casts to the types of an entity's columns, each with a place `{}` for the value; empty without such a table.

    What is too long for its column stays so, and is refused when it is written.
    """
    return {name: SQL(cast) for name, cast in conn.execute(_FITTED, (entity,)).fetchall()}


def good_rows(yielded: Sequence[str]) -> SQL:
    """The condition on `yielded y` that a row may enter the shop, given the columns the mapping yields."""
    if "left_out" in yielded:
        return SQL("cardinality(y.problems) = 0 AND y.left_out IS NULL")
    return SQL("cardinality(y.problems) = 0")


def find_numbered(conn: Connection, entity: str, key: Sequence[str]) -> list[str]:
    """Find the columns beside the key that the target numbers itself (GENERATED ALWAYS AS IDENTITY): no UPDATE may set them."""
    rows = conn.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attidentity = 'a' AND attname <> ALL(%s)",
        (entity, list(key)),
    ).fetchall()
    return [name for (name,) in rows]


@dataclass(frozen=True)
class Writes:
    """What writes one entity's rows `t` of `yielded y`.

    Of the key only `loose` columns are updated, in which an equal value may be another one. A row whose `numbered` columns
    differ is deleted and inserted.
    """

    unit: EntityMapping
    yielded: Identifier
    casts: Mapping[str, SQL]
    names: tuple[str, ...]
    loose: tuple[str, ...]
    numbered: tuple[str, ...]

    @property
    def cast(self) -> dict[str, Composed]:
        """The value of each column that is yielded, cast to the target's type."""
        return {c: self.casts[c].format(Identifier("y", c)) for c in self.names if c not in RESERVED}

    @property
    def good(self) -> SQL:
        """The condition that a row may enter the shop."""
        return good_rows(self.names)

    @property
    def same(self) -> Composed:
        """The condition that `t` and `y` have the same key."""
        return SQL(" AND ").join(SQL("t.{0} = y.{0}").format(Identifier(k)) for k in self.unit.key)

    def compose(self, affected: Identifier) -> list[Composed]:
        """Compose three statements: delete what is not yielded any more, update what differs, insert what is not there.

        Not one upsert for both: `ON CONFLICT DO UPDATE` locks each row as if its keys changed, and would so stand in the
        way of everybody who checks a foreign key on it; `UPDATE` looks at what really changes.
        """
        table, cast = target_of(self.unit), self.cast
        statements = [
            SQL("DELETE FROM {} t USING {} a WHERE t.{} = a.key AND {}").format(
                table, affected, Identifier(self.unit.scope), self.compose_leaving()
            )
        ]
        if rest := [c for c in cast if (c not in self.unit.key or c in self.loose) and c not in self.numbered]:
            statements.append(
                SQL("UPDATE {} t SET {} FROM {} y WHERE {} AND {} AND {}").format(
                    table,
                    SQL(", ").join(SQL("{} = {}").format(Identifier(c), cast[c]) for c in rest),
                    self.yielded,
                    self.same,
                    self.good,
                    compose_difference(rest, self.casts, "t", "y"),
                )
            )
        return [*statements, self._compose_insert()]

    def compose_leaving(self) -> Composed:
        """Compose the condition that a row `t` of the affected keys leaves the target.

        Of the way back a row that may not be written is left as legacy has it: it holds columns that no mapping makes again.
        """
        stays = SQL("true") if self.unit.reverse else self.good
        cast = self.cast
        known = SQL(" AND ").join(SQL("y.{} IS NOT NULL").format(Identifier(k)) for k in self.unit.key)
        # NOT IN is hashed however large the planner believes the temp tables to be; a row without a key is not yielded.
        leaves = SQL("({} NOT IN (SELECT {} FROM {} y WHERE {} AND {})) IS NOT FALSE").format(
            _row(self.unit.key, "t"), SQL(", ").join(cast[k] for k in self.unit.key), self.yielded, stays, known
        )
        if numbered := [c for c in self.numbered if c in cast]:
            differs = SQL(" OR ").join(SQL("t.{} IS DISTINCT FROM {}").format(Identifier(c), cast[c]) for c in numbered)
            leaves = SQL("({} OR EXISTS (SELECT FROM {} y WHERE {} AND {} AND ({})))").format(
                leaves, self.yielded, self.same, self.good, differs
            )
        return leaves

    def compose_plain_insert(self) -> Composed:
        """Compose the INSERT of all good rows, where no row of their keys stands in the target."""
        return SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} y WHERE {}").format(
            target_of(self.unit),
            SQL(", ").join(map(Identifier, self.cast)),
            SQL(", ").join(self.cast.values()),
            self.yielded,
            self.good,
        )

    def _compose_insert(self) -> Composed:
        """Compose the INSERT of the good rows that do not stand in the target yet; one that came meanwhile is updated."""
        table, cast = target_of(self.unit), self.cast
        listed = SQL(", ").join(map(Identifier, self.unit.key))
        action: Composable = SQL("DO NOTHING")
        if rest := [c for c in cast if c not in self.unit.key and c not in self.numbered]:
            action = SQL("DO UPDATE SET {}").format(
                SQL(", ").join(SQL("{0} = excluded.{0}").format(Identifier(c)) for c in rest)
            )
        # A key that the shop else numbers by itself (GENERATED ALWAYS) is the mapping's to say.
        return SQL(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} y WHERE {} "
            "AND NOT EXISTS (SELECT FROM {} t WHERE {}) ORDER BY {} ON CONFLICT ({}) {}"
        ).format(
            table,
            SQL(", ").join(map(Identifier, cast)),
            SQL(", ").join(cast.values()),
            self.yielded,
            self.good,
            table,
            self.same,
            listed,
            listed,
            action,
        )


def compose_difference(names: Sequence[str], casts: Mapping[str, SQL], one: str, other: str) -> Composed:
    """Compose the condition that two rows of an entity differ in these columns, bit by bit (`*<>`).

    To `=` a month is thirty days, 1.10 is 1.1, and a citext is itself in capitals; json has none at all.
    """
    rows = (SQL(", ").join(casts[n].format(Identifier(alias, n)) for n in names) for alias in (one, other))
    return SQL("ROW({})::record *<> ROW({})::record").format(*rows)


def _row(names: Sequence[str], alias: str) -> Composed:
    return SQL("ROW({})").format(SQL(", ").join(SQL("{}.{}").format(SQL(alias), Identifier(c)) for c in names))
