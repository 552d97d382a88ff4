"""The route's rules for pairs: `pairs/*.sql`, each one SELECT of blocks whose rows may be one; and what is compared: `pairs.sql`.

The grammar is in docs/howto/duplicates.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shopferry.errors import ConfigError
from shopferry.insight.activation_file import read_headed
from shopferry.insight.selects import Select
from shopferry.route.entities import IdentityMapping
from shopferry.route.route import Route
from shopferry.settings import routes_dir

FOLDER, FILE = "pairs", "pairs.sql"
BLOCKS = ("block", "key")
VALUES = ("key", "given", "family", "email", "phones", "addresses", "cards")
_WORDS = ("pairs", "owner", "most")


@dataclass(frozen=True)
class Rule:
    """One rule: its SELECT brings keys together in blocks; a block of more than `most` keys makes no pairs."""

    name: str  # the file's stem
    meaning: str
    owner: str
    most: int
    select: Select


@dataclass(frozen=True)
class Rules:
    """All rules of a route, by name, and what is compared of the identity's rows, which are those of `table`."""

    identity: IdentityMapping
    table: str  # as the data map names it: 'legacy.customers'
    values: Select
    rules: tuple[Rule, ...]

    def require(self, name: str) -> Rule:
        """Return the rule of this name. Raises ConfigError naming those that there are."""
        for rule in self.rules:
            if rule.name == name:
                return rule
        raise ConfigError(f"there is no rule {name!r}: {', '.join(r.name for r in self.rules)}")


def has_rules(route: Route, root: Path | None = None) -> bool:
    """Tell whether a route looks for pairs."""
    return any(((root or routes_dir()) / route.base_name / FOLDER).glob("*.sql"))


def load(route: Route, root: Path | None = None) -> Rules:
    """Read the rules. Raises ConfigError where the route has none, MappingError with file and line for what is wrong."""
    root = root or routes_dir()
    files = sorted((root / route.base_name / FOLDER).glob("*.sql"))
    if not files:
        raise ConfigError(
            f"route {route.base_name} has no rules for pairs: docs/howto/duplicates.md says how to write one"
        )
    compared = root / route.base_name / FILE
    if not compared.exists():
        raise ConfigError(f"route {route.base_name} has rules for pairs and no {FILE}, which says what is compared")
    text = read_headed(compared, root, ("identity", "table"))
    named = text.first("identity")
    units = {u.identity: u for u in route.units if isinstance(u, IdentityMapping)}
    if named.value not in units:
        raise text.error(named.line, f"identity {named.value!r} is none of this route's: {', '.join(units) or 'none'}")
    values = Select(text.where, text.body.line, text.body.text)
    rules = tuple(_read(file, root) for file in files)
    return Rules(units[named.value], text.first("table").value, values, rules)


def _read(file: Path, root: Path) -> Rule:
    text = read_headed(file, root, _WORDS)
    said = {word: text.first(word) for word in _WORDS}
    most = said["most"]
    if not most.value.isdigit() or not 2 <= int(most.value) <= 100:
        raise text.error(
            most.line, f"most {most.value!r} is no number from 2 to 100: a larger block makes too many pairs"
        )
    meaning = " ".join((said["pairs"].value, *said["pairs"].more))
    select = Select(text.where, text.body.line, text.body.text)
    return Rule(file.stem, meaning, said["owner"].value, int(most.value), select)
