"""A DAG's documentation is its runbook: a page of docs/runbooks."""

from __future__ import annotations

from shopferry.settings import PROJECT


def runbook(page: str) -> str:
    """Return the runbook as Airflow shows it; `page` is its file's name without the ending. All phases share the page `phase`."""
    return (PROJECT / "docs" / "runbooks" / f"{page}.md").read_text()
