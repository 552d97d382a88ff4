"""The route's queries beside its mappings: checks, audits, questions, of the report, consents, activations, pairs, the sample.

Each is planned by PostgreSQL and none is run; what it must yield is asked of it too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Composable, Identifier

from shopferry.assess import own_checks
from shopferry.assess.findings import Finding, Severity
from shopferry.db import Connection
from shopferry.engine.mirror import MirrorTable
from shopferry.errors import ConfigError, MappingError
from shopferry.insight import (
    activation,
    activation_file,
    audits,
    campaigns,
    pair_files,
    pair_search,
    permission,
    segments,
    selects,
)
from shopferry.privacy import consents
from shopferry.rehearsal import sample
from shopferry.report import audience, evaluation, sums
from shopferry.route.identifiers import shorten_name
from shopferry.route.route import Route, find_folder
from shopferry.verify import checks


@dataclass(frozen=True)
class _Query:
    """One query of a file; `name` is its divider's, `needs` are columns that it must yield."""

    where: Path  # within the folder of routes
    text: str
    name: str = ""
    needs: tuple[str, ...] = ()


def find_unplanned(
    legacy: Connection, shop: Connection, route: Route, tables: Mapping[str, MirrorTable]
) -> Iterator[Finding]:
    """Find the queries that do not run, with file and line; in the transactions in which the route was planned.

    `tables` are the captured ones. A file that cannot even be read is passed over: it is found where it was read.
    """
    for conn, query in _list_plain(legacy, shop, route):
        yield from _judge(conn, route, query)
    if (find_folder(route.name) / consents.FILE).exists():
        with suppress(MappingError):
            yield from _judge_consents(shop, route, consents.load(route))
    yield from _judge_activations(shop, route)
    if pair_files.has_rules(route):
        with suppress(MappingError, ConfigError):
            yield from _judge_selects(shop, pair_search.list_checks(shop, pair_files.load(route)))
    if (find_folder(route.name) / sample.FILE).exists():
        with suppress(MappingError):
            yield from _judge_sample(legacy, route, sample.load(route), tables)


def _list_plain(legacy: Connection, shop: Connection, route: Route) -> Iterator[tuple[Connection, _Query]]:
    """List the queries that need no table of ours, each with the store that answers it."""
    with suppress(MappingError):
        yield from ((legacy, _Query(Path(q.file), q.select)) for q in own_checks.load(route))
    with suppress(MappingError):
        yield from ((shop, _Query(Path(route.name, "checks", c.file.name), c.body)) for c in checks.load(route))
    with suppress(MappingError):
        yield from (
            (shop, _Query(Path(route.name, audits.FOLDER, a.file.name), a.body, "", audits.COLUMNS))
            for a in audits.load(route)
        )
    with suppress(MappingError):
        for question in sums.load(route):
            for half, text in question.halves.items():
                conn = legacy if half == "legacy" else shop
                yield conn, _Query(Path(question.file), text, half, ("segment",))
    with suppress(MappingError):
        if asked := audience.load(route):
            yield shop, _Query(Path(route.name, audience.FILE), asked.query, "", audience.COLUMNS)
    with suppress(MappingError):
        if asked_after := evaluation.load(route):
            yield shop, _Query(Path(route.name, evaluation.FILE), asked_after, "", evaluation.COLUMNS)


def _judge_consents(shop: Connection, route: Route, asked: consents.Questions) -> Iterator[Finding]:
    """Plan the queries of one person's consents, over an empty table of persons."""
    wanted = {"person": ("id",)} | {name: tuple(f.name for f in fields(of)) for name, of in consents.YIELDS.items()}
    person = _Query(asked.where, asked.queries["person"], "person", wanted["person"])
    wrong = list(_judge(shop, route, person))
    yield from wrong
    if wrong:
        return
    shop.execute(
        SQL("CREATE TEMP TABLE person ON COMMIT DROP AS SELECT id FROM ({}) p WITH NO DATA").format(SQL(person.text))
    )
    for name, columns in wanted.items():
        if name != "person":
            yield from _judge(shop, route, _Query(asked.where, asked.queries[name], name, columns))


