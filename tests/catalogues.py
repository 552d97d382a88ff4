"""Refresh the catalogues of the pages' languages: `make catalogues`, or `.venv/bin/python tests/catalogues.py`.

Messages come from the templates (gettext), from Python (`_("…")`, and the sentences of the functions that SENTENCES
names), and from the words of `shopferry.pages.words`. A new message gets an empty translation, and one that is gone is
taken out. What waits for a translation is printed. A route's own catalogues (`include/sql/<route>/locale`) are its
author's.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po
from jinja2.ext import babel_extract
from shopferry.pages import languages, words
from shopferry.settings import PROJECT

ROOT = PROJECT / "include" / "shopferry"
KEYWORDS = ("_", "gettext", "ngettext", "pgettext", "npgettext")
# Functions and classes whose sentences end on a page; "" is the module itself, that is all of it.
SENTENCES: dict[str, tuple[str, ...]] = {
    "assess/constraints.py": ("",),
    "assess/coverage.py": ("",),
    "assess/data_map.py": ("",),
    "assess/declared.py": ("",),
    "assess/encodings.py": ("",),
    "assess/findings.py": ("Finding", "attempt"),
    "assess/lineage.py": ("",),
    "assess/orphans.py": ("",),
    "assess/own_checks.py": ("",),
    "assess/personal_values.py": ("",),
    "assess/readiness.py": ("",),
    "assess/report.py": ("_GLOSS",),
    "assess/rights.py": ("",),
    "assess/sign_offs.py": ("",),
    "assess/sizing.py": ("",),
    "assess/sources.py": ("",),
    "assess/values.py": ("",),
    "control/optouts.py": ("judge_ages",),
    "control/rehearsals.py": ("Rehearsal", "find_latest"),
    "cutover/acceptance.py": ("judge",),
    "cutover/gates.py": ("",),
    "cutover/losses.py": ("",),
    "cutover/sequences.py": ("",),
    "cutover/servers.py": ("",),
    "cutover/undecided.py": ("judge",),
    "cutover/way_back.py": ("_GATE", "gate"),
    "health/measure.py": ("",),
    "health/problems.py": ("",),
    "privacy/export.py": ("_list_copies",),
    "privacy/record.py": ("_MISSING", "_say_erasure"),
    "privacy/told.py": ("choose",),
    "report/__init__.py": ("_list_next",),
    "report/evaluation.py": ("_list_unknown",),
    "route/people.py": ("Stage", "People"),
    "route/settings.py": ("Retention",),
    "verify/returned.py": ("REMEDY",),
    "verify/unlogged.py": ("",),
}
_SQL = re.compile(
    r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE|SET|SHOW|COPY|EXISTS|CREATE|LOCK|BEGIN|AND|OR|FROM|WHERE|NOT)\b"
)
_NONE = re.compile(r"[\n\\]|\}[\[{]|^(double precision|character varying|character)$|~|\{\d|\{\}")
_LEFT_OUT = (
    "POT-Creation-Date",
    "PO-Revision-Date",
    "Last-Translator",
    "Language-Team",
    "Report-Msgid-Bugs-To",
    "Generated-By",
)
_SILENT = (
    "execute",
    "read_value",
    "connect",
    "SQL",
    "load_queries",
    "info",
    "warning",
    "debug",
    "say",
    "compile",
    "read",
    "error",
)


def extract() -> Catalog:
    """Extract every message of the package, without translations."""
    found = Catalog(charset="utf-8")
    for file in sorted((ROOT / "pages").glob("*.html")):
        with file.open("rb") as source:
            options = {"newstyle_gettext": "true", "trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}
            for line, function, message, _ in babel_extract(source, KEYWORDS, (), options):
                _add(found, file, line, function, message)
    for file in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for line, function, message in _find_calls(tree):
            _add(found, file, line, function, message)
        for part in SENTENCES.get(file.relative_to(ROOT).as_posix(), ()):
            for line, message in _find_sentences(_find_part(tree, part)):
                _add(found, file, line, "gettext", message)
    for context, listed in words.WORDS.items():
        for word in listed:
            _add(
                found,
                ROOT / "pages/words.py",
                0,
                "pgettext" if context else "gettext",
                (context, word) if context else word,
            )
    return found


def _add(catalogue: Catalog, file: Path, line: int, function: str, message: object) -> None:
    given = [m for m in message if m is not None] if isinstance(message, (tuple, list)) else [message]
    context = str(given.pop(0)) if function.endswith("pgettext") else None
    text = tuple(map(str, given[:2])) if function.startswith("n") or function == "npgettext" else str(given[0])
    where = [(file.relative_to(PROJECT).as_posix(), None)]
    catalogue.add(text, locations=where, context=context)


def _find_calls(tree: ast.Module) -> Iterator[tuple[int, str, object]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = _name(node)
        constants = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        if name in KEYWORDS and constants:
            yield node.lineno, "gettext" if name == "_" else name, constants if len(constants) > 1 else constants[0]


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _find_part(tree: ast.Module, name: str) -> ast.AST:
    if not name:
        return tree
    for node in tree.body:
        named = [t.id for t in node.targets if isinstance(t, ast.Name)] if isinstance(node, ast.Assign) else []
        if getattr(node, "name", None) == name or name in named:
            return node
    raise LookupError(name)


def _find_sentences(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Find the texts of several words, but for docstrings, errors, SQL and what goes to a log."""
    if isinstance(node, ast.Raise) or (
        isinstance(node, ast.Call) and (_name(node) in _SILENT or _name(node).endswith("Error"))
    ):
        return
    if isinstance(node, ast.Constant | ast.JoinedStr) and _is_sentence(text := _write(node)):
        yield node.lineno, text
    for child in _list_children(node):
        yield from _find_sentences(child)


