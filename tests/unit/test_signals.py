"""A program that is sent the same signal twice, or in a moment that suits it badly, still ends."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import shopferry

PATIENCE_S = 60
WAITS = """
import sys
from shopferry import signals
event = signals.set_on_signals()
print("ready", flush=True)
while not event.is_set():
    event.wait(1e-6)
print("ended", flush=True)
sys.stdin.read()  # an interpreter that is shutting down has no handlers any more
"""
HOLDS_THE_LOCK = """
import signal, sys
from shopferry import signals
event = signals.set_on_signals()
print("ready", flush=True)
sys.stdin.readline()  # what is said before `communicate` listens would be lost
with event._cond:  # so does every wait, for a moment
    signal.raise_signal(signal.SIGTERM)
event.wait()
print("ended")
"""
CLEANS_UP = """
import signal, sys, time
from shopferry import signals
signals.exit_on_signals([signal.SIGTERM, signal.SIGHUP])
try:
    print("ready", flush=True)
    time.sleep(60)
finally:
    print("cleaning", flush=True)
    sys.stdin.readline()
    print("clean")
"""


def start(program: str) -> subprocess.Popen[str]:
    """Start this program and return it once it is ready."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", program], text=True, stdin=pipe, stdout=pipe)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_a_program_that_waits_for_its_end_ends_however_many_signals_come(first: signal.Signals) -> None:
    process = start(WAITS)
    try:
        for number in (first, *[signal.SIGTERM, signal.SIGINT] * 20):
            process.send_signal(number)
        told, _ = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, told) == (0, "ended\n")
    finally:
        process.kill()
        process.wait()


def test_a_signal_in_the_moment_in_which_the_main_thread_holds_the_events_lock_is_heard() -> None:
    process = start(HOLDS_THE_LOCK)
    try:
        told, _ = process.communicate("go on\n", timeout=PATIENCE_S)
        assert (process.returncode, told) == (0, "ended\n")
    finally:
        process.kill()
        process.wait()


def test_the_second_signal_does_not_interrupt_what_is_cleaned_up_after_the_first() -> None:
    process = start(CLEANS_UP)
    try:
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None and process.stdout.readline() == "cleaning\n"
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGHUP)
        told, _ = process.communicate("go on\n", timeout=PATIENCE_S)
        assert (process.returncode, told) == (128 + signal.SIGTERM, "clean\n")
    finally:
        process.kill()
        process.wait()


def test_a_signal_that_was_ignored_from_outside_stays_ignored() -> None:
    ignoring = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)" + CLEANS_UP.replace("60", "0.2")
    process = start(ignoring)
    try:
        process.send_signal(signal.SIGHUP)
        process.communicate("go on\n", timeout=PATIENCE_S)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()


def test_no_other_module_sets_a_handler() -> None:
    root = Path(shopferry.__file__).parent
    setting = [
        str(path.relative_to(root)) for path in root.rglob("*.py") if re.search(r"\bsignal\.signal\(", path.read_text())
    ]
    assert setting == ["signals.py"]
