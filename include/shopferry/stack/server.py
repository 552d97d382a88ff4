"""Up, down, status of the embedded stack."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import socket
import sys
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from shopferry.errors import StackError
from shopferry.route.route import leads_back
from shopferry.settings import REVERSE, data_dir, name_slot, read_announcing, read_own_commands, routes_dir, stack_state
from shopferry.stack import airflow, postgres, state, supervisor
from shopferry.stack.state import CLUSTERS, State
from shopferry.stack.supervisor import Program

log = logging.getLogger(__name__)
_POLL = 0.05
_PATIENCE = 180.0  # seconds until a server that does not come up is given up
PARTS = frozenset({"airflow", "sync"})


@dataclass(frozen=True)
class Service:
    """One server as the supervisor sees it; `state` is its word (RUNNING, BACKOFF, STOPPED …)."""

    name: str
    state: str
    pid: int | None
    port: int | None
    uptime_s: int
    log: Path


def list_programs(now: State) -> list[Program]:
    """List all servers of the stack in the order of their start."""
    run = supervisor.find_run_directory()
    owner = postgres.find_account()
    found = []
    for name in CLUSTERS:
        cluster = state.cluster(now, name)
        user = owner.pw_name if owner else ""
        found.append(
            # INT is PostgreSQL's fast shutdown: it does not wait for its clients
            Program(f"{name}-db", cluster.command(), cluster.directory, {}, user, "INT", cluster.port)
        )
    own = {
        "SHOPFERRY_DATA": str(data_dir()),
        "SHOPFERRY_KAFKA": now["kafka"],  # a change of the broker is a change of the program: it is started again
        "SHOPFERRY_ROUTE": now["route"],
    }
    if os.environ.get("SHOPFERRY_ROUTES"):
        own["SHOPFERRY_ROUTES"] = str(routes_dir())
    own |= {
        f"SHOPFERRY_{name.upper()}": value for name, value in (read_own_commands() | read_announcing()).items() if value
    }
    if not now.get("external_kafka"):
        command = [sys.executable, "-m", "shopferry.stack.tansu", now["kafka_port"]]
        found.append(Program("broker", command, run, own, port=int(now["kafka_port"])))
    found.append(Program("connector", [sys.executable, "-m", "shopferry.stack.connector"], run, own))
    cli = str(Path(sys.executable).with_name("shopferry"))
    found.append(Program("sync", [cli, "sync", "forward"], run, own, port=int(now["metrics_port"])))
    if leads_back(now["route"]):
        back = own | {"SHOPFERRY_METRICS": f"127.0.0.1:{now['metrics_reverse_port']}"}
        command = [sys.executable, "-m", "shopferry.stack.connector", "--reverse"]
        found.append(Program("connector-reverse", command, run, own))
        found.append(
            Program("sync-reverse", [cli, "sync", "reverse"], run, back, port=int(now["metrics_reverse_port"]))
        )
    for name in airflow.PROGRAMS:
        port = int(now["airflow_port"]) if name == "airflow-api" else None
        environment = own | airflow.make_environment(now)
        # The scheduler would wait for its running tasks; they may be killed at any time by design.
        found.append(Program(name, airflow.build_command(name), run, environment, port=port, patience=8))
    return found


@contextmanager
def _lock_alone() -> Iterator[None]:
    """Let one `up` at a time work in one data directory."""
    data_dir().mkdir(parents=True, exist_ok=True)
    with (data_dir() / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def up(*, without: frozenset[str] | set[str] = frozenset(), broker: str | None = None) -> State:
    """Start what is not running yet and return when all of it is ready; a second call changes nothing.

    `without` may hold "airflow" and "sync"; a later call without them starts these too. `broker` is an existing
    Kafka (host:port[,…]) instead of the embedded one, "" goes back to that. Raises StackError naming the log of
    the server that did not come up.
    """
    if unknown := set(without) - PARTS:
        raise StackError(f"cannot leave out {', '.join(sorted(unknown))}: only {', '.join(sorted(PARTS))}")
    with _lock_alone():
        current = stack_state()
        now = state.prepare(broker, running=bool(current) and supervisor.is_running(current))
        for name in CLUSTERS:
            state.cluster(now, name).init()
        airflow.configure(now)
        supervisor.ensure(now, list_programs(now))
        _start(now, *(f"{name}-db" for name in CLUSTERS))
        if not now.get("external_kafka"):
            _start(now, "broker")
        for name, database in CLUSTERS.items():
            _await(now, f"{name}-db", state.cluster(now, name).ready)
            state.cluster(now, name).create_database(database)
        if not now.get("external_kafka"):
            _await(now, "broker", lambda: _answers(now["kafka"]))
        elif not _answers(now["kafka"]):
            raise StackError(f"the broker at {now['kafka']} does not answer")
        flows = _list_flows(now)
        _start(now, *(name for name in flows if "sync" not in name or "sync" not in without))
        if "airflow" not in without:
            airflow.initialise(now, data_dir() / "log" / "airflow-migrate.log")
            _start(now, *airflow.PROGRAMS)
        _await(now, "connector", lambda: _streams(now))
        if "sync" not in without:
            _await(now, "sync", lambda: _is_up(now, "sync"))
        if "airflow" not in without:
            _await(now, "airflow-api", lambda: airflow.is_healthy(now))
            airflow.create_pools(now)
            _await(now, "airflow-dag-processor", lambda: airflow.has_parsed(now))
        return now


def down(*, purge: bool = False) -> None:
    """Stop every server of the stack, also such as a killed supervisor left; `purge` removes all data too."""
    now = stack_state()
    if now:
        first = [*_list_flows(now), *airflow.PROGRAMS]
        supervisor.stop(now, first)
        for name in CLUSTERS:
            state.cluster(now, name).stop()
        Path(now["socket"]).unlink(missing_ok=True)
    if purge:
        shutil.rmtree(data_dir(), ignore_errors=True)


def status() -> list[Service]:
    """Return every server of the stack and how it is; empty when there never was a stack."""
    now = stack_state()
    if not now:
        return []
    seen = {}
    if supervisor.is_running(now):
        seen = {info["name"]: info for info in supervisor.rpc(now).getAllProcessInfo()}
    found = []
    for program in list_programs(now):
        info = seen.get(program.name, {})
        runs = info.get("statename") in {"RUNNING", "STARTING"}
        uptime = info["now"] - info["start"] if runs else 0
        pid = info["pid"] if runs else None
        found.append(Service(program.name, info.get("statename", "STOPPED"), pid, program.port, uptime, program.log))
    return found


def reset() -> State:
    """Begin again with empty stores and an empty broker, all other servers as they are; returns when ready."""
    now = stack_state()
    if not now or not supervisor.is_running(now):
        raise StackError("no embedded stack is up: run `shopferry stack up`")
    with _lock_alone():
        server = supervisor.rpc(now)
        flows = [name for name in _list_flows(now) if _is_up(now, name)]
        for name in flows:
            server.stopProcess(name)
        for name in ("legacy", "shop"):
            cluster = state.cluster(now, name)
            cluster.drop_database(CLUSTERS[name])
            cluster.create_database(CLUSTERS[name])
        shutil.rmtree(data_dir() / "connector", ignore_errors=True)
        if now.get("external_kafka"):
            _forget_topics(now)
        else:
            server.stopProcess("broker")  # it keeps nothing on disk
            _start(now, "broker")
            _await(now, "broker", lambda: _answers(now["kafka"]))
        _start(now, *flows)
        for name in flows:
            _await(now, name, lambda name=name: _is_up(now, name))  # type: ignore[misc]
        return now


def _forget_topics(now: State) -> None:
    admin = KafkaAdminClient(bootstrap_servers=now["kafka"].split(","))
    route = now["route"]
    topics = [
        t
        for t in admin.list_topics()
        for r in (route, f"{route}{REVERSE}")
        if t.startswith(f"{r}.") or t == f"__debezium-heartbeat.{r}"
    ]
    if topics:
        admin.delete_topics(topics)
    admin.close()


def _list_flows(now: State) -> list[str]:
    """List the programs of both flows."""
    return [p.name for p in list_programs(now) if p.name.partition("-")[0] in {"connector", "sync"}]


def _start(now: State, *names: str) -> None:
    """Ask the supervisor to start those that are not running, without waiting."""
    server = supervisor.rpc(now)
    for name in names:
        try:
            server.startProcess(name, False)
        except xmlrpc.client.Fault as fault:
            if "ALREADY_STARTED" not in fault.faultString:
                raise StackError(f"{name} cannot be started ({fault.faultString}): see {_find_log(name)}") from None


def _find_log(name: str) -> Path:
    return data_dir() / "log" / f"{name}.log"


def _is_up(now: State, name: str) -> bool:
    return bool(supervisor.rpc(now).getProcessInfo(name)["statename"] == "RUNNING")


def _await(now: State, name: str, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not ready():
        if time.monotonic() > deadline:
            raise StackError(f"{name} is not ready after {_PATIENCE:.0f} s: see {_find_log(name)}")
        _check_alive(now, name)
        time.sleep(_POLL)


def _check_alive(now: State, name: str) -> None:
    try:
        word = supervisor.rpc(now).getProcessInfo(name)["statename"]
    except (OSError, xmlrpc.client.Error):
        raise StackError(f"the supervisor ended while {name} was starting: see {_find_log('supervisor')}") from None
    if word in {"FATAL", "STOPPED", "UNKNOWN"}:
        raise StackError(f"{name} did not come up ({word}): see {_find_log(name)}")


def _answers(servers: str) -> bool:
    with suppress(KafkaError, OSError):
        for server in servers.split(","):  # the client would log at length that nobody listens yet
            host, _, port = server.rpartition(":")
            socket.create_connection((host, int(port)), timeout=5).close()
        admin = KafkaAdminClient(bootstrap_servers=servers.split(","), bootstrap_timeout_ms=5000)
        try:
            admin.list_topics()
        finally:
            admin.close()
        return True
    return False


def _streams(now: State) -> bool:
    """Tell whether the connector reads its slot, or has nothing to read yet because no phase has begun."""
    name = name_slot(now["route"])
    with psycopg.connect(now["legacy_dsn"]) as conn:
        if not conn.execute("SELECT FROM pg_publication WHERE pubname = %s", [name]).fetchall():
            return _is_up(now, "connector")
        slot = "SELECT FROM pg_replication_slots WHERE slot_name = %s AND active"
        return bool(conn.execute(slot, [name]).fetchall())
