"""What a route's mappings leave out: sources, indexes, columns and tables of legacy, reasons that no mapping gives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from psycopg.sql import SQL, Identifier

from shopferry import db, engine
from shopferry.assess import coverage
from shopferry.assess.findings import Finding, Severity
from shopferry.authoring.files import locate
from shopferry.authoring.joins import read_texts
from shopferry.authoring.plans import Planned
from shopferry.cutover import losses as decided
from shopferry.db import Connection
from shopferry.engine import changes
from shopferry.route import losses, settings, signed_off
from shopferry.route.entities import EntityMapping, Unit
from shopferry.route.identifiers import write_name
from shopferry.route.route import Route

_SMALL = 1_000  # rows that are read as a whole as soon as by an index
_CODE = re.compile(r"""['"]([a-z][a-z0-9]*(?:_[a-z0-9]+)+)['"]""")
_OF_REASONS = re.compile(r"'([a-z0-9_]+)'\s*=\s*ANY\s*\(\s*(?:\w+\.)?reasons\s*\)", re.IGNORECASE)
_CASE = re.compile(r"\bCASE\b((?:(?!\b(?:CASE|END)\b).)*)\bEND\b", re.DOTALL)


def find_lineage_gaps(shop: Connection, route: Route) -> Iterator[Finding]:
    """Find what a mapping reads and does not name as a source; in the transaction in which the route was planned."""
    made = {u.relation for u in route.units}
    for unit in route.units:
        sources = {s.relation for s in unit.sources} | {unit.relation}
        read, hidden = _find_read(shop, unit)
        identities = {r for text in read_texts(unit) for _, _, r in text.defined if r.startswith("identity.")}
        for relation in sorted(((read & made) | (identities & made)) - sources):
            yield Finding(
                f"{unit.file}:{unit.line}",
                Severity.WARNING,
                f"reads {relation}, which is no source, so its change alone merges nothing here",
                "",
                f"name {relation} in a `-- source:` line, with a lineage where no column is the key",
            )
        if hidden:
            yield Finding(
                f"{unit.file}:{unit.line}",
                Severity.NOTE,
                "reads a whole row, or calls a function that is not IMMUTABLE",
                "",
                "nothing; it is merged for every change of its sources, in whichever column",
            )


def _find_read(shop: Connection, unit: Unit) -> tuple[set[str], bool]:
    with shop.transaction(force_rollback=True):
        shop.execute(
            SQL("CREATE TEMP VIEW reading AS WITH affected AS (TABLE {}) SELECT * FROM ({}) y").format(
                Identifier("pg_temp", f"affected_{unit.slug}"), SQL(unit.body)
            )
        )
        read = {f"{d[0]}.{d[1]}" for d in changes.find_dependencies(shop, "reading")}
        return read, changes.reads_hidden(shop)


def find_unindexed(legacy: Connection, shop: Connection, planned: Planned) -> Iterator[Finding]:
    """Find columns by which each merge looks for rows, and that have no index, in the mirror or in the new shop."""
    indexed = _load_leading(shop)
    large = {
        name
        for (name,) in legacy.execute(
            "SELECT c.relname FROM pg_class c WHERE c.relnamespace = %s::regnamespace AND c.reltuples NOT BETWEEN 0 AND %s",
            (planned.route.captured_schema, _SMALL),
        ).fetchall()
    }
    for unit in planned.route.units:
        if isinstance(unit, EntityMapping) and unit.scope not in indexed.get(unit.entity, ()):
            yield Finding(
                locate(unit.file, "scope"),
                Severity.WARNING,
                f"{unit.entity} has no index that begins with {unit.scope} and has all rows, so each merge reads the whole table",
                "",
                f"CREATE INDEX ON {unit.entity} ({unit.scope}) in the new shop",
            )
        for text in read_texts(unit):
            ways: dict[tuple[str, str], tuple[set[str], int]] = {}
            for join in (j for j in text.find_joins() if j.plain):
                columns, line = ways.setdefault((join.alias, join.to[0]), (set(), join.line))
                columns.add(join.to[1])
            for (_, relation), (columns, line) in ways.items():
                schema, _, table = relation.partition(".")
                captured = schema == planned.route.schema
                known = indexed.get(f"mirror.{table}" if captured else relation)
                if known is None or columns & known or (captured and table not in large):
                    continue
                column = sorted(columns)[0]
                yield Finding(
                    f"{unit.file}:{line}",
                    Severity.WARNING,
                    f"looks for rows of {relation} by {', '.join(sorted(columns))}, of which none has an index",
                    "",
                    f"write `-- index: {relation}({column})`"
                    if captured
                    else f"CREATE INDEX ON {relation} ({column}) in the new shop",
                )


