"""The values themselves, judged by the same code that will standardize them; examples are shown as shapes only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from psycopg.sql import SQL, Composable, Identifier

from shopferry.assess.findings import EXAMPLES, Example, Finding, Severity, mask
from shopferry.db import Connection
from shopferry.engine import marks
from shopferry.engine.mirror import MirrorTable
from shopferry.engine.standardize import standardize
from shopferry.keys import key_text
from shopferry.route.entities import IdentityMapping, Standardize
from shopferry.route.route import Route

SAMPLE = 200_000  # rows of a column judged at most; of larger tables blocks are drawn, and counts extrapolated
_WANTED = {
    "currency_missing",
    "name_missing",
}  # elsewhere an empty field is ordinary, but for an e-mail that is identity
_SAID_BY_OTHERS = {"given_name", "name_words"}  # family_name says the same of these values
_REPAIRING = {"text", "given_name", "family_name"}
_TEXTS = {"text", "character varying", "character", "citext"}
_SUSPECT = r"octet_length({0}) <> char_length({0}) OR {0} ~ '&[#[:alnum:]]+;|\\x00|\\u0000|[\x01-\x08\x0e-\x1f]'"


@dataclass
class _Tally:
    """How often one problem was met, and where first."""

    rows: int = 0
    distinct: int = 0
    examples: list[Example] = field(default_factory=list)

    def add(self, key: str, raw: str, rows: int) -> None:
        self.rows += rows
        self.distinct += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(Example(f"{key}…" if rows > 1 else key, mask(raw), rows))

    @property
    def shown(self) -> tuple[Example, ...]:
        return tuple(self.examples)


def judge_values(legacy: Connection, route: Route, tables: Mapping[str, MirrorTable]) -> Iterator[Finding]:
    """Judge every column that the route standardizes, and find rows that would become the same person."""
    seen: set[tuple[str, str, str]] = set()
    of_identity = {
        (s.kind, s.table, s.expression) for u in route.units if isinstance(u, IdentityMapping) for s in u.standardize
    }
    for asked in (s for u in route.units for s in u.standardize if not s.of_witness):
        # A mark has the problems of the value that it is made of; here no key is needed.
        wanted = replace(asked, kind=asked.kind.removesuffix(marks.SUFFIX))
        question = (wanted.kind, wanted.table, wanted.expression)
        if question in seen or wanted.table not in tables or wanted.kind in _SAID_BY_OTHERS:
            continue
        seen.add(question)
        yield from _judge_column(
            legacy, tables[wanted.table], wanted, cluster=wanted.kind == "email" and question in of_identity
        )


def _judge_column(legacy: Connection, table: MirrorTable, wanted: Standardize, *, cluster: bool) -> Iterator[Finding]:
    part, factor = (SQL(""), 1.0) if cluster else choose_sample(legacy, table.name)
    rows = legacy.execute(
        SQL("SELECT coalesce(({0})::text, ''), min({1}), count(*) FROM public.{2} {3} GROUP BY 1").format(
            SQL(wanted.expression), key_text(table.key), Identifier(table.name), part
        )
    ).fetchall()
    problems: dict[tuple[str, bool], _Tally] = defaultdict(_Tally)
    people: dict[str, _Tally] = defaultdict(_Tally)
    for raw, first, count in rows:
        verdict = standardize(wanted.kind, raw)
        if verdict.problem and verdict.problem != "text_repaired":  # those are told column by column
            problems[verdict.problem, verdict.value is None].add(first, raw, count)
        if cluster and verdict.value:
            people[verdict.value].add(first, raw, count)
    plain = wanted.expression.isidentifier()
    subject = f"legacy {table.name}.{wanted.expression}" if plain else f"legacy {table.name} ({wanted.expression})"
    for (problem, unusable), tally in sorted(problems.items()):
        if problem.endswith("_missing") and problem not in _WANTED and not (cluster and problem == "email_missing"):
            continue
        if unusable:
            found = Finding(
                subject,
                Severity.WARNING,
                f"values that are no {wanted.kind.replace('_', ' ')}: {problem}",
                "they are not carried; where the row cannot do without, it goes to quarantine (docs/reference/reason-codes.md)",
                "correct them in legacy; a change there mends the row by itself",
                tally.rows,
                examples=tally.shown,
            )
        else:
            found = Finding(
                subject,
                Severity.NOTE,
                f"values that are put right on the way: {problem}",
                "the corrected value arrives; both stand in ferry.standardized",
                "nothing, unless the examples look wrongly understood",
                tally.rows,
                examples=tally.shown,
            )
        yield found.scale(factor)
    yield from _find_shared(subject, wanted.kind, people)


def _find_shared(subject: str, kind: str, people: Mapping[str, _Tally]) -> Iterator[Finding]:
    """Find rows that are taken for the same person, for one value of theirs is the same."""
    shared = {address: t for address, t in people.items() if t.rows > 1}
    if shared:
        largest = sorted(shared.values(), key=lambda t: -t.rows)[:EXAMPLES]
        yield Finding(
            subject,
            Severity.WARNING,
            f"rows that share their {kind} with another: {len(shared):,} clusters",
            "each cluster becomes one in the new shop; what belonged to all of them goes to the one that leads",
            "look at the largest; where two people share an address, give one of them another",
            sum(t.rows for t in shared.values()),
            examples=tuple(Example(t.examples[0].key, t.examples[0].masked, t.rows) for t in largest),
        )


def find_broken_texts(legacy: Connection, route: Route, tables: Mapping[str, MirrorTable]) -> Iterator[Finding]:
    """Find texts of captured columns that look misread in the wrong encoding, escaped, or cut."""
    repaired = {(s.table, s.expression) for u in route.units for s in u.standardize if s.kind in _REPAIRING}
    for table in tables.values():
        part, factor = choose_sample(legacy, table.name)
        for column in table.columns:
            if column.legacy_base not in _TEXTS or column.name in table.key:
                continue
            name = Identifier(column.name)
            rows = legacy.execute(
                SQL(
                    "SELECT {0}::text, min({1}), count(*) FROM public.{2} {3} WHERE " + _SUSPECT + " GROUP BY 1"
                ).format(name, key_text(table.key), Identifier(table.name), part)
            ).fetchall()
            tally = _Tally()
            for raw, first, count in rows:
                if standardize("text", raw).problem == "text_repaired":
                    tally.add(first, raw, count)
            if tally.rows:
                mended = (table.name, column.name) in repaired
                yield Finding(
                    f"legacy {table.name}.{column.name}",
                    Severity.NOTE if mended else Severity.WARNING,
                    "texts that look broken (misread, escaped, or with junk)",
                    "they are repaired on the way; both stand in ferry.standardized"
                    if mended
                    else "they arrive as they are",
                    "nothing, unless the examples are not broken"
                    if mended
                    else f"if they are broken: `-- standardize: text legacy.{table.name} ({column.name})` in the mapping",
                    tally.rows,
                    examples=tally.shown,
                ).scale(factor)


def choose_sample(legacy: Connection, table: str) -> tuple[Composable, float]:
    """Choose the TABLESAMPLE clause that keeps a look at a large table short, and how many rows one of its rows stands for."""
    row = legacy.execute(
        "SELECT greatest(c.reltuples, s.n_live_tup, 0) FROM pg_class c LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid "
        "WHERE c.relnamespace = 'public'::regnamespace AND c.relname = %s AND c.relkind IN ('r', 'p')",
        (table,),
    ).fetchone()
    rows = float(row[0]) if row else 0.0
    if rows <= SAMPLE:
        return SQL(""), 1.0
    return SQL(f"TABLESAMPLE SYSTEM ({100 * SAMPLE / rows:.4f})"), rows / SAMPLE
