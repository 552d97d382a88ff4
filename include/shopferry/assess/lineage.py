"""Where a target column comes from: read off a mapping's text where one expression over one legacy table says it.

Only what is plain is read: the SELECT list of a mapping without UNION, the codes of a `VALUES` list that it joins, the raw
value behind a standardized one. What is not plain is not guessed at: nothing is said about it, and a check of the route's
own (`assess/*.sql`) may look there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from shopferry.route.entities import EntityMapping

_ALIAS = re.compile(
    r"\b(?:FROM|JOIN)\s+(?:([a-z_]\w*)\.)?([a-z_]\w*)(?:\s+AS)?\s+(?!ON\b|WHERE\b|USING\b)([a-z][a-z0-9_]*)"
)
_COLUMN = re.compile(r"\b([a-z][a-z0-9_]*)\.([a-z_][a-z0-9_]*)\b")
_VERDICT = re.compile(
    r"JOIN\s+ferry\.standardized\s+([a-z]\w*)\s+ON\s+\1\.kind\s*=\s*'(\w+)'\s+AND\s+\1\.raw\s*=\s*(.+)"
)
_CODES = re.compile(r"\b([a-z_]\w*)\s*\(([a-z_]\w*)(?:\s*,\s*[a-z_]\w*)*\)\s+AS\s+\(VALUES")
_NAMED = re.compile(r"^(?P<expression>.+?)\s+AS\s+(?P<name>[a-z_][a-z0-9_]*)$", re.DOTALL)
_EMPTIED = re.compile(  # the same, or nothing: what it may hold comes from the ELSE
    r"^CASE\s+WHEN\b(?:(?!\b(?:THEN|CASE)\b).)+\bTHEN\s+NULL\s+ELSE\s+(?P<expression>(?:(?!\b(?:CASE|WHEN|ELSE)\b).)+?)\s+END$",
    re.DOTALL,
)
_PLAIN = re.compile(r"^[a-z]\w*\.(?P<name>[a-z_][a-z0-9_]*)$")


@dataclass(frozen=True)
class Origin:
    """A target column that one expression over one row of a legacy table yields; `kind` when it is the raw value of a verdict."""

    entity: str
    column: str
    table: str
    alias: str
    expression: str
    kind: str | None = None

    @property
    def label(self) -> str:
        """How the report names it: `orders.total`."""
        return _render_label(self.table, self.expression)


@dataclass(frozen=True)
class Codes:
    """A list of codes that a mapping knows, and the expression over a legacy table that must be one of them."""

    mapping: str
    name: str
    values: str  # SQL: the VALUES list
    column: str
    table: str
    alias: str
    expression: str

    @property
    def label(self) -> str:
        """How the report names it: `orders.status_code`."""
        return _render_label(self.table, self.expression)


def find_origins(mapping: EntityMapping) -> Iterator[Origin]:
    """Find the target columns whose origin is plain."""
    body = _strip_comments(mapping.body)
    tables = _find_tables(body)
    verdicts = {alias: (kind, _trim(raw)) for alias, kind, raw in _VERDICT.findall(body)}
    for item in _split_select_list(body):
        named = _NAMED.match(item)
        plain = _PLAIN.match(item)
        if not named and not plain:
            continue
        name = (named or plain)["name"]  # type: ignore[index]
        expression, kind = (named["expression"].strip() if named else item), None
        if emptied := _EMPTIED.match(expression):
            expression = emptied["expression"]
        used = _find_aliases(expression)
        if len(used) == 1 and (alias := used.copy().pop()) in verdicts and expression == f"{alias}.value":
            kind, expression = verdicts[alias]
            used = _find_aliases(expression)
        if (
            len(used) == 1
            and (alias := used.pop()) in tables
            and not re.search(r"\bOVER\b|\bFILTER\b|\bSELECT\b", expression)
        ):
            yield Origin(mapping.entity, name, tables[alias], alias, expression, kind)


def find_codes(mapping: EntityMapping) -> Iterator[Codes]:
    """Find the lists of codes that the mapping joins to a legacy column."""
    body = _strip_comments(mapping.body)
    tables = _find_tables(body)
    for found in _CODES.finditer(body):
        name, column = found[1], found[2]
        start = found.end() - len("VALUES")
        values = body[start : _find_closing(body, start)].strip()
        join = re.search(rf"JOIN\s+{name}\s+([a-z]\w*)\s+ON\s+\1\.{column}\s*=\s*(.+)", body)
        if not join:
            continue
        expression = _trim(join[2])
        used = _find_aliases(expression)
        if len(used) == 1 and (alias := used.pop()) in tables:
            yield Codes(mapping.name, name, values, column, tables[alias], alias, expression)


def _render_label(table: str, expression: str) -> str:
    return f"{table}.{'+'.join(dict.fromkeys(c for _, c in _COLUMN.findall(expression)))}"


def _find_aliases(expression: str) -> set[str]:
    """Find the relations whose columns an expression reads."""
    return {a for a, _ in _COLUMN.findall(_strip_strings(expression))}


def _strip_comments(sql: str) -> str:
    return re.sub(r"--[^\n]*", "", sql)


def _strip_strings(sql: str) -> str:
    return re.sub(r"'[^']*'", "''", sql)


def _find_tables(body: str) -> dict[str, str]:
    """Find the legacy tables by alias; an alias that means two things means none."""
    meant: dict[str, set[tuple[str, str]]] = {}
    for schema, name, alias in _ALIAS.findall(body):
        meant.setdefault(alias, set()).add((schema, name))
    return {a: next(iter(m))[1] for a, m in meant.items() if len(m) == 1 and next(iter(m))[0] == "legacy"}


def _find_closing(sql: str, start: int) -> int:
    """Find where the bracket closes that is open at `start`."""
    depth, quoted = 1, False
    for at in range(start, len(sql)):
        sign = sql[at]
        if sign == "'":
            quoted = not quoted
        elif not quoted and sign in "([":
            depth += 1
        elif not quoted and sign in ")]":
            depth -= 1
            if not depth:
                return at
    return len(sql)


def _trim(tail: str) -> str:
    """Take an expression from the end of a join's line, without the condition or bracket that may follow it."""
    expression = re.split(r"\s+AND\s+|;", tail.strip())[0]
    end = _find_closing(expression, 0)
    return expression[:end].strip()


def _split_select_list(body: str) -> list[str]:
    """Return the items of the mapping's last, outermost SELECT; none when it has a UNION."""
    top, depth, quoted = [], 0, False
    for at, sign in enumerate(body):
        if sign == "'":
            quoted = not quoted
        elif not quoted and sign in "([":
            depth += 1
        elif not quoted and sign in ")]":
            depth -= 1
        top.append(sign if not depth and not quoted else "\0")
        if at and sign in "([" and depth == 1:
            top[-1] = "\0"
    outer = "".join(top)
    if re.search(r"\bUNION\b", outer):
        return []
    selects = [m.end() for m in re.finditer(r"\bSELECT\b", outer)]
    if not selects:
        return []
    begin = selects[-1]
    end = re.search(r"\bFROM\b", outer[begin:])
    if not end:
        return []
    items, last = [], begin
    for comma in re.finditer(r",", outer[begin : begin + end.start()]):
        items.append(body[last : begin + comma.start()].strip())
        last = begin + comma.end()
    return [*items, body[last : begin + end.start()].strip()]
