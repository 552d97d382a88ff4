"""Wait, without a worker, until the stream has passed a phase's copy.

The operator starts in the triggerer and, when all goes well, ends there: no task process is ever started for it. Only
a failure is handed to a worker, where the shared retry policy judges it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException
from airflow.triggers.base import (
    BaseTrigger,
    StartTriggerArgs,
    TaskSkippedEvent,
    TaskSuccessEvent,
    TriggerEvent,
)
from airflow.utils.state import TaskInstanceState

from shopferry.orchestration.connections import load_settings
from shopferry.orchestration.failures import make_failure
from shopferry.orchestration.hold import name_holder, name_this_run
from shopferry.retry import describe, is_transient

_ROUND_S = 5.0  # one blocking call in a thread: how long a cancelled trigger goes on at most


class SyncTrigger(BaseTrigger):
    """Proves again and again that all is applied, until it is or `patience_s` is over.

    Success and skip (a sample has nothing to be in sync) end the task; else the event says why, and whether to try again.
    """

    def __init__(self, phase: str, patience_s: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.phase = phase
        self.patience_s = patience_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return two scalars: what is secret is looked up where the trigger runs."""
        return f"{__name__}.SyncTrigger", {"phase": self.phase, "patience_s": self.patience_s}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event."""
        deadline = time.monotonic() + self.patience_s
        while True:
            try:
                yield await asyncio.to_thread(self._try)
                return
            except Exception as error:  # not applied yet, or a server is away: both may pass
                if not is_transient(error) or time.monotonic() > deadline:
                    yield _make_failed(error)
                    return
                await asyncio.sleep(1)

    def _try(self) -> TriggerEvent:
        from shopferry import phase_steps

        settings = load_settings()
        if phase_steps.is_sample(settings, self.phase):
            if self.task_instance:
                phase_steps.abandon(
                    settings, self.phase, name_holder(self.task_instance.dag_id, self.task_instance.run_id)
                )
            return TaskSkippedEvent()
        phase_steps.await_sync(settings, self.phase, timeout_s=_ROUND_S)
        return TaskSuccessEvent()


def _make_failed(error: Exception) -> TriggerEvent:
    return TriggerEvent({"reason": describe(error), "transient": is_transient(error)})  # type: ignore[no-untyped-call]


class AwaitSync(BaseOperator):
    """Defers from the start to SyncTrigger; the phase is in sync when it succeeds, skipped when it was a sample."""

    start_from_trigger = True

    def __init__(self, *, phase: str, patience_s: float = 300.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.phase = phase
        self.patience_s = patience_s
        self.start_trigger_args = StartTriggerArgs(
            trigger_cls=f"{__name__}.SyncTrigger",
            trigger_kwargs={"phase": phase, "patience_s": patience_s},
            next_method="resume",
        )

    def execute(self, context: Context) -> None:
        """Only where tasks do not start from the triggerer (`dag.test()`)."""
        self.defer(trigger=SyncTrigger(self.phase, self.patience_s), method_name="resume")

    def resume(self, context: Context, event: Any) -> None:
        """Raise what the trigger could not: this process knows the retry policy."""
        if event == TaskInstanceState.SKIPPED:  # a trigger that runs within `dag.test()` does not know its run
            from shopferry import phase_steps

            phase_steps.abandon(load_settings(), self.phase, name_this_run())
            raise AirflowSkipException(f"phase {self.phase} was a sample: there is nothing to be in sync")
        if event != TaskInstanceState.SUCCESS:
            raise make_failure(event["reason"], transient=event["transient"])
