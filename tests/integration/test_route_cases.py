"""`route test`: a route's own cases run in scratch databases, and one that ends otherwise is told row by row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from own_shop import MakeDb
from pair import connect
from shopferry import cli
from shopferry.errors import MappingError
from shopferry.route.route import Route
from shopferry.settings import Settings
from trips import make_stores

MEMBERS = "INSERT INTO member VALUES (7, 'A@example.com', 'Ada', NULL), (8, 'a@example.com', 'Ada', NULL), (9, '-', 'B', NULL);"
EXPECTED = {
    "shop.client": [{"id": "@7", "email": "a@example.com", "legacy_id": 7}],
    "quarantine": {"shop.client": {"9": ["email_invalid"]}},
    "left_out": {"shop.client": {"8": "same_person"}},
}


@pytest.fixture
def stores(make_db: MakeDb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    return make_stores(make_db, tmp_path, monkeypatch)


def write_case(folder: Path, name: str, **files: object) -> None:
    """Write the files of a case, by their name without its ending."""
    case = folder / "own" / "cases" / name
    case.mkdir(parents=True)
    for file, text in files.items():
        ending = {"expected": "json", "optouts": "csv"}.get(file, "sql")
        (case / f"{file}.{ending}").write_text(text if isinstance(text, str) else json.dumps(text))


def run(capsys: pytest.CaptureFixture[str], *names: str) -> tuple[int, str]:
    """The verb's exit code, and what it has printed."""
    code = cli.main(["route", "test", *names])
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def test_cases_run_from_the_start_and_as_changes(
    stores: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_case(tmp_path, "people/client/duplicates", legacy=MEMBERS, expected=EXPECTED)
    mended = {
        **EXPECTED,
        "quarantine": {},
        "shop.client": [*EXPECTED["shop.client"], {"id": "@client:9", "email": "b@example.com", "legacy_id": 9}],
    }
    write_case(
        tmp_path,
        "people/client/mended",
        legacy=MEMBERS,
        changes="UPDATE member SET mail = 'b@example.com' WHERE id = 9",
        expected=mended,
    )
    code, out = run(capsys)
    assert code == 0, out
    assert out.count("yes") == 3
    assert Route.load("own", tmp_path).phases == ("people", "trips")  # cases are no mappings
    with connect(stores.target_dsn) as shop:
        assert shop.execute("SELECT count(*) FROM pg_database WHERE datname LIKE 'shopferry_own%'").fetchone() == (0,)


def test_what_ends_otherwise_is_told_row_by_row(
    stores: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {"shop.client": [{"email": "other@example.com"}], "quarantine": {}, "left_out": EXPECTED["left_out"]}
    write_case(tmp_path, "people/client/wrong", legacy=MEMBERS, expected=wrong)
    write_case(tmp_path, "people/client/right", legacy=MEMBERS, expected=EXPECTED)
    code, out = run(capsys)
    assert code == 1
    assert 'shop.client lacks {"email": "other@example.com"}' in out
    assert 'shop.client has {"email": "a@example.com"}, which is not expected' in out
    assert 'quarantine of shop.client: {"9": ["email_invalid"]}, expected is {}' in out
    assert run(capsys, "people/client/right")[0] == 0
    assert run(capsys, "people/client/ri")[0] == 1  # a part of a name names nothing


@pytest.mark.parametrize(
    ("name", "files", "says"),
    [
        ("people/client/x", {"legacy": "INSERT INTO members VALUES (1)", "expected": {}}, "x/legacy.sql:1: relation"),
        ("people/client/x", {"legacy": "SELECT 1", "expected": "{"}, "x/expected.json:1"),
        ("people/client/x", {"legacy": "SELECT 1", "expected": {"client": []}}, "client is none of"),
        ("people/clients/x", {"legacy": "SELECT 1", "expected": {}}, "no mapping 'clients'"),
        ("nowhere/client/x", {"legacy": "SELECT 1", "expected": {}}, "no phase 'nowhere'"),
    ],
)
def test_a_case_that_is_wrong_gets_one_clear_error(
    stores: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    files: dict[str, object],
    says: str,
) -> None:
    write_case(tmp_path, name, **files)
    code, out = run(capsys)
    assert code == 1
    assert says in out
    assert MappingError.__name__ not in out


def test_without_a_case_the_error_says_where_they_lie(stores: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = run(capsys)
    assert code == 1
    assert "own/cases/<phase>/<entity>/<case>/" in out
