"""Run targets of `make`, and keep the book of their last runs, tests/book.tsv.

    python tests/book.py run TARGET [ARGUMENT…]   run one; arguments are pytest's, and with them it is a part and not booked
    python tests/book.py run-all                  run every test once, target by target
    python tests/book.py show                     when was each target last green?
    python tests/book.py choose --spent SECONDS   the targets that CI runs beside `make test`, in the rest of its time

Standard library alone, as `make help` runs it before anything is installed.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import astuple, dataclass, field, fields, replace
from pathlib import Path
from types import FrameType
from typing import IO

from targets import BUILD, EVERY, ROOT, TARGETS, TESTS, Target, touched

BOOK = ROOT / "tests" / "book.tsv"
OLD_COMMITS = 50
BUDGET_S = 1_800
UNKNOWN_S = 900  # what a target is taken for that has never run: the deep suites took half an hour in all before
_INTERRUPTED = 2  # pytest's exit code
_CHANGED = "+"  # behind a commit: the tree had changes that were not in it


@dataclass(frozen=True)
class Entry:
    """One line of the book: how a run of a whole target ended, and how many of its tests."""

    target: str
    result: str  # green or red
    commit: str
    date: str
    passed: int
    failed: int
    skipped: int
    seconds: int

    @property
    def known_as(self) -> str:
        """The commit as Git knows it."""
        return self.commit.rstrip(_CHANGED)

    def describe(self) -> str:
        """The entry for people, without the target's name."""
        tree = " and changes not in it" if self.commit.endswith(_CHANGED) else ""
        counts = f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
        return f"{self.result} {self.date} at {self.known_as}{tree}: {counts}, {self.seconds} s"


def read(text: str) -> list[Entry]:
    """The lines of a book; one of another shape raises ValueError."""
    lines = [line.split("\t") for line in text.splitlines()[1:]]
    return [Entry(*line[:4], *map(int, line[4:])) for line in lines]  # type: ignore[arg-type]


def write(entries: Iterable[Entry]) -> str:
    """The book, in the order of the targets, so that two people who run different ones change different lines."""
    order = list(TARGETS)
    known = sorted((e for e in entries if e.target in order), key=lambda e: (order.index(e.target), e.result))
    rows = ["\t".join(map(str, astuple(e))) for e in known]
    return "\n".join(["\t".join(f.name for f in fields(Entry)), *rows, ""])


def enter(entries: Iterable[Entry], new: Entry) -> list[Entry]:
    """The book with a new entry. A green one replaces all of its target; a red one leaves the last green one in the book."""
    return [e for e in entries if e.target != new.target or (new.result == "red" and e.result == "green")] + [new]


def last_green(entries: Iterable[Entry], target: str) -> Entry | None:
    """The entry of the target's last green run."""
    return next((e for e in entries if e.target == target and e.result == "green"), None)


def git(*arguments: str) -> str | None:
    """What a git command prints; None if it fails, as it does outside a repository."""
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def current_commit() -> str:
    """The commit that is checked out, with a sign behind it if the tree differs from it; `unknown` without a repository."""
    changes = git("status", "--porcelain", "--", ".", ":!tests/book.tsv")
    return f"{git('rev-parse', '--short=10', 'HEAD') or 'unknown'}{_CHANGED if changes else ''}"


def commits_since(entry: Entry) -> int | None:
    """How many commits are in ours that are not in the entry's; None if this clone does not know the entry's."""
    count = git("rev-list", "--count", f"{entry.known_as}..HEAD")
    return int(count) if count is not None else None


def paths_since(entry: Entry) -> list[str] | None:
    """Which files differ from the entry's commit; None if this clone does not know it."""
    paths = git("diff", "--name-only", "--no-renames", entry.known_as)
    return paths.splitlines() if paths is not None else None


def describe_book(entries: Sequence[Entry], since: Callable[[Entry], int | None] = commits_since) -> str:
    """One line for each target: when it was last green, how old that is, and whether it was red after it."""
    lines = ["Last green (tests/book.tsv):"]
    for name in TARGETS:
        green, red = last_green(entries, name), [e for e in entries if e.target == name and e.result == "red"]
        lines.append(f"  {name:<14} {_describe_age(green, since)}")
        lines += [f"  {'':<14} THEN {e.describe()}" for e in red]
    return "\n".join(lines)


def _describe_age(green: Entry | None, since: Callable[[Entry], int | None]) -> str:
    if green is None:
        return "OLD: NEVER GREEN"
    commits = since(green)
    if commits is None:
        return f"OLD: THIS CLONE DOES NOT KNOW ITS COMMIT. {green.describe()}"
    loud = f"OLD: MORE THAN {OLD_COMMITS} COMMITS. " if commits > OLD_COMMITS else ""
    return f"{loud}{commits} commits ago, {green.describe()}"


