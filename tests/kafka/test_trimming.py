"""Topics live as long as the route says, and a sweep trims them to what is applied, which nobody takes for a gap."""

from __future__ import annotations

from pathlib import Path

import pytest
from kafka.admin import ConfigResource, ConfigResourceType
from line import Line
from shopferry.cdc.broker import read_held
from shopferry.health import measure, problems
from shopferry.health.problems import Code
from shopferry.privacy import retention
from test_kafka import ROUTE, TOPICS, differences, ferry
from waiting import until

TABLE = "demo.public.customers"


def test_the_connectors_topics_have_an_end_of_their_own(line: Line) -> None:
    line.legacy("UPDATE customers SET phone = '601 000 001'")
    with line.broker.admin() as admin:
        until(lambda: TABLE in admin.list_topics())
        there = [t for t in admin.list_topics() if t.startswith("demo.")]
        asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in there]
        told = admin.describe_configs(asked)["topic"]
    assert there and {str(told[name]["retention.ms"]["value"]) for name in there} == {str(7 * 86_400_000)}


def test_a_trimmed_topic_is_no_gap_for_a_consumer_that_runs_or_comes_back(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOPFERRY_DATA", str(tmp_path))
    one = line.consumer("one")
    ferry(line, "contacts")
    went = 0
    with line.writer(rate=30):
        for _ in range(5):
            ferry(line, "contacts")
            done = retention.sweep(line.settings)
            assert done.away == []
            went += next(p.removed for p in done.places if p.place == "topics of demo")
        assert went > 100
        one.kill()
        retention.sweep(line.settings)
        one.start()
        ferry(line, *ROUTE.phases[1:])
    retention.sweep(line.settings)
    held = read_held(line.settings, TOPICS, {})
    assert sum(h.first for h in held.values()) >= went
    one.kill()  # nothing waits: each partition is empty from where we stand
    one.start()
    line.legacy("UPDATE customers SET phone = '601 000 001'")
    assert not differences(line, *ROUTE.phases)
    until(lambda: not measure.measure(line.settings).gaps)
    told = {p.code for p in problems.find_problems(measure.measure(line.settings))}
    assert not told & {Code.EVENTS_MISSING, Code.CHANGES_LOST, Code.CONSUMER_STOPPED}
    assert line.shop("SELECT lost FROM ferry.stream") == [(None,)]
    assert "resyncing after a gap" not in one.text()
