"""A route: all its mappings, in the order in which they must be merged.

A mapping is data here; running it is the part of `engine.merge`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from shopferry.errors import ConfigError, MappingError
from shopferry.route import mapping_file, settings
from shopferry.route.entities import CLEAN, SETTING, EntityMapping, Unit
from shopferry.route.settings import FILE, INACTIVE_SINCE, Setting
from shopferry.settings import REVERSE, name_slot, routes_dir

FUNCTIONS = "functions.sql"
NO_MAPPINGS = {
    "activate",
    "assess",
    "audit",
    "campaign",
    "cases",
    "checks",
    "pairs",
    "report",
    "reverse",
}  # folders of a route
_SETTING = re.compile(rf"{re.escape(SETTING)}\b[^;]{{0,40}}?\bname\s*=\s*'([^']+)'", re.IGNORECASE)


def find_folder(name: str, root: Path | None = None) -> Path:
    """Find where a route's files lie. The reverse of a route is a route of its own: `demo_reverse` is in `demo/reverse`."""
    root = root or routes_dir()
    return root / name.removesuffix(REVERSE) / "reverse" if name.endswith(REVERSE) else root / name


def leads_back(name: str) -> bool:
    """Tell whether a route has mappings that lead back."""
    return any(find_folder(f"{name}{REVERSE}").glob("*/*.sql"))


@dataclass(frozen=True)
class Route:
    """One pair of stores with its mappings, in the order in which they must be merged."""

    name: str
    units: tuple[Unit, ...]
    phases: tuple[str, ...]
    schema: str = "legacy"  # of the mirror's views: the store that is read
    shop_schema: str = "shop"  # where the new shop has its tables
    functions: str = ""  # what makes its own functions
    settings: tuple[Setting, ...] = ()  # of the installation, and the day of [retention] where a mapping reads it

    @classmethod
    def load(cls, name: str, root: Path | None = None) -> Route:
        """Read every mapping of `<root>/<name>/<phase>/`, in the folder of routes if none is given.

        Raises MappingError with file and line.
        """
        root = root or routes_dir()
        folder = find_folder(name, root)
        files = sorted(folder.glob("*/*.sql"))
        units = [mapping_file.read(f, f.relative_to(root.parent)) for f in files if f.parent.name not in NO_MAPPINGS]
        if not units:
            raise MappingError(f"{folder}: no mapping file <phase>/<entity>.sql: a route needs at least one")
        needed = _find_needs(units)
        ordered = _order(units, needed)
        phases = _order_phases(ordered, needed)
        schema = "shop" if name.endswith(REVERSE) else "legacy"
        for unit in ordered:
            for source in unit.sources:
                if source.is_ours and schema == "shop":
                    raise MappingError(
                        f"{unit.file}:{source.line}: {source.relation} is no source of a mapping that leads back"
                    )
                if source.is_captured and not source.relation.startswith(f"{schema}."):
                    raise MappingError(
                        f"{unit.file}:{source.line}: source {source.relation!r} is not of the store that route {name} reads, "
                        f"which is {schema}"
                    )
        said = settings.load(name.removesuffix(REVERSE), root)
        functions = folder / FUNCTIONS
        route = cls(
            name,
            tuple(sorted(ordered, key=lambda u: phases.index(u.phase))),
            phases,
            schema,
            said.shop_schema,
            functions.read_text() if functions.exists() else "",
            said.settings,
        )
        return route.take_policy(said.retention.inactive_since).require_settings()

    def require_settings(self) -> Route:
        """Return the route itself. Raises MappingError where a file reads a setting that route.toml does not have."""
        known = {s.name for s in self.settings}
        for setting, where in self._find_settings_read():
            if setting not in known:
                raise MappingError(
                    f"{where}: reads setting {setting!r}, which route.toml does not have: "
                    f'write `{setting} = "…"` under [settings]'
                )
        return self

    def take_policy(self, inactive_since: date | None) -> Route:
        """Return the route with the day of the policy for inactive accounts as a setting, empty where there is none.

        Raises ConfigError where there is a day, and no mapping reads it.
        """
        if any(setting == INACTIVE_SINCE for setting, _ in self._find_settings_read()):
            day = inactive_since.isoformat() if inactive_since else ""
            return replace(self, settings=(*self.settings, Setting(INACTIVE_SINCE, day)))
        if inactive_since and not self.reverse:
            raise ConfigError(
                f"{self.name}/{FILE}: retention.{INACTIVE_SINCE}: no mapping of this route reads it, so everybody would be "
                "carried: see docs/howto/inactive-accounts.md, or take it out"
            )
        return self

    def _find_settings_read(self) -> Iterator[tuple[str, str]]:
        """Find the settings that files of the route read, each with file and line."""
        texts = [(f"{u.file}", u.line, t) for u in self.units for t in (u.body, *(s.lineage or "" for s in u.sources))]
        texts.append((f"{self.name}/{FUNCTIONS}", 1, self.functions))
        for where, line, text in texts:
            for found in _SETTING.finditer(text):
                yield found[1], f"{where}:{line + text[: found.start(1)].count(chr(10))}"

    @property
    def captured_schema(self) -> str:
        """Where the captured tables lie in the store that is read."""
        return self.shop_schema if self.reverse else "public"

    @property
    def reverse(self) -> bool:
        """Whether it leads back: it reads the new shop and writes the legacy store."""
        return self.name.endswith(REVERSE)

    @property
    def base_name(self) -> str:
        """The name of the folder: that of the route itself, also of the one that leads back."""
        return self.name.removesuffix(REVERSE)

    @property
    def has_way_back(self) -> bool:
        """Whether there are mappings that lead back."""
        return leads_back(self.name)

    @property
    def fingerprint(self) -> str:
        """The same for the same mappings, wherever they lie: whether what is installed is what the files say."""
        said = repr([replace(u, file=Path(u.file.name)) for u in self.units])
        return hashlib.sha256(f"{said}{self.functions}{self.shop_schema}".encode()).hexdigest()

    @property
    def publication(self) -> str:
        """The name of its publication, which is also its replication slot's."""
        return name_slot(self.name)

    @cached_property
    def back(self) -> Route | None:
        """The route that leads back; None where there are no mappings for it."""
        return Route.load(name_reverse(self.name)) if self.has_way_back else None

    @property
    def entities(self) -> list[str]:
        """The target's tables that it fills, schema-qualified, each once; not those of its own schema."""
        return sorted({m.entity for m in self.mappings if not m.entity.startswith(f"{CLEAN}.")})

    @property
    def has_clean(self) -> bool:
        """Whether it has functions, or entities of its own between its mappings."""
        return bool(self.functions) or any(m.entity.startswith(f"{CLEAN}.") for m in self.mappings)

    @property
    def legacy_tables(self) -> list[str]:
        """Legacy's tables that a switch closes or opens: all that is read there, and all that the way back fills."""
        return sorted({f"public.{t}" for t in self.tables} | set(self.back.entities if self.back else ()))

    @property
    def shop_tables(self) -> list[str]:
        """The new shop's tables that a switch closes or opens: all that it fills, and all that the way back reads."""
        return sorted(set(self.entities) | {f"{self.shop_schema}.{t}" for t in (self.back.tables if self.back else ())})

    def of(self, phase: str) -> tuple[Unit, ...]:
        """Return the units of one phase, in merge order. Raises MappingError for an unknown phase."""
        if phase not in self.phases:
            raise MappingError(f"route {self.name} has no phase {phase!r}: its phases are {', '.join(self.phases)}")
        return tuple(u for u in self.units if u.phase == phase)

    @property
    def mappings(self) -> tuple[EntityMapping, ...]:
        """The entity mappings alone, in merge order."""
        return tuple(u for u in self.units if isinstance(u, EntityMapping))

    @property
    def tables(self) -> tuple[str, ...]:
        """All captured legacy tables, sorted."""
        return tuple(sorted({t for u in self.units for t in u.tables}))

    @cached_property
    def witnessed(self) -> dict[str, tuple[str, ...]]:
        """The columns of which every state is kept, by captured table; the first that a mapping names comes first."""
        found: dict[str, tuple[str, ...]] = {}
        for unit in self.units:
            for table, columns in unit.witness:
                found[table] = tuple(dict.fromkeys((*found.get(table, ()), *columns)))
        return found

    @property
    def derived(self) -> tuple[EntityMapping, ...]:
        """The mappings of phases that read no captured table: what they fill is counted together from the new shop alone."""
        own = {phase for phase in self.phases if not any(u.tables for u in self.of(phase))}
        return tuple(m for m in self.mappings if m.phase in own)

    @property
    def carried_tables(self) -> list[str]:
        """The new shop's tables whose rows a rollback must carry back: of what is derived nothing is lost."""
        return sorted(set(self.shop_tables) - {m.entity for m in self.derived})

    def tables_of(self, phase: str) -> tuple[str, ...]:
        """Return the legacy tables that this phase is the first to read."""
        earlier = {t for p in self.phases[: self.phases.index(phase)] for u in self.of(p) for t in u.tables}
        return tuple(sorted({t for u in self.of(phase) for t in u.tables} - earlier))