def _load_leading(shop: Connection) -> dict[str, set[str]]:
    """Load the first columns of the indexes of each table."""
    found: dict[str, set[str]] = {}
    for relation, column in shop.execute(
        """SELECT n.nspname || '.' || c.relname, a.attname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL
           LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
           WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_'"""
    ).fetchall():
        found.setdefault(relation, set()).update({column} if column else ())
    return found


def find_unread(legacy: Connection, planned: Planned, route: Route) -> Iterator[Finding]:
    """Find columns and tables of legacy that no mapping reads and no line signs off, whether or not they hold data."""
    lines = signed_off.load(route)
    for name, table in planned.full.items():
        left = [
            c for c in table.names if c not in planned.kept[name].names and not any(s.covers(name, c) for s in lines)
        ]
        if left:
            unit = next(u for u in route.units if name in u.tables)
            yield Finding(
                f"{unit.file}:{next((s.line for s in unit.sources if s.name == name), unit.line)}",
                Severity.WARNING,
                f"no mapping reads {', '.join(write_name(c) for c in left)} of {name}",
                "",
                f"map what holds data, or sign it off: `{write_name(name, left[0])} -- reason` in {signed_off.FILE}",
            )
    for schema, name in coverage.list_unmapped_tables(legacy, planned.full):
        if not any(s.covers(name, None, schema) for s in lines):
            line = write_name(name) if schema == "public" else f"{write_name(schema, name)}.*"
            yield Finding(
                f"{route.name}/{signed_off.FILE}",
                Severity.WARNING,
                f"no mapping reads table {line.removesuffix('.*')}",
                "",
                f"map it, or sign it off: `{line} -- reason`",
            )


def find_unreachable(route: Route, folder: Path) -> Iterator[Finding]:
    """Find reasons that are allowed or looked for and that no mapping can give, and branches that are never taken."""
    given = _load_own_codes() | {code for u in route.units for code in _CODE.findall(u.body)}
    file = folder / settings.FILE
    terms = settings.load(route.name).cutover
    for reason in terms.quarantine:
        if reason not in given:
            yield _never(
                f"{route.name}/{settings.FILE}:{_find_line(file, reason)}", reason, "allows rows in quarantine for"
            )
    for sql in sorted([*folder.glob("checks/*.sql"), *folder.glob("report/*.sql"), *folder.glob("*/*.sql")]):
        for reason in sorted(set(_OF_REASONS.findall(sql.read_text())) - given):
            yield _never(f"{sql.relative_to(folder.parent)}:{_find_line(sql, reason)}", reason, "looks for")
    for unit in route.units:
        for case in _CASE.finditer(unit.body):
            conditions = [" ".join(c.split()) for c in re.findall(r"\bWHEN\b(.*?)\bTHEN\b", case[1], re.DOTALL)]
            for twice in sorted({c for c in conditions if conditions.count(c) > 1}):
                yield Finding(
                    f"{unit.file}:{unit.line + unit.body[: case.start()].count(chr(10))}",
                    Severity.WARNING,
                    f"`WHEN {twice}` stands twice in one CASE, so the second is never taken",
                    "",
                    "take one of them out, or correct its condition",
                )


def _never(where: str, reason: str, does: str) -> Finding:
    return Finding(
        where, Severity.WARNING, f"{does} {reason!r}, which no mapping gives", "", "correct the code, or take it out"
    )


def _load_own_codes() -> set[str]:
    """Load the codes of the standardizers and of refusals, from our own sources."""
    folder = Path(next(iter(engine.__path__)))
    return {code for file in folder.glob("*.py") for code in _CODE.findall(file.read_text())}


def _find_line(file: Path, text: str) -> int:
    return next((n for n, line in enumerate(file.read_text().splitlines(), 1) if text in line), 1)


def find_undecided(shop: Connection, route: Route, back: Planned, folder: Path) -> Iterator[Finding]:
    """Find columns of the new shop that no mapping back reads and no line of losses.txt decides, and lines that name none."""
    where = f"{route.name}/reverse/{losses.FILE}"
    read = {(f"{t.within}.{t.name}", c) for t in back.kept.values() for c in t.names}
    settled = losses.load_decisions(back.route)
    columns = decided.list_columns(shop, route.carried_tables)
    for table, left in groupby(decided.find_undecided(columns, read, settled), key=lambda c: c[0]):
        yield Finding(
            where,
            Severity.WARNING,
            f"a rollback loses {', '.join(column for _, column in left)} of {table}, and no line says so",
            "",
            f"have a mapping back read them, or write `{table}.column -- cut: why` there",
        )
    for line in settled:
        known = [t for t, c in columns if line.settles(t, c)] or (line.column == "*" and db.exists(shop, line.table))
        if not known:
            yield Finding(
                f"{where}:{_find_line(folder / 'reverse' / losses.FILE, line.name)}",
                Severity.WARNING,
                f"{line.name} is no column of the new shop that is filled or read back",
                "",
                "correct the name, or take the line out",
            )
