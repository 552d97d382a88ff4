"""Declared against found: what the new shop's tables demand of a column, asked of the legacy values that will land there."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Composable, Identifier

from shopferry.assess import lineage
from shopferry.assess.findings import EXAMPLES, GROUPS, Example, Finding, Severity, mask
from shopferry.assess.lineage import Codes, Origin
from shopferry.db import Connection
from shopferry.engine.mirror import MirrorTable
from shopferry.keys import key_text
from shopferry.route.route import Route

_QUARANTINE = "such rows go to quarantine and do not enter the new shop"
_INTEGERS = {"smallint": 2**15 - 1, "integer": 2**31 - 1}
_TYPE = re.compile(r"^(?P<base>[a-z ]+?)(?:\((?P<size>\d+)(?:,(?P<scale>\d+))?\))?$")


@dataclass(frozen=True)
class Demand:
    """What a column of the new shop is declared as."""

    type: str
    required: bool


def read_demands(shop: Connection, entity: str) -> dict[str, Demand]:
    """Read every column of a table of the new shop, by name."""
    rows = shop.execute(
        """SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute
           WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped""",
        (entity,),
    ).fetchall()
    return {name: Demand(kind, required) for name, kind, required in rows}


def read_constraints(shop: Connection, entity: str) -> list[tuple[str, str, list[str]]]:
    """Read the CHECK constraints of a table of the new shop: name, condition, columns."""
    return shop.execute(
        """SELECT c.conname, pg_get_expr(c.conbin, c.conrelid),
                  ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.conrelid AND a.attnum = ANY(c.conkey))
           FROM pg_constraint c WHERE c.conrelid = to_regclass(%s) AND c.contype = 'c' ORDER BY 1""",
        (entity,),
    ).fetchall()


def find_broken(
    legacy: Connection, shop: Connection, route: Route, tables: Mapping[str, MirrorTable]
) -> Iterator[Finding]:
    """Find nulls, lengths, ranges and conditions that the new shop's columns will not take, where the origin is plain."""
    for mapping in route.mappings:
        declared = read_demands(shop, mapping.entity)
        known = {o.column: o for o in lineage.find_origins(mapping) if o.column in declared and o.table in tables}
        for origin in known.values():
            demand = declared[origin.column]
            if demand.required:
                yield from _ask_condition(
                    legacy,
                    tables,
                    origin,
                    SQL("({}) IS NULL"),
                    f"rows without a value, and {mapping.entity}.{origin.column} must have one",
                    "enter it in legacy, or give the mapping a default",
                )
            if origin.kind is None and (limit := _find_limit(demand)):
                condition, what = limit
                yield from _ask_condition(
                    legacy,
                    tables,
                    origin,
                    condition,
                    f"{what}, which {mapping.entity}.{origin.column} ({demand.type}) will not take",
                    "shorten or correct it in legacy, or widen the new column",
                )
        for name, condition_text, columns in read_constraints(shop, mapping.entity):
            of = [known[c] for c in columns if c in known and known[c].kind is None]
            if len(of) == len(columns) and len({(o.table, o.alias) for o in of}) == 1:
                yield from _ask_constraint(legacy, tables, mapping.entity, of, name, condition_text)


def find_unknown_codes(legacy: Connection, route: Route, tables: Mapping[str, MirrorTable]) -> Iterator[Finding]:
    """Find values that the lists of codes in the mappings do not know; they are masked."""
    by_question: dict[tuple[str, str, str], list[Codes]] = defaultdict(list)
    for mapping in route.mappings:
        for codes in lineage.find_codes(mapping):
            if codes.table in tables:
                by_question[codes.table, codes.expression, codes.values].append(codes)
    for alike in by_question.values():
        codes = alike[0]
        query = SQL(
            "SELECT coalesce(v::text, ''), min(k), count(*) FROM (SELECT {} AS v, {} AS k FROM public.{} {}) s "
            "WHERE coalesce(v::text, '') NOT IN (SELECT code::text FROM ({}) known(code)) GROUP BY 1 ORDER BY 3 DESC, 2"
        ).format(
            SQL(codes.expression),
            key_text(tables[codes.table].key, codes.alias),
            Identifier(codes.table),
            Identifier(codes.alias),
            SQL("SELECT column1 FROM ({}) l").format(SQL(codes.values)),
        )
        try:
            rows = legacy.execute(query).fetchall()
        except (psycopg.errors.SyntaxError, psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedColumn):
            continue  # not so plain after all
        if rows:
            unknown = "a code" if len(rows) == 1 else f"{len(rows)} codes"
            by = " and ".join(c.mapping for c in alike)
            yield Finding(
                f"legacy {codes.label}",
                Severity.WARNING,
                f"rows with {unknown} not known to {by}",
                _QUARANTINE,
                f"add them to the list `{codes.name}` of the mapping, or correct them in legacy",
                sum(n for _, _, n in rows),
                examples=tuple(
                    Example(f"{key}…" if n > 1 else key, mask(v) or "(empty)", n) for v, key, n in rows[:GROUPS]
                ),
            )