def _find_needs(units: list[Unit]) -> dict[str, set[str]]:
    """Find the units that each unit must be merged after: by `after`, and because it reads what they make."""
    names, made = {u.name for u in units}, {u.relation: u.name for u in units}
    needed: dict[str, set[str]] = {}
    for unit in units:
        needed[unit.name] = set(unit.after)
        for missing in sorted(needed[unit.name] - names):
            raise MappingError(f"{unit.file}:1: after {missing!r}: there is no such mapping in this route")
        for source in unit.sources:
            if source.is_captured or source.is_ours:
                continue
            if made.get(source.relation, unit.name) == unit.name:
                fills = (
                    "file <phase>/*.identity.sql defines" if source.is_identity else "other mapping of this route fills"
                )
                raise MappingError(f"{unit.file}:{source.line}: source {source.relation}: no {fills} it")
            needed[unit.name].add(made[source.relation])
    return needed


def _order(units: list[Unit], needed: dict[str, set[str]]) -> list[Unit]:
    by_name = {u.name: u for u in units}
    try:
        return [by_name[n] for n in TopologicalSorter(dict(sorted(needed.items()))).static_order()]
    except CycleError as error:
        cycle = " → ".join(error.args[1])
        raise MappingError(f"{by_name[error.args[1][0]].file}:1: cycle in `after`: {cycle}") from None


def _order_phases(ordered: list[Unit], needed: dict[str, set[str]]) -> tuple[str, ...]:
    """Order the phases, each after those that its units depend on; the units are in dependency order already."""
    phase_of = {u.name: u.phase for u in ordered}
    graph: dict[str, set[str]] = {u.phase: set() for u in ordered}
    for unit in ordered:
        graph[unit.phase] |= {phase_of[n] for n in needed[unit.name]} - {unit.phase}
    try:
        return tuple(TopologicalSorter(dict(sorted(graph.items()))).static_order())
    except CycleError as error:
        first = next(u for u in ordered if u.phase == error.args[1][0])
        raise MappingError(f"{first.file}:1: phases depend on one another: {' → '.join(error.args[1])}") from None


def name_reverse(name: str) -> str:
    """Return the name of the route that leads back."""
    return f"{name}{REVERSE}"
