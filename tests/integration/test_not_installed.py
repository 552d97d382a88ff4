"""Verbs that are called before the first `phase init` say so."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from shopferry import cli


@pytest.mark.parametrize(
    "words", [("gates",), ("quarantine", "list"), ("quarantine", "release"), ("difference", "list"), ("backup", "list")]
)
def test_a_verb_that_wants_our_tables_says_how_to_get_them(
    words: tuple[str, ...],
    make_db: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SHOPFERRY_LEGACY_DSN", make_db("legacy"))
    monkeypatch.setenv("SHOPFERRY_SHOP_DSN", make_db("shop"))
    monkeypatch.setenv("SHOPFERRY_KAFKA", "127.0.0.1:1")
    assert cli.main(words) == 1
    assert "run `shopferry phase init`" in capsys.readouterr().err
