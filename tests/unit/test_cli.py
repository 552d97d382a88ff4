"""The command line: its reference page is its own help, and bad input gets one clear line."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from shopferry import cli
from shopferry.cdc import broker
from shopferry.cli.output import show
from shopferry.cli.reference import render
from shopferry.settings import PROJECT


def test_reference_page_is_what_the_program_says() -> None:
    page = PROJECT / "docs" / "reference" / "cli.md"
    assert page.read_text() == render(), "run: python -m shopferry.cli.reference > docs/reference/cli.md"


@pytest.mark.parametrize("line", ["phase run", "seed --customers 0", "seed --customers many", "nonsense"])
def test_wrong_usage_exits_2(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(line.split())
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_without_stores_one_line_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("LEGACY_DSN", "SHOP_DSN", "KAFKA"):
        monkeypatch.delenv(f"SHOPFERRY_{name}", raising=False)
    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path))
    assert cli.main(["status"]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "SHOPFERRY_LEGACY_DSN" in said[0] and "stack up" in said[0]


def test_the_demo_of_real_applications_says_first_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path / "none"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.main(["demo", "oscar-medusa", "--exit"]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "node and npm not found" in said[0]
    assert list(tmp_path.iterdir()) == []


def test_assess_names_what_it_cannot_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path))
    monkeypatch.setenv("SHOPFERRY_LEGACY_DSN", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("SHOPFERRY_SHOP_DSN", "this is no DSN")
    monkeypatch.setenv("SHOPFERRY_KAFKA", "127.0.0.1:1")
    monkeypatch.setattr(broker, "_ANSWER_MS", 300)
    assert cli.main(["assess", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    blocked = {f["subject"] for f in found if f["blocking"]}
    assert blocked == {"legacy store", "new shop", "broker"}
    assert all(f["remedy"] for f in found)


def test_what_a_table_says_is_no_markup_and_a_time_is_in_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    row = {
        "remedy": "by name: [[cutover.quarantine]] in route.toml [bold]",
        "at": datetime(2026, 3, 1, 12, 0, 1, 5, tzinfo=UTC),
    }
    show(argparse.Namespace(json=False), [row])
    shown = capsys.readouterr().out
    assert row["remedy"] in shown and "2026-03-01 12:00:01 UTC" in shown
