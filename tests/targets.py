"""The targets of `make` that run tests: what each runs, which one a test belongs to, and which a change touches."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
KAFKA_JARS = BUILD / "kafka"
PLATFORMS = os.environ.get("SHOPFERRY_PLATFORMS", "")  # empty: the package knows a folder
CRASH_BOOK = BUILD / "crash-matrix.jsonl"
DEATH_BOOK = BUILD / "death-table.jsonl"


@dataclass(frozen=True)
class Target:
    """One target: `commands` run one after the other, all of them, and it is green if each of them ends with 0.

    A command begins with `pytest` or with a Python file of the repository; arguments of the caller are added to each,
    and then it is a part of the target that runs, as it is if the variable `shortened_by` is set. `page` is a command
    that runs after them whatever their outcome, with `--part` if it is a part; it writes the page of results from
    `results`, which is removed at the beginning. `environment` is added to ours. Without the `programs`, or if the
    command `needs` fails, the target cannot run on this machine: it is skipped, and not booked. One that goes
    `beside` leaves half of the machine idle: a run of all the targets starts it together with the one after it.
    """

    name: str
    commands: tuple[tuple[str, ...], ...]
    page: tuple[str, ...] = ()
    results: Path | None = None
    environment: tuple[tuple[str, str], ...] = ()
    programs: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    beside: bool = False
    shortened_by: str = ""


def _selected(name: str) -> tuple[str, ...]:
    return ("pytest", "--target", name)


def _cells(name: str, book: Path, page: str, *tests: str) -> Target:
    return Target(
        name,
        (("pytest", *(f"tests/crash/{test}" for test in tests)),),
        page=(f"tests/crash/{page}", "--page", f"docs/reference/{name}.md", str(book)),
        results=book,
        environment=(("SHOPFERRY_MATRIX", str(book)),),
    )


# Two stacks beside each other: most of a test's time one of its servers waits for another.
_TWO_STACKS = ("-n", "logical", "--maxprocesses", "2", "--dist", "loadscope")
# What needs PostgreSQL alone goes side by side, one more at a time than there are cores: each waits a third of its time for its
# server, or the server for it.
_SIDE_BY_SIDE = ("-n", str(min((os.cpu_count() or 1) + 1, 8)), "--dist", "loadscope")
_HISTORIES = (
    "tests/integration/test_properties.py",
    "tests/integration/test_activation_histories.py",
    "tests/integration/test_consent_histories.py",
    "tests/integration/test_erasure_histories.py",
    "tests/integration/test_real_histories.py",
    "tests/integration/test_insight_histories.py",
    "tests/integration/test_pair_histories.py",
)
# A whole stack wants the machine for itself, so the move comes after it.
QUICK = Target(
    "test",
    (
        (*_selected("test"), "-m", "not move", *_SIDE_BY_SIDE),
        (*_selected("test"), "-m", "move"),
    ),
)
# Together these run every test once: `target_of` gives each test to one of them.
TESTS = (
    QUICK,
    Target("test-stream", ((*_selected("test-stream"), *_TWO_STACKS),)),
    Target("test-switch", ((*_selected("test-switch"), *_TWO_STACKS),)),
    Target("test-stack", ((*_selected("test-stack"), *_TWO_STACKS),)),
    Target(
        "test-kafka",
        (_selected("test-kafka"),),
        environment=(("SHOPFERRY_KAFKA_JARS", str(KAFKA_JARS)),),
        programs=("java", "mvn"),
        needs=("tests/kafka/jars.sh", str(KAFKA_JARS)),
        beside=True,
    ),
    Target("test-airflow", (_selected("test-airflow"),)),
    Target(
        "test-platforms",
        (_selected("test-platforms"),),
        environment=(("SHOPFERRY_PLATFORMS", PLATFORMS),),
        programs=("node", "npm"),
    ),
)
LONG = (
    Target(
        "test-long",
        (("pytest", "-n", "4", "--dist", "load", *_HISTORIES),),
        environment=(("SHOPFERRY_PROFILE", "long"),),
        shortened_by="SHOPFERRY_EXAMPLES",
    ),
    _cells("crash-matrix", CRASH_BOOK, "page.py", "test_matrix.py", "test_scheduler.py"),
    _cells("death-table", DEATH_BOOK, "deaths_page.py", "test_deaths.py", "test_deaths_airflow.py"),
    Target("cutover-drill", (("benchmarks/cutover.py", "--page", "docs/reference/cutover-drill.md"),)),
)
TARGETS = {target.name: target for target in (*TESTS, *LONG)}

_OF_SWITCH = "test_deaths.py"  # though it lies beside the crash matrix


def target_of(path: PurePosixPath, markers: Collection[str]) -> str:
    """The one target that runs a test; `path` is its file below tests/, `markers` are the names of its markers."""
    if path.parts[0] in {"kafka", "platforms"}:
        return f"test-{path.parts[0]}"
    if "airflow" in markers:
        return "test-airflow"
    if "move" in markers or "stack" not in markers:
        return "test"
    if path.parts[0] in {"stream", "switch"}:
        return f"test-{path.parts[0]}"
    return "test-switch" if path.name == _OF_SWITCH else "test-stack"


_STREAM, _ON_STACK, _AIRFLOW, _KAFKA = (
    ("test-stream",),
    ("test-switch", "test-stack"),
    ("test-airflow",),
    ("test-kafka",),
)
# Those that are chosen beside `make test`. Not the platforms': to install both takes minutes and a gigabyte.
EVERY = tuple(target.name for target in TESTS[1:] if target.name != "test-platforms")
# Which of them, beside `make test`, a change below a path touches: the longest prefix counts. All of them, if none fits.
TOUCHES: dict[str, tuple[str, ...]] = {
    "include/platforms/": (),
    "include/sql/oscar-medusa/": (),
    "include/shopferry/assess/": _AIRFLOW,
    "include/shopferry/authoring/": (),
    "include/shopferry/backup/": ("test-switch", *_AIRFLOW),
    "include/shopferry/cdc/": (*_STREAM, *_ON_STACK, *_KAFKA),
    "include/shopferry/cli/": _ON_STACK,
    "include/shopferry/cutover/": ("test-switch", *_AIRFLOW),
    "include/shopferry/demo/platforms/": (),
    "include/shopferry/engine/": (*_STREAM, *_ON_STACK, *_KAFKA),
    "include/shopferry/health/": (*_ON_STACK, *_AIRFLOW),
    "include/shopferry/orchestration/": _AIRFLOW,
    "include/shopferry/pages/": _AIRFLOW,
    "include/shopferry/privacy/": _AIRFLOW,
    "include/shopferry/rehearsal/": _AIRFLOW,
    "include/shopferry/report/": ("test-switch", *_AIRFLOW),
    "include/shopferry/stack/": (*_STREAM, *_ON_STACK, *_AIRFLOW),
    "include/shopferry/verify/": (*_STREAM, *_ON_STACK),
    "dags/": _AIRFLOW,
    "plugins/": _AIRFLOW,
    "docs/": (),
    "docs/runbooks/": _AIRFLOW,  # a DAG's documentation is its runbook
    "benchmarks/": (),
    "docker/": (),
    "docker/airflow-init": _AIRFLOW,
    ".ci/": (),
    ".env.example": (),
    ".gitignore": (),
    ".dockerignore": (),
    "CHANGELOG.md": (),
    "CONTRIBUTING.md": (),
    "Dockerfile": (),
    "LICENSE": (),
    "Makefile": (),
    "README.md": (),
    "docker-compose.yml": _AIRFLOW,  # its users
    "tests/crash/": _ON_STACK,
    "tests/dags/": _AIRFLOW,
    "tests/integration/": (),
    "tests/kafka/": _KAFKA,
    "tests/mappings/": (),
    "tests/mutation/": (),
    "tests/platforms/": (),
    "tests/stack/": ("test-stack",),
    "tests/stream/": _STREAM,
    "tests/switch/": ("test-switch",),
    "tests/unit/": (),
    "tests/airflow_api.py": _AIRFLOW,
    "tests/book.py": (),
    "tests/certificates.py": _KAFKA,
    "tests/consents.py": (),
    "tests/oscar_medusa.py": (),
    "tests/steps.py": (),
    "tests/book.tsv": (),
    "tests/erasing.py": _ON_STACK,
    "tests/guardian.py": ("test-stack",),
    "tests/history.py": (),
    "tests/limits.py": ("test-switch",),
    "tests/live.py": (*_STREAM, *_ON_STACK),
    "tests/looks.py": ("test-stack",),
    "tests/pool.py": (),
    "tests/profiles.py": (),
    "tests/shops.py": (*_STREAM, *_ON_STACK),
    "tests/stacks.py": (*_STREAM, *_ON_STACK, *_AIRFLOW),
    "tests/targets.py": (),
    "tests/trips.py": (),
}


def touched(paths: Iterable[str]) -> set[str]:
    """The targets beside `make test` that a change of these paths, relative to the repository, touches."""
    return {name for path in paths for name in _touched_by(path)}


def _touched_by(path: str) -> tuple[str, ...]:
    fitting = [prefix for prefix in TOUCHES if path == prefix or (prefix.endswith("/") and path.startswith(prefix))]
    return TOUCHES[max(fitting, key=len)] if fitting else EVERY
