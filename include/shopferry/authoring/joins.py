"""Which columns of legacy lead to which, read off the texts of mappings: what belongs to a key can be read by them.

`JOIN legacy.orders o ON o.id = t.order_id` leads from a line to its order. Identities and entities stand for the legacy
columns that they are made of. What is not a plain equality of two columns is not seen, and leads nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from shopferry.assess import lineage
from shopferry.route.entities import EntityMapping, IdentityMapping, Source, Unit
from shopferry.route.route import Route

Column = tuple[str, str]  # a relation as the mapping names it, and its column; of legacy: table, column

_NAME = r'(?:[a-z_]\w*|"[^"]+")'
_DEFINED = re.compile(
    rf"\b(?:FROM|JOIN)\s+(?:LATERAL\s+)?(?:({_NAME})\.)?({_NAME})"
    r"(?:\s+(?:AS\s+)?(?!(?:ON|WHERE|USING|LEFT|RIGHT|INNER|CROSS|FULL|JOIN|GROUP|ORDER|LIMIT|UNION|WINDOW|HAVING)\b)([a-z]\w*))?",
    re.IGNORECASE,
)
# A column, or a function of one: keys of the new shop are made so.
_SIDE = rf"((?:\b[a-z_][\w.]*\((?:'[^']*'\s*,\s*)*)?)\b([a-z]\w*)\.({_NAME})(?:::\w+)*\)?"
_EQUAL = re.compile(rf"{_SIDE}\s*=\s*{_SIDE}")
_SUBQUERY = re.compile(r"\b([a-z_]\w*)\s*(?:\([^()]*\))?\s+AS\s+(?:NOT\s+)?(?:MATERIALIZED\s+)?\(", re.IGNORECASE)
_DEEP = 4  # subqueries within each other


@dataclass(frozen=True)
class Join:
    """One equality of a mapping's text: rows with the columns `of` lead to rows with the column `to` of `alias`."""

    of: Column
    to: Column
    alias: str
    line: int
    plain: bool  # whether both sides are columns themselves


@dataclass(frozen=True)
class Text:
    """One SELECT of a unit, without its comments; `changed` is the relation that a lineage begins with."""

    sql: str
    line: int
    changed: str | None = None

    @cached_property
    def defined(self) -> list[tuple[int, str, str]]:
        """Where each alias is defined: (position, alias, relation), a subquery's relation without a schema."""
        found = []
        for match in _DEFINED.finditer(self.sql):
            schema, name, alias = match[1], match[2].strip('"'), match[3]
            relation = f"{schema}.{name}" if schema else name
            alias = alias or name
            if relation == "ferry.identity":
                of = re.search(rf"\b{re.escape(alias)}\.entity\s*=\s*'(\w+)'", self.sql[match.end() :])
                relation = f"identity.{of[1]}" if of else relation
            if relation == "changed" and self.changed:
                relation = self.changed
            found.append((match.start(), alias, relation))
        return found

    @cached_property
    def subqueries(self) -> dict[str, str]:
        """The subqueries of its WITH, by name."""
        found = {}
        for match in _SUBQUERY.finditer(self.sql):
            depth, at = 1, match.end()
            while at < len(self.sql) and depth:
                depth += (self.sql[at] == "(") - (self.sql[at] == ")")
                at += 1
            found[match[1]] = self.sql[match.end() : at - 1]
        return found

    def find_relation(self, alias: str, at: int) -> tuple[int, str] | None:
        """Find what an alias means at a position: its last definition before it, else the first after it."""
        here = [(position, relation) for position, name, relation in self.defined if name == alias]
        before = [d for d in here if d[0] < at]
        return before[-1] if before else here[0] if here else None

    def find_column(self, alias: str, column: str, at: int, deep: int = 0) -> tuple[int, Column] | None:
        """Find the column of a relation that an alias's column means, through subqueries and verdicts; with its position."""
        meant = self.find_relation(alias, at)
        if not meant or deep > _DEEP:
            return None
        position, relation = meant
        if relation == "ferry.standardized":
            return self._find_judged(alias, position, deep)
        if "." in relation or relation == "affected":
            return position, (relation, column)
        if body := self.subqueries.get(relation):
            inner = Text(body, self.line, self.changed)
            for pattern in (
                rf"\b([a-z]\w*)\.({_NAME})\s+AS\s+{re.escape(column)}\b",
                rf"\b([a-z]\w*)\.({re.escape(column)})\b",
                r"\b([a-z]\w*)\.(\*)",
            ):
                if match := re.search(pattern, body):
                    name = column if match[2] == "*" else match[2].strip('"')
                    inner = Text(body, self.line, self.changed)
                    found = inner.find_column(match[1], name, len(body), deep + 1) or self.find_column(
                        match[1], name, at, deep + 1
                    )
                    return (position, found[1]) if found else None
        return None

    def _find_judged(self, alias: str, position: int, deep: int) -> tuple[int, Column] | None:
        """Find the column whose raw value a verdict is about, as an equality before or at its definition says it."""
        for match in _EQUAL.finditer(self.sql):
            pairs = ((match[2], match[3], match[5], match[6]), (match[5], match[6], match[2], match[3]))
            for mine, own, other, column in pairs:
                found = self.find_relation(other, match.start()) if mine == alias and own in {"raw", "value"} else None
                if found and found[0] < position:
                    column_of = self.find_column(other, column, match.start(), deep + 1)
                    return (position, column_of[1]) if column_of else None
        return None

    def find_joins(self) -> Iterator[Join]:
        """Find the equalities of two columns, each from what is defined first to what is defined later."""
        for match in _EQUAL.finditer(self.sql):
            sides = [(self.find_column(match[n], match[n + 1].strip('"'), match.start()), match[n]) for n in (2, 5)]
            (one, first), (other, second) = sides
            if not one or not other or (one[1] == other[1] and first == second):
                continue
            line = self.line + self.sql[: match.start()].count("\n")
            of, to, alias = (one[1], other[1], second) if one[0] <= other[0] else (other[1], one[1], first)
            meant = self.find_relation(alias, match.start())
            if meant and meant[1] != "ferry.standardized":
                yield Join(of, to, alias, line, not match[1] and not match[4])