def _judge_activations(shop: Connection, route: Route) -> Iterator[Finding]:
    """Find what is wrong with what activations and campaign lists yield, and with how the shop says who may be written to."""
    judged: list[Callable[[], object]] = []
    if (find_folder(route.name) / permission.FILE).exists():
        with suppress(MappingError):
            asked = permission.load(route)
            judged += [
                partial(selects.require_columns, shop, q, permission.YIELDS[name]) for name, q in asked.queries.items()
            ]
            judged += [partial(activation.find_columns, shop, a) for a in activation_file.load(route)]
            judged += [partial(segments.require_table, shop, route.shop_schema, a) for a in activation_file.load(route)]
            judged += [
                partial(selects.require_columns, shop, c.select, campaigns.COLUMNS) for c in campaigns.load(route)
            ]
    yield from _judge_selects(shop, judged)


def _judge_selects(shop: Connection, judged: Sequence[Callable[[], object]]) -> Iterator[Finding]:
    """Find what is wrong by trying, each try taken back."""
    for judge in judged:
        try:
            with shop.transaction(force_rollback=True):
                judge()
        except MappingError as error:
            where, _, what = str(error).partition(": ")
            yield Finding(where, Severity.BLOCKING, what, "", "correct it")


def _judge_sample(
    legacy: Connection, route: Route, plan: sample.Plan, tables: Mapping[str, MirrorTable]
) -> Iterator[Finding]:
    """Plan the queries of the sample, over empty tables of what is chosen before each."""
    where = Path(route.name, sample.FILE)
    everybody = _Query(where, plan.queries["everybody"], "everybody", ("id",))
    wrong = list(_judge(legacy, route, everybody))
    yield from wrong
    if wrong:
        return
    try:
        with legacy.transaction():
            sample.make_chosen(legacy, plan)
    except ConfigError as error:
        yield Finding(str(where), Severity.WARNING, f"could not be planned: {error}", "", "grant it, and check again")
        return
    for name in ("odd", "kin", *plan.tables):
        if name not in plan.queries:
            continue
        keys = tables[name].key if name in tables else ()
        needs = ("id", "reason") if name == "odd" else ("id",) if name == "kin" else tuple(keys)
        wrong = list(_judge(legacy, route, _Query(where, plan.queries[name], name, needs)))
        yield from wrong
        if keys:  # those behind it may read it, even where its query is wrong
            legacy.execute(
                SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM public.{} WITH NO DATA").format(
                    Identifier(shorten_name(f"sample_{name}")), SQL(", ").join(map(Identifier, keys)), Identifier(name)
                )
            )


def _judge(conn: Connection, route: Route, query: _Query) -> Iterator[Finding]:
    """Plan one query for the columns that it must yield; a finding names its line, or the line that PostgreSQL points at."""
    columns: Composable = (
        SQL(", ").join(SQL("q.{}").format(Identifier(n)) for n in query.needs) if query.needs else SQL("*")
    )
    before = SQL("EXPLAIN SELECT {} FROM (").format(columns).as_string(conn)
    try:
        with conn.transaction(force_rollback=True):
            conn.execute(f"{before}{query.text}\n) q".encode())
    except (psycopg.ProgrammingError, psycopg.DataError) as error:
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            raise
        at = int(error.diag.statement_position or 0) - 1 - len(before)
        line = _find_line(route, query) + (query.text[:at].count("\n") if 0 < at <= len(query.text) else 0)
        name = f"query {query.name}: " if query.name else ""
        text = f"{name}{error.diag.message_primary}"
        yield Finding(f"{query.where}:{line}", Severity.BLOCKING, text, "", "correct it")


def _find_line(route: Route, query: _Query) -> int:
    """Find the line at which a query begins."""
    text = (find_folder(route.name).parent / query.where).read_text()
    divider = text.find(f"-- name: {query.name}") if query.name else 0
    return text[: max(text.find(query.text, max(divider, 0)), 0)].count("\n") + 1