def _find_limit(demand: Demand) -> tuple[Composable, str] | None:
    """Find the condition that a value breaks the type, with what that is in words; `{}` is the expression."""
    match = _TYPE.match(demand.type)
    if not match:
        return None
    base, size = match["base"], int(match["size"] or 0)
    if base in {"character varying", "character"} and size:
        # PostgreSQL cuts blanks off by itself.
        return SQL("length(rtrim(({})::text)) > " + str(size)), f"text longer than {size} characters"
    if base == "numeric" and size:
        whole = size - int(match["scale"] or 0)
        condition = SQL("abs(round(({})::numeric, " + (match["scale"] or "0") + f")) >= 1e{whole}")
        return condition, f"numbers of more than {whole} digits"
    if base in _INTEGERS:
        return SQL("abs(({})::numeric) > " + str(_INTEGERS[base])), f"numbers above {_INTEGERS[base]:,}"
    return None


def _ask_condition(
    legacy: Connection, tables: Mapping[str, MirrorTable], origin: Origin, condition: Composable, text: str, remedy: str
) -> Iterator[Finding]:
    where = SQL(condition.as_string(None)).format(SQL(origin.expression))
    query = SQL("SELECT {}, left(({})::text, 200) FROM public.{} {} WHERE {}").format(
        key_text(tables[origin.table].key, origin.alias),
        SQL(origin.expression),
        Identifier(origin.table),
        Identifier(origin.alias),
        where,
    )
    yield from _ask(legacy, f"legacy {origin.label}", query, text, remedy)


def _ask_constraint(
    legacy: Connection, tables: Mapping[str, MirrorTable], entity: str, of: Sequence[Origin], name: str, condition: str
) -> Iterator[Finding]:
    table, alias = of[0].table, of[0].alias
    columns = SQL(", ").join(SQL("({}) AS {}").format(SQL(o.expression), Identifier(o.column)) for o in of)
    query = SQL("SELECT k, {} FROM (SELECT {} AS k, {} FROM public.{} {}) s WHERE NOT ({})").format(
        SQL("left(({})::text, 200)").format(Identifier(of[0].column)),
        key_text(tables[table].key, alias),
        columns,
        Identifier(table),
        Identifier(alias),
        SQL(condition),
    )
    label = " and ".join(dict.fromkeys(o.label for o in of))
    yield from _ask(
        legacy,
        f"legacy {label}",
        query,
        f"values that break {name} of {entity}: {condition}",
        "correct them in legacy, or have the mapping give them a reason or a default",
    )


def _ask(legacy: Connection, subject: str, query: Composable, text: str, remedy: str) -> Iterator[Finding]:
    try:
        row = legacy.execute(SQL("SELECT count(*) FROM ({}) f").format(query)).fetchone()
        if not row or not row[0]:
            return
        some = legacy.execute(SQL("{} LIMIT {}").format(query, SQL(str(EXAMPLES)))).fetchall()
    except psycopg.errors.QueryCanceled:
        raise
    except (psycopg.errors.SyntaxError, psycopg.errors.UndefinedObject, psycopg.DataError, psycopg.ProgrammingError):
        return  # it needs something that only the new shop has: not so plain after all
    yield Finding(
        subject,
        Severity.WARNING,
        text,
        _QUARANTINE,
        remedy,
        int(row[0]),
        examples=tuple(Example(str(key), mask(v or "")) for key, v in some),
    )
