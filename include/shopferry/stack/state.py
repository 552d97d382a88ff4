"""What the embedded stack remembers between its starts: ports, passwords, addresses, in one file."""

from __future__ import annotations

import json
import os
import random
import secrets
import socket
import tempfile
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import TypeAlias

from shopferry.errors import ConfigError
from shopferry.settings import data_dir, stack_state
from shopferry.stack.postgres import Cluster

State: TypeAlias = dict[str, str]

CLUSTERS = {"legacy": "legacy", "shop": "shop", "airflow": "airflow"}  # cluster's directory → its database
_PORTS = ("legacy", "shop", "airflow_db", "kafka", "airflow", "worker_log", "trigger_log", "metrics", "metrics_reverse")


def choose_port(taken: set[int]) -> int:
    """Choose a loopback port that nobody listens on.

    Below the range from which the kernel takes the ports of outgoing connections: else one of those could sit
    on the port of a server just when that is restarted.
    """
    while True:
        port = random.randint(20_000, 31_999)  # noqa: S311
        if port not in taken and is_free(port):
            return port


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def cluster(state: State, name: str) -> Cluster:
    """Return one of the stack's PostgreSQL servers: legacy, shop or airflow."""
    port = int(state["airflow_db_port" if name == "airflow" else f"{name}_port"])
    return Cluster(data_dir() / "pg" / name, port, state["password"])


def prepare(broker: str | None, *, running: bool) -> State:
    """Load the state or make a new one, and write it.

    `broker` is an existing Kafka (host:port[,…]) to be used from now on, "" goes back to the embedded one, None
    keeps what was chosen before. Ports are chosen once; only while nothing is `running` is one that a stranger
    has taken since replaced.
    """
    state = stack_state()
    for name in _PORTS:
        key = f"{name}_port"
        if key not in state or (not running and not is_free(int(state[key]))):
            state[key] = str(choose_port({int(v) for k, v in state.items() if k.endswith("_port")}))
    for key in ("password", "jwt_secret", "api_secret"):
        state.setdefault(key, secrets.token_urlsafe(48))
    state.setdefault("fernet_key", urlsafe_b64encode(secrets.token_bytes(32)).decode())
    state.setdefault("socket", _choose_socket())
    state["mark_key"] = os.environ.get("SHOPFERRY_MARK_KEY") or state.get("mark_key") or secrets.token_hex(32)
    state["route"] = os.environ.get("SHOPFERRY_ROUTE") or state.get("route", "demo")
    state["external_kafka"] = state.get("external_kafka", "") if broker is None else broker
    state["kafka"] = state["external_kafka"] or f"127.0.0.1:{state['kafka_port']}"
    state["legacy_dsn"] = cluster(state, "legacy").dsn("legacy")
    state["shop_dsn"] = cluster(state, "shop").dsn("shop")
    state["airflow_db_dsn"] = cluster(state, "airflow").dsn("airflow")
    state["metrics"] = f"127.0.0.1:{state['metrics_port']}"
    state["airflow_url"] = f"http://127.0.0.1:{state['airflow_port']}"
    state |= {"airflow_user": "admin", "airflow_password": "admin"}
    save(state)
    return state


def save(state: State) -> None:
    """Write the state file whole or not at all; it holds passwords, so for us only."""
    directory = data_dir()
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot create {directory}: {error.strerror}; choose another with SHOPFERRY_DATA") from None
    unfinished = directory / f".stack.json.{os.getpid()}"
    unfinished.touch(mode=0o600)
    unfinished.write_text(json.dumps(state, indent=2) + "\n")
    unfinished.replace(directory / "stack.json")


def _choose_socket() -> str:
    """Choose the supervisor's socket; the kernel allows its path about a hundred characters."""
    usual = data_dir() / "supervisor.sock"
    if len(str(usual)) < 90:  # the supervisor binds to a longer temporary name first
        return str(usual)
    return str(Path(tempfile.mkdtemp(prefix="shopferry-")) / "supervisor.sock")
