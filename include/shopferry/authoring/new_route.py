"""Draft the folder of a new route from the catalogues of both stores and some values of legacy; changes neither store.

Files that somebody has changed are left as they are, so that the verb may run again, once legacy's names are mended.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from psycopg.sql import SQL, Identifier

from shopferry import db
from shopferry.authoring import catalogue, drafting, matching, plans
from shopferry.authoring.catalogue import Table
from shopferry.authoring.matching import TablePair
from shopferry.db import Connection
from shopferry.errors import ConfigError
from shopferry.privacy import columns
from shopferry.privacy import draft as people
from shopferry.route import losses, personal, settings, signed_off
from shopferry.route.identifiers import is_reserved, write_name
from shopferry.route.personal import DataMap
from shopferry.route.route import FUNCTIONS, Route
from shopferry.settings import routes_dir

NAMES = "legacy-names.sql"
_LOOKED_AT = 200  # rows of each table whose values are looked at
_EMAIL = re.compile(r"^\s*[^@\s]+@[^@\s]+\.[^@\s]+\s*$")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


@dataclass(frozen=True)
class Drafted:
    """What was drafted: files written, and sentences about what was not, each with what to do."""

    folder: Path
    files: tuple[str, ...]
    open: tuple[str, ...]
    mappings: int  # that could be drafted, also those that were there already


@dataclass(frozen=True)
class _Plan:
    """What will be written: pairs with their phases and parents, and pairs that legacy's names forbid."""

    schema: str
    pairs: tuple[TablePair, ...]
    phases: Mapping[str, str]  # by table of the new shop
    parents: Mapping[str, Mapping[str, TablePair]]
    odd: tuple[TablePair, ...]
    open: tuple[str, ...]


def draft(name: str, legacy_dsn: str, shop_dsn: str) -> Drafted:
    """Draft a route. Raises ConfigError for a name that no route can have, or a new shop without a table."""
    if not _NAME.fullmatch(name) or name.endswith("_reverse"):
        raise ConfigError(f"route {name!r}: write its name in small letters, digits, - and _, at most 40")
    folder = routes_dir() / name
    with db.connect(legacy_dsn, "route new") as legacy, db.connect(shop_dsn, "route new") as shop:
        tables = catalogue.read(legacy)
        plan = _plan(tables, _choose_schema(catalogue.read(shop)))
        written = _write(folder, _compose(legacy, shop, name, plan, tables))
        if plan.pairs:
            written += _write(folder, _compose_data_map(legacy, shop, Route.load(name, folder.parent)))
    return Drafted(folder, tuple(written), plan.open, len(plan.pairs))


def _choose_schema(tables: Sequence[Table]) -> list[Table]:
    """Choose the schema of the new shop that has the most tables."""
    if not tables:
        raise ConfigError("the new shop has no table: make its tables first, shopferry fills them")
    [(schema, _)] = Counter(t.schema for t in tables).most_common(1)
    return [t for t in tables if t.schema == schema]


def _plan(legacy: Sequence[Table], shop: Sequence[Table]) -> _Plan:
    """Plan which tables become which, and say of the others in one sentence why not, and what to do."""
    sentences = [
        f"{t.schema}.{t.name} of the new shop is not drafted: {t.odd}, so no header can name it" for t in shop if t.odd
    ]
    fit = [t for t in shop if not t.odd and len(t.key) == 1]
    sentences += [
        f"{t.name} of the new shop is not drafted: its key has several columns; write its mapping by hand"
        for t in shop
        if not t.odd and len(t.key) > 1
    ]
    every = matching.pair_tables([t for t in legacy if len(t.key) == 1], fit)
    odd = tuple(p for p in every if p.source.odd or p.source.schema != "public")
    pairs = [p for p in every if p not in odd]
    for pair in list(pairs):
        if drafting.convert_key(pair, "k") is None:
            pairs.remove(pair)
            sentences.append(
                f"{pair.target.name} is not drafted: its key is {pair.target.key[0].type} and {pair.source.name}'s is "
                f"{pair.source.key[0].type}; an identity may give new keys: docs/reference/mapping-files.md"
            )
    if odd:
        listed = ", ".join(write_name(p.source.schema, p.source.name) for p in odd)
        sentences.append(
            f"{listed}: headers name tables of schema public, and tables and keys without capitals; have legacy's owner read "
            f"and run {NAMES}, then run `shopferry route new` again"
        )
    paired = {p.target.name for p in every}
    sentences += [f"{t.name} of the new shop: nothing in legacy is like it" for t in fit if t.name not in paired]
    parents = {p.target.name: _find_parents(p, pairs) for p in pairs}
    parents = _cut_cycles(parents)
    return _Plan(shop[0].schema, tuple(pairs), _find_phases(pairs, parents), parents, odd, tuple(sentences))


