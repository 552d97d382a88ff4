"""The supervisor: its configuration, its process, and how to talk to it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from shopferry.errors import StackError
from shopferry.settings import data_dir
from shopferry.stack.airflow import make_clean_environment
from shopferry.stack.state import State

_POLL = 0.05


@dataclass(frozen=True)
class Program:
    """One supervised server."""

    name: str
    command: list[str]
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    stop_signal: str = "TERM"
    port: int | None = None
    patience: int = 20  # seconds from the stop signal to SIGKILL

    @property
    def log(self) -> Path:
        """Where it writes; the supervisor rotates it."""
        return data_dir() / "log" / f"{self.name}.log"

    def section(self) -> str:
        """Return its section of the supervisor's configuration."""
        quoted = ",".join(f"{name}={_quote(value)}" for name, value in sorted(self.environment.items()))
        lines = {
            "command": _escape(shlex.join(self.command)),
            "directory": _escape(str(self.directory)),
            "environment": _escape(quoted),
            "autostart": "false",  # `up` starts them, in order
            "autorestart": "true",
            "startsecs": "1",
            "startretries": "100000",  # with growing pauses; giving up would need somebody to notice
            "stopsignal": self.stop_signal,
            "stopwaitsecs": str(self.patience),
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": _escape(str(self.log)),
            "stdout_logfile_maxbytes": "10MB",
            "stdout_logfile_backups": "2",
        }
        if self.user:
            lines["user"] = self.user
        return _render_section(f"program:{self.name}", lines)


def _escape(value: str) -> str:
    return value.replace("%", "%%")


def _quote(value: str) -> str:
    if "'" in value:
        raise StackError(f"an apostrophe cannot be handed to a supervised server: {value}")
    return f"'{value}'"


def _render_section(name: str, lines: Mapping[str, str]) -> str:
    return f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items()) + "\n"


def write(state: State, programs: list[Program]) -> Path:
    """Write the supervisor's configuration and return its path."""
    directory = data_dir()
    (directory / "log").mkdir(parents=True, exist_ok=True)
    find_run_directory().mkdir(exist_ok=True)
    own = {
        "logfile": _escape(str(directory / "log" / "supervisor.log")),
        "logfile_maxbytes": "10MB",
        "logfile_backups": "2",
        "loglevel": "info",
        "pidfile": _escape(str(directory / "supervisor.pid")),
        "directory": _escape(str(find_run_directory())),
    }
    if os.geteuid() == 0:
        own["user"] = "root"
    text = (
        _render_section("supervisord", own)
        + _render_section("unix_http_server", {"file": _escape(state["socket"]), "chmod": "0700"})
        + _render_section(
            "rpcinterface:supervisor",
            {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        )
        + "".join(program.section() for program in programs)
    )
    file = directory / "supervisor.conf"
    file.touch(mode=0o600)
    file.write_text(text)
    return file


def find_run_directory() -> Path:
    """Return the working directory of the supervisor and all it starts (but PostgreSQL): by it they are known."""
    return data_dir() / "run"


def rpc(state: State) -> Any:
    """Return the supervisor's XML-RPC interface."""
    from supervisor.xmlrpc import SupervisorTransport

    transport = SupervisorTransport(None, None, f"unix://{state['socket']}")
    return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor


def is_running(state: State) -> bool:
    """Tell whether the supervisor answers."""
    try:
        return bool(rpc(state).getState()["statename"] == "RUNNING")
    except (OSError, KeyError, xmlrpc.client.Error):
        return False


def ensure(state: State, programs: list[Program]) -> None:
    """Make the supervisor run exactly these programs; those whose definition changed are stopped."""
    file = write(state, programs)
    if not is_running(state):
        sweep()  # servers whose supervisor was killed
        with (data_dir() / "log" / "supervisor.out").open("w") as output:
            command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(file)]
            result = subprocess.run(command, stdout=output, stderr=output, env=make_clean_environment())
        if result.returncode:
            raise StackError(f"the supervisor did not start: see {output.name}")
        while not is_running(state):
            time.sleep(_POLL)
        return
    server = rpc(state)
    [[added, changed, removed]] = server.reloadConfig()
    for name in changed + removed:
        server.stopProcessGroup(name)
        server.removeProcessGroup(name)
    for name in added + changed:
        server.addProcessGroup(name)


def stop(state: State, first: list[str]) -> None:
    """Shut the supervisor and all its servers down; those of `first` end before the rest is asked to.

    Servers end beside each other: a shutdown by itself waits a second for each.
    """
    if is_running(state):
        server = rpc(state)
        pid = server.getPID()
        with suppress(xmlrpc.client.Fault, OSError):
            _end(server, first)
            _end(server, [info["name"] for info in server.getAllProcessInfo()])
            server.shutdown()
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).wait()
    sweep()


def _end(server: Any, names: list[str]) -> None:
    """Stop these servers, and return when none of them is left."""
    for name in names:
        with suppress(xmlrpc.client.Fault):  # not running
            server.stopProcess(name, False)
    while any(
        info["statename"] in {"RUNNING", "STARTING", "STOPPING"}
        for info in server.getAllProcessInfo()
        if info["name"] in names
    ):
        time.sleep(_POLL)


def sweep() -> None:
    """End what a killed supervisor or a killed server left behind, known by its working directory."""
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    left = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid not in ours and Path(process.cwd()) == find_run_directory():
                process.terminate()
                left.append(process)
    _, stubborn = psutil.wait_procs(left, timeout=10)
    for process in stubborn:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn)
