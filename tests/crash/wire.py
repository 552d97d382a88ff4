"""A wire to a server that can be cut: a TCP proxy that, once cut, passes nothing on, and closes nothing until either end's
system would have given the connection up."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

_LOST_S = 25.0  # what `db` asks of both ends: ten seconds of silence and three unanswered probes, or so long without an answer


@dataclass
class Wire:
    """The way to one PostgreSQL; `dsn` leads through it."""

    target: str
    _cut: threading.Event = field(default_factory=threading.Event)
    _closed: bool = False
    _ends: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def dsn(self) -> str:
        """The target's DSN, by way of this wire."""
        parts = urlsplit(self.target)
        account = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{account}@127.0.0.1:{self._listener.getsockname()[1]}"))

    def cut(self) -> None:
        """From now on nothing comes through, and neither end is told; their systems know no better than we do."""
        self._cut.set()
        timer = threading.Timer(_LOST_S, self._lose)
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        """The network is back: whoever was connected learns that the connection is gone."""
        self._closed = True
        self._listener.close()
        self._lose()
        for end in self._ends:
            end.close()

    def _lose(self) -> None:
        for end in list(self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        parts = urlsplit(self.target)
        while not self._closed:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._ends.append(near)
            if not self._cut.is_set():
                far = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 5432))
                self._ends.append(far)
                threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        other = {near: far, far: near}
        try:
            while not self._closed:
                for end in select.select([near, far], [], [], 0.05)[0]:
                    if self._cut.is_set():
                        return  # what is said stays unsaid; both ends stay open
                    if not (data := end.recv(65536)):
                        raise ConnectionError
                    other[end].sendall(data)
        except (OSError, ValueError):
            for end in (near, far):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
