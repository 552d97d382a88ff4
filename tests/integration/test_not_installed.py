"""Verbs that are called too early, before the first `phase init` or before a phase has run, say so."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pair import Pair, read_dsn
from shopferry import cli


@pytest.mark.parametrize(
    "words",
    [
        ("gates",),
        ("quarantine", "list"),
        ("quarantine", "release"),
        ("difference", "list"),
        ("backup", "list"),
        ("verify",),
    ],
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


@pytest.mark.parametrize(("words", "named"), [((), "contacts, orders, loyalty"), (("orders",), "orders")])
def test_phases_that_have_not_run_are_not_compared(
    words: tuple[str, ...],
    named: str,
    pair: Pair,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, conn in (("LEGACY", pair.legacy), ("SHOP", pair.shop)):
        monkeypatch.setenv(f"SHOPFERRY_{name}_DSN", read_dsn(conn))
    monkeypatch.setenv("SHOPFERRY_KAFKA", "127.0.0.1:1")
    assert cli.main(["verify", *words]) == 1
    said = capsys.readouterr()
    assert f"not compared, as not in sync: {named}" in said.err
    assert not said.out
