"""The book of the targets' last runs: what is entered, what is old, and what CI runs beside `make test`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import book
import pytest
from book import Entry, Runner, choose, describe_book, enter, read, write
from targets import EVERY, TARGETS, Target

GREEN = Entry("test", "green", "aaaa", "2026-11-01", 10, 0, 1, 100)
RED = replace(GREEN, result="red", date="2026-11-02", failed=2)


def all_green() -> list[Entry]:
    """Every target beside `make test` was green, each a day after the one before it, and took 100 s."""
    return [replace(GREEN, target=name, date=f"2026-11-{day:02}") for day, name in enumerate(EVERY, 1)]


def test_a_book_that_is_written_is_read_as_it_was() -> None:
    entries = [GREEN, RED, replace(GREEN, target="test-stream", commit="bbbb+")]
    assert read(write(entries)) == entries


def test_a_red_run_leaves_the_last_green_one_in_the_book_and_a_green_one_ends_it() -> None:
    other = replace(GREEN, target="test-stream")
    assert enter([GREEN, other], RED) == [GREEN, other, RED]
    assert enter([GREEN, RED, other], replace(RED, failed=3)) == [GREEN, other, replace(RED, failed=3)]
    assert enter([GREEN, RED, other], replace(GREEN, date="2026-11-03")) == [other, replace(GREEN, date="2026-11-03")]


@pytest.mark.parametrize(("commits", "loud"), [(0, False), (50, False), (51, True), (None, True)])
def test_what_is_old_is_said_loudly(commits: int | None, loud: bool) -> None:
    line = describe_book([GREEN], since=lambda _: commits).splitlines()[1]
    assert line.startswith("  test  ")
    assert ("OLD" in line) == loud
    assert "2026-11-01 at aaaa: 10 passed, 0 failed, 1 skipped, 100 s" in line


def test_what_was_never_green_is_old_and_a_red_run_is_told() -> None:
    lines = describe_book([RED], since=lambda _: 0).splitlines()
    assert "OLD: NEVER GREEN" in lines[1]
    assert "THEN red 2026-11-02 at aaaa: 10 passed, 2 failed" in lines[2]


def test_a_commit_that_git_does_not_know_has_no_age_and_no_paths() -> None:
    unknown = replace(GREEN, commit="0123456789+")
    assert book.commits_since(unknown) is None
    assert book.paths_since(unknown) is None


def test_ci_runs_what_is_touched_and_the_oldest_of_the_others() -> None:
    chosen, left_out = choose(all_green(), 1_000, paths=lambda _: ["dags/cutover.py"])
    assert chosen == ["test-airflow", "test-stream"]
    assert left_out == []


def test_all_is_touched_whose_last_green_commit_is_not_known() -> None:
    assert choose(all_green(), 1_000, paths=lambda _: None)[0] == list(EVERY)
    assert set(choose([], 10_000)[0]) == set(EVERY)


def test_what_does_not_fit_into_the_time_is_left_out_and_said() -> None:
    entries = [replace(e, seconds=500) if e.target == EVERY[1] else e for e in all_green()]
    chosen, left_out = choose(entries, 350, paths=lambda _: None)
    assert chosen == [EVERY[0], *EVERY[2:4]]
    not_fitting = [f"{name}: 100 s, and 50 s are left" for name in EVERY[4:]]
    assert left_out == [f"{EVERY[1]}: 500 s, and 250 s are left", *not_fitting]


def test_a_slow_machine_is_allowed_for() -> None:
    chosen, left_out = choose(all_green(), 350, slowness=3.0, paths=lambda _: None)
    assert chosen == [EVERY[0]]
    assert left_out[0] == f"{EVERY[1]}: 300 s, and 50 s are left"


def test_what_cannot_run_here_is_said_and_is_not_the_one_in_rotation() -> None:
    chosen, left_out = choose(all_green(), 1_000, paths=lambda _: None, able=lambda name: name != EVERY[0])
    assert chosen == list(EVERY[1:])
    assert left_out == [f"{EVERY[0]}: what it needs is missing here"]
    assert choose(all_green(), 1_000, paths=lambda _: [], able=lambda name: name != EVERY[0]) == ([EVERY[1]], [])


@pytest.fixture
def booked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty book of this test's own."""
    monkeypatch.setattr(book, "BOOK", tmp_path / "book.tsv")
    monkeypatch.setattr(book, "BUILD", tmp_path)
    monkeypatch.setattr(book, "ROOT", tmp_path)
    monkeypatch.setitem(TARGETS, "tried", TRIED)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (tmp_path / "test_one.py").write_text("def test_it(): pass\n")
    (tmp_path / "test_two.py").write_text(
        "import pytest\n"
        "def test_red(): assert False\n"
        "def test_error(nothing): pass\n"
        "def test_skipped(): pytest.skip('here')\n"
    )
    return tmp_path


