"""Try one mapping on a few keys of legacy: the rows it would make of them, in a scratch database that is dropped at once.

What the mapping needs is read from legacy by its joins (`reach`), and the mappings whose rows it reads run before it. The
standardizers judge, the new shop's own constraints refuse, all as in a phase; neither store is changed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from psycopg.rows import dict_row
from psycopg.sql import SQL, Composed, Identifier, Literal

from shopferry import db, shapes
from shopferry.authoring import lookups, reach
from shopferry.authoring.joins import Ways
from shopferry.authoring.reach import Reached
from shopferry.control import installed_settings, schema
from shopferry.db import Connection
from shopferry.engine import captured, marks, mirror, statements, verdicts, witness
from shopferry.engine.merge import Merger
from shopferry.engine.mirror import MirrorTable
from shopferry.errors import ConfigError, MappingError
from shopferry.keys import name_or_expression
from shopferry.privacy import columns
from shopferry.rehearsal import rehearsal, sample
from shopferry.route import personal
from shopferry.route.entities import EntityMapping, IdentityMapping, Unit
from shopferry.route.personal import PLAIN, Category, Line
from shopferry.route.route import Route
from shopferry.settings import Settings
from shopferry.stores import scratch

_AT_RANDOM = 200  # keys that are tried where none are named: enough for counts, and for a time that means something
_SESSION = "SET LOCAL enable_seqscan = off; SET LOCAL random_page_cost = 1.1"  # as a merge plans


@dataclass(frozen=True)
class KeyResult:
    """What became of one key: the rows it was made of, by table, its rows in the target, and those that may not enter."""

    key: str
    sources: Mapping[str, Sequence[Mapping[str, Any]]]
    rows: Sequence[Mapping[str, Any]]
    held: Mapping[str, Sequence[str]]  # row: reason codes
    left_out: Mapping[str, str]  # row: the rule


@dataclass(frozen=True)
class Tried:
    """What a try found."""

    target: str
    keys: tuple[KeyResult, ...]  # those that are shown
    tried: int  # all that were merged
    rows: int  # of all of them, in the target
    reasons: Mapping[str, int]  # rows that each reason holds
    rules: Mapping[str, int]  # rows that each rule leaves out
    read: Mapping[str, int]  # rows read of legacy, by table
    ran_before: tuple[str, ...]  # what it reads, and was made for it
    seconds_per_1000: float | None  # of the merge alone
    plan: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """What is asked for: a mapping, as a person names it, and keys as legacy has them; without keys, some at random."""

    name: str
    keys: tuple[str, ...] = ()
    shown: int = 5  # of those at random
    explain: bool = False


def find_unit(route: Route, name: str) -> Unit:
    """Find a mapping by its target, its file or its file's name. Raises ConfigError naming those there are."""
    for unit in route.units:
        file = unit.name.partition("/")[2]
        names = {unit.relation, unit.name, file, f"{unit.name}.sql", f"{file}.sql"}
        if name in names or (isinstance(unit, EntityMapping) and name == unit.entity.partition(".")[2]):
            return unit
    raise ConfigError(
        f"route {route.name} has no mapping {name!r}: it has {', '.join(u.relation for u in route.units)}"
    )


def try_mapping(settings: Settings, wanted: Wanted) -> Tried:
    """Run one mapping on some keys. Raises MappingError with file and line for one that does not run."""
    route = Route.load(settings.route)
    unit = find_unit(route, wanted.name)
    units = Ways(route).find_units(unit)
    part = replace(route, units=units)
    with (
        scratch.create(settings.target_dsn, scratch.name_scratch(route.name, "try")) as there,
        db.connect(settings.source_dsn, "try") as legacy,
        db.connect(settings.target_dsn, "try") as shop,
    ):
        rehearsal.copy_structure(settings.target_dsn, there)
        with db.connect(there, "try") as target:
            marks.require_key(target, part)
            tables = _make_relations(legacy, target, part)
            ways = Ways(route, {name: table.names for name, table in tables.items()})
            with legacy.transaction():
                legacy.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                keys = wanted.keys or reach.choose_keys(
                    legacy, tables, ways.find_key(unit), max(wanted.shown, _AT_RANDOM)
                )
                reached = reach.read(legacy, ways, units, tables, keys, _find_plan(route))
            return _run(shop, target, part, ways, reached, keys, wanted)


def conceal(tried: Tried, route: Route) -> Tried:
    """Return the same for everybody's eyes: what the data map does not call nobody's, or what was bought, is a shape."""
    try:
        data_map, notes = personal.load(route), tried.notes
    except MappingError as error:
        data_map, notes = personal.DataMap(()), (*tried.notes, f"all values are shapes until {error}")
    ours = columns.load_ours()

    def mask(relation: str, row: Mapping[str, Any]) -> dict[str, Any]:
        schema_, _, table = relation.partition(".")
        of = (ours, "ferry", "identity") if schema_ == "identity" else (data_map, schema_, table)
        return {n: v if _is_open(of[0].find(*of[1:], n)) or v is None else shapes.mask(str(v)) for n, v in row.items()}

    keys = tuple(
        replace(
            key,
            sources={relation: [mask(relation, row) for row in rows] for relation, rows in key.sources.items()},
            rows=[mask(tried.target, row) for row in key.rows],
        )
        for key in tried.keys
    )
    return replace(tried, keys=keys, notes=notes)


