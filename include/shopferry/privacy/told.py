"""Which columns a person is told, by the data map: the same lines that say what an erasure does with them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from shopferry.route.personal import Category, DataMap, Line

# What somebody has given or caused themselves (GDPR Art. 20), where it is processed by consent or for a contract.
_PROVIDED = frozenset(
    (
        Category.IDENTITY,
        Category.CONTACT,
        Category.ADDRESS,
        Category.CONSENT,
        Category.PURCHASE,
        Category.PAYMENT,
        Category.FREE_TEXT,
    )
)


@dataclass(frozen=True)
class Told:
    """One table's columns: the lines of those that are told, and why the others are named alone."""

    lines: Mapping[str, Line]
    withheld: Mapping[str, str]

    @property
    def provided(self) -> frozenset[str]:
        """The columns that the person may take along to somebody else."""
        return frozenset(
            name
            for name, line in self.lines.items()
            if line.category in _PROVIDED and line.basis in {"consent", "contract"}
        )


def choose(data_map: DataMap, schema: str, table: str, names: Collection[str]) -> Told:
    """Choose which of a table's columns are told; `schema` is the one by which the data map calls it."""
    lines, withheld = {}, {}
    for name in names:
        line = data_map.find(schema, table, name)
        if line is None:
            withheld[name] = "no line of the data map says what it holds"
        elif line.people != "customers":
            withheld[name] = f"it is data of {line.people}"
        elif line.category is Category.CREDENTIAL:
            withheld[name] = "it is what you sign in with"
        else:
            lines[name] = line
    return Told(lines, withheld)


def describe(line: Line) -> dict[str, Any]:
    """Say of one column what it holds, what for, on which basis, how long, and who gets it."""
    return {
        "category": line.category.value,
        "purposes": list(line.purposes),
        "basis": line.basis or None,
        "kept": line.keep or None,
        "recipients": list(line.recipients),
    }
