"""What a program does when a signal is to end it.

A handler runs between two steps of the main thread, which may hold the very lock that the handler wants: `Event.set` in a
handler can wait for ever, and a second signal may interrupt the first one's handler. So handlers are set up here alone.
"""

from __future__ import annotations

import queue
import signal
import sys
import threading
from collections.abc import Iterable
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGINT)


def set_on_signals() -> threading.Event:
    """Return an event that is set once SIGTERM or SIGINT has come; for programs that end what they are at."""
    event, came = threading.Event(), queue.SimpleQueue[int]()  # its put may be interrupted by itself
    for number in ENDING:
        signal.signal(number, lambda number, _: came.put(number))

    def pass_on() -> None:
        came.get()
        event.set()

    threading.Thread(target=pass_on, name="signals", daemon=True).start()
    return event


def exit_on_signals(numbers: Iterable[signal.Signals] = (signal.SIGTERM,)) -> None:
    """Let the first of these signals raise SystemExit with 128 and its number, as after a failure.

    Those that follow are passed over, so that they do not interrupt what is cleaned up. A signal that the caller of this
    program has set to be ignored, as nohup does, stays ignored.
    """
    handled = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]

    def leave(number: int, _: FrameType | None) -> None:
        for each in handled:
            signal.signal(each, lambda *_: None)  # not SIG_IGN, which programs started from here on would inherit
        sys.exit(128 + number)

    for number in handled:
        signal.signal(number, leave)
