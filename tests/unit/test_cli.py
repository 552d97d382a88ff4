"""The command line: its reference page is its own help, and bad input gets one clear line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shopferry import cli
from shopferry.cli_reference import render
from shopferry.settings import PROJECT


def test_reference_page_is_what_the_program_says() -> None:
    page = PROJECT / "docs" / "reference" / "cli.md"
    assert page.read_text() == render(), "run: python -m shopferry.cli_reference > docs/reference/cli.md"


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


def test_assess_names_what_it_cannot_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path))
    monkeypatch.setenv("SHOPFERRY_LEGACY_DSN", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("SHOPFERRY_SHOP_DSN", "this is no DSN")
    monkeypatch.setenv("SHOPFERRY_KAFKA", "127.0.0.1:1")
    assert cli.main(["assess", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    blocked = {f["subject"] for f in found if f["blocking"]}
    assert blocked == {"legacy store", "new shop", "broker"}
    assert all(f["remedy"] for f in found)
