"""PgBouncer before the stores: its clients are held, pointed at the other store and let go; they see a pause, no error.

Its databases stand in a file that pgbouncer.ini includes. The team writes that file once for each store,
`<file>.legacy` and `<file>.shop`; `<file>` itself is a link to one of them, and a switch turns the link round. So
shopferry needs neither the application's passwords nor a copy of anybody's pool settings, what will hold after the switch
can be read and tried beforehand, and the link on disk survives a restart of PgBouncer.
"""

from __future__ import annotations

import re
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
from psycopg.rows import dict_row

from shopferry.errors import AnnounceError, ConfigError, TransientError
from shopferry.retry import describe
from shopferry.route.settings import STORES
from shopferry.settings import Settings

_ANSWER_S = 5
_LOGIN_S = 0.005
_RETRY_S = 1.0  # see _await_logins: how long a login that slipped through it may cost
_LINE = re.compile(r'^\s*(?:"([^"]+)"|([^\s=;#\[%"]+))\s*=\s*(.*)$')
_WORD = re.compile(r"(\w+)\s*=\s*(?:'([^']*)'|(\S*))")
Console: TypeAlias = psycopg.Connection[dict[str, Any]]
Address: TypeAlias = tuple[str, str, str]  # host, port, database


@dataclass(frozen=True)
class PgBouncer:
    """One PgBouncer: the DSN of its console, and the file with its databases."""

    dsn: str
    file: Path

    @classmethod
    def of(cls, settings: Settings) -> PgBouncer | None:
        """The one that the settings name, if they do. Raises ConfigError when they do so by half."""
        if not settings.pgbouncer:
            return None
        if not settings.pgbouncer_databases:
            raise ConfigError(
                "SHOPFERRY_PGBOUNCER is set and SHOPFERRY_PGBOUNCER_DATABASES is not: see docs/howto/routing.md"
            )
        return cls(settings.pgbouncer, Path(settings.pgbouncer_databases))

    def check(self) -> None:
        """Raise ConfigError unless both stores' files are there, with the same databases at different addresses, and
        clients can be let go at once. Raises TransientError when the console does not answer."""
        theirs, ours = (self._written(store) for store in STORES)
        if not theirs or theirs.keys() != ours.keys():
            raise ConfigError(f"{self.file}.legacy and {self.file}.shop do not list the same databases")
        if same := sorted(name for name in theirs if theirs[name] == ours[name]):
            raise ConfigError(
                f"{self.file}.legacy and {self.file}.shop lead {', '.join(same)} to one and the same place"
            )
        if self.file.exists() and not self.file.is_symlink():
            raise ConfigError(
                f"{self.file} must be a link to {self.file.name}.legacy, so that a switch can turn it round"
            )
        with self._console() as console:
            configured = {row["key"]: row["value"] for row in console.execute(b"SHOW CONFIG")}
        if float(configured["server_login_retry"]) > _RETRY_S:
            raise ConfigError(
                f"PgBouncer's server_login_retry is {configured['server_login_retry']} s: a pause that met a login could last as "
                "long; set it to 1"
            )

    def hold(self, seconds: float) -> None:
        """Have clients wait from their next transaction on, when the present ones are through.

        Raises TransientError when one of these takes longer; clients then wait all the same, until `let_go`.
        """
        until = time.monotonic() + seconds
        with self._console() as console:
            for name in self._written("legacy"):
                _await_logins(console, name, until)
                if not _done_by(console, f'PAUSE "{name}"', until):
                    console.close()  # it waits for the command, and would take no other
                    raise TransientError(
                        f"a client's transaction in PgBouncer's {name} did not end within {seconds:.0f} s: nothing was changed "
                        "(with pool_mode=session it never does)"
                    )

    def point(self, store: str) -> None:
        """Lead clients to that store from their next transaction on; idempotent.

        Raises AnnounceError when PgBouncer goes on as before, OSError when the link cannot be made.
        """
        target, unfinished = f"{self.file.name}.{store}", self.file.with_name(f".{self.file.name}.new")
        unfinished.unlink(missing_ok=True)
        unfinished.symlink_to(target)  # relative: PgBouncer may see the directory under another name
        unfinished.replace(self.file)
        with self._console() as console:
            console.execute(b"RELOAD")
            shown = _shown(console)
        if astray := [
            name for name, address in self._written(store).items() if not _leads_to(shown.get(name), address)
        ]:
            raise AnnounceError(
                f"PgBouncer has read its settings again and leads {', '.join(astray)} elsewhere than {self.file} says: "
                "does its ini include that file, and can it read it?"
            )

    def let_go(self) -> None:
        """Have clients go on; nothing to do where none is held."""
        with self._console() as console:
            for name, row in _shown(console).items():
                if row["paused"] and name in self._written("legacy"):
                    console.execute(f'RESUME "{name}"'.encode())

    def _written(self, store: str) -> dict[str, Address]:
        """Database → address, as the store's file says."""
        file = self.file.with_name(f"{self.file.name}.{store}")
        try:
            lines = file.read_text().splitlines()
        except OSError as error:
            raise ConfigError(f"PgBouncer's databases for {store}: cannot read {file}: {error.strerror}") from None
        found = {}
        for line in filter(None, map(_LINE.match, lines)):
            name = str(line[1] or line[2])
            words = {str(key): str(quoted or bare) for key, quoted, bare in _WORD.findall(line[3])}
            found[name] = (words.get("host", ""), words.get("port", "5432"), words.get("dbname", name))
        return found

    @contextmanager
    def _console(self) -> Iterator[Console]:
        try:
            # It knows the simple protocol only, and no session settings: so not by db.connect.
            with psycopg.connect(
                self.dsn, autocommit=True, connect_timeout=_ANSWER_S, prepare_threshold=None, row_factory=dict_row
            ) as console:
                yield console
        except psycopg.Error as error:
            raise TransientError(f"PgBouncer's console: {describe(error)}") from None


def _shown(console: Console) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in console.execute(b"SHOW DATABASES")}


def _await_logins(console: Console, name: str, until: float) -> None:
    """Wait for a moment in which none of its connections is just logging in, or for the time given.

    PAUSE breaks such a login off and PgBouncer takes that for a failure of the server: after RESUME it would not connect
    again for `server_login_retry`.
    """
    while time.monotonic() < until and any(
        pool["sv_login"] for pool in console.execute(b"SHOW POOLS") if pool["database"] == name
    ):
        time.sleep(_LOGIN_S)


def _leads_to(shown: dict[str, Any] | None, address: Address) -> bool:
    return shown is not None and (shown["host"] or "", str(shown["port"]), shown["database"]) == address


def _done_by(console: Console, command: str, until: float) -> bool:
    """Whether the console has done as it was told by then; a command that has to wait would else wait for ever."""
    console.pgconn.send_query(command.encode())
    while console.pgconn.is_busy():
        if not select.select([console.fileno()], [], [], max(0.0, until - time.monotonic()))[0]:
            return False
        console.pgconn.consume_input()
    while result := console.pgconn.get_result():
        if result.error_message:
            raise TransientError(f"PgBouncer refuses {command}: {result.error_message.decode().strip()}")
    return True
