"""A small client of Airflow's REST API: start a DAG, watch it, answer its approval, as a person would in the UI."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx

from shopferry.errors import StackError

_POLL_S = 0.5
_SETTLED_S = 2.0
_ENDED = {"success", "failed"}


@dataclass(frozen=True)
class AirflowClient:
    """Airflow at `url`, as one of its users."""

    url: str
    user: str
    password: str

    @cached_property
    def _client(self) -> httpx.Client:
        client = httpx.Client(base_url=self.url, timeout=30)  # one for all calls: its TLS context takes 40 ms to make
        login = client.post("/auth/token", json={"username": self.user, "password": self.password})
        login.raise_for_status()
        client.headers["Authorization"] = f"Bearer {login.json()['access_token']}"
        return client

    def _call(self, method: str, path: str, **body: Any) -> Any:
        answer = self._client.request(method, f"/api/v2{path}", **body)
        if answer.status_code >= 400:
            raise StackError(f"Airflow answers {answer.status_code} to {method} {path}: {answer.text[:300]}")
        return answer.json()

    def trigger(self, dag: str, conf: dict[str, Any] | None = None) -> str:
        """Start a run of a DAG by hand; returns the run's id."""
        found = self._call("POST", f"/dags/{dag}/dagRuns", json={"logical_date": None, "conf": conf or {}})
        return str(found["dag_run_id"])

    def find_newest_run(self, dag: str) -> str | None:
        """Find the id of the DAG's newest run, None when it has none."""
        found = self._call("GET", f"/dags/{dag}/dagRuns?order_by=-run_after&limit=1")["dag_runs"]
        return str(found[0]["dag_run_id"]) if found else None

    def read_state(self, dag: str, run: str) -> str:
        """Read the state of a run: queued, running, success or failed."""
        return str(self._call("GET", f"/dags/{dag}/dagRuns/{run}")["state"])

    def name_failures(self, dag: str, run: str) -> str:
        """Name the tasks of a run that failed, for a message."""
        tasks = self._call("GET", f"/dags/{dag}/dagRuns/{run}/taskInstances")["task_instances"]
        return ", ".join(sorted({t["task_id"] for t in tasks if t["state"] in {"failed", "up_for_retry"}}))

    def await_end(self, dag: str, run: str, timeout_s: float) -> None:
        """Wait for a run to succeed. Raises StackError naming the failed tasks, or when it takes too long."""
        deadline = time.monotonic() + timeout_s
        while (state := self.read_state(dag, run)) not in _ENDED:
            if time.monotonic() > deadline:
                raise StackError(
                    f"Airflow's run {run} of {dag} is {state} after {timeout_s:.0f} s: see {self.url}/dags/{dag}"
                )
            time.sleep(_POLL_S)
        if state == "failed":
            raise StackError(
                f"Airflow's run {run} of {dag} failed in {self.name_failures(dag, run)}: see {self.url}/dags/{dag}"
            )

    def approve_and_await(self, dag: str, run: str, task: str, timeout_s: float) -> None:
        """Answer the approval of a run as this user whenever it is asked for, until the run has succeeded.

        An answer that comes before the scheduler has seen the task's process end is lost, and Airflow asks again: so the
        task must be waiting for a while before it is answered, and is answered as often as it waits.
        """
        deadline = time.monotonic() + timeout_s
        instance = f"/dags/{dag}/dagRuns/{run}/taskInstances/{task}"
        waiting = 0
        while (state := self.read_state(dag, run)) not in _ENDED:
            waits = self._call("GET", instance)["state"] == "awaiting_input"
            waiting = waiting + 1 if waits else 0
            if waiting * _POLL_S > _SETTLED_S:
                self._call("PATCH", f"{instance}/-1/hitlDetails", json={"chosen_options": ["Approve"]})
                waiting = 0
            if time.monotonic() > deadline:
                raise StackError(
                    f"Airflow's run {run} of {dag} is {state} after {timeout_s:.0f} s: see {self.url}/dags/{dag}"
                )
            time.sleep(_POLL_S)
        self.await_end(dag, run, timeout_s)
