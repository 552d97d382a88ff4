"""Read one mapping file: what its header says of an entity or an identity, its SELECT and its lineage.

The grammar is in docs/reference/mapping-files.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shopferry.route import headed
from shopferry.route.entities import (
    OURS,
    SETTING,
    Counts,
    EntityMapping,
    IdentityMapping,
    Source,
    Standardize,
    Unit,
)
from shopferry.route.headed import HeadedFile

# The schema of a mirror's views is named for the store that they show; a file in `reverse` reads the new shop.
_SOURCE = re.compile(r"^([a-z_][a-z0-9_]*)\.([a-z_][a-z0-9_]*)(?:\((\S.*)\))?$")
_COUNTS = re.compile(r"^(?:legacy|shop)\.([a-z_][a-z0-9_]*)\(([a-z_][a-z0-9_]*)\)\s+as\s+(\S.*)$")
_COLUMN_OF = re.compile(r"^([a-z_]+)?\s*(?:legacy|shop)\.([a-z_][a-z0-9_]*)\s*\((.+)\)$")
_OF_WITNESS = re.compile(r"^([a-z_]+)\s+ferry\.witness_([a-z_][a-z0-9_]*)\s*\((.+)\)$")
_WITNESS = re.compile(r"^(?:legacy|shop)\.([a-z_][a-z0-9_]*)\s*\((.+)\)$")
_ENTITY_WORDS = {"entity", "key", "scope", "source", "counts", "standardize", "index", "after", "witness", "lineage"}
_IDENTITY_WORDS = {"identity", "sequence", "text", "source", "standardize", "index", "after", "witness", "lineage"}


def read(file: Path, where: Path) -> Unit:
    """Read one mapping file; `where` is how errors name it. Raises MappingError with file and line."""
    name = f"{file.parent.name}/{file.name.removesuffix('.sql')}"
    is_identity = name.endswith(".identity")
    text = headed.read(file, where, _ENTITY_WORDS | _IDENTITY_WORDS, divider="lineage")
    for header in text.headers:
        if header.word not in (_IDENTITY_WORDS if is_identity else _ENTITY_WORDS):
            raise text.error(header.line, f"header {header.word!r} does not belong into this kind of file")
    body = text.body
    schema = "shop" if file.parent.parent.name == "reverse" else "legacy"
    sources = _read_sources(text, schema)
    shared: dict[str, Any] = {
        "name": name,
        "schema": schema,
        "file": where,
        "line": body.line,
        "body": body.text,
        "sources": sources,
        "standardize": tuple(_read_standardize(text)),
        "indexes": tuple(_read_indexes(text)),
        "after": tuple(item for _, item in _split_items(text, "after")),
        "witness": tuple(_read_witnesses(text)),
        "reads_settings": any(item == SETTING for _, item in _split_items(text, "source")),
    }
    unit = _make_identity(text, shared) if is_identity else _make_entity(text, shared)
    for wanted in unit.standardize:
        if wanted.of_witness and wanted.table not in {table for table, _ in unit.witness}:
            raise text.error(wanted.line, f"ferry.witness_{wanted.table}: no `-- witness:` line here names that table")
    named = {item for _, item in _split_items(text, "source")}
    for ours, change in {**OURS, SETTING: "another value"}.items():
        if ours not in named and any(re.search(rf"\b{re.escape(ours)}\b", s.text) for s in text.sections):
            raise text.error(
                body.line,
                f"reads {ours}, which is no source: {change} would go unnoticed; name it in a `-- source:` line",
            )
    unread = unit.tables - {s.name for s in sources if s.is_captured}
    if unread:
        raise text.error(
            body.line,
            f"reads {schema}.{min(unread)}, which is no source: "
            "a change there would go unnoticed; name it in a `-- source:` line",
        )
    return unit


def _make_entity(text: HeadedFile, shared: dict[str, Any]) -> EntityMapping:
    counts = _read_counts(text)
    entity = text.first("entity").value
    key = tuple(c.strip() for c in text.first("key").value.split(","))
    return EntityMapping(**shared, entity=entity, key=key, scope=text.first("scope").value, counts=counts)


def _make_identity(text: HeadedFile, shared: dict[str, Any]) -> IdentityMapping:
    sequence, expression = (text.first(word).value if text.all(word) else None for word in ("sequence", "text"))
    return IdentityMapping(**shared, identity=text.first("identity").value, sequence=sequence, text=expression)


def _split_items(text: HeadedFile, word: str) -> Iterator[tuple[int, str]]:
    """Yield line and item of each comma-separated item of a word, whose brackets may hold commas of their own."""
    for header in text.all(word):
        depth, item = 0, ""
        for sign in header.value:
            depth += (sign == "(") - (sign == ")")
            if sign == "," and depth == 0:
                yield header.line, item.strip()
                item = ""
            else:
                item += sign
        if item.strip():
            yield header.line, item.strip()


def _read_sources(text: HeadedFile, captured: str) -> tuple[Source, ...]:
    """Read the sources with their lineage; what is in neither the `captured` schema nor an identity is an entity."""
    lineage = {section.name: section for section in text.sections[1:]}
    sources = []
    for number, item in _split_items(text, "source"):
        if item == SETTING:
            continue
        match = _SOURCE.match(item)
        if item not in OURS and (not match or match[1] == "ferry"):
            _refuse_odd_names(text, number, item)
            raise text.error(
                number,
                f"source {item!r} is not legacy.<table>(<column>) (or shop.…), identity.<name>(<column>), "
                f"an entity, {', '.join(OURS)}, {SETTING}, or one of them without column and with a lineage section",
            )
        assert match
        relation, is_entity = f"{match[1]}.{match[2]}", match[1] not in {captured, "identity", "ferry"}
        if match[3]:
            sources.append(Source(relation, match[3], None, number, is_entity))
        elif relation in lineage:
            sources.append(Source(relation, None, lineage[relation].text, lineage[relation].line, is_entity))
        else:
            raise text.error(number, f"source {relation} has neither a column nor a `-- lineage: {relation}` section")
    text.first("source")
    for section in text.sections[1:]:
        if section.name not in {s.relation for s in sources if s.lineage}:
            raise text.error(section.line, f"lineage of {section.name}, which is no source without column here")
    return tuple(sources)


def _refuse_odd_names(text: HeadedFile, line: int, item: str) -> None:
    """Say of a header that it holds a name that cannot stand there, where that is what is wrong with it."""
    if '"' in item or item != item.lower() or not item.isascii():
        raise text.error(
            line,
            f"{item!r} holds a name with capitals, signs or letters beyond a to z. Tables, keys and columns that headers name "
            "must do without: rename them in legacy, and leave its application a view of the old name "
            "(docs/howto/own-stores.md). Other columns may be called anything: read them in quotes",
        )
    if item.partition("(")[0].count(".") > 1:
        raise text.error(
            line,
            f"{item!r} names a schema: legacy's tables are those of `public`, and are written legacy.<table>: "
            "move it there, and leave its application a view of the old name (docs/howto/own-stores.md)",
        )


def _read_standardize(text: HeadedFile) -> Iterator[Standardize]:
    for header in text.all("standardize"):
        if match := _OF_WITNESS.match(header.value):
            yield Standardize(match[1], match[2], match[3], header.line, of_witness=True)
            continue
        match = _COLUMN_OF.match(header.value)
        if not match or not match[1]:
            _refuse_odd_names(text, header.line, header.value.partition("(")[0])
            raise text.error(
                header.line, f"standardize wants `<kind> legacy.<table> (<expression>)`, not {header.value!r}"
            )
        yield Standardize(match[1], match[2], match[3], header.line)


def _read_indexes(text: HeadedFile) -> Iterator[tuple[str, str]]:
    for header in text.all("index"):
        match = _COLUMN_OF.match(header.value)
        if not match:
            _refuse_odd_names(text, header.line, header.value.partition("(")[0])
            raise text.error(header.line, f"index wants `legacy.<table>(<columns>)`, not {header.value!r}")
        yield match[2], match[3]


def _read_witnesses(text: HeadedFile) -> Iterator[tuple[str, tuple[str, ...]]]:
    for line, item in _split_items(text, "witness"):
        match = _WITNESS.match(item)
        columns = tuple(c.strip() for c in match[2].split(",")) if match else ()
        if not match or not all(re.fullmatch(r"[a-z_][a-z0-9_]*", c) for c in columns):
            _refuse_odd_names(text, line, item)
            raise text.error(line, f"witness wants `legacy.<table> (<column>, …)`, not {item!r}")
        yield match[1], columns


def _read_counts(text: HeadedFile) -> Counts | None:
    for header in text.all("counts"):
        match = _COUNTS.match(header.value)
        if not match:
            _refuse_odd_names(text, header.line, header.value)
            raise text.error(
                header.line,
                "counts wants `legacy.<table>(<column>) as <target column, or an expression over them>`, "
                f"not {header.value!r}",
            )
        return Counts(match[1], match[2], match[3], header.line)
    return None
