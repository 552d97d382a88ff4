"""Every verb that shows people's values asks why, and no new verb can forget to: each is in `showing.py` or in the list here."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest
from shopferry import cli
from showing import SHOWING

# The request is the reason: its number is booked in the place of --why (tests/integration/test_export.py).
BY_REQUEST = {"request run"}
# Verbs that show keys, counts, shapes and what staff have decided, and no value of a person.
SILENT = {
    *("stack up", "stack down", "stack status", "demo", "seed", "route check", "route test", "route new", "status"),
    *(
        "assess",
        "rehearse",
        "report",
        "privacy draft",
        "privacy record",
        "privacy looks",
        "privacy sweep",
        "request open",
        "request list",
    ),
    *("request decide", "request show", "request close", "request reapply", "phase init", "phase run", "phase status"),
    *("sync forward", "sync reverse", "sync resync", "verify", "repair", "difference explain", "quarantine list"),
    *(
        "quarantine release",
        "quarantine drop",
        "optout import",
        "accept",
        "backup",
        "backup list",
        "arm",
        "gates",
        "cutover",
    ),
    *("drill", "rollback", "finish", "activate list", "campaign list", "campaign preview"),
    *("audit run", "audit list", "audit show"),
    *("pair find", "pair decide", "pair undo"),
    *("insight tick", "insight segments", "insight breaks", "insight hand-over"),
}


def list_verbs(of: argparse.ArgumentParser, path: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """All verbs of the tree, with their parsers."""
    if of.get_default("run"):
        yield path.strip(), of
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, child in action.choices.items():
                yield from list_verbs(child, f"{path} {name}")


VERBS = dict(list_verbs(cli.build_parser()))


def test_of_each_verb_it_is_known_whether_it_shows_values_of_people() -> None:
    assert set(VERBS) == set(SHOWING) | BY_REQUEST | SILENT, "a new verb goes into one of these: see each"
    assert set(SHOWING) & SILENT == set()
    options = {name: {o for a in made._actions for o in a.option_strings} for name, made in VERBS.items()}
    assert {name for name, of in options.items() if "--values" in of} <= set(SHOWING)
    assert {name for name, made in VERBS.items() if made.get_default("shows_values")} == set(SHOWING)
    assert all({"--why", "--who"} <= options[name] for name in SHOWING)


@pytest.mark.parametrize("why", [(), ("--why", "  ")])
@pytest.mark.parametrize("verb", SHOWING)
def test_without_a_reason_nothing_is_opened_and_one_line_says_so(
    verb: str, why: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("LEGACY_DSN", "SHOP_DSN", "KAFKA"):
        monkeypatch.setenv(f"SHOPFERRY_{name}", "no store is asked")
    assert cli.main([*verb.split(), *SHOWING[verb], *why]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"shopferry: `shopferry {verb}` shows people's data: say why")
    assert len(said.err.splitlines()) == 1
