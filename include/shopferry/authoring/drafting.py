"""Write the draft of one mapping: each column with what is sure and what is a guess, and what nobody reads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shopferry.authoring.catalogue import Field, Table
from shopferry.authoring.matching import ColumnPair, TablePair, compare_names, is_text, split_words
from shopferry.route.identifiers import write_name

FUNCTIONS = """\
-- Keys of the new shop made of legacy's: the same row gets the same key, always. GUESS: whoever knows legacy's number can make
-- them too; where a key must not be guessed, add a secret: docs/reference/mapping-files.md, `clean` and settings.
CREATE OR REPLACE FUNCTION clean.make_uuid(kind text, legacy_key text) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN md5(kind || '/' || legacy_key)::uuid;

CREATE OR REPLACE FUNCTION clean.make_id(kind text, legacy_key text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN kind || '_' || upper(md5(kind || '/' || legacy_key));
"""
_NUMBER = r"^\s*-?\d+(\.\d+)?\s*$"
_UUID = "^[0-9a-fA-F-]{36}$"
_WHOLE = {"smallint", "integer", "bigint"}
_PEOPLE = {"customer", "client", "user", "member", "person", "address", "consent", "account", "contact"}
_ORDERS = {
    "order",
    "line",
    "item",
    "payment",
    "invoice",
    "delivery",
    "purchase",
    "booking",
    "refund",
    "return",
    "shipment",
}


@dataclass(frozen=True)
class Values:
    """What was seen of a column's values: whether most are e-mails, and the labels of the new shop's enums, by type."""

    emails: frozenset[tuple[str, str]]
    labels: Mapping[str, Sequence[str]]


@dataclass
class _Parts:
    """The parts of a SELECT as they come together."""

    items: list[tuple[str, str]] = field(default_factory=list)  # (expression AS column, remark)
    problems: list[str] = field(default_factory=list)
    joins: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    lineages: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    read: set[str] = field(default_factory=set)
    unfilled: list[str] = field(default_factory=list)

    def test(self, condition: str, code: str) -> None:
        """Add a problem: the rows that it holds, and its code."""
        self.problems.append(f"CASE WHEN {condition} THEN '{code}' END")


def find_phase(target: Table) -> str:
    """Find the phase that a table of the new shop belongs to, by its name."""
    words = set(split_words(target.name))
    return "orders" if words & _ORDERS else "contacts" if words & _PEOPLE else "rest"


def find_parent(pair: TablePair, column: Field, pairs: Sequence[TablePair]) -> TablePair | None:
    """Find the pair whose table of the new shop this column points at, by its foreign key, or else by its name."""
    if column.in_key:
        return None
    if to := pair.target.points.get(column.name):
        return next((p for p in pairs if (p.target.schema, p.target.name) == to and p is not pair), None)
    words = split_words(column.name)
    if words[-1] != "id" or len(words) < 2 or "legacy" in words:
        return None
    for p in pairs:
        if (
            p is not pair
            and compare_names("_".join(words[:-1]), p.target.name) == 1.0
            and p.target.key[0].base == column.base
        ):
            return p
    return None


def find_pointer(pair: TablePair, column: Field, parent: TablePair) -> ColumnPair | None:
    """Find the column of legacy by which a row names its parent: the one of the same name, or the one that points there."""
    if found := pair.find(column.name):
        return found
    name = next((c for c, to in pair.source.points.items() if to == (parent.source.schema, parent.source.name)), None)
    source = pair.source.find(name) if name else None
    if source is None:
        wanted = f"{parent.source.name}_id"
        source = next((f for f in pair.source.fields if not f.in_key and compare_names(f.name, wanted) == 1.0), None)
    return ColumnPair(column, source, bool(name)) if source else None


def convert_key(pair: TablePair, expression: str) -> str | None:
    """Write what makes a key of the new shop of one of legacy; None where that needs a person."""
    source, target = pair.source.key[0], pair.target.key[0]
    name = pair.target.name
    if source.base == target.base or {source.base, target.base} <= _WHOLE or (is_text(source) and is_text(target)):
        return expression
    if target.base == "uuid":
        return f"clean.make_uuid('{name}', {expression}::text)"
    if is_text(target):
        return f"clean.make_id('{name}', {expression}::text)"
    return None


def needs_functions(pairs: Sequence[TablePair]) -> bool:
    """Tell whether a key is made by a function."""
    return any("clean." in (convert_key(p, "k") or "") for p in pairs)


def write(pair: TablePair, parents: Mapping[str, TablePair], values: Values, schema: str) -> str:
    """Write a mapping; `parents` are the pairs that columns of it point at, by column, `schema` is the new shop's."""
    parts = _Parts()
    key = pair.target.key[0]
    own = write_name(pair.source.key[0].name)
    made = convert_key(pair, f"t.{own}")
    parts.read.add(pair.source.key[0].name)
    parts.items.append(
        (f"{made} AS {write_name(key.name)}", "sure: the key" if made == f"t.{own}" else "guess: made of the key")
    )
    for column in pair.target.fields:
        if column.name == key.name or column.generated:
            continue
        parent = parents.get(column.name)
        pointer = find_pointer(pair, column, parent) if parent else None
        if parent and pointer:
            _write_pointer(parts, pair, column, parent, pointer, schema)
        elif found := pair.find(column.name):
            _write_column(parts, pair, found, values)
        elif column.required:
            parts.items.append(
                (
                    f"NULL::{column.type} AS {write_name(column.name)}",
                    "OPEN: NOT NULL, and nothing in legacy is like it",
                )
            )
            parts.test("true", f"{_code(column)}_unmapped")
        else:
            parts.unfilled.append(column.name)
    return _join(pair, parts, schema)


def _code(column: Field) -> str:
    return re.sub(r"\W+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column.name)).lower()


def _write_pointer(
    parts: _Parts, pair: TablePair, column: Field, parent: TablePair, pointer: ColumnPair, schema: str
) -> None:
    """Write a column that points at a row which another mapping makes: it is held until that row is there."""
    alias, source = f"p{len(parts.sources) + 1}", write_name(pointer.source.name)
    key = write_name(parent.target.key[0].name)
    made, plain = convert_key(parent, f"t.{source}"), convert_key(parent, source)
    relation = f"{schema}.{parent.target.name}"
    mine = convert_key(pair, f"t.{write_name(pair.source.key[0].name)}")
    remark = "sure: a foreign key on both sides" if pointer.sure else "guess: by its name"
    parts.read.add(pointer.source.name)
    parts.items.append((f"{alias}.{key} AS {write_name(column.name)}", remark))
    parts.joins.append(f"LEFT JOIN {write_name(schema, parent.target.name)} {alias} ON {alias}.{key} = {made}")
    missing = f"{alias}.{key} IS NULL" if column.required else f"t.{source} IS NOT NULL AND {alias}.{key} IS NULL"
    parts.test(missing, f"{_code(column).removesuffix('_id')}_missing")
    if relation in parts.sources:
        return
    parts.sources.append(relation)
    index = plain if plain == source else f"({plain})"
    parts.headers.append(f"-- index: legacy.{pair.source.name}({index})")
    parts.lineages.append(
        f"-- lineage: {relation}\nSELECT {mine} FROM changed c JOIN legacy.{pair.source.name} t ON {made} = c.{key};"
    )


def _write_column(parts: _Parts, pair: TablePair, found: ColumnPair, values: Values) -> None:
    source, target = found.source, found.target
    value, code = f"t.{write_name(source.name)}", _code(target)
    parts.read.add(source.name)
    remark = "sure: name and type are the same" if found.sure else f"guess: {source.name}, {source.type}"
    made = value
    if (pair.source.name, source.name) in values.emails and is_text(target):
        made = _judge(parts, pair, source, "email", code)
        remark = "guess: its values are e-mails, judged by the standardizer"
    elif target.enum and target.type in values.labels:
        labels = ", ".join("'" + label.replace("'", "''") + "'" for label in values.labels[target.type])
        made = f"CASE WHEN {value}::text IN ({labels}) THEN {value}::text::{target.type} END"
        remark = f"guess: {source.name}, where it says the same"
        parts.test(f"{value} IS NOT NULL AND {value}::text NOT IN ({labels})", f"{code}_unknown")
    elif is_text(source) and not is_text(target):
        made = _read_text(parts, pair, source, target, value, code)
    elif {source.base, target.base} == {"timestamp without time zone", "timestamp with time zone"}:
        made, remark = f"{value} AT TIME ZONE 'UTC'", "guess: legacy's clock was UTC"
    elif target.base == "boolean" and source.base in _WHOLE:
        made = f"{value} <> 0"
    elif source.base in {"json", "jsonb"} and source.base != target.base and not is_text(target):
        made = f"{value}::{target.base}"
    elif is_text(target) and not is_text(source):
        made = f"{value}::text"
    parts.items.append((f"{made} AS {write_name(target.name)}", remark))
    if target.required:
        parts.test(f"{value} IS NULL", f"{code}_missing")
    if target.length and is_text(source) and (source.length is None or source.length > target.length):
        parts.test(f"length({made}) > {target.length}", f"{code}_too_long")


def _judge(parts: _Parts, pair: TablePair, source: Field, kind: str, code: str) -> str:
    """Have a standardizer judge a column; returns what stands for its value."""
    alias, name = f"s{len(parts.joins) + 1}", write_name(source.name)
    parts.headers.append(f"-- standardize: {kind} legacy.{pair.source.name} ({name})")
    parts.joins.append(f"LEFT JOIN ferry.standardized {alias} ON {alias}.kind = '{kind}' AND {alias}.raw = t.{name}")
    parts.test(f"t.{name} IS NOT NULL AND {alias}.value IS NULL", f"{code}_invalid")
    return f"{alias}.value"


def _read_text(parts: _Parts, pair: TablePair, source: Field, target: Field, value: str, code: str) -> str:
    """Write what reads a number, a date, a truth or a uuid out of a text, and holds what is none."""
    if target.base == "date":
        return f"{_judge(parts, pair, source, 'date', code)}::date"
    if target.base == "boolean":
        yes, no = "('1', 't', 'true', 'y', 'yes', 'on')", "('0', 'f', 'false', 'n', 'no', 'off', '')"
        low = f"lower(btrim({value}))"
        parts.test(f"{low} NOT IN {yes} AND {low} NOT IN {no}", f"{code}_unknown")
        return f"{low} IN {yes}"
    pattern, to = (_UUID, "uuid") if target.base == "uuid" else (_NUMBER, "numeric")
    parts.test(f"{value} !~ '{pattern}'", f"{code}_invalid")
    made = f"CASE WHEN {value} ~ '{pattern}' THEN {value}::{to} END"
    return made if to == target.base else f"({made})::{target.base}"


def _join(pair: TablePair, parts: _Parts, schema: str) -> str:
    """Join the parts to the text of a file."""
    source, target = pair.source, pair.target
    own, key = source.key[0].name, target.key[0].name
    counted = next((c.target.name for c in pair.columns if c.source.name == own), None)
    plain = convert_key(pair, own)
    if plain != own and counted == key:
        counted = next((c.target.name for c in pair.columns if c.source.name == own and c.target.name != key), None)
    left = [f.name for f in source.fields if f.name not in parts.read]
    said = "sure, by its name" if pair.sure else "GUESS, by names and columns"
    uncounted = f"no column of {target.name} keeps legacy's key, so its rows are not accounted for; see `counts`."
    lines = [
        f"-- entity: {schema}.{target.name}",
        f"-- key: {key}",
        f"-- scope: {key}",
        f"-- source: {', '.join([f'legacy.{source.name}({plain})', *parts.sources])}",
        *([f"-- counts: legacy.{source.name}({own}) as {counted}"] if counted else []),
        *dict.fromkeys(parts.headers),
        f"-- Draft: {source.name} of legacy becomes {target.name} ({said}). Confirm each guess, and take its remark out.",
        *([] if counted else [f"-- OPEN: {uncounted}"]),
        *([f"-- Nobody reads, see signed_off.txt: {', '.join(left)}."] if left else []),
        *([f"-- Not filled, may be empty or has a default: {', '.join(parts.unfilled)}."] if parts.unfilled else []),
    ]
    for number, (item, remark) in enumerate(parts.items):
        lines.append(f"{'SELECT ' if not number else '       '}{item},  -- {remark}")
    listed = ",\n           ".join(dict.fromkeys(parts.problems))
    lines.append(
        f"       array_remove(ARRAY[\n           {listed}\n       ], NULL) AS problems"
        if listed
        else "       '{}'::text[] AS problems"
    )
    lines += [
        "FROM affected a",
        f"JOIN legacy.{source.name} t ON {convert_key(pair, f't.{own}')} = a.key",
        *parts.joins,
    ]
    return "\n".join([*lines[:-1], f"{lines[-1]};", *(f"\n{lineage}" for lineage in parts.lineages)]) + "\n"


def unread(pair: TablePair, text: str) -> list[str]:
    """List the columns of legacy that a drafted mapping says nobody reads."""
    names = [(f.name, re.escape(write_name(f.name))) for f in pair.source.fields]
    return [name for name, written in names if not re.search(rf"\bt\.{written}(?!\w)", text)]