def _find_parents(pair: TablePair, pairs: Sequence[TablePair]) -> dict[str, TablePair]:
    found = {}
    for column in pair.target.fields:
        parent = drafting.find_parent(pair, column, pairs)
        if parent and drafting.find_pointer(pair, column, parent):
            found[column.name] = parent
    return found


def _cut_cycles(parents: dict[str, dict[str, TablePair]]) -> dict[str, dict[str, TablePair]]:
    """Take out pointers until no table waits for itself: what is in a cycle is carried without looking at its parent."""
    while True:
        graph = {table: {p.target.name for p in own.values()} for table, own in parents.items()}
        try:
            tuple(TopologicalSorter(graph).static_order())
            return parents
        except CycleError as error:
            last, table = error.args[1][:2]
            parents[table] = {c: p for c, p in parents[table].items() if p.target.name != last}


def _find_phases(pairs: Sequence[TablePair], parents: Mapping[str, Mapping[str, TablePair]]) -> dict[str, str]:
    """Find a phase for each table; one for all, where phases would wait for one another."""
    phases = {p.target.name: drafting.find_phase(p.target) for p in pairs}
    graph: dict[str, set[str]] = {phase: set() for phase in phases.values()}
    for table, own in parents.items():
        graph[phases[table]] |= {phases[p.target.name] for p in own.values()} - {phases[table]}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError:
        return dict.fromkeys(phases, "all")
    return phases