def _is_open(line: Line | None) -> bool:
    """Tell whether a column's values may be shown to who may run our commands."""
    return line is not None and (
        not line.category.of_people
        or (line.category in {Category.PURCHASE, Category.LOYALTY} and line.pseudonym == PLAIN)
    )


def list_seen(tried: Tried) -> dict[str, list[str]]:
    """List the keys whose rows are shown, by the mapping's target."""
    return {tried.target: [key.key for key in tried.keys]}


def _find_plan(route: Route) -> sample.Plan | None:
    try:
        return sample.load(route)
    except ConfigError:
        return None


def _make_relations(legacy: Connection, target: Connection, route: Route) -> dict[str, MirrorTable]:
    """Make in the scratch database what the mappings read, with the settings that they ask for."""
    with target.transaction():
        schema.install_control(target)
        installed_settings.store(target, {s.name: (s.read(), s.secret) for s in route.settings})
        tables = captured.cut_to_read(target, route, mirror.reflect(legacy, route.tables, within=route.captured_schema))
        captured.create_relations(target, route, tables)
    return tables


def _run(
    shop: Connection,
    target: Connection,
    route: Route,
    ways: Ways,
    reached: Reached,
    keys: Sequence[str],
    wanted: Wanted,
) -> Tried:
    unit = route.units[-1]
    _load(target, route, reached)
    for one in route.units:
        for column in one.standardize:
            verdicts.ensure(target, [column], one.schema)
    merger = Merger(target, route)
    merger.stage(route.units)
    notes = [*reached.notes, *lookups.copy(shop, target, route)]
    for before in route.units[:-1]:
        with target.transaction():
            merger.merge(before, statements.select_keys_between(before, None, None), disjoint=False)
    own = _find_own_keys(target, ways, unit, keys)
    if missing := len(keys) - len(own):
        notes.append(f"{missing} of the keys are of no row that the mapping reads, or are one with another")
    plan = _explain(target, unit, own) if wanted.explain else ()
    started = time.monotonic()
    with target.transaction():
        merger.merge(unit, _list_keys(target, unit, own), disjoint=False)
    seconds = time.monotonic() - started
    held, left, rows = _read_outcome(target, unit, own)
    odd = [key for key, _ in (*held, *left)]
    shown = own if wanted.keys else list(dict.fromkeys([*odd, *own]))[: wanted.shown]
    return Tried(
        unit.relation,
        tuple(_read_result(target, route, unit, key) for key in shown),
        len(own),
        rows,
        dict(Counter(code for _, codes in held for code in codes).most_common()),
        dict(Counter(rule for _, rule in left).most_common()),
        {t: len(found) for t, found in sorted(reached.rows.items())},
        tuple(u.relation for u in route.units[:-1]),
        seconds / len(own) * 1000 if own else None,
        plan,
        tuple(notes),
    )


def _read_outcome(
    target: Connection, unit: Unit, keys: Sequence[str]
) -> tuple[list[tuple[str, list[str]]], list[tuple[str, str]], int]:
    """Read what is held and what is left out of these keys, as (key, why), and how many rows there are of them."""
    if isinstance(unit, IdentityMapping):
        return [], [], len(keys)
    assert isinstance(unit, EntityMapping)
    asked = (unit.entity, list(keys))
    held = target.execute(
        "SELECT key, reasons FROM ferry.quarantine WHERE entity = %s AND key = ANY(%s)", asked
    ).fetchall()
    left = target.execute(
        "SELECT key, reason FROM ferry.left_out WHERE entity = %s AND key = ANY(%s)", asked
    ).fetchall()
    [(rows,)] = target.execute(
        SQL("SELECT count(*) FROM {} WHERE {}::text = ANY(%s)").format(
            Identifier(*unit.entity.split(".")), Identifier(unit.scope)
        ),
        (list(keys),),
    ).fetchall()
    return held, left, rows


def _load(target: Connection, route: Route, reached: Reached) -> None:
    """Load the rows that were read into the mirror, and their states into the witnesses."""
    for name, rows in reached.rows.items():
        table = reached.tables[name]
        names = SQL(", ").join(map(Identifier, table.names))
        with target.transaction():
            target.execute(
                SQL(
                    "CREATE TEMP TABLE incoming ON COMMIT DROP AS SELECT {}, NULL::boolean AS _gone FROM {} WITH NO DATA"
                ).format(names, table.base)
            )
            with target.cursor() as cursor, cursor.copy(SQL("COPY incoming ({}) FROM STDIN").format(names)) as copy:
                for row in rows.values():
                    copy.write_row(row)
            target.execute(SQL("INSERT INTO {0} ({1}) SELECT {1} FROM incoming").format(table.base, names))
            if name in route.witnessed:
                [(known,)] = target.execute("SELECT now()::text").fetchall()
                witness.book_copied(target, table, route.witnessed[name], "0/0", known)
        target.execute(SQL("ANALYZE {}").format(table.base))


