"""What verbs print: rows as a table, or as JSON."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from shopferry.errors import ShopferryError
from shopferry.retry import describe
from shopferry.settings import Settings


def show(args: argparse.Namespace, rows: Sequence[Any], columns: Sequence[str] | None = None) -> None:
    """Print rows (mappings or dataclasses) as a table, or as JSON."""
    plain = [asdict(r) if is_dataclass(r) and not isinstance(r, type) else dict(r) for r in rows]
    if args.json:
        print(json.dumps(plain, indent=2, default=str, ensure_ascii=False))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    names = columns or list(plain[0]) if plain else list(columns or ())
    table = Table(*(n.replace("_", " ") for n in names), box=SIMPLE_HEAD, pad_edge=False)
    for row in plain:
        table.add_row(*(escape(_render_cell(row.get(n))) for n in names))  # [[cutover.quarantine]] is no markup
    width = None if sys.stdout.isatty() else 160
    Console(width=width, highlight=False).print(table if plain else "nothing to show")


def _render_cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {v}" for k, v in value.items()) or "–"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


def name_who(args: argparse.Namespace) -> str:
    return str(args.who or getpass.getuser())


def publish_report(occasion: str) -> None:
    """Write the report people read, and say where; what was done is done, whether or not that succeeds."""
    from shopferry.report import rendering

    try:
        print(f"report: {rendering.publish(Settings.load(), occasion)}", file=sys.stderr)
    except (ShopferryError, psycopg.Error, OSError) as error:
        print(f"no report was written: {describe(error)}", file=sys.stderr)