def _list_children(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        if isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant):
            continue
        if not docstring:
            yield child


def _write(node: ast.Constant | ast.JoinedStr) -> str:
    """Write a text with places for its values; the same value has one place."""
    if isinstance(node, ast.Constant):
        text = re.sub(r"\{(\w+):[^}]*\}", r"{\1}", node.value) if isinstance(node.value, str) else ""
    else:
        places: dict[str, str] = {}
        parts = []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                parts.append(f"{{{_place(part.value, places)}}}")
            else:
                parts.append(str(part.value))  # type: ignore[attr-defined]
        text = "".join(parts)
    return text.removeprefix("; ").removeprefix(", ").strip(" ")


def _place(value: ast.expr, places: dict[str, str]) -> str:
    """Name the place of a value by the last name in it."""
    source = ast.dump(value)
    if source not in places:
        names = _list_keys(value) or [
            n.attr if isinstance(n, ast.Attribute) else n.id
            for n in ast.walk(value)
            if isinstance(n, ast.Attribute | ast.Name)
        ]
        names = [
            n for n in names if n not in {"join", "len", "sorted", "sum", "max", "replace", "s", "astimezone"}
        ] or ["value"]
        name, number = names[0].strip("_").lower(), 1
        while f"{name}{number if number > 1 else ''}" in places.values():
            number += 1
        places[source] = f"{name}{number if number > 1 else ''}"
    return places[source]


def _list_keys(value: ast.expr) -> list[str]:
    """List the constant keys by which a value is looked up: `p["phase"]` is called by its key."""
    keys = [
        n.slice.value for n in ast.walk(value) if isinstance(n, ast.Subscript) and isinstance(n.slice, ast.Constant)
    ]
    return [re.sub(r"\W", "_", k) for k in keys if isinstance(k, str)]


def _is_sentence(text: str) -> bool:
    bare = re.sub(r"\{[a-z_0-9]+\}", "", text)
    return " " in text and bool(re.search(r"[A-Za-z]{2}", bare)) and not _NONE.search(text) and not _SQL.match(text)


def refresh(catalogue: Catalog) -> None:
    """Write what was extracted into each language's catalogue, with the translations that it has already."""
    for code in languages.LANGUAGES:
        if code == languages.DEFAULT:
            continue
        file = languages.FOLDER / f"{code}.po"
        known = languages.read(file, code) if file.exists() else Catalog(locale=code)
        made = Catalog(
            fuzzy=False,
            locale=code,
            charset="utf-8",
            project="shopferry",
            header_comment=f"# shopferry's pages: {code}",
        )
        for message in catalogue:
            if not message.id:
                continue
            old = known.get(message.id, message.context)
            made.add(message.id, old.string if old else "", locations=message.locations, context=message.context)
        written = BytesIO()
        write_po(written, made, width=0, sort_output=True, include_lineno=False)
        # What changes with every run, and what nobody fills in.
        text = re.sub(rf'^"({"|".join(_LEFT_OUT)}): .*\n', "", written.getvalue().decode(), flags=re.MULTILINE)
        file.write_text(text, encoding="utf-8")


def list_missing() -> Iterator[str]:
    """List the messages that wait for a translation, by file."""
    for code in languages.LANGUAGES:
        for message in languages.read(languages.FOLDER / f"{code}.po", code) if code != languages.DEFAULT else ():
            forms = [message.string] if isinstance(message.string, str) else message.string
            if message.id and not all(forms):
                yield f"{code}.po: {message.id}"


if __name__ == "__main__":
    refresh(extract())
    missing = list(list_missing())
    print("\n".join([*missing, f"{len(missing)} translations are missing"]))
    sys.exit(bool(missing))
