"""A route's cases: legacy's rows in, the new shop's rows out, through the real engine, in scratch databases.

A case is a folder `<route>/cases/<phase>/<entity>/<case>/`. `legacy.sql` fills the legacy store, `changes.sql` (optional)
changes it later, `optouts.csv` (optional) is imported, `pairs.csv` (optional) says what is decided of pairs,
`settings.toml` (optional) gives settings other values from the start, `clock.txt` (optional) has the day that the clock of
mappings shows, and perhaps a second one to which it is moved, `expected.json` says what must be there in the end. A case with
changes, opt-outs, decisions or a second day runs two ways: `batch`, with them there from the start, and `changes`, with them
coming after everything was merged: opt-outs, decisions, changes, day. Both must end alike, since the same mapping made them.
Tables of the new shop that no mapping fills have the rows that they have there. The grammar of expected.json is in
docs/reference/route-folder.md.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from shopferry import db, installation
from shopferry.authoring import lookups
from shopferry.control import installed_settings, phases, schema
from shopferry.control.pairs import Decision
from shopferry.control.phases import State
from shopferry.db import Connection
from shopferry.engine import clock
from shopferry.engine.backfill import copy_next, plan_copy, resync, standardize
from shopferry.engine.merge_chunks import begin_merge, is_merged, merge_next
from shopferry.engine.pair import Stores, open_stores
from shopferry.errors import ConfigError, MappingError
from shopferry.insight import pair_decisions, pair_files
from shopferry.insight.pair_files import Rules
from shopferry.privacy import optout_files, optouts
from shopferry.rehearsal import rehearsal
from shopferry.route.entities import EntityMapping
from shopferry.route.route import Route
from shopferry.settings import Settings, routes_dir
from shopferry.stores import scratch

FOLDER = "cases"
_LATER = ("changes.sql", "optouts.csv", "pairs.csv")
_WHO = "test"
_HELD = (("quarantine", "reasons"), ("left_out", "reason"))


@dataclass(frozen=True)
class Case:
    """One case, run one way."""

    folder: Path
    way: str  # batch or changes

    @property
    def phase(self) -> str:
        """The last phase that it runs."""
        return self.folder.parts[-3]

    @property
    def name(self) -> str:
        """As a person names it: phase, entity and case."""
        return "/".join(self.folder.parts[-3:])


@dataclass(frozen=True)
class Outcome:
    """What a case has led to and what it should have, both in the shape of expected.json; rows in one order."""

    found: Mapping[str, Any]
    expected: Mapping[str, Any]
    unaccounted: tuple[str, ...]  # tables of the phase whose rows are not all accounted for

    def list_differences(self) -> list[str]:
        """List what differs, a line each; empty where all is as expected."""
        lines = list(self.unaccounted)
        for what, wanted in self.expected.items():
            found = self.found[what]
            if isinstance(wanted, list):
                lines += [f"{what} lacks {_write(row)}" for row in wanted if row not in found]
                lines += [f"{what} has {_write(row)}, which is not expected" for row in found if row not in wanted]
                if len(found) != len(wanted) and not any(row not in wanted for row in found):
                    lines.append(f"{what} has {len(found)} rows, {len(wanted)} are expected")
            else:
                lines += [
                    f"{what} of {entity}: {_write(found[entity])}, expected is {_write(rows)}"
                    for entity, rows in wanted.items()
                    if found[entity] != rows
                ]
        return lines


def _write(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def find(folder: Path) -> list[Case]:
    """Find the cases below `<folder>/<phase>/<entity>/<case>/`, each as often as it is run."""
    found = []
    for file in sorted(folder.glob("*/*/*/expected.json")):
        later = any((file.parent / name).exists() for name in _LATER)
        later = later or len(_read_days(file.parent)) > 1
        found += [Case(file.parent, way) for way in (("batch", "changes") if later else ("batch",))]
    return found


def run_all(settings: Settings, names: Sequence[str]) -> Iterator[tuple[Case, Outcome]]:
    """Run the route's cases that these name, or the phase or entity of, or all of them, each in scratch databases of its own.

    Raises ConfigError where there is none, MappingError for a file of a case that does not run.
    """
    route = Route.load(settings.route)
    folder = routes_dir() / route.name / FOLDER
    every = find(folder)
    chosen = [c for c in every if not names or any(f"{c.name}/".startswith(f"{n.strip('/')}/") for n in names)]
    if not chosen:
        there = (
            f"it has {', '.join(dict.fromkeys(c.name for c in every))}"
            if every
            else f"make {folder}/<phase>/<entity>/<case>/"
        )
        raise ConfigError(f"route {route.name} has no case {' '.join(names) or 'at all'}: {there}")
    with (
        scratch.create(settings.target_dsn, scratch.name_scratch(route.name, "cases_legacy")) as old,
        scratch.create(settings.target_dsn, scratch.name_scratch(route.name, "cases_shop")) as new,
    ):
        rehearsal.copy_structure(settings.source_dsn, old, schema.install_markers)
        rehearsal.copy_structure(settings.target_dsn, new)
        with open_stores(replace(settings, source_dsn=old, target_dsn=new), "cases") as stores:
            installation.install(stores.source, stores.target, route)
            stores.merger.stage(route.units)
            with db.connect(settings.target_dsn, "cases") as real:
                lookups.copy(real, stores.target, route)
        for case in chosen:
            with (
                scratch.create(settings.target_dsn, scratch.name_scratch(route.name, "case_legacy"), old) as legacy,
                scratch.create(settings.target_dsn, scratch.name_scratch(route.name, "case_shop"), new) as shop,
                open_stores(replace(settings, source_dsn=legacy, target_dsn=shop), "case") as stores,
            ):
                yield case, run(stores, case)


def run(stores: Stores, case: Case) -> Outcome:
    """Run one case in two stores without a row, in which the route is installed."""
    folder = case.folder
    _execute(stores.source, folder / "legacy.sql")
    _take_settings(stores.target, folder / "settings.toml")
    if days := _read_days(folder):
        clock.put(stores.target, days[-1 if case.way == "batch" else 0])
    if case.way == "batch":
        _import_optouts(stores, folder)
        _decide_pairs(stores, folder, pair_decisions.note)
        _execute(stores.source, folder / "changes.sql", optional=True)
    pass_phases(stores, case.phase)
    if case.way == "changes":
        _import_optouts(stores, folder)
        _decide_pairs(stores, folder, pair_decisions.decide)
        if _execute(stores.source, folder / "changes.sql", optional=True):
            resync(stores, _WHO)
        for day in days[1:]:
            clock.move(stores, day)
    expected = _read_expected(folder / "expected.json")
    entity = _find_entity(stores.route, case)
    stores.target.execute("SET timezone TO 'UTC'")
    return Outcome(
        _read_outcome(stores.target, entity, expected),
        _fill(stores.target, entity, expected),
        tuple(_list_unaccounted(stores.target, stores.route, case.phase)),
    )


def pass_phases(stores: Stores, last: str) -> None:
    """Pass all phases up to the last, one after the other, as the command line would."""
    route = stores.route
    route.of(last)
    for phase in route.phases[: route.phases.index(last) + 1]:
        phases.move(stores.target, route.name, phase, State.COPYING)
        plan_copy(stores, phase)
        while copy_next(stores, phase, _WHO):
            pass
        standardize(stores, phase)
        begin_merge(stores, phase)
        while not is_merged(stores, phase):
            merge_next(stores, phase, _WHO)
        phases.move(stores.target, route.name, phase, State.IN_SYNC)
        phases.move(stores.target, route.name, phase, State.VERIFIED)


def _execute(conn: Connection, file: Path, *, optional: bool = False) -> bool:
    """Run a file in one store; returns whether it is there."""
    if optional and not file.exists():
        return False
    where = "/".join(file.parts[-4:])
    if not file.exists():
        raise MappingError(f"{where}:1: there is no such file: a case wants legacy.sql and expected.json")
    text = file.read_text()
    try:
        conn.execute(text.encode())
    except psycopg.Error as error:
        at = int(error.diag.statement_position or 1) - 1
        raise MappingError(f"{where}:{text[:at].count(chr(10)) + 1}: {error.diag.message_primary}") from None
    return True


def _take_settings(target: Connection, file: Path) -> None:
    """Give the case's settings their values, if it has any."""
    if not file.exists():
        return
    where = "/".join(file.parts[-4:])
    try:
        given = tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MappingError(f'{where}:1: {error}: write lines like `currency = "pln"`') from None
    for name, value in given.items():
        if not installed_settings.replace(target, name, str(value)):
            raise MappingError(f"{where}:1: no mapping of the route reads a setting {name!r}, or route.toml lacks it")