def _find_own_keys(target: Connection, ways: Ways, unit: Unit, keys: Sequence[str]) -> list[str]:
    """Find the unit's own keys, as text: those of legacy themselves, or what its identity has made of them."""
    found: list[Composed] = []
    for source in unit.simple_sources:
        if source.is_identity:
            found.append(
                SQL(
                    "SELECT {}::text AS key FROM ferry.identity WHERE entity = {} AND legacy_key::text = ANY(%(keys)s)"
                ).format(Identifier(str(source.column)), Literal(source.name))
            )
        else:
            of = [column for table, column in ways.find_key(unit) if table == source.name]
            found += [
                SQL("SELECT {}::text AS key FROM {} WHERE {}::text = ANY(%(keys)s)").format(
                    name_or_expression(str(source.column)), Identifier(unit.schema, source.name), Identifier(column)
                )
                for column in of
            ]
    if not found:
        raise ConfigError(
            f"{unit.file}: no `-- source:` has a column of legacy, or an expression over one, by which to try it"
        )
    rows = target.execute(
        SQL("SELECT DISTINCT key FROM ({}) k WHERE key IS NOT NULL").format(SQL(" UNION ALL ").join(found)),
        {"keys": list(keys)},
    ).fetchall()
    return sorted((key for (key,) in rows), key=lambda k: (len(k), k))


def _list_keys(target: Connection, unit: Unit, keys: Sequence[str]) -> Composed:
    kind = statements.load_columns(target, f"pg_temp.affected_{unit.slug}")["key"]
    return SQL("SELECT unnest({}::{}[]) AS key").format(Literal(list(keys)), SQL(kind))


def _explain(target: Connection, unit: Unit, keys: Sequence[str]) -> tuple[str, ...]:
    """Explain the SELECT for these keys, planned as a merge plans it."""
    with target.transaction(force_rollback=True):
        target.execute(_SESSION.encode())
        target.execute(SQL("CREATE TEMP TABLE affected AS {}").format(_list_keys(target, unit, keys)))
        target.execute("ANALYZE affected")
        rows = target.execute(b"EXPLAIN (ANALYZE, COSTS OFF, SUMMARY OFF) " + unit.body.encode()).fetchall()
    return tuple(line for (line,) in rows)


def _read_result(target: Connection, route: Route, unit: Unit, key: str) -> KeyResult:
    with target.cursor(row_factory=dict_row) as cursor:
        sources: dict[str, list[dict[str, Any]]] = {}
        for relation, condition in _find_sources(route, unit):
            rows = cursor.execute(
                SQL("SELECT * FROM {} r WHERE {}").format(Identifier(*relation.split(".")), condition), {"key": key}
            ).fetchall()
            sources[relation] = rows
        if isinstance(unit, IdentityMapping):
            rows = cursor.execute(
                "SELECT * FROM ferry.identity WHERE entity = %s AND legacy_key::text = %s", (unit.identity, key)
            ).fetchall()
            return KeyResult(key, sources, rows, {}, {})
        assert isinstance(unit, EntityMapping)
        rows = cursor.execute(
            SQL("SELECT * FROM {} WHERE {}::text = %s ORDER BY {}").format(
                Identifier(*unit.entity.split(".")),
                Identifier(unit.scope),
                SQL(", ").join(map(Identifier, unit.key)),
            ),
            (key,),
        ).fetchall()
    held = target.execute(
        "SELECT row_key, array_remove(reasons || constraint_name, NULL) FROM ferry.quarantine WHERE entity = %s AND key = %s",
        (unit.entity, key),
    ).fetchall()
    left = target.execute(
        "SELECT row_key, reason FROM ferry.left_out WHERE entity = %s AND key = %s", (unit.entity, key)
    ).fetchall()
    return KeyResult(key, sources, rows, dict(held), dict(left))


def _find_sources(route: Route, unit: Unit) -> Iterator[tuple[str, Composed]]:
    """Find the mirror's tables whose rows a key is made of, each with the condition that says which."""
    for source in unit.simple_sources:
        column = name_or_expression(str(source.column))
        if not source.is_identity:
            yield source.relation, SQL("{}::text = %(key)s").format(column)
            continue
        maker = next(u for u in route.units if u.relation == source.relation)
        for of in maker.simple_sources:
            if not of.is_identity:
                yield (
                    of.relation,
                    SQL(
                        "EXISTS (SELECT FROM ferry.identity i WHERE i.entity = {} "
                        "AND i.legacy_key = r.{} AND i.{}::text = %(key)s)"
                    ).format(Literal(source.name), name_or_expression(str(of.column)), column),
                )
