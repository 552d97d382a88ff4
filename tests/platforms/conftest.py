"""Two real applications, made ready once and kept; without Node all tests are skipped."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from shopferry.demo.platforms.provision import CACHE, Platforms, find_missing_programs, provide
from shopferry.stack import postgres


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this directory, and skip it where it cannot run or nobody asked for two shops to be installed."""
    missing = find_missing_programs()
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.platforms)
            if missing:
                item.add_marker(pytest.mark.skip(reason=f"{' and '.join(missing)} missing here: Medusa runs on Node"))
            elif CACHE not in os.environ:
                item.add_marker(pytest.mark.skip(reason="needs two shops: `make test-platforms` installs them"))


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Print a line at once, whatever becomes of the test: figures that people want to see."""
    reporter = pytestconfig.pluginmanager.get_plugin("terminalreporter")
    capture = pytestconfig.pluginmanager.get_plugin("capturemanager")

    def write(line: str) -> None:
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(line)

    return write


@pytest.fixture(scope="session")
def platforms(cluster: postgres.Cluster, say: Callable[[str], None]) -> Platforms:
    """Oscar and Medusa, installed, with a dump of an empty shop of each."""
    return provide(cluster, say)
