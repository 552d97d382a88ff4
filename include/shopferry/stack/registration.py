"""Registers the connector with Kafka Connect, from the same settings that the embedded one reads.

Run as `python -m shopferry.stack.registration [--reverse]`: the one-shot service of docker-compose.yml. Registering twice
changes nothing, so it may be run again at any time.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import urllib.error
import urllib.request
from typing import Any

from shopferry import db, logs
from shopferry.cdc.greeting import require_accepted
from shopferry.errors import ConfigError, ShopferryError, StackError, TransientError
from shopferry.retry import describe, retrying
from shopferry.settings import Settings
from shopferry.stack.connector import await_publication, build_properties

log = logging.getLogger("shopferry.stack.registration")


def _ask(url: str, body: Any = None) -> Any:
    request = urllib.request.Request(url, headers={"Content-Type": "application/json"})  # noqa: S310
    if body is not None:
        request.data = json.dumps(body).encode()
        request.method = "PUT"
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code in {404, 409, 500, 503}:  # starting, or rebalancing
            raise TransientError(f"Kafka Connect answers {error.code} to {url}") from None
        raise ConfigError(f"Kafka Connect refuses the connector: {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise TransientError(f"Kafka Connect cannot be reached at {url}: {error.reason}") from None


def register(settings: Settings) -> None:
    """Wait for the publication, register the connector, return when its task runs.

    Raises ConfigError when Kafka Connect refuses the settings, or the broker refuses us, whose user its producer gets;
    StackError when the task fails.
    """
    wanted = build_properties(settings) | settings.security.connect_properties()
    name = wanted["slot.name"]

    def published() -> None:
        with db.connect(settings.source_dsn, "registration") as conn:
            await_publication(conn, wanted["publication.name"])

    require_accepted(settings.kafka, settings.security)
    retrying(published)
    base = f"{settings.connect.rstrip('/')}/connectors/{name}"
    retrying(lambda: _ask(f"{base}/config", wanted))
    while True:
        tasks = retrying(lambda: _ask(f"{base}/status"))["tasks"]
        states = {task["state"] for task in tasks}
        if states == {"RUNNING"}:
            log.info("the connector runs", extra={"connector": name})
            return
        if "FAILED" in states:
            raise StackError(f"the task of connector {name} failed: see the log of Kafka Connect")
        time.sleep(1)


def main() -> int:
    """Entry point of the one-shot service."""
    logs.configure()
    try:
        settings = Settings.load()
        if not settings.connect:
            raise ConfigError("SHOPFERRY_CONNECT is not set: the base URL of Kafka Connect")
        register(settings.reversed if "--reverse" in sys.argv[1:] else settings)
    except ShopferryError as error:
        log.error("%s", describe(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
