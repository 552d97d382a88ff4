"""The DAG `rehearse`: a sample goes through all phases into scratch databases; green, the first phase may start."""

from __future__ import annotations

import logging

from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.api.datamodels._generated import DagRunType

from shopferry.errors import VerificationError
from shopferry.orchestration.connections import load_settings
from shopferry.orchestration.failures import DEFAULTS, give_reason
from shopferry.orchestration.hold import name_this_run
from shopferry.orchestration.runbooks import runbook

log = logging.getLogger(__name__)

_FORM = {
    "customers": Param(
        200,
        type="integer",
        minimum=1,
        maximum=100_000,
        title="Customers",
        description="As many at random; the oddest come beside them, and all that belongs to either.",
    ),
    "real_data": Param(
        None,
        type=["null", "string"],
        minLength=1,
        maxLength=80,
        title="Real data",
        description="Empty: names, addresses, telephone numbers and e-mails become pseudonyms. Otherwise who decided that the "
        "scratch databases get them as they are.",
    ),
}


def build_rehearse_dag() -> DAG:
    """Build the DAG `rehearse`: one task, by hand; it fails when the rehearsal is not green."""
    with DAG(
        dag_id="rehearse",
        description="Takes a sample through all phases into scratch databases, verifies it, and drops them",
        schedule=None,
        allowed_run_types=[DagRunType.MANUAL],
        params=_FORM,
        max_active_runs=1,
        catchup=False,
        tags=["shopferry", "rehearsal"],
        default_args=DEFAULTS,
        doc_md=runbook("rehearse"),
    ) as dag:

        @task(doc_md="The whole rehearsal. A retry begins anew: what a killed one has left is dropped first.")
        @give_reason
        def rehearse() -> list[str]:
            from shopferry.rehearsal import rehearsal

            form = rehearsal.Form(**{name: get_current_context()["params"][name] for name in _FORM})
            done = rehearsal.rehearse(load_settings(), name_this_run(), form, log.info)
            if not done.green:
                raise VerificationError(f"rehearsal {done.id} of {done.told}")
            takes = "may take" if done.is_measured else "take at most"
            return [
                f"{p['phase']}: {p['rows']:,} of {p['legacy_rows']:,} rows, {p['quarantined']} in quarantine, "
                f"{p['left_out']} left out; all of them {takes} {p['expected_s']:.0f} s"
                for p in done.phases
            ]

        rehearse()
    return dag
