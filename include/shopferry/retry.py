"""The one retry policy outside Airflow: transient faults back off and try again, all else goes up at once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_random_exponential
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

from shopferry.errors import ShopferryError, TransientError

log = logging.getLogger(__name__)
# Classes of SQLSTATE whose sentences name objects and settings: features, transactions, roles, names and syntax, resources,
# states, an operator's doing, the system.
_ABOUT_NO_ROW = {"0A", "25", "28", "3D", "3F", "42", "53", "54", "55", "57", "58"}
_ABOUT_ENCODINGS = {"22021", "22P05"}  # they show a character's bytes
_LONGEST_WAIT_S = 120.0  # for another side that asks for more; then it is tried again, or given up
_GROWING = wait_random_exponential(multiplier=0.2, max=10)
Result = TypeVar("Result")


def is_transient(error: BaseException) -> bool:
    """Whether trying the same thing again can help: by class of error, or by SQLSTATE class 08, 40, 53, 55, 57."""
    if isinstance(error, ShopferryError):
        return error.retriable
    if isinstance(error, psycopg.Error):
        if error.sqlstate is None:
            return isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))
        return error.sqlstate[:2] in {"08", "40", "53", "55", "57"}
    return isinstance(error, (ConnectionError, TimeoutError))


def describe(error: BaseException) -> str:
    """An error as a log and a person may read it: what is wrong with which object, never a row's values.

    PostgreSQL's own sentence is repeated where it speaks of names, rights, settings and resources. Where it could quote a row
    (a value that is no number, too long, taken already) class, SQLSTATE, table, column and constraint are all.
    """
    if isinstance(error, psycopg.Error):
        parts = [type(error).__name__, error.sqlstate or "no SQLSTATE"]
        if error.diag.constraint_name:
            parts.append(f"constraint {error.diag.constraint_name}")
        if error.sqlstate and (error.sqlstate[:2] in _ABOUT_NO_ROW or error.sqlstate in _ABOUT_ENCODINGS):
            parts[-1] += ":"
            parts += [" ".join(t.split()) for t in (error.diag.message_primary, error.diag.message_hint) if t]
        elif where := [t for t in (error.diag.schema_name, error.diag.table_name, error.diag.column_name) if t]:
            parts.append(f"in {'.'.join(where)}")
        if isinstance(error, psycopg.errors.ForeignKeyViolation):
            parts.append("(one that is checked at once must be made deferrable: `shopferry assess` has the statement)")
        if error.sqlstate == "40P01":
            # Who waited for what: locks, relations and process numbers, no values.
            parts += [" ".join(text.split()) for text in (error.diag.message_detail, error.diag.context) if text]
        if error.sqlstate is None:
            parts.append(str(error).splitlines()[0])  # libpq's own words: host and port, never data
        return " ".join(parts)
    return f"{type(error).__name__}: {error}" if isinstance(error, ShopferryError) else type(error).__name__


def _wait(state: RetryCallState) -> float:
    """Wait a random time that grows with each try, and as long as the other side has asked for, within reason."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.after_s if isinstance(error, TransientError) else 0.0
    return max(min(asked, _LONGEST_WAIT_S), _GROWING(state))


def retrying(
    work: Callable[[], Result],
    *conns: psycopg.Connection[Any],
    give_up_after: float = 300.0,
    notice: Callable[[BaseException], None] | None = None,
    stop: threading.Event | None = None,
) -> Result:
    """Call `work` until it succeeds; transient faults are tried again for `give_up_after` seconds, then raised.

    `conns` are the connections it works on: once one of them is closed, only the caller can help, with a new one.
    `notice` is told each fault that is tried again. Once `stop` is set, the next fault is raised, and no pause is waited out.
    """

    def report(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait = state.next_action.sleep if state.next_action else 0.0
        if error:
            extra = {"attempt": state.attempt_number, "wait_s": round(wait, 1)}
            log.warning("trying again: %s", describe(error), extra=extra)
            if notice:
                notice(error)

    over = stop_after_delay(give_up_after)
    for attempt in Retrying(
        retry=retry_if_exception(lambda e: is_transient(e) and not any(c.closed for c in conns)),
        wait=_wait,
        stop=over | stop_when_event_set(stop) if stop else over,
        sleep=sleep_using_event(stop) if stop else time.sleep,
        before_sleep=report,
        reraise=True,
    ):
        with attempt:
            return work()
    raise AssertionError("tenacity either returns or raises")
