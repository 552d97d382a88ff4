"""Whoever dies, wherever: verification is clean, the ledger complete, every phase verified.

`make test-stack` tries a few cells, `make crash-matrix` all of them; the results are docs/reference/crash-matrix.md.
"""

from __future__ import annotations

import os
import signal

import psutil
import pytest
from cells import CHUNK, CONSUMER, IN_CHUNK, IN_CONSUMER, LARGE, OURS, SERVERS, SHORT, THEIRS, Cell
from ground import Ground, Paused

pytestmark = pytest.mark.stack
WHOLE = bool(os.environ.get("SHOPFERRY_MATRIX"))
FORWARD = ("sync", "forward", "--name", "paused")  # beside the supervised one, who goes by the host's name
FIRST = ("phase", "run", "contacts", "--chunk-size", "100", "--without-rehearsal", "test")


def chosen(cells: list[Cell], process: str | None = None) -> pytest.MarkDecorator:
    wanted = [c for c in cells if process in {None, c.process} and (WHOLE or c in SHORT)]
    return pytest.mark.parametrize("cell", wanted, ids=str)


def strike(process: Paused, how: str) -> None:
    """The signal to our own process, which stands at its pause point."""
    if how == "SIGSTOP":
        Ground.doze([psutil.Process(process.process.pid)])
    else:
        process.process.send_signal(getattr(signal, how))


@chosen(OURS, "consumer")
def test_consumer(land: Ground, cell: Cell) -> None:
    land.stop("sync")
    with land.writer() as book:
        if cell.point.startswith("resync"):
            land.empty_broker()  # with changes in it that nobody had applied
        if cell.point.startswith("ran ahead"):
            land.pile_up()
        with land.paused(CONSUMER[cell.point], *FORWARD) as consumer:
            consumer.reach()
            if cell.signal == "SIGSTOP":
                land.start("sync")  # whoever takes over, meets the other one when it wakes
                strike(consumer, cell.signal)
                consumer.go.touch()
                land.writes(book, 10)
                consumer.process.terminate()
                assert consumer.process.wait() == 0, consumer.log.read_text()
            else:
                strike(consumer, cell.signal)
                code = consumer.end()
                assert code == (-signal.SIGKILL if cell.signal == "SIGKILL" else 0), consumer.log.read_text()
        land.start("sync")
    land.check(book)


@chosen(OURS, "chunk worker")
def test_chunk_worker(land: Ground, cell: Cell) -> None:
    land.unmove()
    with land.writer() as book:
        with land.paused(CHUNK[cell.point], *FIRST) as worker:
            worker.reach()
            strike(worker, cell.signal)
            code = worker.end()
        expected = {"SIGKILL": -signal.SIGKILL, "SIGTERM": 128 + signal.SIGTERM, "SIGSTOP": 0}
        assert code == expected[cell.signal], worker.log.read_text()
        if cell.signal == "SIGKILL":
            land.expire_leases()
        land.ferry()
    land.check(book)


@chosen(THEIRS)
def test_server(land: Ground, cell: Cell) -> None:
    server = SERVERS[cell.process]
    if cell.point == IN_CHUNK:
        land.unmove()
    with land.writer() as book:
        if cell.point == LARGE:
            with land.large_transaction(committed=cell.process != "legacy"):
                land.strike(server, cell.signal)
        elif cell.point == IN_CONSUMER:
            land.stop("sync")
            with land.paused(CONSUMER["merged"], *FORWARD) as consumer:
                consumer.reach()
                land.strike(server, cell.signal)
                consumer.go.touch()
                land.writes(book, 10)
                consumer.process.terminate()
                consumer.process.wait()
            land.start("sync")
        elif cell.point == IN_CHUNK:
            with land.paused(CHUNK["copied, not loaded"], *FIRST) as worker:
                worker.reach()
                land.strike(server, cell.signal)
                worker.end()  # it may get over it or give up, and then the phase is run again
            land.expire_leases()
            land.ferry()
        else:
            land.strike(server, cell.signal)
    land.check(book)
