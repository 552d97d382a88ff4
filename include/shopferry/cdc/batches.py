"""Batches: what the stream has brought, decoded; while one is applied, the next one is read ahead."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from shopferry.cdc.consumer import Stream
from shopferry.cdc.envelope import Change, Message, decode
from shopferry.control.offsets import Partition

_STAY_EVERY_S = 1.0


@dataclass
class Batch:
    """Changes, each partition's first offset and the one that follows, and beats of the source."""

    changes: list[Change] = field(default_factory=list)
    steps: dict[Partition, tuple[int, int]] = field(default_factory=dict)
    beats: list[bytes | None] = field(default_factory=list)

    @property
    def messages(self) -> int:
        """How many messages it was made of, of every kind."""
        return sum(following - first for first, following in self.steps.values())


@dataclass
class BatchReader:
    """A stream's messages as batches: changes of `captured` tables of a schema, and `beats` by the topic of that name.

    Use it in a `with` block: at its end nothing is being read any more.
    """

    stream: Stream
    beats: str
    captured: frozenset[str]
    schema: str
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "read ahead"))
    _ahead: Future[Batch] | None = None

    def next_batch(self, most: int, stop: threading.Event) -> Batch:
        """Return the next batch, of at most `most` messages: what was read ahead, or what a poll brings, which may be nothing.

        Raises what `Stream.poll` does, and EventError or ReplayError for a message that is not to be applied.
        """
        if self._ahead is None:
            batch = Batch()
            self._take(batch, self.stream.poll(most, stop))
            return batch
        ahead, self._ahead = self._ahead, None
        return ahead.result()

    @contextmanager
    def read_ahead(self, most: int) -> Iterator[None]:
        """Read the next batch for as long as the block lasts, or until it is full. The block must not use the stream's consumer.

        It polls on to its end, however long that takes: the group would put a member out that does not.
        """
        enough = threading.Event()
        self._ahead = self._thread.submit(self._fill, most, enough)
        try:
            yield
        finally:
            enough.set()
            self._ahead.exception()  # waits; what it raised, the next batch raises

    def _fill(self, most: int, enough: threading.Event) -> Batch:
        batch = Batch()
        # A look wants to know where we are: not before this batch is applied.
        while batch.messages < most and not enough.is_set() and (self.stream.is_dealing or not self.stream.must_look):
            self._take(batch, self.stream.fetch(most - batch.messages))
        while not enough.wait(_STAY_EVERY_S):
            self.stream.stay()
        return batch

    def _take(self, batch: Batch, polled: Mapping[Partition, Sequence[Any]]) -> None:
        for partition, records in polled.items():
            first, _ = batch.steps.get(partition, (records[0].offset, None))
            batch.steps[partition] = first, records[-1].offset + 1
            for r in records:
                if r.topic == self.beats:
                    batch.beats.append(r.value)
                    continue
                change = decode(Message(r.topic, r.partition, r.offset, r.key, r.value), self.captured, self.schema)
                if change is not None:
                    batch.changes.append(change)

    def __enter__(self) -> BatchReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()
