"""The DAG keep_clean: once a day what the move has kept of people beyond its period goes."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from airflow.sdk import DAG, Param, get_current_context, task

from shopferry.errors import TransientError, VerificationError
from shopferry.orchestration.connections import load_settings
from shopferry.orchestration.failures import DEFAULTS, give_reason
from shopferry.orchestration.runbooks import runbook

log = logging.getLogger(__name__)

_FORM = {
    "dry_run": Param(
        False, type="boolean", title="Dry run", description="The log says what would go; nothing is removed."
    ),
}


def build_keep_clean_dag() -> DAG:
    """Build the DAG `keep_clean`: one task; it fails when something past its period stays."""
    with DAG(
        dag_id="keep_clean",
        description="Removes verdicts, records, backups, reports, exports and scratch that are past their period",
        schedule="30 4 * * *",  # after the nightly comparison
        start_date=datetime(2025, 1, 1, tzinfo=UTC),
        params=_FORM,
        max_active_runs=1,
        catchup=False,
        tags=["shopferry", "privacy"],
        default_args=DEFAULTS,
        doc_md=runbook("keep_clean"),
    ) as dag:

        @task(doc_md="Sweep every place, and fail with what is still past its period. A retry removes what is left.")
        @give_reason
        def sweep() -> list[str]:
            from shopferry.privacy import retention

            dry = get_current_context()["params"]["dry_run"]
            done = retention.sweep(load_settings(), dry=dry)
            if dry:
                for held in done.due:
                    log.warning(
                        "would go: %s: %s, %d", held.place, held.what, held.count
                    )  # also where logs are kept quiet
            told = [
                f"{p.place}: {p.removed} removed, {p.stays} stay" + (f" until {p.until}" if p.until else "")
                for p in done.places
            ]
            for line in told:
                log.warning("%s", line)
            if done.past and not dry:
                past = ", ".join(f"{held.place} {held.what} since {held.until:%Y-%m-%d}" for held in done.past)
                raise VerificationError(f"past its period and still there: {past}")
            if done.away:
                raise TransientError("; ".join(done.away))
            return told

        sweep()
    return dag
