"""What the consumer tells over HTTP to Prometheus and to checks of its health; docs/reference/metrics.md lists it.

Labels are tables, topics, mappings and reason codes: never a key, never a value of a row.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from typing import TYPE_CHECKING

import psycopg
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from shopferry import db
from shopferry.cdc import health
from shopferry.control import audits, quarantine
from shopferry.control.offsets import Partition
from shopferry.db import Connection
from shopferry.errors import ConfigError
from shopferry.retry import describe

if TYPE_CHECKING:
    from shopferry.cdc.applied import Applied
    from shopferry.engine.outcome import Merged

log = logging.getLogger(__name__)
_COUNT_EVERY_S = 15.0  # quarantine is counted by reading all of it
_STATES = ("good", "warn", "error")  # an audit that counted nothing has no ratio

disable_created_metrics()  # type: ignore[no-untyped-call]  # they double the series and say only when we started
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
BUILD = Gauge(
    "shopferry_build_info", "Always 1: the version that runs, and its route.", ["version", "route"], registry=REGISTRY
)
EVENTS = Counter(
    "shopferry_events_applied",
    "Change events applied, committed with their rows.",
    ["topic", "table"],
    registry=REGISTRY,
)
BYTES = Counter(
    "shopferry_event_bytes_applied", "Bytes of the change events applied.", ["topic", "table"], registry=REGISTRY
)
MIRROR_ROWS = Counter("shopferry_mirror_rows_written", "Rows that events changed in the mirror.", registry=REGISTRY)
SHOP_ROWS = Counter(
    "shopferry_shop_rows_written",
    "Rows that merges wrote to or deleted from the new shop.",
    ["mapping", "change"],
    registry=REGISTRY,
)
BATCHES = Counter("shopferry_batches_applied", "Batches committed.", registry=REGISTRY)
BATCH_SECONDS = Histogram(
    "shopferry_batch_seconds",
    "From the poll's end to the commit of a batch, retries included.",
    registry=REGISTRY,
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
LAG_SECONDS = Histogram(
    "shopferry_lag_seconds",
    "Commit in legacy to application in the shop, of at most 50 events of each batch.",
    registry=REGISTRY,
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800),
)
LAG_EVENTS = Gauge(
    "shopferry_lag_events", "Events at the broker that are not applied yet.", ["topic"], registry=REGISTRY
)
POSITION = Gauge("shopferry_position_offset", "The next offset to apply.", ["topic", "partition"], registry=REGISTRY)
QUARANTINED = Gauge(
    "shopferry_quarantine_rows",
    "Rows in quarantine; a row with two reasons counts for both.",
    ["entity", "reason"],
    registry=REGISTRY,
)
REREADS = Counter(
    "shopferry_rereads", "Rows read again from legacy because an event left a value out.", ["table"], registry=REGISTRY
)
RETRIES = Counter(
    "shopferry_retries",
    "Transient faults that were tried again, by SQLSTATE or class of error.",
    ["reason"],
    registry=REGISTRY,
)
LAST_BATCH = Gauge("shopferry_last_batch_timestamp_seconds", "When the newest batch was committed.", registry=REGISTRY)
AUDIT_RATIO = Gauge(
    "shopferry_audit_ratio",
    "Bad rows of all rows, of each audit and segment in the newest run.",
    ["audit", "segment"],
    registry=REGISTRY,
)
AUDIT_STATE = Gauge(
    "shopferry_audit_state",
    "How the newest run judged it: 0 good, 1 warn, 2 error.",
    ["audit", "segment"],
    registry=REGISTRY,
)
AUDITED = Gauge("shopferry_audit_timestamp_seconds", "When the newest run of the audits was.", registry=REGISTRY)
HEALTHY = Gauge("shopferry_healthy", "1 while /healthz answers 200, else 0.", registry=REGISTRY)


_counted = 0.0


def report_alive(target: Connection, route: str, stopped: str | None) -> None:
    """Report a sign of life that the target took; `stopped` is the error still shown from before. Counts what lies there."""
    global _counted
    health.HEALTH.note_answer("shop")
    health.HEALTH.stopped = stopped
    if time.monotonic() - _counted > _COUNT_EVERY_S:
        rows = {(entity, reason): n for entity, reason, n in quarantine.count_by_reason(target)}
        shown = {(s.labels["entity"], s.labels["reason"]) for family in QUARANTINED.collect() for s in family.samples}
        for labels in {*rows, *shown}:
            QUARANTINED.labels(*labels).set(rows.get(labels, 0))
        _report_audits(target, route)
        _counted = time.monotonic()


def _report_audits(target: Connection, route: str) -> None:
    """Report what the newest run of the audits counted; what it did not count is reported no more."""
    found = audits.load_latest(target, route) if db.exists(target, "ferry.audit_value") else []
    values = {(v.audit, v.segment): v for v in found if v.state in _STATES}
    shown = {(s.labels["audit"], s.labels["segment"]) for family in AUDIT_RATIO.collect() for s in family.samples}
    for labels in shown - set(values):
        AUDIT_RATIO.remove(*labels)
        AUDIT_STATE.remove(*labels)
    for labels, value in values.items():
        AUDIT_RATIO.labels(*labels).set(value.bad / value.of)
        AUDIT_STATE.labels(*labels).set(_STATES.index(value.state))
    if found:
        AUDITED.set(found[0].at.timestamp())


def report_position(position: Mapping[Partition, int], ends: Mapping[Partition, int | None]) -> None:
    """Report where the consumer stands, and how far the broker goes; an end that no fetch has told yet is no lag."""
    lag: dict[str, int] = {}
    for (topic, number), offset in position.items():
        POSITION.labels(topic, number).set(offset)
        lag[topic] = lag.get(topic, 0) + max(0, (ends.get((topic, number)) or 0) - offset)
    for topic, events in lag.items():
        LAG_EVENTS.labels(topic).set(events)


@contextmanager
def time_batch() -> Iterator[Callable[[Applied], None]]:
    """Time one batch; what is yielded books it once it is committed."""
    started = time.monotonic()

    def book(applied: Applied) -> None:
        BATCH_SECONDS.observe(time.monotonic() - started)
        BATCHES.inc()
        LAST_BATCH.set_to_current_time()
        MIRROR_ROWS.inc(applied.rows)
        for (topic, _), tally in applied.tallies.items():
            EVENTS.labels(topic, table_of(topic)).inc(tally.events)
            BYTES.labels(topic, table_of(topic)).inc(tally.bytes)
        report_merged(applied.merged, applied.lag_ms)
        health.HEALTH.note_answer("shop")

    yield book


def report_merged(merged: Mapping[str, Merged], lag_ms: Iterable[int]) -> None:
    """Report what a merge that is committed did, and the lags of what it has brought into the shop."""
    for mapping, did in merged.items():
        SHOP_ROWS.labels(mapping, "written").inc(did.written)
        SHOP_ROWS.labels(mapping, "deleted").inc(did.deleted)
    for lag in lag_ms:
        LAG_SECONDS.observe(lag / 1000)


def count_retry(error: BaseException) -> None:
    """Count a transient fault that is tried again."""
    health.HEALTH.trouble = describe(error)
    sqlstate = error.sqlstate if isinstance(error, psycopg.Error) else None
    RETRIES.labels(sqlstate or type(error).__name__).inc()


def table_of(topic: str) -> str:
    """`orders` of `demo.public.orders`."""
    return topic.rsplit(".", 1)[-1]


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        wrong = health.HEALTH.find_fault()
        HEALTHY.set(0 if wrong else 1)
        if self.path.partition("?")[0] == "/metrics":
            self._answer(200, CONTENT_TYPE_LATEST, generate_latest(REGISTRY))
        elif self.path == "/healthz":
            self._answer(503 if wrong else 200, "text/plain; charset=utf-8", f"{wrong or 'ok'}\n".encode())
        else:
            self._answer(404, "text/plain; charset=utf-8", b"/metrics or /healthz\n")

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """A scrape is no event."""


def parse_address(text: str) -> tuple[str, int] | None:
    """Parse `host:port` or `port` (then on loopback); None for "", which is off. Raises ConfigError for what is neither."""
    if not text:
        return None
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 <= int(port) < 65536:
        raise ConfigError(f"SHOPFERRY_METRICS is {text!r}: host:port or port, or empty for no metrics")
    return host.strip("[]") or "127.0.0.1", int(port)


@contextmanager
def serve(where: str, route: str) -> Iterator[int | None]:
    """Serve /metrics and /healthz while the block runs; yields the port, None when off or when it is taken.

    A port that is taken is logged and no more: replay does not depend on being watched. Raises ConfigError as `address`.
    """
    BUILD.labels(metadata.version("shopferry"), route).set(1)
    found = parse_address(where)
    try:
        server = ThreadingHTTPServer(found, _Handler) if found else None
    except OSError as error:
        log.error("no metrics", extra={"address": where, "reason": error.strerror or type(error).__name__})
        server = None
    if server is None:
        yield None
        return
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    log.info("serving metrics", extra={"address": f"{server.server_address[0]!s}:{server.server_port}"})
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
