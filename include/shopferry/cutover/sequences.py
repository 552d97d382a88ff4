"""Sequences of the new shop: old rows bring their keys along, so new ones must be numbered behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg.sql import SQL, Identifier, Literal

from shopferry.control.gates import Gate
from shopferry.db import Connection, load_queries
from shopferry.route.route import Route

_Q = load_queries(Path(__file__).parent / "sql" / "sequences.sql")
_ROOM = 0.1  # of all numbers: with fewer left the new shop stops taking rows too soon
_NAMED = 5


@dataclass(frozen=True)
class Numbering:
    """One sequence: the columns it numbers, the number it gives next, the largest in use, and the most that all hold.

    `next` and `largest` are None where we may not look, or where a column that it numbers holds no numbers.
    """

    oid: int
    sequence: str
    columns: tuple[str, ...]
    most: int
    ascending: bool
    numeric: bool
    may_set: bool
    next: int | None = None
    largest: int | None = None

    @property
    def following(self) -> int | None:
        """The number it gives next once the cutover has set it: past every key, never backwards."""
        return None if self.next is None or self.largest is None else max(self.next, self.largest + 1)

    @property
    def left(self) -> float:
        """Which share of its numbers is left from there on."""
        return 1.0 if self.following is None else (self.most - self.following + 1) / self.most

    @property
    def fault(self) -> str | None:
        """Why the cutover cannot set it, or the new shop not go on with it; None when nothing is wrong."""
        of = f"{self.sequence} of {', '.join(self.columns)}"
        if not self.numeric:
            return None  # what it makes of the number is for whoever wrote that default to know
        if not self.may_set:
            return f"no right to read and set {of}"
        if not self.ascending:
            return f"{of} counts down"
        if self.following is not None and self.left < _ROOM:
            return f"{of} would go on at {self.following:,}, and {self.most:,} is its last number"
        return None


def numberings(shop: Connection, route: Route) -> list[Numbering]:
    """Every sequence that numbers columns of the route's tables, as it stands now."""
    found: dict[int, Numbering] = {}
    for entity in route.entities:
        table = Identifier(*entity.split("."))
        for column, oid, schema, name, increment, most, numeric, may_set in shop.execute(
            _Q["columns"], {"table": entity}
        ).fetchall():
            following = largest = None
            if numeric and may_set:
                row = shop.execute(
                    SQL(_Q["next"].rstrip(";")).format(
                        increment=Literal(increment),
                        column=Identifier(column),
                        table=table,
                        sequence=Identifier(schema, name),
                    )
                ).fetchone()
                assert row
                following, largest = int(row[0]), int(row[1])
            one = Numbering(
                oid,
                f"{schema}.{name}",
                (f"{entity}.{column}",),
                int(most),
                increment > 0,
                numeric,
                may_set,
                following,
                largest,
            )
            found[oid] = _joined(found[oid], one) if oid in found else one
    return list(found.values())


def _joined(one: Numbering, other: Numbering) -> Numbering:
    """One sequence that numbers several columns must be past the keys of all, and fit into each."""
    largest = None if one.largest is None or other.largest is None else max(one.largest, other.largest)
    return Numbering(
        one.oid,
        one.sequence,
        one.columns + other.columns,
        min(one.most, other.most),
        one.ascending,
        one.numeric and other.numeric,
        one.may_set,
        one.next,
        largest,
    )


def advance(shop: Connection, route: Route, elsewhere: Mapping[str, int] | None = None) -> None:
    """Set every sequence of the shop's tables past the keys that came from legacy; never backwards, so it may be repeated.

    `elsewhere` says of columns from which number on the other store has given none out: theirs begin no earlier.
    """
    for numbering in numberings(shop, route):
        if numbering.following is not None and numbering.ascending:
            others = [n for column, n in (elsewhere or {}).items() if column in numbering.columns]
            shop.execute(_Q["set"], {"sequence": numbering.oid, "next": max([numbering.following, *others])})


def gate(found: Sequence[Numbering]) -> Gate:
    """Whether all of them can be set past the keys in use, and have numbers left to go on with."""
    faults = [n.fault for n in found if n.fault]
    if faults:
        evidence = "; ".join(faults[:_NAMED]) + (f"; and {len(faults) - _NAMED} more" if len(faults) > _NAMED else "")
    elif counted := [n for n in found if n.following is not None]:
        least = min(counted, key=lambda n: n.left)
        behind = sum(n.following != n.next for n in counted)
        few = f"{least.sequence} has fewest left, {least.left:.1%}"
        evidence = f"{len(counted)} sequences, {behind} to be set past their keys; {few}"
    else:
        evidence = "no column is numbered by a sequence"
    if texts := [n for n in found if not n.numeric]:
        evidence += f"; not ours to judge: {', '.join(c for n in texts for c in n.columns)}, no number"
    return Gate(
        "sequences will not collide",
        not faults,
        evidence,
        "GRANT SELECT, UPDATE ON SEQUENCE, ALTER SEQUENCE … INCREMENT 1, or ALTER the column and its sequence to bigint",
    )
