"""The DAG tick: each night the day of mappings moves on, and what is derived from the new shop follows."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowSkipException

from shopferry.errors import PhaseError
from shopferry.orchestration.connections import load_settings
from shopferry.orchestration.failures import DEFAULTS, give_reason
from shopferry.orchestration.runbooks import runbook

log = logging.getLogger(__name__)


def build_tick_dag() -> DAG:
    """Build the DAG `tick`: one task, each night; skipped while the phase has not filled the new shop."""
    with DAG(
        dag_id="tick",
        description="Moves the day of mappings on, and brings profiles and segments to it",
        schedule="15 1 * * *",  # the day has begun in all of Europe, and the nightly comparison comes later
        start_date=datetime(2025, 1, 1, tzinfo=UTC),
        max_active_runs=1,
        catchup=False,
        tags=["shopferry", "insight"],
        default_args=DEFAULTS,
        doc_md=runbook("tick"),
    ) as dag:

        @task(doc_md="Move the clock to today, merge whom that affects, count the segments. A retry does what is left.")
        @give_reason
        def move_on() -> dict[str, object]:
            from shopferry.engine.pair import open_stores
            from shopferry.insight import derived

            with open_stores(load_settings(), "insight") as stores:
                if not stores.route.derived:
                    raise AirflowSkipException("this route derives nothing")
                try:
                    derived.require_derived(stores)
                except PhaseError as early:
                    raise AirflowSkipException(str(early)) from None
                done = derived.tick(stores, datetime.now(UTC).date())
            log.warning("%s: %d keys merged", done.day, done.merged)  # also where logs are kept quiet
            return {"day": done.day.isoformat(), "merged": done.merged, "segments": len(done.counted)}

        move_on()
    return dag
