"""What on-call sees of a real stack: nothing waits, something waits, the broker is away, came back empty, an event is none."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from kafka import KafkaProducer
from live import Flow
from prometheus_client.parser import text_string_to_metric_families
from shopferry.health import measure
from shopferry.health.measure import SyncHealth, Topic
from shopferry.health.problems import Code, find_problems
from shopferry.settings import Settings, stack_state
from shopferry.stack import supervisor
from shops import SMALL
from stacks import SharedStack
from waiting import until

pytestmark = pytest.mark.stack
CUSTOMERS = "demo.public.customers"


@pytest.fixture
def flow(shared_stack: SharedStack) -> Iterator[Flow]:
    """A small shop whose phases began minutes ago."""
    with shared_stack.lent(SMALL) as lent:
        lent.shop.execute("UPDATE ferry.phase SET started = started - interval '2 minutes'")  # the grace is over
        yield lent


def write(settings: Settings, rows: int) -> None:
    with psycopg.connect(settings.source_dsn, autocommit=True) as conn:
        conn.execute("UPDATE customers SET phone = phone WHERE id <= %s", [rows])


def topic(health: SyncHealth, name: str = CUSTOMERS) -> Topic:
    return next(t for t in health.topics if t.topic == name)


def codes(health: SyncHealth) -> set[Code]:
    return {c.code for c in find_problems(health)}


def server(verb: str, name: str) -> None:
    getattr(supervisor.rpc(stack_state()), verb)(name)


def health_check() -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{stack_state()['metrics']}/healthz") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:  # between two lives of the consumer
        return 0, ""


def metrics() -> dict[str, float]:
    """Samples of /metrics, added up over their labels."""
    with urllib.request.urlopen(f"http://{stack_state()['metrics']}/metrics") as answer:
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(answer.read().decode()):
            for sample in family.samples:
                found[sample.name] = found.get(sample.name, 0) + sample.value
        return found


def status() -> tuple[int, dict[str, Any]]:
    command = [str(Path(sys.executable).with_name("shopferry")), "status", "--json"]
    ran = subprocess.run(command, capture_output=True, text=True)
    return ran.returncode, json.loads(ran.stdout)


def test_what_waits_is_measured_and_what_is_wrong_is_said(flow: Flow) -> None:
    settings = flow.settings
    write(settings, 20)
    until(lambda: measure.measure(settings).events >= 20)
    well = until(lambda: h if not codes(h := measure.measure(settings)) else None)
    assert well.slot and well.slot.active and well.position and not well.gaps
    assert until(lambda: health_check()[0] == 200)
    shown = metrics()
    assert shown["shopferry_events_applied_total"] >= 20
    assert shown["shopferry_lag_seconds_count"] >= 1
    assert shown["shopferry_healthy"] == 1

    server("stopProcess", "sync")
    write(settings, 7)
    waiting = until(lambda: h if topic(h := measure.measure(settings)).events >= 7 else None)
    assert topic(waiting).events == 7
    waiting = until(lambda: h if (topic(h := measure.measure(settings)).seconds or 0) > 1 else None)
    assert (topic(waiting).seconds or 0) < 600 and waiting.lag_s >= (topic(waiting).seconds or 0)
    assert 7 * 200 < (topic(waiting).bytes or 0) < 7 * 5_000
    assert codes(waiting) <= {Code.CONSUMER_SILENT, Code.LATE}

    server("stopProcess", "connector")
    until(lambda: Code.SLOT_INACTIVE in codes(measure.measure(settings)))
    server("stopProcess", "broker")
    code, found = status()
    assert code == 1
    assert {"broker-away", "slot-inactive"} <= {c["code"] for c in found["complaints"]}
    assert found["slot"]["name"] == "shopferry_demo" and "broker" in found["away"]
    assert all(t["events"] is None for t in found["topics"])

    server("startProcess", "broker")  # empty: it keeps nothing on disk
    until(lambda: Code.EVENTS_MISSING in codes(measure.measure(settings)))
    server("startProcess", "connector")
    server("startProcess", "sync")  # which resyncs
    until(lambda: not codes(measure.measure(settings)))
    until(lambda: health_check()[0] == 200)

    producer = KafkaProducer(bootstrap_servers=settings.kafka)
    producer.send(CUSTOMERS, key=b"{}", value=b"no event").get()
    producer.close()
    until(lambda: Code.CONSUMER_STOPPED in codes(measure.measure(settings)))
    # It is started again and stops again: at no moment in between do all look well.
    for _ in range(20):
        assert codes(measure.measure(settings)) & {Code.CONSUMER_STOPPED, Code.LATE}
    until(lambda: "stopped: EventError" in health_check()[1])
    code, found = status()
    assert code == 1 and found["complaints"][0]["runbook"] == "docs/runbooks/watch_sync.md#consumer-stopped"