def choose(
    entries: Sequence[Entry],
    left_s: float,
    slowness: float = 1.0,
    *,
    paths: Callable[[Entry], list[str] | None] = paths_since,
    able: Callable[[str], bool] = lambda _: True,
) -> tuple[list[str], list[str]]:
    """The targets that are to run beside `make test`, and sentences about those that are left out.

    They are those that the paths changed since their last green run touch (all do if it has none, or if its commit is not
    known), and one more in rotation: of the others, the one whose last green run is oldest. The oldest come first, as long as
    the seconds noted in the book, times `slowness`, fit into `left_s`.
    """
    green = {name: last_green(entries, name) for name in EVERY}
    age = {name: (entry.date if entry else "") for name, entry in green.items()}
    wanted = sorted((n for n in EVERY if _is_touched(n, green[n], paths)), key=lambda n: age[n])
    others = sorted((n for n in EVERY if n not in wanted and able(n)), key=lambda n: age[n])
    chosen, left_out = [], []
    for name in (*wanted, *others[:1]):
        noted = max((e.seconds for e in entries if e.target == name), default=None)
        seconds = slowness * (UNKNOWN_S if noted is None else noted)
        if not able(name):
            left_out.append(f"{name}: what it needs is missing here")
        elif seconds > left_s:
            unknown = ", for which it is taken as long as it has never run" if noted is None else ""
            left_out.append(f"{name}: {seconds:.0f} s{unknown}, and {max(left_s, 0):.0f} s are left")
        else:
            left_s -= seconds
            chosen.append(name)
    return chosen, left_out


def _is_touched(name: str, green: Entry | None, paths: Callable[[Entry], list[str] | None]) -> bool:
    changed = paths(green) if green else None
    return changed is None or name in touched(changed)


def is_able(name: str) -> bool:
    """Whether what the target needs is on this machine, as far as can be told without trying."""
    return not find_missing(TARGETS[name])


def find_missing(target: Target) -> list[str]:
    """The programs that the target needs and this machine does not have."""
    return [program for program in target.programs if not shutil.which(program)]


