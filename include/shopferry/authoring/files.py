"""What a route's files say by themselves, before a store is asked: each fault of each file, not only the first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from shopferry.assess import own_checks
from shopferry.assess.findings import Finding, Severity
from shopferry.errors import ShopferryError
from shopferry.insight import activation_file, audits, campaigns, pair_files, permission
from shopferry.privacy import consents
from shopferry.rehearsal import sample
from shopferry.report import audience, evaluation, sums
from shopferry.route import losses, mapping_file, personal, settings, signed_off
from shopferry.route.route import NO_MAPPINGS, Route, find_folder
from shopferry.settings import routes_dir
from shopferry.verify import checks

_WHERE = re.compile(r"^(?P<where>\S+?(?::\d+)?): (?P<what>.*)$", re.DOTALL)
_TOLD = re.compile(r"^(?P<what>(?:`[^`]*`|(?!: )[^`])+): (?P<remedy>.*)$", re.DOTALL)  # a colon in code parts nothing
_GUESS = "the draft's guess"


def blame(error: Exception, otherwise: str = "") -> Finding:
    """Make a finding of an error that names file and line; `otherwise` is where it is if it does not."""
    match = _WHERE.match(str(error))
    where, text = (match["where"], match["what"]) if match else (otherwise, str(error))
    told = _TOLD.match(text)
    what, remedy = (told["what"], told["remedy"]) if told else (text, "correct it")
    return Finding(where, Severity.BLOCKING, what, "", remedy)


def load(name: str) -> tuple[Route | None, list[Finding]]:
    """Load a route, and find what is wrong with each of its files; None where that keeps it from being loaded."""
    found = list(_check_mappings(name))
    try:
        route = Route.load(name)
    except ShopferryError as error:
        if not found:
            found.append(blame(error, name))
        return None, found
    readers: dict[str, Callable[[], object]] = {
        signed_off.FILE: lambda: signed_off.load(route),
        "assess": lambda: own_checks.load(route),
        audits.FOLDER: lambda: audits.load(route),
        "checks": lambda: checks.load(route),
        "report": lambda: sums.load(route),
        audience.FILE: lambda: audience.load(route),
        evaluation.FILE: lambda: evaluation.load(route),
        settings.FILE: lambda: settings.load(name),
    }
    if (routes_dir() / name / permission.FILE).exists():
        readers[permission.FILE] = lambda: permission.load(route)
    readers[activation_file.FOLDER] = lambda: activation_file.load(route)
    readers[campaigns.FOLDER] = lambda: campaigns.load(route)
    if pair_files.has_rules(route):
        readers[pair_files.FOLDER] = lambda: pair_files.load(route)
    if (routes_dir() / name / sample.FILE).exists():
        readers[sample.FILE] = lambda: sample.load(route)
    if (routes_dir() / name / consents.FILE).exists():
        readers[consents.FILE] = lambda: consents.load(route)
    if route.back:
        back = route.back
        readers[f"reverse/{losses.FILE}"] = lambda: losses.load_decisions(back)
    for what, read in readers.items():
        try:
            read()
        except ShopferryError as error:
            found.append(blame(error, f"{name}/{what}"))
    return route, [*found, *_check_data_map(route)]


def _check_mappings(name: str) -> Iterator[Finding]:
    """Find what is wrong with each mapping by itself, those that lead back among them."""
    root = routes_dir()
    for folder in (find_folder(name, root), find_folder(f"{name}_reverse", root)):
        for file in sorted(folder.glob("*/*.sql")):
            if file.parent.name not in NO_MAPPINGS:
                try:
                    mapping_file.read(file, file.relative_to(root.parent))
                except ShopferryError as error:
                    yield blame(error)


def _check_data_map(route: Route) -> Iterator[Finding]:
    """Find what is wrong with the data map; a guess of the draft is not wrong, and somebody has still to confirm it."""
    try:
        personal.load(route)
    except ShopferryError as error:
        finding = blame(error)
        if _GUESS not in str(error):
            yield finding
            return
        guesses = sum(1 for line in _read_lines(route) if "?" in line)
        yield Finding(
            finding.subject,
            Severity.WARNING,
            f"{guesses} lines are still guesses of the draft, this is the first",
            "",
            "read each line, correct it, and take the question mark out; no phase starts before",
        )


def _read_lines(route: Route) -> list[str]:
    text = (routes_dir() / route.name / personal.FILE).read_text()
    return [line for line in text.splitlines() if not line.startswith("#")]


def locate(file: Path, word: str) -> str:
    """Name file and line of the first header line of a word in a mapping file."""
    lines = (routes_dir().parent / file).read_text().splitlines()
    number = next((n for n, line in enumerate(lines, 1) if re.match(rf"--\s*{word}:", line)), 1)
    return f"{file}:{number}"
