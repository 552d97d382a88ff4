"""Every test belongs to one target of make that `make test-all` runs, and every target says what it does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import PurePosixPath

import pytest
from shopferry.settings import PROJECT
from targets import EVERY, LONG, TARGETS, TESTS, TOUCHES, target_of, touched

MAKEFILE = (PROJECT / "Makefile").read_text().replace("\\\n", "")
# Collects as `make` would, and prints which tests each target leaves after its deselection.
COLLECTING = """
import json, sys
import pytest
from targets import TESTS

class Seen:
    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session):
        conftest = session.config.pluginmanager.getplugin(sys.argv[1])
        left = {}
        for target in TESTS:
            items = list(session.items)
            session.config.option.target = target.name
            conftest.pytest_collection_modifyitems(session.config, items)
            left[target.name] = [item.nodeid for item in items]
        print("RESULT" + json.dumps([[item.nodeid for item in session.items], left]))

sys.exit(pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider"], plugins=[Seen()]))
"""


def test_every_test_belongs_to_exactly_one_target_and_every_target_has_tests() -> None:
    conftest = str(PROJECT / "tests" / "conftest.py")
    done = subprocess.run(
        [sys.executable, "-c", COLLECTING, conftest],
        cwd=PROJECT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(PROJECT / "tests")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    collected, left = json.loads(re.search("RESULT(.*)", done.stdout)[1])  # type: ignore[index]
    assert sorted(collected) == sorted(test for tests in left.values() for test in tests)
    assert all(left[target.name] for target in TESTS)


@pytest.mark.parametrize(
    ("path", "markers", "target"),
    [
        ("unit/test_errors.py", set(), "test"),
        ("stack/test_whole_move.py", {"stack", "move"}, "test"),
        ("switch/test_switch.py", {"stack"}, "test-switch"),
        ("stream/test_toast.py", {"stack"}, "test-stream"),
        ("stream/test_of_later.py", set(), "test"),
        ("stack/test_stack.py", {"stack"}, "test-stack"),
        ("dags/test_dags.py", {"stack", "airflow"}, "test-airflow"),
        ("a/folder/of/later/test_it.py", {"stack", "usefixtures"}, "test-stack"),
        ("kafka/test_kafka.py", {"kafka", "stack"}, "test-kafka"),
        ("platforms/test_oscar_to_medusa.py", {"platforms", "stack"}, "test-platforms"),
    ],
)
def test_the_target_of_a_test(path: str, markers: set[str], target: str) -> None:
    assert target_of(PurePosixPath(path), markers) == target


def test_files_that_are_named_exist() -> None:
    paths = [*TOUCHES, *(argument for t in LONG for command in (*t.commands, t.page) for argument in command)]
    missing = [p for p in paths if "/" in p and not p.startswith("/") and not (PROJECT / p).exists()]
    assert missing == []


@pytest.mark.parametrize(
    ("paths", "targets"),
    [
        (["docs/tutorial.md", "CHANGELOG.md", "tests/unit/test_errors.py"], set()),
        (["docs/runbooks/cutover.md"], {"test-airflow"}),
        (["include/shopferry/cutover/switch.py", "docs/tutorial.md"], {"test-switch", "test-airflow"}),
        (["tests/stream/test_toast.py", "tests/kafka/line.py"], {"test-stream", "test-kafka"}),
        (["include/shopferry/room_of_later/module.py"], set(EVERY)),
        (["tests/conftest.py"], set(EVERY)),
        (["constraints.txt"], set(EVERY)),
    ],
)
def test_what_a_change_touches(paths: list[str], targets: set[str]) -> None:
    assert touched(paths) == targets


def phony() -> set[str]:
    listed = re.search(r"^\.PHONY: (.*)", MAKEFILE, re.MULTILINE)
    assert listed
    return set(listed[1].split())


def test_every_target_of_make_is_listed_with_a_line() -> None:
    assert set(re.findall(r"^([a-z-]+):.*## \S", MAKEFILE, re.MULTILINE)) == phony()
    assert set(re.findall(r"^([a-z-]+):(?! export)", MAKEFILE, re.MULTILINE)) == phony()


def test_make_runs_every_target_of_the_table_and_no_other() -> None:
    assert set(re.findall(r"^\t\$\(RUN\) ([a-z-]+)", MAKEFILE, re.MULTILINE)) == set(TARGETS)
