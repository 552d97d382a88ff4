"""`shopferry optout import`: what it keeps and says, and that consents follow by ordinary transactions."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from pair import KilledError, Pair, connect, read_dsn
from shopferry import cli
from shopferry.control import phases, routes
from shopferry.control.phases import State
from shopferry.engine import marks, merge
from shopferry.engine.pair import Stores
from shopferry.errors import PhaseError
from shopferry.privacy import optout_files, optouts
from shopferry.route.route import Route
from shopferry.stores import origin

Run = Callable[..., int]
PEOPLE = [
    *(f"INSERT INTO customers (id, email, full_name) VALUES ({n}, 'p{n}@example.com', 'Anna Nowak')" for n in (1, 2)),
    *(
        "INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording) "
        f"VALUES ({n}, {n}, 'email', 'T', '2020-01-01', 'v2')"
        for n in (1, 2)
    ),
]
HEADER = "email,channel,reason,at\n"


@pytest.fixture
def run(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run(*words)` is the command line on the pair."""
    for name, conn in (("LEGACY", pair.legacy), ("SHOP", pair.shop)):
        monkeypatch.setenv(f"SHOPFERRY_{name}_DSN", read_dsn(conn))
    monkeypatch.setenv("SHOPFERRY_KAFKA", "127.0.0.1:1")
    return lambda *words: cli.main(["optout", "import", *map(str, words)])


def states(pair: Pair) -> list[tuple[int, str]]:
    return pair.ask("SELECT legacy_consent_id, state::text FROM shop.consent ORDER BY 1")


def kept(pair: Pair) -> list[tuple[object, ...]]:
    """Every opt-out, with the transaction that wrote it last."""
    return pair.ask("SELECT xmin::text, o.* FROM ferry.optout o ORDER BY mark, channel")


def taken(pair: Pair, rows: str, source: str = "list") -> optouts.Taken:
    return optouts.take(pair.stores, optout_files.read((HEADER + rows).encode(), "f", "csv"), source, "csv", "test")


