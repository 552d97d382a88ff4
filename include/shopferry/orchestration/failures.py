"""What a failure means to Airflow, decided once: transient faults are tried again, all else fails with its reason.

A task's log shows the exception it ended with, and PostgreSQL quotes rows in its own: so what leaves a task is the
reason alone, without the error it came from.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import psycopg
from airflow.sdk import Context, ExceptionRetryPolicy, RetryAction, RetryDecision, RetryRule
from airflow.sdk.exceptions import AirflowFailException

from shopferry.errors import ShopferryError, TransientError
from shopferry.retry import describe, is_transient

log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")


class ReasonedRetryPolicy(ExceptionRetryPolicy):
    """Retries what is transient and fails all else at once; each decision carries a reason that on-call can read."""

    def __init__(self) -> None:
        super().__init__([RetryRule([TransientError, ConnectionError, TimeoutError])], default=RetryAction.FAIL)

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide by the class of the exception; the delay is the task's own, which grows with every try."""
        decision = super().evaluate(exception, try_number, max_tries, context)
        reason = describe(exception)
        log.warning("%s after try %d of %d: %s", decision.action.value, try_number, max_tries + 1, reason)
        return replace(decision, reason=reason)


# 4, 8, 16, 32, 60 s: outlasts the restart of a server, and is over before anybody has opened the log.
DEFAULTS: dict[str, Any] = {
    "owner": "platform",
    "retries": 5,
    "retry_delay": timedelta(seconds=4),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(seconds=60),
    "retry_policy": ReasonedRetryPolicy(),
}


def give_reason(work: Callable[P, R]) -> Callable[P, R]:
    """Wrap a task's function: its failures become TransientError or AirflowFailException, with the reason and nothing else."""

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return work(*args, **kwargs)
        except (ShopferryError, psycopg.Error, OSError) as error:
            failure = make_failure(describe(error), transient=is_transient(error))
        raise failure

    return run


def make_failure(reason: str, *, transient: bool) -> Exception:
    """Make the exception by which Airflow retries or fails."""
    return TransientError(reason) if transient else AirflowFailException(reason)