@dataclass
class Runner:
    """Runs commands; a signal that is to end us ends the commands, and we go on to our own end only after them."""

    children: list[subprocess.Popen[bytes]] = field(default_factory=list)
    ended_by: int = 0

    def listen(self) -> None:
        """Take the signals. At a terminal Ctrl-C reaches the command by itself, and is not passed on a second time."""
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, self._end)

    def _end(self, number: int, _: FrameType | None) -> None:
        self.ended_by = self.ended_by or number
        if number != signal.SIGINT or not sys.stdin.isatty():
            for child in self.children:
                child.send_signal(signal.SIGTERM if number == signal.SIGINT else number)

    def start(
        self, command: Sequence[str], environment: dict[str, str], output: IO[bytes] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command; `output` takes what it prints."""
        print("+", *command, *(["> " + output.name] if output else []), flush=True)
        child = subprocess.Popen(command, cwd=ROOT, env=os.environ | environment, stdout=output, stderr=output)
        self.children.append(child)
        if self.ended_by:  # it came while the command was being started
            child.terminate()
        return child

    def wait(self, child: subprocess.Popen[bytes]) -> int:
        """Wait for the command's end; returns its exit code."""
        code = child.wait()
        self.children.remove(child)
        return code

    def call(self, command: Sequence[str], environment: dict[str, str]) -> int:
        """Run a command and return its exit code; nothing runs after a signal."""
        return 128 + self.ended_by if self.ended_by else self.wait(self.start(command, environment))

    def run_all(self) -> dict[str, int]:
        """Run every target that holds tests; returns the exit code of each.

        Those that go `beside` the next one begin with it, and what they print is shown at their end.
        """
        codes: dict[str, int] = {}
        waiting: list[Target] = []
        for target in TESTS:
            waiting.append(target)
            if target.beside:
                continue
            with ExitStack() as beside:
                begun = [(t, *self._start_beside(t, beside)) for t in waiting[:-1]]
                codes[target.name] = self.run(target, ())
                for other, child, output in begun:
                    codes[other.name] = self.wait(child)
                    print(Path(output.name).read_text(), flush=True)
            waiting.clear()
            if self.ended_by:
                break
        return codes

    def _start_beside(self, target: Target, until: ExitStack) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
        BUILD.mkdir(exist_ok=True)
        output = until.enter_context((BUILD / f"{target.name}.log").open("wb"))
        return self.start((sys.executable, sys.argv[0], "run", target.name), {}, output), output

    def run(self, target: Target, arguments: Sequence[str]) -> int:
        """Run a target and book it if it was run as a whole; returns 0 if it is green or cannot run on this machine."""
        environment, part = dict(target.environment), bool(arguments or os.environ.get(target.shortened_by))
        missing = find_missing(target)
        if missing or (target.needs and self.call(target.needs, {})):
            print(
                f"{target.name}: skipped{': ' + ' and '.join(missing) + ' missing here' if missing else ''}", flush=True
            )
            return 128 + self.ended_by if self.ended_by else 0
        if target.results:
            target.results.unlink(missing_ok=True)
        entry = Entry(target.name, "green", current_commit(), time.strftime("%Y-%m-%d", time.gmtime()), 0, 0, 0, 0)
        began = time.monotonic()
        codes = []
        for number, command in enumerate(target.commands, 1):
            counts = BUILD / "junit" / f"{target.name}-{number}.xml"
            counts.unlink(missing_ok=True)
            codes.append(self.call((*_program(command), *_noting(command, counts), *arguments), environment))
            entry = add_counts(entry, counts)
        if target.page:
            codes.append(self.call((*_program(target.page), *(["--part"] if part else [])), environment))
        if self.ended_by:
            print(f"{target.name}: ended by {signal.Signals(self.ended_by).name}, and not booked", flush=True)
            return 128 + self.ended_by
        entry = replace(entry, result="red" if any(codes) else "green", seconds=round(time.monotonic() - began))
        if _INTERRUPTED in codes and not entry.failed:  # a collection that fails has this code and counts as failed
            print(f"{target.name}: interrupted, and not booked", flush=True)
        elif not part:
            _book(entry)
            print(f"{target.name}: {entry.describe()}; entered in {BOOK.relative_to(ROOT)}", flush=True)
        return 1 if any(codes) else 0


def _book(entry: Entry) -> None:
    """Enter a run; one at a time, since targets may run beside each other."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "book.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        BOOK.write_text(write(enter(read_book(), entry)))


def _program(command: Sequence[str]) -> list[str]:
    python = Path(sys.executable)
    return [
        str(python.with_name("pytest")) if command[0] == "pytest" else str(python),
        *command[command[0] == "pytest" :],
    ]


def _noting(command: Sequence[str], counts: Path) -> list[str]:
    return [f"--junitxml={counts}"] if command[0] == "pytest" else []


def add_counts(entry: Entry, junit: Path) -> Entry:
    """The entry with the counts of one run of pytest, from what `--junitxml` wrote; a run that wrote nothing has none."""
    if not junit.exists():
        return entry
    for suite in ElementTree.parse(junit).getroot().iter("testsuite"):  # noqa: S314, pytest wrote it just now
        tests, errors, failures, skipped = (int(suite.get(n, 0)) for n in ("tests", "errors", "failures", "skipped"))
        failed = errors + failures
        entry = replace(
            entry,
            passed=entry.passed + tests - failed - skipped,
            failed=entry.failed + failed,
            skipped=entry.skipped + skipped,
        )
    return entry


def read_book() -> list[Entry]:
    """The book as it stands here; an empty one if there is none."""
    return read(BOOK.read_text()) if BOOK.exists() else []


def slowness_of_this_machine() -> float:
    """How many times longer `make test` has just taken than the committed book notes, at least 1; 1 if that is not known."""
    committed = git("show", "HEAD:tests/book.tsv")
    noted, now = ([e for e in entries if e.target == "test"] for entries in (read(committed or ""), read_book()))
    return max(1.0, now[-1].seconds / max(noted[-1].seconds, 1)) if noted and now else 1.0


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run")
    run.add_argument("target", choices=TARGETS)
    run.add_argument("arguments", nargs=argparse.REMAINDER)
    verbs.add_parser("run-all")
    verbs.add_parser("show")
    verbs.add_parser("choose").add_argument("--spent", type=float, required=True)
    given = parser.parse_args()
    if given.verb == "show":
        print(describe_book(read_book()))
    elif given.verb == "choose":
        chosen, left_out = choose(read_book(), BUDGET_S - given.spent, slowness_of_this_machine(), able=is_able)
        print(*chosen, sep="\n")
        for sentence in left_out:
            print(f"LEFT OUT: {sentence}", file=sys.stderr)
    else:
        runner = Runner()
        runner.listen()
        if given.verb == "run":
            return runner.run(TARGETS[given.target], given.arguments)
        codes = runner.run_all()
        names = [target.name for target in TESTS if target.name in codes]
        print(*(f"{name}: {'red' if codes[name] else 'green or skipped'}" for name in names), sep="\n")
        return max(codes.values())
    return 0


if __name__ == "__main__":
    sys.exit(main())
