"""The sync on Apache Kafka and Kafka Connect: the programs that run in production, killed and broken for real."""

from __future__ import annotations

from line import Line
from shopferry import passage
from shopferry.mapping import Route
from shopferry.passage import Options

OPTIONS = Options(chunk_size=500)


def ferry(line: Line, *phases: str) -> None:
    """Bring whole phases through."""
    for phase in phases:
        outcome = passage.run(line.settings, phase, "test", OPTIONS, lambda _: None)
        assert outcome is not None and outcome.clean


def differences(line: Line) -> list[object]:
    """What differs in any phase, compared online."""
    return [d for p in Route.load("demo").phases for d in passage.compare(line.settings, p).differences]


def test_a_shop_moves_under_live_writes(line: Line) -> None:
    line.consumer("one")
    with line.writer(rate=30):
        ferry(line, "contacts", "orders", "loyalty")
    assert not differences(line)