def read_texts(unit: Unit) -> list[Text]:
    """Read the SELECTs of a unit: its body first, then its lineages."""
    return [
        Text(_blank_comments(unit.body), unit.line),
        *(Text(_blank_comments(s.lineage), s.line, s.relation) for s in unit.sources if s.lineage),
    ]


def _blank_comments(sql: str) -> str:
    return re.sub(r"--[^\n]*", "", sql)


@dataclass(frozen=True)
class Ways:
    """The ways between legacy's columns that some units of a route use."""

    route: Route
    columns: Mapping[str, Collection[str]] = field(default_factory=dict)  # of legacy's tables, where they are known
    _made: dict[Column, frozenset[Column]] = field(default_factory=dict)

    def find_units(self, unit: Unit) -> tuple[Unit, ...]:
        """Find the units that one needs, itself the last, in merge order: its sources, and what it reads beside them."""
        makers = {u.relation: u for u in self.route.units}
        needed, open_ = {unit.name}, [unit]
        while open_:
            one = open_.pop()
            read = {s.relation for s in one.sources}
            read |= {relation for text in read_texts(one) for _, _, relation in text.defined}
            for maker in (makers[r] for r in read if r in makers):
                if maker.name not in needed:
                    needed.add(maker.name)
                    open_.append(maker)
        return tuple(u for u in self.route.units if u.name in needed)

    def find_edges(self, units: tuple[Unit, ...]) -> set[tuple[Column, Column]]:
        """Find the pairs of legacy's columns of which one leads to the other, and those that are one key."""
        edges: set[tuple[Column, Column]] = set()
        for unit in units:
            for text in read_texts(unit):
                for join in text.find_joins():
                    of, to = self.find_origins(join.of, unit), self.find_origins(join.to, unit)
                    if text.changed:  # a lineage goes from what changed to the key: what the key needs is the other way
                        of, to = to, of
                    edges |= {(a, b) for a in of for b in to}
            key = self.find_key(unit)
            edges |= {(a, b) for a in key for b in key if a != b}
        return edges

    def find_key(self, unit: Unit) -> frozenset[Column]:
        """Find the columns of legacy that are a unit's affected key, or that its identity is of."""
        return frozenset(c for s in unit.sources if s.column for c in self._find_source(s))

    def _find_source(self, source: Source) -> frozenset[Column]:
        column = str(source.column)
        if source.is_captured:
            known = self.columns.get(source.name, ())
            named = re.findall(_NAME, re.sub(r"'[^']*'", "", column))
            used = {n.strip('"') for n in named if n.strip('"') in known}
            if column.isidentifier():
                return frozenset({(source.name, column)})
            return frozenset({(source.name, used.pop())} if len(used) == 1 else ())
        return self.find_origins((source.relation, column), None)

    def find_origins(self, column: Column, unit: Unit | None) -> frozenset[Column]:
        """Find the columns of legacy that a column of any relation stands for; none where that is not plain."""
        relation, name = column
        if relation == "affected":
            return self.find_key(unit) if unit else frozenset()
        if relation.startswith(f"{self.route.schema}."):
            return frozenset({(relation.partition(".")[2], name)})
        if column not in self._made:
            self._made[column] = frozenset()  # who leads back to itself says nothing
            maker = next((u for u in self.route.units if u.relation == relation), None)
            self._made[column] = self._trace(maker, name) if maker else frozenset()
        return self._made[column]

    def _trace(self, maker: Unit, column: str) -> frozenset[Column]:
        if isinstance(maker, IdentityMapping):
            return self._trace_cluster(maker) if column == "cluster" else self.find_key(maker)
        assert isinstance(maker, EntityMapping)
        found: set[Column] = set()
        if maker.counts and maker.counts.expression == column:
            found.add((maker.counts.table, maker.counts.column))
        if column == maker.scope:
            found |= self.find_key(maker)
        for origin in lineage.find_origins(maker):
            plain = re.fullmatch(r"[a-z]\w*\.([a-z_]\w*)", origin.expression)
            if origin.column == column and plain and origin.kind is None:
                found.add((origin.table, plain[1]))
        return frozenset(found)

    def _trace_cluster(self, maker: IdentityMapping) -> frozenset[Column]:
        """Find the columns whose verdict, or whose own value, is what makes legacy rows one."""
        text = read_texts(maker)[0]
        match = re.search(rf"\b([a-z]\w*)\.({_NAME})(?:\s+END)?\s+AS\s+cluster\b", text.sql, re.IGNORECASE)
        found = text.find_column(match[1], match[2], len(text.sql)) if match else None
        return self.find_origins(found[1], maker) if found else frozenset()