def _read_days(folder: Path) -> list[date]:
    """Read the days that the case's clock shows, one after the other."""
    file = folder / "clock.txt"
    try:
        return [date.fromisoformat(line) for line in file.read_text().split()] if file.exists() else []
    except ValueError as error:
        raise MappingError(f"{'/'.join(file.parts[-4:])}:1: {error}: write a day a line, as 2026-01-31") from None


def _import_optouts(stores: Stores, folder: Path) -> None:
    """Import the case's opt-outs, if it has any, as `optout import` takes them."""
    file = folder / "optouts.csv"
    if file.exists():
        optouts.take(stores, optout_files.read(file.read_bytes(), file.name, "csv"), "list", "csv", _WHO)


def _decide_pairs(
    stores: Stores, folder: Path, decide: Callable[[Stores, Rules, tuple[int, int], Decision], None]
) -> None:
    """Decide the case's pairs, if it has any: lines of two accounts and what is decided of them."""
    file = folder / "pairs.csv"
    for number, line in enumerate(file.read_text().split() if file.exists() else (), 1):
        try:
            a, b, state = line.split(",")
            keys, decision = (int(a), int(b)), Decision(state, _WHO, "a case")
        except ValueError:
            where = "/".join(file.parts[-4:])
            raise MappingError(f"{where}:{number}: write lines like `1,2,same`, without a header") from None
        decide(stores, pair_files.load(stores.route), keys, decision)


