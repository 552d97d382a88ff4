"""Structured logs: one line per event, as key=value, and nothing personal in it.

    ts=2026-03-01T12:00:00.123Z level=warning logger=shopferry.retry event="trying again" attempt=2 reason="…"

What is passed as `extra` becomes keys. An exception is told by its class, SQLSTATE and constraint and by the lines of
code it went through; its own text, in which databases quote rows, is never printed.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

from shopferry.retry import describe

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}  # what every record has


class KeyValue(logging.Formatter):
    """Formats a record as one line of key=value pairs."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        pairs: dict[str, object] = {
            "ts": f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        pairs |= {key: value for key, value in vars(record).items() if key not in _OWN}
        if record.exc_info and (error := record.exc_info[1]):
            frames = traceback.extract_tb(error.__traceback__)
            pairs["error"] = describe(error)
            pairs["at"] = " < ".join(f"{f.filename.rpartition('/')[2]}:{f.lineno} {f.name}" for f in reversed(frames))
        return " ".join(f"{key}={_value(value)}" for key, value in pairs.items())


def _value(value: object) -> str:
    text = str(value)
    plain = text and all(c.isprintable() and c not in ' "=' for c in text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def configure(stream: TextIO | None = None) -> None:
    """Log to stderr from now on, from INFO up; libraries that tell of every request are kept down."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(KeyValue())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    sys.excepthook = _unexpected
    threading.excepthook = lambda args: _unexpected(
        args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    silence_kafka()


def silence_kafka() -> None:
    """Keep kafka-python down: a dead broker is one line of ours, not hundreds, and closing a connection none at all."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)


def _unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("shopferry").critical("unexpected error", exc_info=(kind, error, trace))
