"""PgBouncer as Debian packages it, before a pair of stores, and clients that write through it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from shopferry.cutover.pgbouncer import PgBouncer
from shopferry.settings import Settings
from shopferry.stack import postgres
from shopferry.stack.state import choose_port
from waiting import until

DATABASE = "app"  # as the application knows it
SECRET = "only here"


def program() -> str:
    """PgBouncer's path; skips the test where there is none."""
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if not found:
        pytest.skip("pgbouncer is missing here: apt-get install pgbouncer")
    return found


@dataclass
class Bouncer:
    """A running PgBouncer."""

    home: Path
    port: int

    @property
    def file(self) -> Path:
        """The link that a switch turns round; beside it the two files it may lead to."""
        return self.home / "databases.ini"

    def dsn(self, database: str = DATABASE) -> str:
        """The DSN of one of its databases, or of its console `pgbouncer`."""
        return f"host=127.0.0.1 port={self.port} user=app password='{SECRET}' dbname={database} connect_timeout=10"

    def before(self, settings: Settings) -> Settings:
        """The settings with this PgBouncer in them."""
        return replace(settings, pgbouncer=self.dsn("pgbouncer"), pgbouncer_databases=str(self.file))

    @property
    def paused(self) -> bool:
        """Whether the application's database is paused now."""
        return bool(self.shown()["paused"])

    def shown(self) -> dict[str, Any]:
        """What the console shows of the application's database."""
        with psycopg.connect(self.dsn("pgbouncer"), autocommit=True, row_factory=dict_row) as console:
            return next(row for row in console.execute(b"SHOW DATABASES") if row["name"] == DATABASE)

    def tool(self) -> PgBouncer:
        """As the product sees it."""
        return PgBouncer(self.dsn("pgbouncer"), self.file)


def _answers(bouncer: Bouncer, process: subprocess.Popen[bytes]) -> bool:
    """Whether its console takes connections. Fails when it has ended by itself."""
    try:
        bouncer.shown()
    except psycopg.OperationalError:
        assert process.poll() is None, (bouncer.home / "log").read_text()
        return False
    return True


@contextmanager
def running(legacy_dsn: str, shop_dsn: str, mode: str = "transaction") -> Iterator[Bouncer]:
    """A PgBouncer of this test's own that leads to legacy."""
    command, port = [program()], choose_port(set())
    # Not below tmp_path: when we are root, PgBouncer's account could not enter it.
    home = Path(tempfile.mkdtemp(prefix="shopferry-bouncer-"))
    home.chmod(0o755)
    bouncer = Bouncer(home, port)
    for store, dsn in (("legacy", legacy_dsn), ("shop", shop_dsn)):
        at = conninfo_to_dict(dsn)
        (home / f"databases.ini.{store}").write_text(
            f"; {store}\n{DATABASE} = host={at['host']} port={at['port']} dbname={at['dbname']} user={at['user']} "
            f"password='{at['password']}' pool_size=10\n"
        )
    bouncer.file.symlink_to("databases.ini.legacy")
    (home / "users.txt").write_text(f'"app" "{SECRET}"\n')
    (home / "pgbouncer.ini").write_text(
        f"[databases]\n%include {bouncer.file}\n\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
        f"unix_socket_dir =\npool_mode = {mode}\nserver_login_retry = 1\n"
        f"auth_type = scram-sha-256\nauth_file = {home}/users.txt\n"
        "admin_users = app\nignore_startup_parameters = extra_float_digits\n"
    )
    if owner := postgres.find_account():
        command += ["-u", owner.pw_name]
    with (home / "log").open("w") as log:
        process = subprocess.Popen([*command, str(home / "pgbouncer.ini")], stdout=log, stderr=log)
    try:
        until(lambda: _answers(bouncer, process))
        yield bouncer
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(home, ignore_errors=True)


@dataclass
class Clients:
    """Clients of the application: each writes one transaction after the other, to wherever it is led.

    About eighty a second in all, which the stream of a slow machine carries too.
    """

    dsn: str
    write: Callable[[psycopg.Connection[Any], int], str]  # (connection, client) → the store it wrote to
    count: int = 4
    wrote: list[tuple[int, str]] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Clients:
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(self.count)]
        for thread in self._threads:
            thread.start()
        self.more(self.count * 2)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, client: int) -> None:
        try:
            # What is prepared in one server connection is not there in the next.
            with psycopg.connect(self.dsn, autocommit=True, prepare_threshold=None) as conn:
                while not self._stop.is_set():
                    with conn.transaction():
                        store = self.write(conn, client)
                    self.wrote.append((client, store))
                    time.sleep(0.05)
        except BaseException as error:
            self.errors.append(error)

    def stores(self, client: int) -> list[str]:
        """The stores that one of them wrote to, each change of them."""
        found: list[str] = []
        for who, store in list(self.wrote):
            if who == client and found[-1:] != [store]:
                found.append(store)
        return found

    def more(self, writes: int, store: str | None = None) -> None:
        """Wait until there are so many more writes, of all clients together, to that store."""
        begin = len(self.wrote)

        def written() -> bool:
            assert not self.errors, self.errors
            return sum(store in {None, to} for _, to in self.wrote[begin:]) >= writes

        until(written)


def read(conn: psycopg.Connection[Any], client: int) -> str:
    """A client that only looks."""
    row = conn.execute(b"SELECT to_regclass('public.customers') IS NULL").fetchone()
    return "shop" if row and row[0] else "legacy"


def write(conn: psycopg.Connection[Any], client: int) -> str:
    """One transaction of a client: it asks in it which store it was led to, and writes there."""
    store = read(conn, client)
    table = "shop.customer" if store == "shop" else "public.customers"
    conn.execute(
        f"UPDATE {table} SET phone = %s WHERE id = (SELECT id FROM {table} ORDER BY id OFFSET %s LIMIT 1)".encode(),
        (f"+4860{time.time_ns() % 10_000_000:07d}", client),
    )
    return store