def _find_entity(route: Route, case: Case) -> str:
    """Find the entity that a case is about: its folder has the name of the table, or of the mapping's file."""
    folder = case.folder.parent.name
    for unit in route.mappings:
        if folder in {unit.entity.partition(".")[2], unit.name.partition("/")[2]}:
            return unit.entity
    raise MappingError(
        f"{case.name}: the route has no mapping {folder!r}: a case lies in <phase>/<entity>/<case>, where the entity is one of "
        f"{', '.join(u.entity.partition('.')[2] for u in route.mappings)}"
    )


def _read_expected(file: Path) -> dict[str, Any]:
    where = "/".join(file.parts[-4:])
    try:
        expected: dict[str, Any] = json.loads(file.read_text())
    except json.JSONDecodeError as error:
        raise MappingError(f"{where}:{error.lineno}: {error.msg}") from None
    for what, rows in expected.items():
        right = dict if what in {"quarantine", "left_out"} else list if "." in what else None
        if right is None or not isinstance(rows, right):
            raise MappingError(
                f"{where}:1: {what} is none of quarantine and left_out (by entity: row and reasons), nor a table "
                "with its schema and a list of rows"
            )
    return expected


def _read_outcome(target: Connection, entity: str, expected: Mapping[str, Any]) -> dict[str, Any]:
    """Read what the new shop holds of what the case names, in the shape of expected.json."""
    found: dict[str, Any] = {}
    for table, rows in expected.items():
        if "." in table:
            named = sorted({column for row in rows for column in row})
            query = SQL("SELECT to_jsonb(t) FROM {} t").format(Identifier(*table.split(".", 1)))
            held = [r for (r,) in target.execute(query).fetchall()]
            found[table] = _in_order([{column: row[column] for column in named} for row in held])
    for table, column in _HELD:
        found[table] = {e: {} for e in {entity, *expected.get(table, {})}}
        query = SQL("SELECT entity, row_key, {} FROM {}").format(Identifier(column), Identifier("ferry", table))
        for e, key, why in target.execute(query).fetchall():
            if e in found[table]:
                found[table][e][key] = why
    return found


def _fill(target: Connection, entity: str, expected: Mapping[str, Any]) -> dict[str, Any]:
    """Fill the expectation: the new shop's keys for `@7` or `@customer:7`, and nothing held where nothing is said."""
    keys: dict[str, Any] = {}
    for of, legacy_key, key, text in target.execute(
        "SELECT entity, legacy_key, shop_key, shop_id FROM ferry.identity"
    ).fetchall():
        keys[f"@{legacy_key}"] = keys[f"@{of}:{legacy_key}"] = text or key
    filled: dict[str, Any] = {
        table: _in_order([{c: keys.get(v, v) if isinstance(v, str) else v for c, v in row.items()} for row in rows])
        for table, rows in expected.items()
        if "." in table
    }
    for table, _ in _HELD:
        named = {entity: {}, **expected.get(table, {})}
        filled[table] = {e: {str(keys.get(k, k)): why for k, why in rows.items()} for e, rows in named.items()}
    return filled


def _in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True, default=str))


def _list_unaccounted(target: db.Connection, route: Route, phase: str) -> Iterator[str]:
    """List the phase's tables whose live rows are not exactly those migrated, held or left out."""
    for unit in route.of(phase):
        if not isinstance(unit, EntityMapping) or unit.counts is None:
            continue
        query = SQL(
            "SELECT (SELECT count(*) FROM {}), (SELECT count({}) FROM {}) "
            "+ (SELECT count(*) FROM ferry.quarantine WHERE entity = %(e)s) "
            "+ (SELECT count(*) FROM ferry.left_out WHERE entity = %(e)s)"
        ).format(
            Identifier(route.schema, unit.counts.table),
            SQL(unit.counts.expression),
            Identifier(*unit.entity.split(".")),
        )
        [(total, parts)] = target.execute(query, {"e": unit.entity}).fetchall()
        if total != parts:
            yield f"{unit.counts.table}: {total} rows, {parts} accounted for"
