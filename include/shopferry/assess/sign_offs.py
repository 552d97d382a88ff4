"""Lines of `signed_off.txt` that say nothing true: what they name is mapped by now, or is not in legacy at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from shopferry.assess.coverage import LARGE
from shopferry.assess.findings import Finding, Severity
from shopferry.db import Connection
from shopferry.engine.mirror import MirrorTable
from shopferry.route.identifiers import write_name
from shopferry.route.signed_off import FILE, SignedOff


def find_outdated(
    full: Mapping[str, MirrorTable], kept: Mapping[str, MirrorTable], settled: Iterable[SignedOff]
) -> Iterator[Finding]:
    """Find lines about columns that a mapping does read: one of the two is out of date."""
    for line in settled:
        if line.column is None:
            taken = [t for t in full if line.covers(t, None)]
        else:
            taken = [
                f"{t}.{c.name}"
                for t, m in kept.items()
                for c in m.columns
                if c.name not in m.key and c.legacy not in LARGE and line.covers(t, c.name)
            ]
        if taken:
            yield Finding(
                f"{FILE}:{line.line}",
                Severity.NOTE,
                f"signs off {', '.join(taken)}, which a mapping reads",
                "the reason written there is not true any more",
                "take the line out, or narrow its pattern",
            )


def find_unmatched(legacy: Connection, settled: Iterable[SignedOff]) -> Iterator[Finding]:
    """Find lines that name no table and no column of legacy: a slip of the pen, or something dropped since."""
    there = legacy.execute(
        """SELECT n.nspname, c.relname, a.attname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
           WHERE n.nspname !~ '^pg_' AND c.relkind IN ('r', 'p', 'm', 'f') ORDER BY 1, 2, a.attnum"""
    ).fetchall()
    names: set[str] = set()
    for schema, table, column in there:
        whole = write_name(table) if schema == "public" else f"{write_name(schema, table)}.*"
        names |= {whole, *([f"{whole.removesuffix('.*')}.{write_name(column)}"] if column else [])}
    for line in settled:
        if any(line.covers(table, None if line.column is None else column, schema) for schema, table, column in there):
            continue
        close = get_close_matches(line.written, names, 1)
        yield Finding(
            f"{FILE}:{line.line}",
            Severity.WARNING,
            f"names {line.written}, and legacy has no such {'table' if line.column is None else 'column'}",
            "the line signs nothing off",
            f"{f'write {close[0]}, if that is meant' if close else 'correct the name'}, or take the line out",
        )
