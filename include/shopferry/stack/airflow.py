"""Airflow on the embedded stack: its configuration, its users, its four programs, whether it is ready.

Nothing here imports Airflow: it runs as other processes, and is asked over HTTP.
"""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from shopferry.errors import StackError
from shopferry.settings import PROJECT, data_dir
from shopferry.stack.state import State

USERS = {"admin": "ADMIN", "platform": "OP", "oncall": "USER", "viewer": "VIEWER"}  # password = name: loopback only
PROGRAMS = {
    "airflow-api": ["api-server", "--host", "127.0.0.1"],
    "airflow-scheduler": ["scheduler", "--skip-serve-logs"],
    "airflow-dag-processor": ["dag-processor"],
    "airflow-triggerer": ["triggerer", "--skip-serve-logs"],
}
# What is the same for every stack.
_SECTIONS = {
    "scheduler": {
        "scheduler_idle_sleep_time": "0.25",
        "enable_health_check": "False",
        "task_instance_heartbeat_timeout": "60",  # a task whose worker has died is tried again after that, not after 300 s
        "use_row_level_locking": "False",  # one scheduler
    },
    "triggerer": {"capacity": "50"},
    "dag_processor": {
        "parsing_processes": "1",
        "min_file_process_interval": "60",
        "refresh_interval": "30",
        "print_stats_interval": "0",
    },
}


def find_home() -> Path:
    """AIRFLOW_HOME of the embedded stack."""
    return data_dir() / "airflow"


def _make_config(state: State) -> dict[str, dict[str, str]]:
    store = state["airflow_db_dsn"].removeprefix("postgresql://")
    return {
        "core": {
            "executor": "LocalExecutor",
            "parallelism": "4",
            "max_active_tasks_per_dag": "4",
            "dags_folder": str(PROJECT / "dags"),
            "plugins_folder": str(PROJECT / "plugins"),
            "load_examples": "False",
            "dags_are_paused_at_creation": "False",
            "execution_api_server_url": f"{state['airflow_url']}/execution/",
            "auth_manager": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
            "simple_auth_manager_users": ",".join(f"{name}:{role}" for name, role in USERS.items()),
            "simple_auth_manager_passwords_file": str(find_home() / "passwords.json"),
            "fernet_key": state["fernet_key"],
            "test_connection": "Disabled",
        },
        "database": {
            "sql_alchemy_conn": f"postgresql+psycopg2://{store}",
            "check_migrations": "False",  # `initialise` has just migrated
        },
        "logging": {
            "base_log_folder": str(find_home() / "logs"),
            "logging_level": "WARNING",
            "uvicorn_logging_level": "WARNING",
            "colored_console_log": "False",
            "worker_log_server_port": state["worker_log_port"],
            "trigger_log_server_port": state["trigger_log_port"],
        },
        "api": {
            "base_url": state["airflow_url"],
            "host": "127.0.0.1",
            "port": state["airflow_port"],
            "workers": "1",
            "secret_key": state["api_secret"],
            "instance_name": "shopferry",
        },
        "api_auth": {"jwt_secret": state["jwt_secret"]},
        **_SECTIONS,
    }


def make_environment(state: State) -> dict[str, str]:
    """Make the environment of Airflow's programs: where it lives, and the connections its DAGs use."""
    host, _, port = state["kafka"].split(",")[0].rpartition(":")
    kafka = {"conn_type": "kafka", "host": host, "port": int(port)}
    return {
        "AIRFLOW_HOME": str(find_home()),
        "AIRFLOW_CONN_LEGACY_DB": state["legacy_dsn"],
        "AIRFLOW_CONN_SHOP_DB": state["shop_dsn"],
        "AIRFLOW_CONN_KAFKA": json.dumps(kafka | {"extra": {"bootstrap.servers": state["kafka"]}}),
    }


def build_command(program: str) -> list[str]:
    """Tell how one of its four programs is started."""
    return [sys.executable, "-m", "airflow", *PROGRAMS[program]]


def configure(state: State) -> None:
    """Write airflow.cfg and the users' passwords."""
    find_home().mkdir(parents=True, exist_ok=True)
    parser = configparser.RawConfigParser()
    parser.read_dict(_make_config(state))
    for file in (find_home() / "airflow.cfg", find_home() / "passwords.json"):
        file.touch(mode=0o600)
    with (find_home() / "airflow.cfg").open("w") as configuration:
        parser.write(configuration)
    (find_home() / "passwords.json").write_text(json.dumps({name: name for name in USERS}) + "\n")


def initialise(state: State, log: Path) -> None:
    """Create Airflow's tables; only for the first boot of each version of Airflow."""
    from importlib import metadata

    done = find_home() / f"migrated-{metadata.version('apache-airflow-core')}"
    if done.exists():
        return
    with log.open("a") as output:
        result = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env=make_clean_environment() | make_environment(state),
            cwd=find_home(),
            stdout=output,
            stderr=output,
        )
    if result.returncode:
        raise StackError(f"airflow db migrate failed: see {log}")
    done.touch()


def make_clean_environment() -> dict[str, str]:
    """Our environment without what would lead Airflow, PostgreSQL or shopferry to other servers than the stack's."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "PG", "SHOPFERRY_"))}


def _request(url: str, *, body: Any = None, token: str = "") -> Any:
    request = urllib.request.Request(url, headers={"Content-Type": "application/json"})  # noqa: S310
    if body is not None:
        request.data = json.dumps(body).encode()
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


def fetch_token(state: State) -> str:
    """Fetch an API token of the user `admin`."""
    credentials = {"username": state["airflow_user"], "password": state["airflow_password"]}
    answer: dict[str, str] = _request(f"{state['airflow_url']}/auth/token", body=credentials)
    return answer["access_token"]


def create_pools(state: State) -> None:
    """Create the pools that bound the load on the stores; needs the API server."""
    bearer = fetch_token(state)
    for name, pool in json.loads((PROJECT / "docker" / "pools.json").read_text()).items():
        try:
            _request(f"{state['airflow_url']}/api/v2/pools", body={"name": name, **pool}, token=bearer)
        except urllib.error.HTTPError as error:
            if error.code != 409:  # already there
                raise


def is_healthy(state: State) -> bool:
    """Tell whether all four programs report themselves healthy."""
    try:
        health = _request(f"{state['airflow_url']}/api/v2/monitor/health")
    except (OSError, ValueError):
        return False
    parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
    return all((health.get(part) or {}).get("status") == "healthy" for part in parts)


def fetch_import_errors(state: State) -> dict[str, str]:
    """Fetch the DAG files that could not be imported, each with its stack trace."""
    found = _request(f"{state['airflow_url']}/api/v2/importErrors", token=fetch_token(state))["import_errors"]
    return {error["filename"]: error["stack_trace"] for error in found}


def has_parsed(state: State) -> bool:
    """Tell whether every file in dags/ has become DAGs or an import error."""
    bearer = fetch_token(state)
    base = f"{state['airflow_url']}/api/v2"
    seen = set()
    for kind, items, place in (("dags", "dags", "fileloc"), ("importErrors", "import_errors", "filename")):
        seen |= {Path(one[place]).name for one in _request(f"{base}/{kind}?limit=100", token=bearer)[items]}
    return {f.name for f in (PROJECT / "dags").glob("[!_]*.py")} <= seen
