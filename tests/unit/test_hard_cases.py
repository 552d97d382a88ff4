"""The table of hard cases names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

from shopferry.settings import PROJECT

FOLDERS = (PROJECT / "tests" / "stream", PROJECT / "tests" / "kafka")
PAGE = (PROJECT / "docs" / "reference" / "hard-cases.md").read_text()


def defined(*folders: Path) -> set[str]:
    """Every test below these folders, as `module::function`."""
    return {
        f"{file.name}::{name}"
        for folder in folders
        for file in folder.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", Path(file).read_text(), re.MULTILINE)
    }


def test_every_test_the_table_names_exists_and_every_one_of_the_stream_is_named() -> None:
    named = set(re.findall(r"`(test_\w+\.py::test_\w+)`", PAGE))
    assert named <= defined(PROJECT / "tests")
    of_the_wire = {name for name in defined(*FOLDERS) if name.startswith("test_secured.py::")}  # no case of the stream
    assert defined(*FOLDERS) - of_the_wire <= named
