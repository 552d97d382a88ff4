"""The guardian of a test run: once the run is over, whatever ended it, no server of it is left.

Every process that the run starts inherits a mark in its environment, also below a supervisor that has left the run's
session, and as another account. The guardian waits in a session of its own, where no signal for the run reaches it,
until the run's process is gone. Then it ends all that bear the mark and removes the run's directories.

    python tests/guardian.py PID MARK HOME
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

MARK = "TESTS_OF_SHOPFERRY_RUN"  # of no name that the stack keeps from its servers
_EVERY_S = 0.2
_PATIENCE_S = 5.0


@contextmanager
def guarded(place: Path | None = None) -> Iterator[Path]:
    """Guard this process' run for as long as the block lasts; yields the run's directory.

    The directory is below `place`, or where temporary files are; other accounts may enter it.
    Fails at the end when a process is left then, and ends it.
    """
    home = Path(tempfile.mkdtemp(prefix="shopferry-tests-", dir=place))
    home.chmod(0o755)
    mark = secrets.token_hex(8)
    command = [sys.executable, __file__, str(os.getpid()), mark, str(home)]
    guardian = subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL)
    os.environ[MARK] = mark  # after the guardian has begun: it would end itself else
    try:
        yield home
    finally:
        del os.environ[MARK]
        _, left = psutil.wait_procs(marked(mark), timeout=_PATIENCE_S)
        commands = [_command(process) for process in left]
        end(mark)
        guardian.kill()
        guardian.wait()
        shutil.rmtree(home, ignore_errors=True)
        assert commands == [], "left behind at the end of the run"


def marked(mark: str) -> list[psutil.Process]:
    """The processes that bear the mark."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark:
                found.append(process)
    return found


def end(mark: str) -> None:
    """End every process that bears the mark, first those that would start others again."""
    while left := marked(mark):
        left.sort(key=lambda p: "supervisor" not in _command(p))
        for process in left:
            # SIGQUIT is PostgreSQL's immediate shutdown: it takes its shared memory along.
            how = signal.SIGQUIT if _command(process).split(" ")[0].endswith("/postgres") else signal.SIGKILL
            with suppress(psutil.Error):
                process.send_signal(how)
        _, stubborn = psutil.wait_procs(left, timeout=_PATIENCE_S)
        for process in stubborn:
            with suppress(psutil.Error):
                process.kill()


def _command(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def main() -> None:
    """Wait for the end of the run."""
    run, mark, home = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    while os.getppid() == run:
        time.sleep(_EVERY_S)
    end(mark)
    shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
