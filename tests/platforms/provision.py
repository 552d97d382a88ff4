"""Both applications, installed and ready: packages and databases' templates are made once and kept in a cache.

The cache is the folder that SHOPFERRY_PLATFORMS names; `make test-platforms` names one in the user's folder for caches. What
was made for other versions or other files stays there until somebody removes it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from medusa_shop import ADMIN, Installed, environment, serve, set_up
from shopferry.stack import postgres
from shopferry.stack.state import choose_port

HERE = Path(__file__).parent
OSCAR = HERE / "oscar"
MEDUSA = HERE / "medusa"
PROVIDER = HERE.parents[1] / "include" / "sql" / "oscar-medusa" / "auth-provider"
CACHE = "SHOPFERRY_PLATFORMS"
PROGRAMS = ("node", "npm")
_DONE = ".done"  # written last: a folder without it is of a run that was interrupted


class MissingError(Exception):
    """Something that no package of ours brings is not here, or a registry does not answer."""


@dataclass(frozen=True)
class Platforms:
    """What the tests work with: Oscar's Python, Medusa's project folder, and a dump of an empty shop of each."""

    oscar_python: Path
    medusa: Path
    oscar_dump: Path
    medusa_dump: Path
    installed: Installed
    program: Callable[[str], str]  # where one of PostgreSQL's programs is

    def load(self, dump: Path, dsn: str) -> None:
        """Fill an empty database with a dump."""
        load = [self.program("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-o", os.devnull, "-f", str(dump), dsn]
        subprocess.run(load, check=True)

    def copy_rows(self, source: str, target: str, table: str) -> None:
        """Copy a table's rows into the same table, empty, of another database."""
        dump = [self.program("pg_dump"), "--data-only", "--table", table, source]
        rows = subprocess.run(dump, check=True, capture_output=True)
        load = [self.program("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-o", os.devnull, target]
        subprocess.run(load, check=True, input=rows.stdout)

    def run_oscar(self, dsn: str, *arguments: str, given: object = None) -> str:
        """Run Oscar's program in a process of its own, and return what it prints."""
        done = subprocess.run(
            [str(self.oscar_python), str(OSCAR / "run.py"), *arguments],
            env=oscar_environment(dsn),
            input=json.dumps(given),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout


def oscar_environment(dsn: str) -> dict[str, str]:
    """What Oscar's programs run with; nothing is written beside the sources."""
    own = {"OSCAR_DATABASE": dsn, "DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(OSCAR)}
    return {
        **os.environ,
        **own,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONWARNINGS": "ignore",
        "PYTHONIOENCODING": "utf-8",
    }


def provide(cluster: postgres.Cluster, say: Callable[[str], None]) -> Platforms:
    """Return both applications, installed and migrated first where the cache has none for these versions and files.

    Raises MissingError, with the log to look into, where a package cannot be had.
    """
    cache = Path(os.environ[CACHE]).resolve()
    cache.mkdir(parents=True, exist_ok=True)

    def program(name: str) -> str:
        return str(Path(cluster.command()[0]).with_name(name))

    with _alone(cache):
        oscar = _make(cache, "oscar", [OSCAR / "requirements.txt"], _install_oscar, say, sys.version)
        medusa = _make(cache, "medusa", [MEDUSA / "package-lock.json"], _install_medusa, say)
        for name in ("package.json", "medusa-config.js"):
            shutil.copy(MEDUSA / name, medusa)
        shutil.copytree(PROVIDER, medusa / "auth-provider", dirs_exist_ok=True)

        def migrate_oscar(folder: Path) -> None:
            dsn = cluster.create_database("platform_oscar")
            command = [str(oscar / "bin" / "python"), "-m", "django", "migrate", "--verbosity", "0"]
            _run(command, folder, oscar_environment(dsn))
            _dump(program("pg_dump"), dsn, folder / "dump.sql")

        def migrate_medusa(folder: Path) -> None:
            dsn = cluster.create_database("platform_medusa")
            tool = str(medusa / "node_modules" / ".bin" / "medusa")
            wanted = ("--execute-all-links", "--execute-all-search")
            _run([tool, "db:migrate", *wanted], folder, environment(dsn), medusa)
            _run([tool, "user", "-e", ADMIN[0], "-p", ADMIN[1]], folder, environment(dsn), medusa)
            with serve(medusa, dsn, choose_port(set()), folder / "server.log") as server:
                (folder / "installed.json").write_text(json.dumps(asdict(set_up(server))))
            _dump(program("pg_dump"), dsn, folder / "dump.sql")

        settings = [OSCAR / "settings.py", OSCAR / "requirements.txt", *OSCAR.glob("forks/**/*.py")]
        empty_oscar = _make(cache, "oscar-empty", settings, migrate_oscar, say)
        setting_up = [MEDUSA / "package-lock.json", MEDUSA / "medusa-config.js", HERE / "medusa_shop.py"]
        empty_medusa = _make(cache, "medusa-empty", setting_up, migrate_medusa, say)
    return Platforms(
        oscar_python=oscar / "bin" / "python",
        medusa=medusa,
        oscar_dump=empty_oscar / "dump.sql",
        medusa_dump=empty_medusa / "dump.sql",
        installed=Installed(**json.loads((empty_medusa / "installed.json").read_text())),
        program=program,
    )


def _make(
    cache: Path,
    name: str,
    files: Iterable[Path],
    make: Callable[[Path], None],
    say: Callable[[str], None],
    *besides: str,
) -> Path:
    """Return the folder that was made of these files, made now if there is none."""
    digest = hashlib.sha256("\0".join([*besides, *(f.read_text() for f in sorted(files))]).encode()).hexdigest()
    folder = cache / f"{name}-{digest[:12]}"
    if not (folder / _DONE).exists():
        began = time.monotonic()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        make(folder)
        (folder / _DONE).touch()
        size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file() and not f.is_symlink())
        say(f"{name}: made in {time.monotonic() - began:.0f} s, {size / 2**20:.0f} MB in {folder}")
    return folder


def _install_oscar(folder: Path) -> None:
    _run([sys.executable, "-m", "venv", str(folder)], folder)
    python = str(folder / "bin" / "python")
    _run([python, "-m", "pip", "install", "--quiet", "--requirement", str(OSCAR / "requirements.txt")], folder)


def _install_medusa(folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(MEDUSA / name, folder)
    # None of its packages has to be built; the peers of Admin, which is off, would double the size.
    _run(["npm", "ci", "--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund"], folder, None, folder)


def _dump(pg_dump: str, dsn: str, file: Path) -> None:
    _run([pg_dump, "--no-owner", "--no-privileges", "--file", str(file), dsn], file.parent)


def _run(command: list[str], folder: Path, env: dict[str, str] | None = None, cwd: Path | None = None) -> None:
    """Run a step, its output in the folder's log; raises MissingError if it fails."""
    log = folder / "log.txt"
    with log.open("a") as output:
        done = subprocess.run(
            command, env=env, cwd=cwd or folder, stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
    if done.returncode:
        raise MissingError(f"`{' '.join(command[:4])} …` ended with {done.returncode}: see {log}")


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """One run at a time fills the cache."""
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
