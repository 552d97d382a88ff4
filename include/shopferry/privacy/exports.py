"""Files of activations that wait in our own folder for somebody to take them: who is erased is taken out of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shopferry import pages

_WRITTEN = {".csv", ".json", ".jsonl"}  # by activations and campaign lists


def forget(folder: Path, values: Sequence[str]) -> int:
    """Take out of the folder's files the members that hold one of the values, as `search.choose` has chosen them.

    All other members stay, for a recipient is told each of them once. Returns how many files were written anew.
    """
    count = 0
    for file in sorted(p for p in folder.rglob("*") if p.suffix in _WRITTEN) if folder.is_dir() else ():
        text = file.read_bytes().decode()  # as it is, its ends of lines too
        if _holds(text, values):
            count += 1
            left = _drop_members(text, values) if file.suffix == ".json" else _drop_lines(text, values)
            pages.write(left, file)
    return count


def _holds(text: str, values: Sequence[str]) -> bool:
    return any(v in text.casefold() for v in values)


def _drop_lines(text: str, values: Sequence[str]) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not _holds(line, values))


def _drop_members(text: str, values: Sequence[str]) -> str:
    left = _drop(json.loads(text), values)
    return json.dumps(left, ensure_ascii=False, indent=2) + "\n"


def _drop(node: Any, values: Sequence[str]) -> Any:
    """Drop from each list the elements that hold a value and have no list of their own that it stands in."""
    if isinstance(node, dict):
        return {name: _drop(value, values) for name, value in node.items()}
    if isinstance(node, list):
        inner = [_drop(one, values) for one in node]
        return [one for one in inner if not _holds(json.dumps(one, ensure_ascii=False), values)]
    return node
