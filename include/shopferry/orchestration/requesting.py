"""The DAG privacy_request: erases the person of one request, known by its number alone, once a named person approves."""

from __future__ import annotations

import logging
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.api.datamodels._generated import DagRunType

from shopferry.errors import ConfigError
from shopferry.orchestration.connections import load_settings
from shopferry.orchestration.failures import DEFAULTS, give_reason
from shopferry.orchestration.requests_page import DAG_ID
from shopferry.orchestration.runbooks import runbook
from shopferry.orchestration.switching import read_approver

log = logging.getLogger(__name__)

_FORM = {
    "number": Param(
        None,
        type=["null", "integer"],
        minimum=1,
        title="The request's number",
        description="As `shopferry request open` has printed it. Nothing else about the person belongs here: Airflow keeps it.",
    ),
}


@task(doc_md="Refuse now what would be refused later; say what is asked, without naming anybody.")
@give_reason
def check() -> str:
    from shopferry.engine.pair import open_stores
    from shopferry.privacy import reception

    with open_stores(load_settings(), "request") as stores:
        return reception.review(stores, _read_number())


@task(doc_md="Grant the request in the approver's name, if that is still to be done, and erase. A retry goes on.")
@give_reason
def erase(approval: dict[str, Any]) -> str:
    from shopferry.engine.pair import open_stores
    from shopferry.privacy import erasure, reception

    settings, number, who = load_settings(), _read_number(), read_approver(approval)
    with open_stores(settings, "request") as stores:
        reception.approve(stores, number, who)
    erasure.run(settings, number, who, lambda step: log.info("%s", step))
    return f"request {number} is done: `shopferry request show {number}` prints its certificate"


def _read_number() -> int:
    """Read the form's number. Raises ConfigError where it was left empty."""
    number = get_current_context()["params"]["number"]
    if number is None:
        raise ConfigError("the form has no number: give the one that `shopferry request open` has printed")
    return int(number)


def build_request_dag() -> DAG:
    """Build the DAG `privacy_request`: check → approval → erase."""
    with DAG(
        dag_id=DAG_ID,
        description="Erases the person of one request, by its number, once a named person approves",
        schedule=None,
        allowed_run_types=[DagRunType.MANUAL],
        params=_FORM,
        max_active_runs=1,
        catchup=False,
        tags=["shopferry", "privacy"],
        default_args=DEFAULTS,
        doc_md=runbook(DAG_ID),
    ) as dag:
        # Without defaults and time-out: silence must never count as an answer.
        approve = ApprovalOperator(
            task_id="approve",
            subject="Erase the person of request {{ params.number }}?",
            body="{{ ti.xcom_pull(task_ids='check') }}\n\nOn approval the person is erased in both stores, as the data map says. "
            "**That cannot be undone.** Your name stands on the certificate.",
            fail_on_reject=True,
        )
        check() >> approve
        answer: Any = approve.output
        erase(answer)
    return dag
