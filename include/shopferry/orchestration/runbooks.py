"""A DAG's documentation is its runbook: docs/runbooks/<dag>.md."""

from __future__ import annotations

from shopferry.settings import PROJECT


def runbook(dag_id: str) -> str:
    """The runbook of one DAG as Airflow shows it."""
    return (PROJECT / "docs" / "runbooks" / f"{dag_id}.md").read_text()
