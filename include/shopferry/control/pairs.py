"""Pairs of rows that may be one: how alike they are, and what people have decided. They name rows by keys alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import sql
from psycopg.rows import class_row

from shopferry.control.schema import SQL
from shopferry.db import Connection, load_queries

_Q = load_queries(SQL / "pairs.sql")

STATES = ("new", "same", "different", "later")
BY_HAND = "by_hand"  # the rule of a pair that somebody has named, and no rule has found
_ALL = 2_000_000_000


@dataclass(frozen=True)
class Pair:
    """One pair, the lower key first; `who`, `at` and `why` are of the last decision, or of its being taken back."""

    a: int
    b: int
    score: float
    features: Mapping[str, float]
    rule: str
    state: str  # one of STATES
    who: str | None
    at: datetime | None
    why: str | None

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.a}–{self.b}"

    @property
    def told(self) -> str:
        """The pair with what was decided of it."""
        return f"{self.name} {self.state}, by {self.who} on {self.at:%Y-%m-%d %H:%M}"


@dataclass(frozen=True)
class Wanted:
    """Which pairs are asked for; what is None does not matter."""

    rule: str | None = None
    state: str | None = None
    above: float = 0.0


@dataclass(frozen=True)
class Decision:
    """What somebody has decided: a state of STATES, `new` when a decision is taken back."""

    state: str
    who: str
    why: str


@dataclass(frozen=True)
class Count:
    """How many pairs a rule has found in one state, and how many of them are surely alike."""

    rule: str
    state: str
    pairs: int
    sure: int


@dataclass(frozen=True)
class Search:
    """The last search: how many pairs were compared and kept; `passed` are the blocks that were too large, by rule."""

    at: datetime
    who: str
    seconds: float
    compared: int
    kept: int
    passed: Mapping[str, int]


def find(conn: Connection, route: str, entity: str, wanted: Wanted, limit: int = _ALL) -> list[Pair]:
    """Find pairs of an identity, the most alike first."""
    return _load(conn, "find", route, entity, vars(wanted) | {"limit": limit})


def draw_sample(conn: Connection, route: str, entity: str, rule: str, above: float, limit: int) -> list[Pair]:
    """Draw so many undecided pairs of a rule by chance."""
    return _load(conn, "sample", route, entity, {"rule": rule, "above": above, "limit": limit})


def load(conn: Connection, route: str, entity: str, a: int, b: int) -> Pair | None:
    """Load one pair and lock it; None where nobody knows it."""
    return next(iter(_load(conn, "one", route, entity, {"a": a, "b": b})), None)


def load_among(conn: Connection, route: str, entity: str, keys: Sequence[int]) -> list[Pair]:
    """Load what is decided, same or different, between any of these keys."""
    return _load(conn, "among", route, entity, {"keys": list(keys)})


def load_of_keys(conn: Connection, route: str, entity: str, keys: Sequence[int]) -> list[Pair]:
    """Load all pairs of any of these keys."""
    return _load(conn, "of_keys", route, entity, {"keys": list(keys)})


def _load(conn: Connection, query: str, route: str, entity: str, given: Mapping[str, Any]) -> list[Pair]:
    with conn.cursor(row_factory=class_row(Pair)) as cur:
        return cur.execute(_Q[query], {"route": route, "entity": entity, **given}).fetchall()


def count(conn: Connection, route: str, entity: str, sure: float) -> list[Count]:
    """Count pairs by rule and state, and those whose score is at least `sure`."""
    with conn.cursor(row_factory=class_row(Count)) as cur:
        return cur.execute(_Q["count"], {"route": route, "entity": entity, "sure": sure}).fetchall()


def add(conn: Connection, route: str, entity: str, pair: Pair) -> None:
    """Add a pair that no rule has found."""
    given = {"a": pair.a, "b": pair.b, "score": pair.score, "features": json.dumps(pair.features), "rule": pair.rule}
    conn.execute(_Q["add"], {"route": route, "entity": entity, **given})


def decide(
    conn: Connection,
    route: str,
    entity: str,
    keys: Sequence[tuple[int, int]],
    decision: Decision,
    changed: sql.Identifier,
) -> int:
    """Keep what was decided of these pairs, and note them in the temp table `changed`; returns how many."""
    given = {"ones": [a for a, _ in keys], "others": [b for _, b in keys], **vars(decision)}
    row = conn.execute(
        sql.SQL(_Q["set"]).format(changed=changed), {"route": route, "entity": entity, **given}
    ).fetchone()
    assert row
    return int(row[0])


def forget(conn: Connection, route: str, entity: str, keys: Sequence[int], changed: sql.Identifier) -> int:
    """Delete all pairs of these keys, and note them in the temp table `changed`; returns how many."""
    given = {"route": route, "entity": entity, "keys": list(keys)}
    row = conn.execute(sql.SQL(_Q["forget"]).format(changed=changed), given).fetchone()
    assert row
    return int(row[0])


def refresh(conn: Connection, route: str, entity: str) -> None:
    """Take over what a search has found, from the temp table `pair_scored`; decided pairs stay as they are."""
    given = {"route": route, "entity": entity, "by_hand": BY_HAND}
    conn.execute(_Q["refresh_lost"], given)
    conn.execute(_Q["refresh_found"], given)


def book_search(
    conn: Connection, route: str, who: str, *, seconds: float, compared: int, kept: int, passed: Mapping[str, int]
) -> None:
    """Book that pairs were looked for."""
    given = {"who": who, "seconds": seconds, "compared": compared, "kept": kept, "passed": json.dumps(passed)}
    conn.execute(_Q["searched"], {"route": route, **given})


def load_search(conn: Connection, route: str) -> Search | None:
    """Load the last search; None before the first."""
    with conn.cursor(row_factory=class_row(Search)) as cur:
        return cur.execute(_Q["search"], {"route": route}).fetchone()


def find_last_sample(conn: Connection, who: str, verb: str, relation: str) -> datetime | None:
    """Find when somebody was shown a sample last; None before the first time."""
    row = conn.execute(_Q["sampled"], {"who": who, "verb": verb, "relation": relation}).fetchone()
    return row[0] if row else None


def load_persons(conn: Connection, entity: str, keys: Sequence[int]) -> dict[int, int]:
    """Load all keys that are one row with any of these, each with its shop key."""
    rows = conn.execute(_Q["persons"], {"entity": entity, "keys": list(keys)}).fetchall()
    return {int(key): int(shop) for key, shop in rows}