TRIED = Target("tried", (("pytest", "test_one.py"),))


def run(target: Target, *arguments: str) -> tuple[int, list[Entry]]:
    return Runner().run(target, arguments), book.read_book()


def test_a_whole_run_is_booked_with_its_counts(booked: Path) -> None:
    code, [entry] = run(TRIED)
    assert (code, entry.result, entry.passed, entry.failed, entry.skipped) == (0, "green", 1, 0, 0)


def test_a_red_run_is_booked_red_with_the_counts_of_all_its_commands(booked: Path) -> None:
    code, [entry] = run(replace(TRIED, commands=(("pytest", "test_two.py"), ("pytest", "test_one.py"))))
    assert (code, entry.result, entry.passed, entry.failed, entry.skipped) == (1, "red", 1, 2, 1)


def test_a_part_is_not_booked(booked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(TRIED, "-k", "it") == (0, [])
    monkeypatch.setenv("SHORTER", "1")
    assert run(replace(TRIED, shortened_by="SHORTER")) == (0, [])


def test_a_run_that_collects_nothing_is_red(booked: Path) -> None:
    (booked / "test_one.py").write_text("")
    code, [entry] = run(TRIED)
    assert (code, entry.result) == (1, "red")


def test_a_run_that_was_interrupted_is_no_whole_one_but_one_that_cannot_collect_is_red(booked: Path) -> None:
    (booked / "test_one.py").write_text("def test_it(): raise KeyboardInterrupt\n")
    assert run(TRIED) == (1, [])
    (booked / "test_one.py").write_text("import nothing_of_this_name\n")
    code, [entry] = run(TRIED)
    assert (code, entry.result, entry.failed) == (1, "red", 1)


def test_what_cannot_run_here_is_skipped_and_not_booked(booked: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(replace(TRIED, needs=("sh", "-c", "echo no java; exit 1"))) == (0, [])
    assert "no java\ntried: skipped\n" in capfd.readouterr().out


def test_a_page_that_is_not_written_makes_the_target_red(booked: Path) -> None:
    (booked / "page.py").write_text("import sys; sys.exit('--part' not in sys.argv)")
    target = replace(TRIED, page=("page.py",))
    assert [entry.result for entry in run(target)[1]] == ["red"]
    assert run(target, "-k", "it")[0] == 0


def test_a_signal_ends_what_runs_before_we_end_and_nothing_is_booked(booked: Path) -> None:
    (booked / "test_one.py").write_text(
        "import os, pathlib, signal, time\n"
        "def test_it():\n"
        "    signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path('told').touch(), os._exit(0)))\n"
        "    pathlib.Path('running').touch()\n"
        "    time.sleep(600)\n"
    )
    code = (
        "import book, pathlib, sys, targets\n"
        "book.BOOK, book.BUILD, book.ROOT = [pathlib.Path(name).resolve() for name in ('book.tsv', '.', '.')]\n"
        "runner = book.Runner()\n"
        "runner.listen()\n"
        "sys.exit(runner.run(targets.Target('tried', (('pytest', 'test_one.py'),) * 2), ()))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(book.__file__).parent)}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=booked, env=environment, stdin=subprocess.DEVNULL)
    while not (booked / "running").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM
    assert (booked / "told").exists()
    assert not (booked / "book.tsv").exists()


def test_in_a_run_of_all_one_that_goes_beside_begins_with_the_next_and_both_are_booked(booked: Path) -> None:
    meets = (
        "import pathlib, time\n"
        "def test_it():\n"
        "    pathlib.Path('{mine}').touch()\n"
        "    while not pathlib.Path('{other}').exists(): time.sleep(0.01)\n"
    )
    (booked / "test_one.py").write_text(meets.format(mine="one", other="two"))
    (booked / "test_two.py").write_text(meets.format(mine="two", other="one"))
    (booked / "all.py").write_text(
        "import book, pathlib, sys, targets\n"
        "book.BOOK, book.BUILD, book.ROOT = [pathlib.Path(name).resolve() for name in ('book.tsv', '.', '.')]\n"
        "one = targets.Target('one', (('pytest', 'test_one.py'),), beside=True)\n"
        "two = targets.Target('two', (('pytest', 'test_two.py'),))\n"
        "book.TESTS = (one, two)\n"
        "targets.TARGETS.clear()\n"
        "targets.TARGETS.update(one=one, two=two)\n"
        "sys.exit(book.main())\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(book.__file__).parent)}
    command = [sys.executable, "all.py", "run-all"]
    done = subprocess.run(command, cwd=booked, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [entry.result for entry in read((booked / "book.tsv").read_text())] == ["green", "green"]
    assert "one: green or skipped\ntwo: green or skipped" in done.stdout
    assert "+ " in (booked / "one.log").read_text()