def _write(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Write those files that are not there yet, or are drafts that nobody has changed; returns their names."""
    written = []
    for name, text in files.items():
        file = folder / name
        if not file.exists() or _is_untouched(file.read_text()):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{_sign(text, '--' if name.endswith('.sql') else '#')}\n{text}")
            written.append(name)
    return written


def _sign(text: str, comment: str) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return f"{comment} Drafted by `shopferry route new` ({digest}), which writes it again as long as nobody has changed it."


def _is_untouched(text: str) -> bool:
    first, _, rest = text.partition("\n")
    return first == _sign(rest, first.partition(" ")[0])


def _compose(legacy: Connection, shop: Connection, name: str, plan: _Plan, tables: Sequence[Table]) -> dict[str, str]:
    """Compose all files but the data map, which asks the loaded route."""
    files = {settings.FILE: _compose_settings(name, plan.schema)}
    if plan.odd:
        files[NAMES] = _compose_names(plan.odd)
    if not plan.pairs:
        return files
    values = _look(legacy, shop, plan.pairs)
    left: dict[str, list[str]] = {}
    unfilled: list[str] = []
    for pair in plan.pairs:
        text = drafting.write(pair, plan.parents[pair.target.name], values, plan.schema)
        files[f"{plan.phases[pair.target.name]}/{pair.target.name}.sql"] = text
        left[pair.source.name] = drafting.unread(pair, text)
        unfilled += [
            write_name(plan.schema, pair.target.name, f.name)
            for f in pair.target.fields
            if not f.generated and f" AS {write_name(f.name)}," not in text
        ]
    if drafting.needs_functions(plan.pairs):
        files[FUNCTIONS] = drafting.FUNCTIONS
    files[signed_off.FILE] = _compose_signed_off(plan, tables, left)
    files["sample.sql"] = _compose_sample(plan.pairs)
    files[f"reverse/{losses.FILE}"] = _compose_losses(unfilled)
    return files


def _look(legacy: Connection, shop: Connection, pairs: Sequence[TablePair]) -> drafting.Values:
    """Look at some values of legacy's texts, and at the labels of the new shop's enums."""
    emails = set()
    for pair in pairs:
        texts = [c.source.name for c in pair.columns if matching.is_text(c.source)]
        if not texts:
            continue
        listed = SQL(", ").join(SQL("{}::text").format(Identifier(t)) for t in texts)
        rows = legacy.execute(
            SQL("SELECT {} FROM {} LIMIT {}").format(
                listed, Identifier(pair.source.schema, pair.source.name), SQL(str(_LOOKED_AT))
            )
        ).fetchall()
        for at, text in enumerate(texts):
            given = [row[at] for row in rows if row[at]]
            if given and sum(bool(_EMAIL.match(v)) for v in given) * 2 > len(given):
                emails.add((pair.source.name, text))
    kinds = sorted({f.type for p in pairs for f in p.target.fields if f.enum})
    labels = {
        kind: [
            label
            for (label,) in shop.execute(
                "SELECT enumlabel FROM pg_enum WHERE enumtypid = to_regtype(%s) ORDER BY enumsortorder", (kind,)
            ).fetchall()
        ]
        for kind in kinds
    }
    return drafting.Values(frozenset(emails), labels)


def _compose_settings(name: str, schema: str) -> str:
    lines = [
        "# OPEN: who answers for this route; the report says whom to ask.",
        f'owner = "who answers for {name}?"',
        'contact = "how to reach them?"',
    ]
    if schema != "shop":
        lines += ["# The schema of the new shop that has the most tables.", f'shop_schema = "{schema}"']
    return "\n".join(lines) + "\n"


def _compose_names(odd: Sequence[TablePair]) -> str:
    """Compose what gives tables of legacy names that headers can say, with a view of the old name for its application."""
    lines = [
        "-- Headers of mappings name tables of schema public, and tables and keys without capitals or signs. Read it, and have",
        "-- legacy's owner run it in psql: the application goes on with a view of the old name (docs/howto/own-stores.md).",
        "BEGIN;",
    ]
    for pair in odd:
        source = pair.source
        new = "_".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", source.name)).lower() or "renamed"
        new += "s" if is_reserved(new) else ""  # "Order" becomes orders
        old = write_name(source.schema, source.name)
        renamed = {
            f.name: re.sub(r"\W+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", f.name)).lower() for f in source.key
        }
        if source.schema != "public":
            lines.append(f"ALTER TABLE {old} SET SCHEMA public;")
        if source.name != new:
            lines.append(f"ALTER TABLE {write_name('public', source.name)} RENAME TO {new};")
        lines += [
            f"ALTER TABLE public.{new} RENAME COLUMN {write_name(f)} TO {to};" for f, to in renamed.items() if f != to
        ]
        shown = ", ".join(
            f"{renamed[f.name]} AS {write_name(f.name)}"
            if renamed.get(f.name, f.name) != f.name
            else write_name(f.name)
            for f in source.fields
        )
        lines.append(f"CREATE VIEW {old} AS SELECT {shown} FROM public.{new};")
        lines.append(f"-- GRANT SELECT, INSERT, UPDATE, DELETE ON {old} TO the application's role;")
    return "\n".join([*lines, "COMMIT;"]) + "\n"


def _compose_signed_off(plan: _Plan, tables: Sequence[Table], left: Mapping[str, Sequence[str]]) -> str:
    """Compose lines for what no mapping reads, as comments: nobody has decided yet that it may stay behind."""
    mapped = {(p.source.schema, p.source.name) for p in (*plan.pairs, *plan.odd)}
    lines = [
        "# What of legacy may stay behind, and why. The grammar: docs/reference/mapping-files.md.",
        "# Nobody reads the following. Map it, or take out the # and write the reason.",
    ]
    lines += [f"# {write_name(table, column)} -- " for table, names in sorted(left.items()) for column in names]
    lines += [
        f"# {write_name(t.name) if t.schema == 'public' else f'{write_name(t.schema, t.name)}.*'} -- "
        for t in tables
        if (t.schema, t.name) not in mapped
    ]
    return "\n".join(lines) + "\n"


def _compose_losses(unfilled: Sequence[str]) -> str:
    lines = [
        "# What legacy cannot hold when the shop goes back, column by column. The grammar: docs/howto/way-back.md.",
        "# It counts once there are mappings that lead back, beside this file. Nothing in legacy is like the following:",
        *(f"# {column} -- cut: " for column in unfilled),
    ]
    return "\n".join(lines) + "\n"


def _compose_sample(pairs: Sequence[TablePair]) -> str:
    """Compose what belongs to whom: from the table that the most point at, or that is of people, along the foreign keys."""
    by_name = {p.source.name: p for p in pairs}
    pointers = {p.source.name: _find_pointers(p.source, by_name) for p in pairs}
    counted = Counter(to for own in pointers.values() for to in own.values())
    first = max(
        pairs, key=lambda p: (drafting.find_phase(p.target) == "contacts", counted[p.source.name], p.source.name)
    ).source
    key = write_name(first.key[0].name)
    blocks = [
        "-- What a rehearsal takes of legacy. GUESSED from foreign keys and names: docs/howto/rehearse.md has the grammar.",
        f"-- name: everybody\nSELECT {key} AS id FROM {_name_table(first.name)};",
        f"-- name: {first.name}\nSELECT {key} FROM {_name_table(first.name)} WHERE {key} IN (SELECT id FROM chosen);",
    ]
    done = [first.name]
    while missing := [n for n in sorted(by_name) if n not in done]:
        name = next((n for n in missing if _lead(n, pointers, done, by_name, first.name)), missing[0])
        own = write_name(by_name[name].source.key[0].name)
        where = _lead(name, pointers, done, by_name, first.name)
        blocks.append(
            f"-- name: {name}\nSELECT {own} FROM {_name_table(name)} {f'WHERE {where}' if where else 'LIMIT 1000'};"
        )
        done.append(name)
    return "\n\n".join(blocks) + "\n"


def _name_table(name: str) -> str:
    return f"public.{name}" if is_reserved(name) else name


def _find_pointers(source: Table, others: Mapping[str, TablePair]) -> dict[str, str]:
    """Find which columns of a table point at which other: by its foreign keys, and by its names."""
    found = {column: to for column, (_, to) in source.points.items() if to in others and to != source.name}
    for column in source.fields:
        for name in others:
            guessed = not column.in_key and name != source.name and column.name not in found
            if guessed and matching.compare_names(column.name, f"{name}_id") == 1.0:
                found[column.name] = name
    return found


def _lead(
    name: str,
    pointers: Mapping[str, Mapping[str, str]],
    done: Sequence[str],
    pairs: Mapping[str, TablePair],
    first: str,
) -> str:
    """Write the condition by which rows of a table belong to those chosen already; empty where nothing leads there."""
    for column, to in pointers[name].items():
        if to in done:
            key = "id" if to == first else write_name(pairs[to].source.key[0].name)
            return f"{write_name(column)} IN (SELECT {key} FROM {'chosen' if to == first else f'sample_{to}'})"
    own = write_name(pairs[name].source.key[0].name)
    for child in done:
        for column, to in pointers[child].items():
            if to == name:
                key = write_name(pairs[child].source.key[0].name)
                return f"{own} IN (SELECT {write_name(column)} FROM {_name_table(child)} JOIN sample_{child} USING ({key}))"
    return ""


def _compose_data_map(legacy: Connection, shop: Connection, route: Route) -> dict[str, str]:
    """Compose the data map's draft: a guess for each column that the route reads or fills."""
    with shop.transaction(force_rollback=True):
        planned, _ = plans.plan(legacy, shop, route, merge=False)
    if not planned:
        return {}
    needed = list(columns.list_needed(planned.kept, route, columns.read_all(legacy, shop, route)))
    return {personal.FILE: people.write(DataMap(()), needed)}
