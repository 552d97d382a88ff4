"""Clients of Kafka: the one place where they are made, and where their errors become ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from kafka.errors import AuthorizationError, KafkaError

from shopferry.cdc.greeting import require_accepted
from shopferry.errors import ConfigError, TransientError
from shopferry.settings import Settings

Client = TypeVar("Client")


def open_client(kind: Callable[..., Client], settings: Settings, **options: Any) -> Client:
    """Open a client of this kind (consumer, producer, admin) at the route's broker.

    Raises ConfigError if the broker refuses us, or we the broker; KafkaError or TransientError if it does not answer.
    """
    require_accepted(settings.kafka, settings.security)
    return kind(bootstrap_servers=settings.kafka.split(","), **settings.security.client_options(), **options)


@contextmanager
def naming_broker(settings: Settings) -> Iterator[None]:
    """Turn the client's errors in the block into TransientError, and into ConfigError where the broker grants too little."""
    try:
        yield
    except AuthorizationError as error:
        security = settings.security
        who = (
            "the user of our certificate" if security.certfile and not security.sasl else f"user {security.username!r}"
        )
        raise ConfigError(
            f"broker {settings.kafka} forbids {who} what shopferry does "
            f"({type(error).__name__}): grant the rights that docs/howto/secured-wire.md lists"
        ) from None
    except KafkaError as error:
        raise TransientError(f"broker {settings.kafka} does not answer: {type(error).__name__}") from error
