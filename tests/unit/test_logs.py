"""The log lines: one for each event, as key=value, whatever is in it, and no text of a foreign exception."""

from __future__ import annotations

import io
import logging
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest
from shopferry import logs


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What goes to a logger `t`, formatted."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logs.KeyValue())
    logger = logging.getLogger("t")
    logger.addHandler(handler)
    logger.propagate = False
    yield out
    logger.removeHandler(handler)


def pairs(line: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(line))


def test_extra_becomes_keys(written: io.StringIO) -> None:
    logging.getLogger("t").warning("trying again: %s", "why", extra={"attempt": 2, "wait_s": 0.5, "empty": ""})
    found = pairs(written.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.pop("ts"))
    assert found == {
        "level": "warning",
        "logger": "t",
        "event": "trying again: why",
        "attempt": "2",
        "wait_s": "0.5",
        "empty": "",
    }


@pytest.mark.parametrize("text", ["two\nlines", 'a "quote"', "a=b", "tab\there", "back\\slash", "Zażółć"])
def test_one_event_is_one_line(written: io.StringIO, text: str) -> None:
    logging.getLogger("t").error(text, extra={"also": text})
    assert written.getvalue().count("\n") == 1
    assert "event=" in written.getvalue() and "also=" in written.getvalue()


def test_an_exceptions_own_text_is_not_printed(written: io.StringIO) -> None:
    try:
        raise psycopg.errors.UniqueViolation("Key (email)=(jan@example.com) already exists")
    except psycopg.Error:
        logging.getLogger("t").exception("a batch failed")
    found = pairs(written.getvalue())
    assert "jan@" not in written.getvalue()
    assert found["error"].startswith("UniqueViolation")
    assert found["at"].startswith("test_logs.py:")


def test_what_nobody_catches_is_told_without_its_text_too() -> None:
    code = (
        "from shopferry import logs; logs.configure()\n"
        "import threading\n"
        "def fail(): raise KeyError('jan@example.com')\n"
        "t = threading.Thread(target=fail); t.start(); t.join()\n"
        "fail()\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 1
    assert "jan@" not in ran.stderr
    assert [pairs(line)["error"] for line in ran.stderr.splitlines()] == ["KeyError", "KeyError"]
