"""Both applications, installed and ready: packages and databases' templates are made once and kept in a cache.

The cache is the folder that SHOPFERRY_PLATFORMS names, else one in the user's folder for caches. What was made for other
versions or other files stays there until somebody removes it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from shopferry.demo.platforms import medusa_setup
from shopferry.demo.platforms.medusa import ADMIN, Installed, environment, serve
from shopferry.errors import ConfigError, StackError
from shopferry.settings import SQL_ROOT
from shopferry.stack import postgres
from shopferry.stack.state import choose_port

ROUTE = "oscar-medusa"
OSCAR = SQL_ROOT.with_name("platforms") / "oscar"
MEDUSA = SQL_ROOT.with_name("platforms") / "medusa"
PROVIDER = SQL_ROOT / ROUTE / "auth-provider"
CACHE = "SHOPFERRY_PLATFORMS"
PROGRAMS = ("node", "npm")
_DONE = ".done"  # written last: a folder without it is of a run that was interrupted


@dataclass(frozen=True)
class Platforms:
    """What demo and tests work with: Oscar's Python, Medusa's project folder, and a dump of an empty shop of each."""

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
        if done.returncode:
            raise StackError(f"Oscar's `{' '.join(arguments[:1])}` ended with {done.returncode}: {done.stderr[-3000:]}")
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


def find_missing_programs() -> list[str]:
    """Return which of the programs that no package of ours brings are not here."""
    return [name for name in PROGRAMS if not shutil.which(name)]


def require_programs() -> None:
    """Raise ConfigError where one of them is not here."""
    if missing := find_missing_programs():
        raise ConfigError(
            f"{' and '.join(missing)} not found: Medusa runs on Node.js 20 or newer; install it with its npm, and try again"
        )


def provide(cluster: postgres.Cluster, say: Callable[[str], None]) -> Platforms:
    """Return both applications, installed and migrated first where the cache has none for these versions and files.

    Raises StackError, with the log to look into, where a package cannot be had.
    """
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(os.environ.get(CACHE) or caches / "shopferry" / "platforms").resolve()
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
                (folder / "installed.json").write_text(json.dumps(asdict(medusa_setup.set_up(server))))
            _dump(program("pg_dump"), dsn, folder / "dump.sql")

        settings = [OSCAR / "settings.py", OSCAR / "requirements.txt", *OSCAR.glob("forks/**/*.py")]
        empty_oscar = _make(cache, "oscar-empty", settings, migrate_oscar, say)
        setting_up = [MEDUSA / "package-lock.json", MEDUSA / "medusa-config.js", Path(medusa_setup.__file__)]
        empty_medusa = _make(cache, "medusa-empty", setting_up, migrate_medusa, say)
    return Platforms(
        oscar_python=oscar / "bin" / "python",
        medusa=medusa,
        oscar_dump=empty_oscar / "dump.sql",
        medusa_dump=empty_medusa / "dump.sql",
        installed=Installed(**json.loads((empty_medusa / "installed.json").read_text())),
        program=program,
    )


def install_route(folder: Path, installed: Installed, accepted_by: str) -> None:
    """Copy the route into a folder of routes and put this installation's settings into it, as a team does."""
    shutil.rmtree(folder / ROUTE, ignore_errors=True)
    shutil.copytree(SQL_ROOT / ROUTE, folder / ROUTE)
    secret = folder / "id_secret"
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_hex(32))
    settings = folder / ROUTE / "route.toml"
    text = settings.read_text()
    for name, value in {
        "id_secret": f'{{ file = "{secret}" }}',
        "regions": f'"pln={installed.region}"',
        "sales_channel": f'"{installed.sales_channel}"',
        "stock_location": f'"{installed.stock_location}"',
    }.items():
        text, replaced = re.subn(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
        if replaced != 1:
            raise ConfigError(f"{settings} has {replaced} lines `{name} = …` in place of one")
    settings.write_text(f'{text}\n[cutover]\nway_back_losses_accepted_by = "{accepted_by}"\n')


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
    """Run a step, its output in the folder's log; raises StackError if it fails."""
    log = folder / "log.txt"
    with log.open("a") as output:
        done = subprocess.run(
            command, env=env, cwd=cwd or folder, stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
    if done.returncode:
        raise StackError(f"`{' '.join(command[:4])} …` ended with {done.returncode}: see {log}")


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """One run at a time fills the cache."""
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
