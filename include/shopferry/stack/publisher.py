"""Events of the embedded connector into the broker: every one acknowledged, or the batch did not happen."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import msgspec
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import KafkaError, TopicAlreadyExistsError

from shopferry.cdc.clients import open_client
from shopferry.cdc.envelope import PLACEHOLDER
from shopferry.errors import StackError
from shopferry.settings import Settings

log = logging.getLogger(__name__)
_PATIENCE = 15  # seconds for the broker to acknowledge
_LARGEST = 16 << 20  # bytes of one message, as connector.json has it for the topics too
_HEAD = 1 << 10  # of them, for what a message has around its value
_LONG = 64 << 10  # of one value, where the whole event is too large


def cut_to_fit(value: bytes) -> bytes:
    """Leave the long values out of an event that no broker takes, in the words for a value that the log does not hold.

    As an event of a row that was not there before, it has replay read the whole row again from the store.
    """
    event = msgspec.json.decode(value)
    after = event.get("after") or {}
    left_out = sorted(name for name, v in after.items() if len(msgspec.json.encode(v)) > _LONG)
    log.warning("an event is too large: its row will be read again", extra={"bytes": len(value), "columns": left_out})
    short = after | dict.fromkeys(left_out, PLACEHOLDER.decode())
    return msgspec.json.encode(event | {"op": "c", "before": None, "after": short})


class Publisher:
    """Publishes to topics which it creates first; a key's events stay in one partition and in order."""

    def __init__(self, settings: Settings, *, partitions: int, replication: int, retention_ms: int) -> None:
        self._admin = open_client(KafkaAdminClient, settings, client_id="shopferry-connector")
        self._producer = open_client(
            KafkaProducer,
            settings,
            client_id="shopferry-connector",
            acks="all",
            # A topic the broker makes up has one partition, and its appearing would hide that the broker was
            # emptied: so an unknown topic is an error, and the restart creates it as it should be.
            allow_auto_create_topics=False,
            # Nothing is retried in here: a failed batch ends the process, and its successor gets it from the slot
            # again. (Idempotence would only protect such retries, and an emptied broker rejects it for ever.)
            retries=0,
            enable_idempotence=False,
            max_in_flight_requests_per_connection=1,
            max_block_ms=_PATIENCE * 1000,
            request_timeout_ms=_PATIENCE * 1000,
            delivery_timeout_ms=_PATIENCE * 1000 + 1000,
            max_request_size=_LARGEST,
            batch_size=256 << 10,
        )
        self._partitions = partitions
        self._replication = replication
        # Without one of its own a topic keeps what the broker's default says: often for ever.
        self._configs = {"cleanup.policy": "delete", "retention.ms": str(retention_ms)}
        self._known: set[str] = set()

    def create(self, topics: Iterable[str]) -> None:
        """Create the topics that are not there yet."""
        for topic in sorted(set(topics) - self._known):
            new = NewTopic(topic, self._partitions, self._replication, topic_configs=self._configs)
            try:
                self._admin.create_topics([new])
                log.info("created a topic", extra={"topic": topic, "partitions": self._partitions})
            except TopicAlreadyExistsError:
                pass
            self._known.add(topic)

    def publish(self, events: list[tuple[str, bytes | None, bytes | None]]) -> None:
        """Publish (topic, key, value) events and return when the broker has acknowledged all of them.

        Raises StackError naming the topic when one of them was not acknowledged; some others may have been.
        """
        self.create(topic for topic, _, _ in events)
        topic = ""
        try:
            sent = []
            for topic, key, value in events:
                fitting = cut_to_fit(value) if value and len(value) + len(key or b"") > _LARGEST - _HEAD else value
                sent.append((topic, self._producer.send(topic, key=key, value=fitting)))
            for topic, future in sent:  # noqa: B007 - named in the error below
                future.get(_PATIENCE * 2)
        except KafkaError as error:
            raise StackError(f"{len(events)} events not acknowledged, topic {topic}: {type(error).__name__}") from error

    def close(self) -> None:
        """Give the connections back."""
        self._producer.close(timeout=5)
        self._admin.close()
