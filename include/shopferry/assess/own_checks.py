"""The route's own questions to legacy: `assess/*.sql`, each a SELECT of what is wrong, with its meaning in the header."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from shopferry import db
from shopferry.assess.findings import EXAMPLES, GROUPS, Example, Finding, Severity, mask
from shopferry.db import Connection
from shopferry.errors import MappingError
from shopferry.route import headed
from shopferry.route.route import Route
from shopferry.settings import routes_dir

FOLDER = "assess"
_WORDS = ("finding", "subject", "severity", "consequence", "remedy")


@dataclass(frozen=True)
class OwnCheck:
    """One file: `select` yields (key text, example text) or, where a row stands for a group, (key, example, rows)."""

    file: str
    subject: str
    finding: str
    severity: Severity
    consequence: str
    remedy: str
    select: str


def load(route: Route, root: Path | None = None) -> tuple[OwnCheck, ...]:
    """Read the route's checks, by name. Raises MappingError with file and line."""
    folder = (root or routes_dir()) / route.name / FOLDER
    return tuple(_read(file, Path(route.name, FOLDER, file.name)) for file in sorted(folder.glob("*.sql")))


def run(legacy: Connection, check: OwnCheck) -> Iterator[Finding]:
    """Run one check; it yields nothing when its SELECT yields no row. Raises MappingError when it does not run."""
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
        raise MappingError(f"{check.file}: {db.describe_error(error)}") from None
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


def _read(file: Path, where: Path) -> OwnCheck:
    text = headed.read(file, where, _WORDS)
    words = {h.word: " ".join((h.value, *h.more)) for h in text.headers}
    for header in text.all("severity"):
        if header.value not in set(Severity):
            raise text.error(header.line, f"severity is one of {', '.join(Severity)}, not {header.value!r}")
    for needed in ("finding", "severity", "consequence", "remedy"):
        text.first(needed)
    # A comment at the end of the SELECT would swallow the bracket that is put around it.
    select = "\n".join(line for line in text.body.text.splitlines() if not line.startswith("--"))
    return OwnCheck(
        str(where),
        words.get("subject", file.stem.replace("_", " ")),
        words["finding"],
        Severity(words["severity"]),
        words["consequence"],
        words["remedy"],
        select.strip().rstrip(";"),
    )
