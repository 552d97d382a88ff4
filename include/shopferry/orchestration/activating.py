"""The DAG activate: hands recipients what has changed, each by its schedule; a recipient's first run wants an approval."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, Param, TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from shopferry.insight import activation_file
from shopferry.insight.activation_file import Activation
from shopferry.orchestration.connections import load_receiver, load_settings, name_route
from shopferry.orchestration.failures import DEFAULTS, give_reason
from shopferry.orchestration.hold import name_this_run
from shopferry.orchestration.runbooks import runbook
from shopferry.orchestration.switching import read_approver
from shopferry.route.route import Route
from shopferry.settings import data_dir

if TYPE_CHECKING:
    from shopferry.control.activations import Latest

log = logging.getLogger(__name__)

DAG_ID = "activate"
FOLDER = "exports"  # in the data directory: what lies there goes when its period is over
_ANSWER = timedelta(hours=20)  # then the run ends, and the next day asks again with the counts of that day
_SLACK = timedelta(hours=12)  # a run may be late without moving the next one by a day
_TOLD = "told"
_RUNS = 4  # one that waits for an approval must not hold up a run by hand; two of one activation shut each other out

_FORM = {
    "activation": Param(
        None,
        type=["null", "string"],
        title="One activation, now",
        description="The name of one file in activate/, without its ending: it is handed over whether or not it is due, and no "
        "other. Empty: all that are due.",
    ),
}


def is_due(one: Activation, last: Latest | None, asked: str | None, now: datetime) -> bool:
    """Tell whether an activation is handed over now: it was asked for by name, or its days are over since the last run."""
    if asked:
        return one.name == asked
    if one.days is None:
        return False
    return last is None or now - last.handed_over >= timedelta(days=one.days) - _SLACK


def build_activate_dag() -> DAG:
    """Build the DAG `activate`: of each activation of the route count → approval, if it is the first run → hand over."""
    loaded = activation_file.load(Route.load(name_route()))
    with DAG(
        dag_id=DAG_ID,
        description="Hands recipients what has changed of those who may be written to; a recipient's first run wants an approval",
        schedule="0 6 * * *" if any(one.days for one in loaded) else None,
        start_date=datetime(2025, 1, 1, tzinfo=UTC),
        params=_FORM,
        max_active_runs=_RUNS,
        catchup=False,
        tags=["shopferry", "privacy"],
        default_args=DEFAULTS,
        doc_md=runbook(DAG_ID),
    ) as dag:
        for one in loaded:
            _add(one)
    return dag


def _add(one: Activation) -> None:
    """Add the tasks of one activation."""
    count_id, approve_id, hand_over_id = (f"{word}_{one.name}" for word in ("count", "approve", "hand_over"))

    @task.branch(
        task_id=count_id,
        doc_md=f"Count who would come and go. Skipped while {one.name} is not due, or there is nobody to begin with.",
    )
    @give_reason
    def count() -> str:
        from shopferry import db
        from shopferry.control import activations
        from shopferry.insight import activation, delivery, permission

        context, settings = get_current_context(), load_settings()
        route = Route.load(settings.route)
        with db.connect(settings.target_dsn, DAG_ID) as shop:
            if not activation.is_filled(shop, route):
                raise AirflowSkipException("no phase has filled the new shop")
            last = activations.load_latest(shop, route.base_name).get(one.name)
            if not is_due(one, last, context["params"]["activation"], datetime.now(UTC)):
                raise AirflowSkipException(f"{one.name} is not due: {one.schedule}")
            delivery.require_fresh(shop, route)
            drawn = activation.draw(shop, route, permission.load(route), one)
        if drawn.first and not drawn.present:
            raise AirflowSkipException(f"{one.name}: there is nobody who may be written to")
        log.warning("%s to %s: %s", one.name, one.recipient, drawn.told)  # also where logs are kept quiet
        context["ti"].xcom_push(key=_TOLD, value=drawn.told)
        return approve_id if drawn.first else hand_over_id

    # No default: silence must never count as an answer. It ends, so that it holds up no other recipient.
    approve = ApprovalOperator(
        task_id=approve_id,
        subject=f"Hand data of people to {one.recipient} for the first time?",
        body=f"Activation {one.name}, for {one.purpose} by {one.channel}, owner {one.owner}:\n\n"
        f"{{{{ ti.xcom_pull(task_ids='{count_id}', key='{_TOLD}') }}}}\n\nOn approval they are handed over, as they are then.",
        fail_on_reject=True,
        response_timeout=_ANSWER,
    )

    @task(
        task_id=hand_over_id,
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
        doc_md="Hand over what has changed, into the data directory or to the recipient's address. A retry goes on behind what "
        "was answered.",
    )
    @give_reason
    def hand_over() -> list[str]:
        return _hand_over(one, get_current_context()["ti"].xcom_pull(task_ids=approve_id))

    counted, handed = count(), hand_over()
    counted >> approve >> handed
    counted >> handed


def _hand_over(one: Activation, approval: dict[str, object] | None) -> list[str]:
    """Hand one activation over; returns what was done, by numbers and names of files."""
    from shopferry import db
    from shopferry.insight import activation, delivery, permission

    settings = load_settings()
    route = Route.load(settings.route)
    questions = permission.load(route)
    to = load_receiver(f"{DAG_ID}_{one.name}") if one.format.pushed else data_dir() / FOLDER
    with db.connect(settings.target_dsn, DAG_ID) as shop:
        drawn = activation.draw(shop, route, questions, one)
        done = delivery.hand_over(
            shop,
            route,
            questions,
            drawn,
            to,
            who=name_this_run(),
            why=f"schedule: {one.schedule}",
            approved_by=read_approver(approval) if approval else None,
        )
    told = [f"{one.name} to {one.recipient}: {done.final.told}", *done.told, *(file.name for file in done.files)]
    for line in told:
        log.warning("%s", line)  # also where logs are kept quiet
    return told