def test_consents_follow_an_import_and_the_same_file_once_more_changes_nothing(
    pair: Pair, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair.write(*PEOPLE)
    pair.pass_phases(["contacts"])
    assert states(pair) == [(1, "granted"), (2, "granted")]
    file = tmp_path / "list.csv"
    file.write_text(HEADER + "p1@example.com,email,unsubscribed,2021-01-01\nnobody@example.com,email,bounced,\n")
    assert run(file, "--from", "csv", "--source", "register", "--who", "Anna", "--json") == 0
    expected = {
        "lines": 2,
        "taken": 2,
        "already_known": 0,
        "of_people_we_know": 1,
        "of_people_we_do_not_know": 1,
    }
    assert json.loads(capsys.readouterr().out) == [expected]
    assert states(pair) == [(1, "withdrawn"), (2, "granted")]
    assert pair.ask("SELECT wanted FROM shop.communication_preference ORDER BY customer_id") == [(False,), (True,)]
    assert pair.verify("contacts").clean
    before = kept(pair)
    assert run(file, "--from", "csv", "--source", "register", "--who", "Anna", "--json") == 0
    assert json.loads(capsys.readouterr().out) == [expected | {"taken": 0, "already_known": 2}]
    assert kept(pair) == before
    booked = "SELECT source, format, imported_by, rows_taken, rows_known, imported_at > now() - interval '1 minute'"
    assert pair.ask(f"{booked} FROM ferry.optout_import ORDER BY id") == [
        ("register", "csv", "Anna", 2, 0, True),
        ("register", "csv", "Anna", 0, 2, True),
    ]
    assert "example.com" not in str(kept(pair)) + str(pair.ask("SELECT * FROM ferry.optout_import"))


def test_a_consent_that_stands_against_an_opt_out_breaks_a_rule(pair: Pair) -> None:
    pair.write(*PEOPLE)
    pair.pass_phases(["contacts"])
    taken(pair, "p1@example.com,email,unsubscribed,\np2@example.com,email,unsubscribed,2019-01-01\n")
    assert pair.verify("contacts").clean
    with pair.shop.transaction():
        pair.shop.execute(f"SELECT {origin.WRITER}".encode())
        pair.shop.execute("UPDATE shop.consent SET state = 'granted', withdrawn_at = NULL WHERE legacy_consent_id = 1")
    found = pair.verify("contacts").differences
    assert f"list {marks.make('p1@example.com')}" in {d.key for d in found if d.layer == "check"}


def test_standard_input_is_a_file_too(
    pair: Pair, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "sys.stdin", SimpleNamespace(buffer=io.BytesIO(f"{HEADER}a@example.com,all,bounced,\n".encode()))
    )
    assert run("-", "--from", "csv") == 0
    assert pair.ask("SELECT DISTINCT mark, source FROM ferry.optout") == [(marks.make("a@example.com"), "csv")]
    assert pair.one("SELECT count(*) FROM ferry.optout") == 4
    assert "a@example.com" not in capsys.readouterr().out


def test_nothing_of_a_faulty_file_is_taken(
    pair: Pair, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "list.csv"
    file.write_text(HEADER + "p1@example.com,email,bounced,\np2@,email,bounced,\n")
    assert run(file, "--from", "csv") == 1
    said = capsys.readouterr()
    assert "line 3: email_invalid" in said.err and "p2" not in said.err + said.out
    assert run(tmp_path / "missing.csv", "--from", "csv") == 1
    assert "No such file" in capsys.readouterr().err
    assert not kept(pair) and not pair.ask("SELECT FROM ferry.optout_import")


def test_a_later_time_counts_and_an_earlier_one_does_not(pair: Pair) -> None:
    pair.write(*PEOPLE)
    pair.pass_phases(["contacts"])
    row = "p1@example.com,email,unsubscribed,{}\n"
    for at, count, state in (
        ("2019-01-01", 1, "granted"),
        ("2018-01-01", 0, "granted"),
        ("2021-01-01", 1, "withdrawn"),
        ("", 1, "withdrawn"),
        ("2022-01-01", 0, "withdrawn"),
    ):
        assert taken(pair, row.format(at)).taken == count
        assert states(pair)[0] == (1, state)
    assert pair.ask("SELECT at FROM ferry.optout") == [(None,)]
    assert taken(pair, row.format("2017-01-01"), "another").taken == 1  # another list keeps its own


def test_an_import_that_is_broken_off_is_not_booked_and_the_same_file_does_the_rest(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "SLICE", 1)
    pair.write(*PEOPLE)
    pair.pass_phases(["contacts"])
    rows = "".join(f"p{n}@example.com,email,unsubscribed,\n" for n in (1, 2))
    whole = optouts._take_slice

    def die(*given: object) -> int:
        if pair.ask("SELECT FROM ferry.optout"):
            raise KilledError
        return whole(*given)  # type: ignore[arg-type]

    with monkeypatch.context() as dying:
        dying.setattr(optouts, "_take_slice", die)
        with pytest.raises(KilledError):
            taken(pair, rows)
    assert sorted(state for _, state in states(pair)) == ["granted", "withdrawn"]
    assert pair.ask("SELECT imported_at FROM ferry.optout_import") == [(None,)]
    again = taken(pair, rows)
    assert (again.taken, again.already_known) == (1, 1)
    assert states(pair) == [(1, "withdrawn"), (2, "withdrawn")]


def test_a_phase_that_is_not_merged_yet_needs_nothing(pair: Pair) -> None:
    pair.write(*PEOPLE)
    assert taken(pair, "p1@example.com,email,unsubscribed,\n").of_people_we_do_not_know == 1
    assert states(pair) == []
    pair.pass_phases(["contacts"])
    assert states(pair) == [(1, "withdrawn"), (2, "granted")]


@pytest.mark.parametrize("when", ["after the switch", "while it goes on"])
def test_after_the_cutover_an_import_is_refused(
    when: str, pair: Pair, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair.write(*PEOPLE)
    pair.pass_phases()
    file = tmp_path / "list.csv"
    file.write_text(HEADER + "p1@example.com,email,unsubscribed,\n")
    with pair.shop.transaction():
        if when == "after the switch":
            routes.flip(pair.shop, pair.route.name, "shop", 2)
        else:
            for phase in pair.route.phases:
                phases.move(pair.shop, pair.route.name, phase, State.CUT_OVER)
    assert run(file, "--from", "csv") == 1
    assert "the new shop is open" in capsys.readouterr().err
    with pytest.raises(PhaseError, match="the new shop is open"):
        taken(pair, "p1@example.com,email,unsubscribed,\n")
    assert not kept(pair)
    assert states(pair) == [(1, "granted"), (2, "granted")]


def test_an_import_that_no_mapping_reads_or_that_nothing_is_installed_for_is_refused(
    pair: Pair, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = Route("plain", tuple(u for u in pair.route.units if u.phase == "orders"), ("orders",))
    with pytest.raises(Exception, match=r"no mapping of route plain names ferry\.optout as a source"):
        optouts.require_wanted(Stores(pair.legacy, pair.shop, plain))
    file = tmp_path / "list.csv"
    file.write_text(HEADER)
    pair.shop.execute("UPDATE ferry.route SET installed = 'other'")
    assert run(file, "--from", "csv") == 1
    assert "run `shopferry phase init`" in capsys.readouterr().err


def test_another_key_is_refused(
    pair: Pair, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "list.csv"
    file.write_text(HEADER + "p1@example.com,email,unsubscribed,\n")
    monkeypatch.setenv("SHOPFERRY_MARK_KEY", "another key, as long as it has to be")
    assert run(file, "--from", "csv") == 1
    assert "SHOPFERRY_MARK_KEY is not the key" in capsys.readouterr().err
    assert not kept(pair)


def test_two_imports_and_the_stream_at_once_all_take_effect(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "SLICE", 3)
    pair.write(
        *(
            f"INSERT INTO customers (id, email, full_name) VALUES ({n}, 'p{n}@example.com', 'Anna Nowak')"
            for n in range(20)
        ),
        *(
            "INSERT INTO consents (id, customer_id, channel, granted, granted_at, wording) "
            f"VALUES ({n}, {n}, 'email', 'T', '2020-01-01', 'v2')"
            for n in range(20)
        ),
    )
    pair.pass_phases(["contacts"])
    dsns = [read_dsn(conn) for conn in (pair.legacy, pair.shop)]
    failed: list[BaseException] = []

    def work(source: str, numbers: range) -> None:
        rows = "".join(f"p{n}@example.com,email,unsubscribed,\n" for n in numbers)
        try:
            with connect(dsns[0]) as legacy, connect(dsns[1]) as shop:
                file = optout_files.read((HEADER + rows).encode(), "f", "csv")
                optouts.take(Stores(legacy, shop, pair.route), file, source, "csv", "test")
        except BaseException as error:
            failed.append(error)

    threads = [
        threading.Thread(target=work, args=("one", range(14))),
        threading.Thread(target=work, args=("two", range(6, 20))),
    ]
    for thread in threads:
        thread.start()
    for n in range(20):
        pair.write(f"UPDATE customers SET email = 'P{n}@example.com' WHERE id = {n}")
        pair.sync()
    for thread in threads:
        thread.join()
    assert not failed
    assert {state for _, state in states(pair)} == {"withdrawn"}
    assert pair.verify("contacts").clean
