"""How the tree of verbs is built: a verb's help is its function's docstring."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

Verb = Callable[[argparse.Namespace], int]


def add_verb(under: Any, name: str, run: Verb) -> argparse.ArgumentParser:
    """Add one verb, which prints JSON if it is asked to."""
    text = " ".join((run.__doc__ or "").split())
    made: argparse.ArgumentParser = under.add_parser(name, help=text, description=text)
    made.add_argument("--json", action="store_true", help="print JSON instead of a table")
    made.set_defaults(run=run)
    return made


def add_group(verbs: Any, name: str, text: str) -> Any:
    """Add a group of verbs."""
    made = verbs.add_parser(name, help=text, description=text)
    return made.add_subparsers(dest="subverb", required=True, metavar="VERB")


def parse_count(text: str) -> int:
    """Parse a whole number above 0."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value
