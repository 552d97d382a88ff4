"""The pace of a copy: its rows per second, and the stream that must not fall behind."""

from __future__ import annotations

import time
from datetime import timedelta

from shopferry.control import chunks, phases
from shopferry.db import Connection
from shopferry.engine.pair import Stores
from shopferry.errors import TransientError


def keep(stores: Stores, phase: str, *, lag_limit_s: float = 10.0, patience_s: float = 600.0) -> None:
    """Wait while the phase is over its rows per second, or while the stream lags more than the limit.

    Raises TransientError when the stream does not catch up within `patience_s`.
    """
    window = timedelta(seconds=5)
    deadline = time.monotonic() + patience_s
    phases.renew(stores.target, stores.route.name, phase)
    settings = phases.load(stores.target, stores.route.name, phase)
    while True:
        lag = measure_lag(stores.target, stores.route.name)
        over = settings.rows_per_second and (
            chunks.measure_rate(stores.target, stores.route.name, phase, window) > settings.rows_per_second
        )
        if lag <= lag_limit_s and not over:
            return
        if time.monotonic() > deadline:
            raise TransientError(f"backfill of {phase} paused for {patience_s:.0f} s: the stream lags {lag:.0f} s")
        time.sleep(0.2)


def measure_lag(target: Connection, route: str) -> float:
    """Measure the seconds from commit in the source to application, of the newest batches; 0 if none came in 10 s."""
    row = target.execute(
        """SELECT coalesce(max(lag), 0) / 1000.0 FROM (
               SELECT (SELECT max(l) FROM unnest(lag_ms) AS l) AS lag FROM ferry.replay_batch
               WHERE route = %s AND at > clock_timestamp() - interval '10 seconds' ORDER BY at DESC LIMIT 3) b""",
        (route,),
    ).fetchone()
    return float(row[0]) if row else 0.0
