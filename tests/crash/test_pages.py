"""The pages of the crash matrix, the death table and the drill are written after a whole green run, and else left alone."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import deaths_page
import page
import pytest
from books import Books, publish
from shopferry.settings import PROJECT

MADE = {"date": "2026-11-28", "versions": {"shopferry": "0.1.0"}}
PAGES = pytest.mark.parametrize(
    ("whole", "names", "text"),
    [
        pytest.param(page.WHOLE, page.NAMES, page.page, id="crash matrix"),
        pytest.param(deaths_page.CELLS, deaths_page.NAMES, deaths_page.page, id="death table"),
    ],
)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A page of an earlier run."""
    before = tmp_path / "page.md"
    before.write_text("as it was")
    return before


def booked(path: Path, names: tuple[str, ...], cells: list[tuple[str, ...]], **outcome: object) -> Path:
    """A book of these cells, all clean but for what `outcome` says of the last one."""
    clean = {"outcome": "passed", "ended": "stays", "closed_s": 1.5}
    lines = [dict(zip(names, cell, strict=True)) | clean for cell in cells]
    lines[-1] |= outcome
    path.write_text("".join(json.dumps(line) + "\n" for line in (MADE, *lines)))
    return path


def said(cell: tuple[str, ...]) -> str:
    return ", ".join(cell)


@PAGES
def test_a_whole_green_run_writes_its_page(written: Path, tmp_path: Path, whole: Any, names: Any, text: Any) -> None:
    read = Books.read([booked(tmp_path / "book", names, whole)], names)
    assert publish(read, whole, written, lambda: text(read), part=False) == 0
    assert f"{len(whole)} of {len(whole)} cells clean" in written.read_text()
    assert whole[-1][1] in written.read_text()


@PAGES
@pytest.mark.parametrize("part", [True, False])
def test_a_cell_that_did_not_run_is_named(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], whole: Any, names: Any, text: Any, part: bool
) -> None:
    read = Books.read([booked(tmp_path / "book", names, whole[1:])], names)
    assert publish(read, whole, written, lambda: text(read), part) == (0 if part else 1)
    assert written.read_text() == "as it was"
    assert f"  did not run: {said(whole[0])}\n" in capsys.readouterr().err


@PAGES
@pytest.mark.parametrize("part", [True, False])
def test_a_cell_that_failed_is_named(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], whole: Any, names: Any, text: Any, part: bool
) -> None:
    read = Books.read([booked(tmp_path / "book", names, whole, outcome="failed")], names)
    assert publish(read, whole, written, lambda: text(read), part) == 1
    assert written.read_text() == "as it was"
    assert f"  failed: {said(whole[-1])}\n" in capsys.readouterr().err


@PAGES
def test_a_cell_that_was_skipped_or_a_run_without_a_book_is_no_green_run(
    written: Path, tmp_path: Path, whole: Any, names: Any, text: Any
) -> None:
    skipped = Books.read([booked(tmp_path / "book", names, whole, outcome="skipped")], names)
    assert skipped.not_run(whole) == [said(whole[-1])]
    nothing = Books.read([tmp_path / "none"], names)
    assert nothing.not_run(whole) == [said(cell) for cell in whole]
    assert publish(nothing, whole, written, lambda: text(nothing), part=False) == 1
    assert written.read_text() == "as it was"


@pytest.fixture
def cutover(monkeypatch: pytest.MonkeyPatch) -> Any:
    """benchmarks/cutover.py as a module."""
    monkeypatch.syspath_prepend(PROJECT / "benchmarks")
    return importlib.import_module("cutover")


FOUND: dict[str, Any] = {
    "machine": {"cores": 2},
    "broker": "the embedded broker",
    "rounds": 20,
    "customers": 2000,
    "asked_per_s": 500.0,
    "writes_per_s": 480,
    "acknowledged": 100_000,
    "failed": 0,
    "missing": 0,
    "differences": 0,
    "writer_minutes": 6,
    "carried": 1_000,
    "returned": 0,
    "gap_ms": {"cutover": {"p50": 400, "p99": 800, "max": 800}},
    "steps_ms": {"cutover": {"gates": 10}, "rollback": {"gates": 12}},
}


@pytest.mark.parametrize(
    ("fault", "sentence", "code"),
    [
        ({"rounds": 2}, "2 of 20 rounds were made", 0),
        ({"failed": 1}, "1 writes failed", 1),
        ({"missing": 3}, "3 acknowledged writes are missing", 1),
        ({"differences": 4}, "4 rows differ", 1),
        ({"returned": 5}, "5 rows were carried back", 1),
    ],
)
def test_a_drill_with_a_fault_leaves_its_page(
    cutover: Any, written: Path, capsys: pytest.CaptureFixture[str], fault: dict[str, int], sentence: str, code: int
) -> None:
    assert cutover.publish(FOUND | fault, written) == code
    assert written.read_text() == "as it was"
    assert sentence in capsys.readouterr().err


def test_a_whole_drill_writes_its_page(cutover: Any, written: Path) -> None:
    assert cutover.publish(FOUND, written) == 0
    assert "20 cutovers and 20 rollbacks" in written.read_text()
