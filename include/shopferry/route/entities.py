"""Mappings as data: what one mapping file says of an entity or of an identity."""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from shopferry.route.identifiers import shorten_name

OPTOUT = "ferry.optout"  # opt-outs kept elsewhere, which imports change
CLOCK = "ferry.clock"  # the day that it is for mappings, which ticks change
PAIR = "ferry.pair"  # pairs of accounts that may be one person, which decisions change
OURS = {
    OPTOUT: "an import",
    CLOCK: "a tick",
    PAIR: "a decision",
}  # tables of ours that are sources, and what changes them
SETTING = "ferry.setting"  # the installation's settings
CLEAN = "clean"  # the schema of a route's own functions, and of entities that are there for other mappings
_SLUG, _CUT = 50, 41  # bytes: with what stands before it, a temp table's name has at most 63


def name_changed_table(relation: str) -> str:
    """Return the temp table of the images of a captured table, an identity or ours: of `legacy.orders` it is `changed_orders`."""
    schema, _, name = relation.partition(".")
    return shorten_name(f"changed_{schema}_{name}" if schema in {"identity", "ferry"} else f"changed_{name}")


def name_changed_entity(entity: str) -> str:
    """Return the temp table of an entity's images: of `shop.customer_order` it is `changed_entity_customer_order`."""
    return shorten_name(f"changed_entity_{entity.partition('.')[2]}")


def name_witness(table: str) -> str:
    """Return the table in schema ferry that holds the states of a captured table's rows."""
    return shorten_name(f"witness_{table}")


@dataclass(frozen=True)
class Source:
    """What makes an entity's key affected, by column or by a lineage SELECT.

    It is a captured table, an identity, another entity, or a table of ours.
    """

    relation: str  # 'legacy.orders', 'identity.customer', 'shop.customer_order' or 'ferry.optout'
    column: str | None  # the column that is the key; None: `lineage` says
    lineage: str | None
    line: int = field(default=1, compare=False)  # where the lineage's SELECT begins, or the header names the source
    is_entity: bool = False  # whether the route itself fills it

    @property
    def changed(self) -> str:
        """The temp table that holds the before and after images of this source's changed rows."""
        return name_changed_entity(self.relation) if self.is_entity else name_changed_table(self.relation)

    @property
    def name(self) -> str:
        """The table's or the identity's name."""
        return self.relation.partition(".")[2]

    @property
    def is_identity(self) -> bool:
        """Whether it is an identity."""
        return self.relation.startswith("identity.")

    @property
    def is_captured(self) -> bool:
        """Whether it is a table of the store that is read."""
        return not self.is_identity and not self.is_entity and not self.is_ours

    @property
    def is_ours(self) -> bool:
        """Whether it is a table of ours."""
        return self.relation in OURS


@dataclass(frozen=True)
class Standardize:
    """All distinct values of `expression` over `table`, and over its witness if so asked, must stand in ferry.standardized."""

    kind: str
    table: str
    expression: str
    line: int = field(default=1, compare=False)
    of_witness: bool = False


@dataclass(frozen=True)
class Counts:
    """Which legacy row is accounted for by which row of the target: `expression` says its key of a row's columns."""

    table: str
    column: str
    expression: str
    line: int = field(default=1, compare=False)


@dataclass(frozen=True)
class Unit(ABC):
    """What entity and identity mappings share: a SELECT over `affected(key)` and what makes a key affected."""

    name: str  # '<phase>/<file stem>', as `after` names it
    schema: str  # of the mirror's views: 'legacy' or 'shop', the store that is read
    file: Path
    line: int  # where the SELECT begins
    body: str
    sources: tuple[Source, ...]
    standardize: tuple[Standardize, ...]
    indexes: tuple[tuple[str, str], ...]  # (legacy table, column list)
    after: tuple[str, ...]
    witness: tuple[tuple[str, tuple[str, ...]], ...]  # (captured table, columns whose every state is kept)
    reads_settings: bool

    @property
    @abstractmethod
    def target(self) -> str:
        """What it makes: an entity, or an identity."""

    @property
    def relation(self) -> str:
        """What it makes, as others name it for a source."""
        return self.target

    @property
    @abstractmethod
    def changed(self) -> str:
        """The temp table that holds the before and after images of what it has changed."""

    @property
    def phase(self) -> str:
        """The phase that merges it first."""
        return self.name.partition("/")[0]

    @property
    def reverse(self) -> bool:
        """Whether it leads back: it reads the new shop and makes legacy's rows."""
        return self.schema == "shop"

    @property
    def slug(self) -> str:
        """Its name as part of a temp table's; another unit's is another."""
        phase, _, file = self.name.partition("/")
        plain = re.sub(r"\W", "_", self.name)
        if plain == f"{phase}_{file}" and "_" not in phase and len(plain.encode()) <= _SLUG:
            return plain
        return f"{plain.encode()[:_CUT].decode(errors='ignore')}_{hashlib.sha256(self.name.encode()).hexdigest()[:8]}"

    @cached_property
    def tables(self) -> frozenset[str]:
        """The captured tables it reads, by any of its SELECTs."""
        texts = [self.body, *(s.lineage or "" for s in self.sources)]
        named = {m for text in texts for m in re.findall(rf"\b{self.schema}\.([a-z_][a-z0-9_]*)\b", text)}
        named |= {s.name for s in self.sources if s.is_captured}
        return frozenset(named | {s.table for s in self.standardize} | {table for table, _ in self.witness})

    @property
    def simple_sources(self) -> tuple[Source, ...]:
        """The captured tables and identities whose column is the key: what the backfill walks over."""
        return tuple(s for s in self.sources if s.column and not s.is_entity)


@dataclass(frozen=True)
class EntityMapping(Unit):
    """One entity: how its rows come from the mirror, and which rows of the target they may replace."""

    entity: str
    key: tuple[str, ...]
    scope: str
    counts: Counts | None

    @property
    def target(self) -> str:
        """Its entity."""
        return self.entity

    @property
    def changed(self) -> str:
        """That of its entity's rows."""
        return name_changed_entity(self.entity)


@dataclass(frozen=True)
class IdentityMapping(Unit):
    """One identity: which legacy rows are the same shop row, and where new shop keys come from.

    They are drawn from a sequence, are the first legacy key, or are yielded by its SELECT; `text` makes of `shop_key` what the
    target has for a key.
    """

    identity: str
    sequence: str | None
    text: str | None

    @property
    def target(self) -> str:
        """Its identity."""
        return self.identity

    @property
    def relation(self) -> str:
        """Its identity."""
        return f"identity.{self.identity}"

    @property
    def changed(self) -> str:
        """That of the identities that moved."""
        return name_changed_table(self.relation)
