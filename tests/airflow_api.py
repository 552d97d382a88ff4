"""Airflow's REST API as the tests use it: as one of its users, with what a person would do in the UI."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from typing import Any

import pytest
from shopferry import stack
from waiting import until

_PATIENCE_S = 600.0  # Airflow takes its time between two tasks


class Api:
    """Airflow's REST API as one of its users."""

    def __init__(self, state: stack.State, user: str) -> None:
        self.base = state["airflow_url"]
        self.token = ""
        if user:
            status, answer = self("POST", "/auth/token", {"username": user, "password": user})
            assert status == 201
            self.token = answer["access_token"]

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        kind = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.base + path, method=method, headers=kind)  # noqa: S310
        if body is not None:
            request.data = json.dumps(body).encode()
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310
                text = answer.read()
                return answer.status, json.loads(text) if text.startswith((b"{", b"[")) else text.decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def start(self, dag: str, **form: Any) -> str:
        """Trigger a DAG run and return its id."""
        status, run = self("POST", f"/api/v2/dags/{dag}/dagRuns", {"logical_date": None, "conf": form})
        assert status == 200, run
        return str(run["dag_run_id"])

    def finished(self, dag: str, run: str) -> str:
        """The state that the run ends in."""

        def ended() -> str:
            state = str(self("GET", f"/api/v2/dags/{dag}/dagRuns/{run}")[1]["state"])
            return state if state in {"success", "failed"} else ""

        return until(ended, _PATIENCE_S)

    def succeeds(self, dag: str, run: str) -> None:
        """The run ends well; else say what its failed tasks said."""
        if self.finished(dag, run) != "success":
            failed = [name for name, state in self.tasks(dag, run).items() if state == "failed"]
            logs = [self("GET", f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{t}/logs/1")[1] for t in failed]
            reasons = re.findall(r"'exc_value': (.*?), 'exc_notes'", str(logs))
            pytest.fail(f"{dag}: {failed} {reasons}")

    def first_run(self, dag: str) -> str:
        """The id of the DAG's first run, as soon as there is one that is not by hand."""

        def begun() -> str:
            runs = self("GET", f"/api/v2/dags/{dag}/dagRuns")[1]["dag_runs"]
            return next((str(run["dag_run_id"]) for run in runs if run["run_type"] == "asset_triggered"), "")

        return until(begun, _PATIENCE_S)

    def running_pid(self, dag: str, run: str, task: str) -> int:
        """The process of a task, as soon as it runs."""

        def pid() -> int:
            found = self("GET", f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances")[1]["task_instances"]
            return next((int(t["pid"] or 0) for t in found if t["task_id"] == task and t["state"] == "running"), 0)

        return until(pid, _PATIENCE_S)

    def tries(self, dag: str, run: str, task: str) -> list[int]:
        """How often each instance of a task was tried."""
        found = self("GET", f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances")[1]["task_instances"]
        return [t["try_number"] for t in found if t["task_id"] == task]

    def tasks(self, dag: str, run: str) -> dict[str, str]:
        """The state of each task, the last one where it is mapped."""
        found = self("GET", f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances")[1]["task_instances"]
        return {t["task_id"]: t["state"] for t in found}

    def answer(self, dag: str, run: str, option: str, task: str = "approve") -> None:
        """Answer as often as the task asks, until it is over.

        Airflow 3.3 asks again when an answer comes before the scheduler has noticed that the task waits; nobody but a
        program is that quick, so a program waits a little.
        """
        path = f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{task}/-1"

        def answered() -> bool:
            if self("GET", path.removesuffix("/-1"))[1]["state"] == "awaiting_input":
                time.sleep(2)
                status, answer = self("PATCH", f"{path}/hitlDetails", {"chosen_options": [option]})
                assert status in {200, 409}, answer
            return self.tasks(dag, run).get(task) in {"success", "failed", "upstream_failed"}

        until(answered, _PATIENCE_S)
