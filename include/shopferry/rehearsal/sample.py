"""A sample of the legacy store that is whole in itself: some customers at random, the oddest ones, and all that is theirs.

What belongs to whom is the route's to say, in `<route>/sample.sql`; the grammar is in docs/howto/rehearse.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from shopferry.db import Connection
from shopferry.engine.mirror import MirrorTable
from shopferry.errors import ConfigError, MappingError
from shopferry.rehearsal.pseudonyms import Pseudonyms
from shopferry.route import headed, personal
from shopferry.route.identifiers import shorten_name, write_name
from shopferry.route.personal import PLAIN, DataMap
from shopferry.route.route import Route
from shopferry.settings import routes_dir

FILE = "sample.sql"
ODD_OF_EACH = 5  # customers of each reason
# What can hold no words. Every other type counts as text: one that is not known here must not go to testers by oversight.
_WORDLESS = re.compile(
    r"(smallint|integer|bigint|numeric|decimal|real|float|double precision|boolean|date|time|timestamp|interval|uuid|bit)"
    r"( varying| with time zone| without time zone)?(\([0-9, ]+\))?( with time zone| without time zone)?(\[\])*",
    re.IGNORECASE,
)

Column = tuple[str, str]  # of legacy: table, column


@dataclass(frozen=True)
class Plan:
    """What the route says of its sample: queries by name."""

    file: Path
    queries: Mapping[str, str]

    @property
    def tables(self) -> list[str]:
        """The legacy tables, in the order of their queries."""
        return [name for name in self.queries if name not in _CHOICE]


_CHOICE = ("everybody", "odd", "kin")


def load(route: Route, root: Path | None = None) -> Plan:
    """Read `<root>/<route>/sample.sql`.

    Raises ConfigError when the route has none, MappingError with file and line for what is wrong in it.
    """
    root = root or routes_dir()
    file = root / route.name / FILE
    where = file.relative_to(root.parent)
    if not file.exists():
        raise ConfigError(
            f"route {route.name} has no {where}, which says what belongs to a customer: a rehearsal needs it"
        )
    text = headed.read(file, where, ("name",), divider="name")
    queries = {section.name: section.text for section in text.sections[1:]}
    if missing := [name for name in ("everybody", *route.tables) if name not in queries]:
        raise text.error(1, f"there is no query `-- name: {missing[0]}`")
    return Plan(where, queries)


def find_kinds(data_map: DataMap, tables: Mapping[str, MirrorTable]) -> dict[Column, str]:
    """Find what becomes of each captured text that testers may not see as it is: the kind of its pseudonym.

    Raises ConfigError for a column that may hold words and of which the data map does not say it: nothing goes to testers by
    oversight.
    """
    kinds: dict[Column, str] = {}
    unsaid = []
    for table, column in ((t, c) for t in tables.values() for c in t.columns):
        line = data_map.find("legacy", table.name, column.name)
        wordless = _WORDLESS.fullmatch(column.type) is not None
        kind = line.own_pseudonym if line and wordless else line.pseudonym if line else None
        if kind and kind != PLAIN:
            kinds[table.name, column.name] = kind
        elif kind is None and not wordless:
            unsaid.append(write_name("legacy", table.name, column.name))
    if unsaid:
        raise ConfigError(
            f"{personal.FILE}: {', '.join(unsaid)}: say what a rehearsal makes of each, `pseudonym KIND` or `pseudonym {PLAIN}`; "
            f"nothing goes to testers by oversight (a column without a line: `shopferry privacy draft`)"
        )
    return kinds


def make_chosen(legacy: Connection, plan: Plan) -> None:
    """Make the empty temp table `chosen` of customers' keys, which the route's queries read; until the transaction ends.

    Raises ConfigError where temp tables are not allowed, MappingError where `everybody` does not run.
    """
    everybody = SQL(plan.queries["everybody"])
    try:
        legacy.execute("CREATE TEMP TABLE may_we () ON COMMIT DROP")
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction):
        raise ConfigError(
            f"role {legacy.info.user} may not make temporary tables in the legacy store, which a rehearsal needs: "
            f"GRANT TEMPORARY ON DATABASE {legacy.info.dbname} TO {legacy.info.user} (on a standby nobody may: use the primary)"
        ) from None
    # Of the type that customers have for keys in this shop.
    made = SQL("CREATE TEMP TABLE chosen ON COMMIT DROP AS SELECT id FROM ({}) e WITH NO DATA").format(everybody)
    _run(legacy, plan, "everybody", made)
    legacy.execute("ALTER TABLE pg_temp.chosen ADD PRIMARY KEY (id)")


def choose(legacy: Connection, plan: Plan, tables: Mapping[str, MirrorTable], customers: int) -> int:
    """Choose customers, and the keys of all that is theirs, into temp tables; returns how many customers were chosen.

    To be called in the repeatable-read transaction in which `carry` then reads. Raises ConfigError where temp tables are
    not allowed, MappingError for a query that does not run.
    """
    make_chosen(legacy, plan)
    everybody = SQL(plan.queries["everybody"])
    add = SQL("INSERT INTO pg_temp.chosen SELECT DISTINCT id FROM ({}) c WHERE id IS NOT NULL ON CONFLICT DO NOTHING")
    _run(
        legacy,
        plan,
        "everybody",
        add.format(SQL("SELECT id FROM ({}) e ORDER BY random() LIMIT {}").format(everybody, Literal(customers))),
    )
    if "odd" in plan.queries:
        few = SQL(
            "SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY reason ORDER BY random()) AS n FROM ({}) o) r "
            "WHERE n <= {}"
        )
        _run(legacy, plan, "odd", add.format(few.format(SQL(plan.queries["odd"]), Literal(ODD_OF_EACH))))
    if "kin" in plan.queries:
        _run(legacy, plan, "kin", add.format(SQL(plan.queries["kin"])))
    legacy.execute("ANALYZE pg_temp.chosen")
    for name in plan.tables:
        if name in tables:
            keys = SQL(", ").join(map(Identifier, tables[name].key))
            _run(
                legacy,
                plan,
                name,
                SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT DISTINCT {} FROM ({}) s").format(
                    Identifier(shorten_name(f"sample_{name}")), keys, SQL(plan.queries[name])
                ),
            )
            legacy.execute(SQL("ANALYZE {}").format(Identifier(shorten_name(f"sample_{name}"))))
    row = legacy.execute("SELECT count(*) FROM pg_temp.chosen").fetchone()
    return int(row[0]) if row else 0


def _run(legacy: Connection, plan: Plan, name: str, statement: Composed) -> None:
    try:
        legacy.execute(statement)
    except psycopg.ProgrammingError as error:
        if (error.sqlstate or "")[:2] != "42":  # those name tables and columns; others may quote a value
            raise
        raise MappingError(f"{plan.file}: query {name}: {error.diag.message_primary}") from None


def carry(
    legacy: Connection,
    scratch: Connection,
    plan: Plan,
    tables: Mapping[str, MirrorTable],
    kinds: Mapping[Column, str],
    pseudonyms: Pseudonyms | None,
) -> dict[str, int]:
    """Copy the chosen rows into tables of the same names in a scratch database; returns rows per table.

    Only captured columns, in the mirror's types. With `pseudonyms` no value of a column that has a kind ever gets there.
    """
    rows = {}
    for name in plan.tables:
        if name not in tables:
            continue
        table = tables[name]
        body = SQL(", ").join(SQL("{} {}").format(Identifier(c.name), SQL(c.type)) for c in table.columns)
        keys = SQL(", ").join(map(Identifier, table.key))
        scratch.execute(SQL("CREATE TABLE public.{} ({}, PRIMARY KEY ({}))").format(Identifier(name), body, keys))
        rows[name] = _carry(legacy, scratch, table, kinds, pseudonyms)
        scratch.execute(SQL("ANALYZE public.{}").format(Identifier(name)))
    return rows


def _carry(
    legacy: Connection,
    scratch: Connection,
    table: MirrorTable,
    kinds: Mapping[Column, str],
    pseudonyms: Pseudonyms | None,
) -> int:
    # As text: COPY reads what the other server printed; Python has no infinite dates.
    values = SQL(", ").join(SQL("{}::{}::text").format(Identifier(c.name), SQL(c.type)) for c in table.columns)
    chosen = SQL("SELECT {} FROM public.{} JOIN {} USING ({})").format(
        values,
        Identifier(table.name),
        Identifier("pg_temp", shorten_name(f"sample_{table.name}")),
        SQL(", ").join(map(Identifier, table.key)),
    )
    wanted = [kinds.get((table.name, c.name)) for c in table.columns]
    into = SQL("COPY public.{} ({}) FROM STDIN").format(
        Identifier(table.name), SQL(", ").join(map(Identifier, table.names))
    )
    count = 0
    with legacy.cursor(name="sample") as read, scratch.cursor() as write, write.copy(into) as copy:
        read.itersize = 5_000
        for row in read.execute(chosen):
            if pseudonyms:
                row = [
                    pseudonyms.replace(kind, value) if kind and value is not None else value
                    for kind, value in zip(wanted, row, strict=True)
                ]
            copy.write_row(row)
            count += 1
    return count


def estimate_sizes(legacy: Connection, tables: Mapping[str, MirrorTable]) -> dict[str, int]:
    """Estimate the rows of each table, as the planner knows them; they are counted where it does not."""
    found = {}
    for name in tables:
        row = legacy.execute(
            "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(%s)", (f"public.{name}",)
        ).fetchone()
        if not row or row[0] < 1:
            row = legacy.execute(SQL("SELECT count(*) FROM public.{}").format(Identifier(name))).fetchone()
        found[name] = int(row[0]) if row else 0
    return found
