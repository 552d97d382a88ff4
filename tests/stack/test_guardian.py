"""A run of tests that is ended by a signal leaves no server behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from waiting import until

RUN = Path(__file__).with_name("ended_run.py")
HOW = [signal.SIGTERM, signal.SIGINT, signal.SIGKILL]


def is_alive(process: psutil.Process) -> bool:
    """Whether a process still runs; it may go between two questions about it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ended(how: signal.Signals, wanted: str, tmp_path: Path) -> tuple[set[str], list[Path]]:
    """Start such a run and end it; returns the names of its servers and their directories, once all are gone."""
    told, log = tmp_path / "told.json", tmp_path / "log"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "TESTS_OF_", "SHOPFERRY_"))}
    environment |= {"ENDED_RUN": wanted, "ENDED_RUN_FILE": str(told)}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(RUN)]
    with log.open("w") as output:
        run = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
    try:
        until(lambda: told.exists() or run.poll() is not None)
        assert told.exists(), log.read_text()
        found = json.loads(told.read_text())
        servers = [psutil.Process(pid) for pid, _ in found["servers"]]
        assert all(server.is_running() for server in servers)
        run.send_signal(how)
        run.wait()
    finally:
        run.kill()
    until(lambda: not any(map(is_alive, servers)))
    homes = [Path(home) for home in found["homes"]]
    until(lambda: not [home for home in homes if home.exists()])
    return {name for _, name in found["servers"]}, homes


@pytest.mark.parametrize("how", HOW, ids=lambda how: how.name)
def test_a_run_that_is_ended_leaves_no_cluster_and_no_pgbouncer(how: signal.Signals, tmp_path: Path) -> None:
    names, homes = ended(how, "cluster", tmp_path)
    assert {"postgres", "pgbouncer"} <= names and len(homes) == 1


@pytest.mark.stack
@pytest.mark.parametrize("how", HOW, ids=lambda how: how.name)
def test_a_run_that_is_ended_leaves_no_stack(how: signal.Signals, tmp_path: Path) -> None:
    names, homes = ended(how, "cluster and stack", tmp_path)
    assert {"postgres", "pgbouncer", "tansu"} <= names and len(homes) == 2
