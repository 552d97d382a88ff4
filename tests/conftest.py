"""A real PostgreSQL for every test that wants one: one throw-away cluster per run, one database per test."""

from __future__ import annotations

import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path, PurePosixPath

import pytest
from shopferry.stack import postgres
from targets import TESTS, target_of

MakeDb = Callable[..., str]
TESTS_FOLDER = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--target NAME` leaves the tests that this target of `make` runs."""
    parser.addoption("--target", choices=[target.name for target in TESTS], help="run the tests of one target of make")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Drop the tests of other targets; last, since folders mark their tests in the same hook."""
    if target := config.getoption("target"):
        config.hook.pytest_deselected(items=[item for item in items if target_of_item(item) != target])
        items[:] = [item for item in items if target_of_item(item) == target]


def target_of_item(item: pytest.Item) -> str:
    """The target that runs this test."""
    path = PurePosixPath(item.path.relative_to(TESTS_FOLDER).as_posix())
    return target_of(path, {marker.name for marker in item.iter_markers()})


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    """One PostgreSQL with wal_level=logical, without fsync, gone after the run."""
    # Not below tmp_path: when we are root, the server's account could not enter it.
    home = Path(tempfile.mkdtemp(prefix="shopferry-test-"))
    home.chmod(0o755)
    server = postgres.Cluster(home / "pg", free_port(), "secret", durable=False)
    try:
        server.init()
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


_serial = count(1)


def _create(cluster: postgres.Cluster, prefix: str, template: str) -> tuple[str, str]:
    name = f"{re.sub(r'[^a-z0-9]+', '_', prefix.lower())[:40]}_{next(_serial)}"
    source = template.rsplit("/", 1)[-1].partition("?")[0]  # a database's name or its DSN
    return name, cluster.create_database(name, source)


@pytest.fixture
def make_db(cluster: postgres.Cluster) -> Iterator[MakeDb]:
    """`make_db(prefix="db", template="template1") -> dsn`: a database of this test's own, dropped after it.

    `template` is another database (name or DSN, e.g. from `make_template`) to be copied while
    nobody is connected to it.
    """
    names: list[str] = []

    def make(prefix: str = "db", template: str = "template1") -> str:
        name, dsn = _create(cluster, prefix, template)
        names.append(name)
        return dsn

    yield make
    for name in names:
        cluster.drop_database(name)


@pytest.fixture(scope="session")
def make_template(cluster: postgres.Cluster) -> MakeDb:
    """`make_template(prefix) -> dsn`: a database as long-lived as the run, to be filled once and copied."""
    return lambda prefix="template", template="template1": _create(cluster, prefix, template)[1]
