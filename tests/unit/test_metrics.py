"""The consumer's metrics and health, as Prometheus and a health check see them: over HTTP."""

from __future__ import annotations

import re
import socket
import time
import urllib.error
import urllib.request

import psycopg
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from shopferry.cdc import health, metrics
from shopferry.cdc.applied import Applied
from shopferry.cdc.health import Health
from shopferry.control.offsets import Tally
from shopferry.engine.outcome import Merged
from shopferry.errors import ConfigError, TransientError
from shopferry.settings import PROJECT

PAGE = (PROJECT / "docs" / "reference" / "metrics.md").read_text()
PARTITION = ("demo.public.orders", 1)


@pytest.fixture(autouse=True)
def _health(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "HEALTH", Health())


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def scraped(port: int) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by name and labels, read by Prometheus' own parser."""
    families = text_string_to_metric_families(get(port, "/metrics")[1])
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_the_page_lists_every_metric_with_type_and_labels_and_no_other() -> None:
    listed = {
        (name, kind, tuple(sorted(filter(None, labels.strip().split(", ")))))
        for name, kind, labels in re.findall(r"^\| `(shopferry_\w+)` \| (\w+) \|(.*?)\|", PAGE, re.MULTILINE)
    }
    assert listed == {
        (f.name + ("_total" if f.type == "counter" else ""), f.type, tuple(sorted(metric._labelnames)))
        for metric in vars(metrics).values()
        if hasattr(metric, "_labelnames") and hasattr(metric, "describe")
        for f in metric.describe()
    }


def test_the_alert_rules_ask_for_metrics_that_exist() -> None:
    [rules] = yaml.safe_load(re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1])["groups"]  # type: ignore[index]
    listed = set(re.findall(r"^\| `(shopferry_\w+)`", PAGE, re.MULTILINE))
    assert len(rules["rules"]) == 6
    for rule in rules["rules"]:
        for name in re.findall(r"shopferry_\w+", rule["expr"]):
            assert name.removesuffix("_bucket") in listed
        anchor = rule["annotations"].get("runbook", "docs/runbooks/watch_sync.md")
        assert (PROJECT / anchor.partition("#")[0]).exists()


def test_a_batch_is_counted_once_it_is_committed() -> None:
    with metrics.serve("127.0.0.1:0", "demo") as port:
        assert port
        before = scraped(port)
        with metrics.time_batch() as booked:
            assert scraped(port)["shopferry_batches_applied_total", ()] == before["shopferry_batches_applied_total", ()]
            booked(
                Applied(7, 5, {"orders/customer_order": Merged(4, 3, 1)}, {PARTITION: Tally(7, 4_200, 9, 1)}, [80, 120])
            )
        metrics.report_position(
            {PARTITION: 40, ("demo.public.orders", 0): 3}, {PARTITION: 52, ("demo.public.orders", 0): None}
        )
        now = scraped(port)

    def grown(name: str, **labels: str) -> float:
        key = name, tuple(sorted(labels.items()))
        return now[key] - before.get(key, 0)

    orders = {"topic": "demo.public.orders", "table": "orders"}
    assert grown("shopferry_events_applied_total", **orders) == 7
    assert grown("shopferry_event_bytes_applied_total", **orders) == 4_200
    assert grown("shopferry_mirror_rows_written_total") == 5
    assert grown("shopferry_shop_rows_written_total", mapping="orders/customer_order", change="written") == 3
    assert grown("shopferry_shop_rows_written_total", mapping="orders/customer_order", change="deleted") == 1
    assert grown("shopferry_batches_applied_total") == grown("shopferry_batch_seconds_count") == 1
    assert grown("shopferry_lag_seconds_count") == 2
    assert grown("shopferry_lag_seconds_bucket", le="0.1") == 1
    assert now["shopferry_lag_events", (("topic", "demo.public.orders"),)] == 12  # an end that is not known is no lag
    assert now["shopferry_position_offset", (("partition", "1"), ("topic", "demo.public.orders"))] == 40
    assert abs(now["shopferry_last_batch_timestamp_seconds", ()] - time.time()) < 60
    assert "demo" in {dict(labels)["route"] for name, labels in now if name == "shopferry_build_info"}


def test_retries_are_counted_by_sqlstate_or_class() -> None:
    before = {r: metrics.RETRIES.labels(r)._value.get() for r in ("40P01", "TransientError")}
    metrics.count_retry(psycopg.errors.DeadlockDetected("Jan Kowalski"))
    metrics.count_retry(TransientError("the broker does not answer"))
    assert {r: metrics.RETRIES.labels(r)._value.get() - n for r, n in before.items()} == {
        "40P01": 1,
        "TransientError": 1,
    }
    assert b"Kowalski" not in metrics.generate_latest(metrics.REGISTRY)


def test_health_is_200_only_while_both_answered_lately() -> None:
    with metrics.serve("127.0.0.1:0", "demo") as port:
        assert port
        assert get(port, "/healthz") == (503, "has not reached the shop yet\n")
        metrics.count_retry(TransientError("the mirror is not there yet"))
        assert get(port, "/healthz")[1] == "has not reached the shop yet: TransientError: the mirror is not there yet\n"
        health.HEALTH.note_answer("shop")
        assert get(port, "/healthz") == (503, "has not reached the broker yet\n")
        health.HEALTH.note_answer("broker")
        assert get(port, "/healthz") == (200, "ok\n")
        assert scraped(port)["shopferry_healthy", ()] == 1
        health.HEALTH.looks["broker"] -= 100
        status, said = get(port, "/healthz")
        assert status == 503 and said.startswith("the broker last answered 100 s ago")
        assert scraped(port)["shopferry_healthy", ()] == 0
        health.HEALTH.note_answer("broker")
        health.HEALTH.stop("EventError: demo.public.orders[1]@7: not a change event")
        assert get(port, "/healthz") == (503, "stopped: EventError: demo.public.orders[1]@7: not a change event\n")
        assert get(port, "/elsewhere")[0] == 404
    with pytest.raises(urllib.error.URLError):
        get(port, "/healthz")


def test_it_listens_on_loopback_unless_told_otherwise() -> None:
    assert metrics.parse_address("9474") == ("127.0.0.1", 9474)
    assert metrics.parse_address("0.0.0.0:9474") == ("0.0.0.0", 9474)  # noqa: S104
    assert metrics.parse_address("[::1]:9474") == ("::1", 9474)
    assert metrics.parse_address("") is None
    for wrong in ("here", "host:", "host:99999", "host:-1"):
        with pytest.raises(ConfigError, match="SHOPFERRY_METRICS"):
            metrics.parse_address(wrong)


def test_off_means_off_and_a_taken_port_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    with metrics.serve("", "demo") as port:
        assert port is None
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with metrics.serve(str(other.getsockname()[1]), "demo") as port:
            assert port is None
    assert [r.getMessage() for r in caplog.records] == ["no metrics"]
