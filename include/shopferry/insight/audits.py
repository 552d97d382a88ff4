"""The route's audits: `audit/*.sql`, each one SELECT in the new shop of what is bad, of how many, by segment.

The grammar is in docs/howto/audits.md. An audit reads the new shop's tables alone, so that it runs before, during and after
the cutover.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from shopferry.errors import ConfigError
from shopferry.route import headed
from shopferry.route.headed import HeadedFile
from shopferry.route.route import Route
from shopferry.settings import routes_dir

FOLDER = "audit"
COLUMNS = ("segment", "bad", "of")
BETTER = ("higher", "lower")
_WORDS = ("audit", "owner", "unit", "better", "warn", "error", "phase", "remedy")
_ABSOLUTE = re.compile(r"(\d+(?:\.\d+)?) ?%")
_RELATIVE = re.compile(r"(\d+(?:\.\d+)?) points? worse")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NO_CODE = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)
# Schemas that hold nothing of the new shop's, or go at the end of the migration.
_OTHERS = re.compile(r'(?<![\w."])"?(legacy|mirror|ferry|ferry_masked|shopferry|clean)"?\s*\.', re.IGNORECASE)


@dataclass(frozen=True)
class Threshold:
    """From where on a share is bad: beyond `level` per cent, or more than `level` points worse than usual."""

    level: float
    relative: bool

    def __str__(self) -> str:
        if self.relative:
            return f"{self.level:g} point{'' if self.level == 1 else 's'} worse"
        return f"{self.level:g} %"


@dataclass(frozen=True)
class Audit:
    """One audit. Its share is that of the bad rows where lower is better, else that of the others."""

    name: str  # the file's stem
    meaning: str
    owner: str
    unit: str  # what is counted
    better: str  # one of BETTER
    warn: Threshold
    error: Threshold
    phase: str  # from which phase on it makes sense
    remedy: str
    file: Path
    line: int  # where the SELECT begins
    body: str

    def find_share(self, bad: int, of: int) -> float | None:
        """Return the share in per cent; None of nothing."""
        if not of:
            return None
        return 100 * (bad if self.better == "lower" else of - bad) / of

    def is_beyond(self, threshold: Threshold, share: float, usual: float | None) -> bool:
        """Tell whether a share is worse than a threshold allows. Without a usual share nothing is worse than usual."""
        if threshold.relative and usual is None:
            return False
        line, start = threshold.level, usual or 0.0
        if self.better == "lower":
            return share > (start + line if threshold.relative else line)
        return share < (start - line if threshold.relative else line)


def load(route: Route, root: Path | None = None) -> tuple[Audit, ...]:
    """Read every audit of `<root>/<route>/audit/`, by phase and name; a route may have none.

    Raises MappingError with file and line.
    """
    root = root or routes_dir()
    found = [_read(f, root, route) for f in sorted((root / route.base_name / FOLDER).glob("*.sql"))]
    return tuple(sorted(found, key=lambda a: (route.phases.index(a.phase), a.name)))


def find(loaded: tuple[Audit, ...], name: str) -> Audit:
    """Find an audit by its name. Raises ConfigError naming those that there are."""
    for audit in loaded:
        if audit.name == name:
            return audit
    raise ConfigError(f"there is no audit {name!r}: {', '.join(a.name for a in loaded) or 'the route has none'}")


def _read(file: Path, root: Path, route: Route) -> Audit:
    text = headed.read(file, file.relative_to(root.parent), None)
    if not _NAME.fullmatch(file.stem):
        raise text.error(1, f"{file.stem!r} is no name of an audit: small letters, digits and _")
    body = text.body
    for header in text.headers:
        if header.word not in _WORDS:
            raise text.error(header.line, f"header {header.word!r} is none of {', '.join(_WORDS)}")
        if header is not text.all(header.word)[0]:
            raise text.error(header.line, f"header {header.word!r} stands here twice")
        if not header.value:
            raise text.error(header.line, f"header {header.word!r} says nothing")
    said = {word: text.first(word) for word in _WORDS}
    better = said["better"]
    if better.value not in BETTER:
        raise text.error(better.line, f"better {better.value!r} is neither {' nor '.join(BETTER)}")
    phase = said["phase"]
    if phase.value not in route.phases:
        raise text.error(phase.line, f"route {route.name} has no phase {phase.value!r}: {', '.join(route.phases)}")
    warn, error = (_read_threshold(text, word, better.value) for word in ("warn", "error"))
    _require_order(text, warn, error, better.value)
    _require_own(text, body.line, body.text)
    return Audit(
        file.stem,
        _join(said["audit"]),
        said["owner"].value,
        said["unit"].value,
        better.value,
        warn,
        error,
        phase.value,
        _join(said["remedy"]),
        text.where,
        body.line,
        body.text,
    )


def _join(header: headed.Header) -> str:
    return " ".join((header.value, *header.more))


def _read_threshold(text: HeadedFile, word: str, better: str) -> Threshold:
    header = text.first(word)
    if found := _ABSOLUTE.fullmatch(header.value):
        level = float(found[1])
        if not 0 <= level <= 100 or level == (100 if better == "lower" else 0):
            raise text.error(header.line, f"{word} {header.value!r}: no share is ever beyond that")
        return Threshold(level, relative=False)
    if found := _RELATIVE.fullmatch(header.value):
        level = float(found[1])
        if not 0 < level < 100:
            raise text.error(header.line, f"{word} {header.value!r}: wants more than 0 and less than 100 points")
        return Threshold(level, relative=True)
    raise text.error(header.line, f"{word} {header.value!r} is neither like `5 %` nor like `3 points worse`")


def _require_order(text: HeadedFile, warn: Threshold, error: Threshold, better: str) -> None:
    """Refuse an error that is reached before its warning."""
    if warn.relative != error.relative:
        return
    sooner = error.level > warn.level if better == "higher" and not warn.relative else error.level < warn.level
    if sooner:
        raise text.error(text.first("error").line, f"error {error} is reached before warn {warn}")


def _require_own(text: HeadedFile, line: int, body: str) -> None:
    """Refuse what is no single SELECT, and what reads another schema than the new shop's."""
    code = _NO_CODE.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), body)
    if not re.match(r"\s*(SELECT|WITH)\b", code, re.IGNORECASE):
        raise text.error(line, "an audit is one SELECT")
    if (at := code.find(";")) >= 0:
        raise text.error(line + code[:at].count("\n"), "an audit is one SELECT: something stands behind its `;`")
    if found := _OTHERS.search(code):
        raise text.error(
            line + code[: found.start()].count("\n"),
            f"reads schema {found[1]}: an audit reads the new shop's tables alone, since it runs after the migration too",
        )
