"""The route's own questions to legacy: `assess/*.sql`, each a SELECT of what is wrong, with its meaning in the header."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from shopferry import db
from shopferry.assess.findings import EXAMPLES, GROUPS, Example, Finding, Severity, mask
from shopferry.db import Connection
from shopferry.errors import MappingError
from shopferry.route.route import Route
from shopferry.settings import routes_dir

FOLDER = "assess"
_HEADER = re.compile(r"^--\s*(finding|subject|severity|consequence|remedy):\s*(.*?)\s*$")
_CONTINUED = re.compile(r"^--\s{3,}(\S.*?)\s*$")


@dataclass(frozen=True)
class Check:
    """One file: `select` yields (key text, example text) or, where a row stands for a group, (key, example, rows)."""

    file: str
    subject: str
    finding: str
    severity: Severity
    consequence: str
    remedy: str
    select: str


def load(route: Route, root: Path | None = None) -> tuple[Check, ...]:
    """Read the route's checks, by name. Raises MappingError with file and line."""
    folder = (root or routes_dir()) / route.name / FOLDER
    return tuple(_read(file, f"{route.name}/{FOLDER}/{file.name}") for file in sorted(folder.glob("*.sql")))


def found(legacy: Connection, check: Check) -> Iterator[Finding]:
    """What one check finds; nothing when its SELECT yields no row. Raises MappingError when it does not run."""
    body = SQL(check.select)
    try:
        with legacy.cursor() as cursor:
            cursor.execute(SQL("SELECT * FROM ({}) f LIMIT {}").format(body, SQL(str(GROUPS))))
            some, columns = cursor.fetchall(), [c.name for c in cursor.description or ()]
        if not some:
            return
        grouped = len(columns) > 2
        total = SQL("sum(f.{})").format(Identifier(columns[2])) if grouped else SQL("count(*)")
        row = legacy.execute(SQL("SELECT {} FROM ({}) f").format(total, body)).fetchone()
    except (psycopg.errors.QueryCanceled, psycopg.errors.InsufficientPrivilege):
        raise
    except (psycopg.ProgrammingError, psycopg.DataError, psycopg.InternalError) as error:
        raise MappingError(f"{check.file}: {db.told(error)}") from None
    if not grouped:
        some = some[:EXAMPLES]
    examples = tuple(Example(str(r[0]), mask(str(r[1] or "")), int(r[2]) if grouped else 1) for r in some)
    yield Finding(
        check.subject,
        check.severity,
        check.finding,
        check.consequence,
        check.remedy,
        int(row[0]) if row else 0,
        examples=examples,
    )


def _read(file: Path, where: str) -> Check:
    words: dict[str, str] = {}
    body: list[str] = []
    last = ""
    for number, line in enumerate(file.read_text().splitlines(), 1):
        header, more = _HEADER.match(line), _CONTINUED.match(line)
        if header and not body:
            last = header[1]
            words[last] = header[2]
            if last == "severity" and header[2] not in set(Severity):
                raise MappingError(f"{where}:{number}: severity is one of {', '.join(Severity)}, not {header[2]!r}")
        elif more and last and not body:
            words[last] += f" {more[1]}"
        elif line.strip() and not line.startswith("--"):
            body.append(line)
        else:
            last = ""
    for needed in ("finding", "severity", "consequence", "remedy"):
        if not words.get(needed):
            raise MappingError(f"{where}:1: header line `-- {needed}:` is missing")
    select = "\n".join(body).strip().rstrip(";")
    if not select:
        raise MappingError(f"{where}:1: there is no SELECT")
    return Check(
        where,
        words.get("subject", file.stem.replace("_", " ")),
        words["finding"],
        Severity(words["severity"]),
        words["consequence"],
        words["remedy"],
        select,
    )
