"""Layer 3: business checks. Each is one SELECT in `<route>/checks/` that returns the rows which break a rule.

The grammar is in docs/reference/checks.md. Mirror and shop commit together, so one snapshot of the shop's database judges
all checks of a phase exactly while the stream goes on.

    python -m shopferry.verify.checks > docs/reference/checks.md
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psycopg

from shopferry.control.differences import NO_KEY
from shopferry.db import Connection
from shopferry.errors import MappingError
from shopferry.route import headed
from shopferry.route.route import Route
from shopferry.settings import routes_dir

_WORDS = ("check", "severity", "phase", "target", "remedy")
_SEVERITIES = ("error", "warning")
_SHAPES = {("key", "found"), ("target", "key", "found")}


@dataclass(frozen=True)
class Check:
    """One rule: what must hold, how bad it is if not, and the SELECT of what breaks it."""

    name: str  # the file's stem
    meaning: str
    severity: str  # error, or warning: worth a look, stops nothing
    phase: str  # the phase after which it must hold
    target: str  # the table whose key is reported, unless a row names another
    remedy: str
    file: Path
    line: int  # where the SELECT begins
    body: str


@dataclass(frozen=True)
class Breach:
    """One row that breaks a rule: `key` names it in `target`; `found` tells counts, sums or states, never whose."""

    check: Check
    target: str
    key: str
    found: str | None


def load(route: Route, root: Path | None = None) -> tuple[Check, ...]:
    """Read every check of `<root>/<route>/checks/`, by phase and name; a route may have none.

    Raises MappingError with file and line.
    """
    root = root or routes_dir()
    found = [_read(f, root, route) for f in sorted((root / route.name / "checks").glob("*.sql"))]
    return tuple(sorted(found, key=lambda c: (route.phases.index(c.phase), c.name)))


def find_breaches(target: Connection, check: Check) -> list[Breach]:
    """Run a check and return all that breaks it, by target and key.

    Raises MappingError with file and line for a SELECT that does not run or yields other columns than `key, found`, or
    `target, key, found`.
    """
    try:
        cursor = target.execute(check.body.encode())
    except psycopg.ProgrammingError as error:
        if (error.sqlstate or "")[:2] != "42":  # those name tables and columns; others may quote a value
            raise
        at = int(error.diag.statement_position or 1) - 1
        where = check.line + check.body[:at].count("\n")
        raise MappingError(f"{check.file}:{where}: {error.diag.message_primary}") from None
    columns = tuple(c.name for c in cursor.description or ())
    if columns not in _SHAPES:
        raise MappingError(
            f"{check.file}:{check.line}: a check yields `key, found` or `target, key, found`, not `{', '.join(columns)}`"
        )
    rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    keyed, lost = list[Breach](), dict[str, list[str | None]]()
    for row in rows:
        target_named = str(row.get("target") or check.target)
        if row["key"] is None:  # a damaged row may have lost it; what it breaks must be told all the same
            lost.setdefault(target_named, []).append(row["found"])
        else:
            keyed.append(Breach(check, target_named, str(row["key"]), row["found"]))
    found = keyed + [Breach(check, t, NO_KEY, f"rows: {len(told)}, one: {told[0]}") for t, told in lost.items()]
    return sorted(found, key=lambda b: (b.target, b.key))


def _read(file: Path, root: Path, route: Route) -> Check:
    text = headed.read(file, file.relative_to(root.parent), None)
    body = text.body
    for header in text.headers:
        if header.word not in _WORDS:
            raise text.error(header.line, f"header {header.word!r} is none of {', '.join(_WORDS)}")
        if header is not text.all(header.word)[0]:
            raise text.error(header.line, f"header {header.word!r} stands here twice")
        if not header.value:
            raise text.error(header.line, f"header {header.word!r} says nothing")
    meaning, severity, phase, target, remedy = (text.first(word) for word in _WORDS)
    if severity.value not in _SEVERITIES:
        raise text.error(severity.line, f"severity {severity.value!r} is neither {' nor '.join(_SEVERITIES)}")
    if phase.value not in route.phases:
        raise text.error(phase.line, f"route {route.name} has no phase {phase.value!r}: {', '.join(route.phases)}")
    return Check(
        file.stem,
        meaning.value,
        severity.value,
        phase.value,
        target.value,
        remedy.value,
        text.where,
        body.line,
        body.text,
    )


def render(route: Route) -> str:
    """The reference page as Markdown, made from the headers; a test compares it with docs/reference/checks.md."""
    lines = [_INTRODUCTION.strip(), ""]
    for phase in route.phases:
        lines += [
            f"## After {phase}",
            "",
            "| check | what must hold | severity | if not |",
            "| --- | --- | --- | --- |",
        ]
        for check in load(route):
            if check.phase == phase:
                lines.append(f"| `{check.name}` | {check.meaning} | {check.severity} | {check.remedy} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


_INTRODUCTION = """
# Business checks

What the business may rely on after each phase, each rule as one `SELECT` in `include/sql/<route>/checks/` that returns the
rows which break it. Mappings are proved by running them again; checks are written apart from them, so that a mapping that
is wrong on both sides is seen too. This page is made from the headers of the demo route's files
(`python -m shopferry.verify.checks > docs/reference/checks.md`); a test keeps it true.

```sql
-- check:    every order's status history is as long as in legacy
-- severity: error
-- phase:    orders
-- target:   shop.customer_order
-- remedy:   merge the order named anew
SELECT … AS key, … AS found FROM …;
```

| word | what it says |
| --- | --- |
| `check` | the rule, in one sentence |
| `severity` | `error`; or `warning`: worth a look, stops nothing |
| `phase` | the phase after which it must hold |
| `target` | the table whose key is reported |
| `remedy` | what helps |

All five are needed. The `SELECT` reads `legacy.*` (live rows of the mirror), the new shop's tables and `ferry.*`, and runs in
psql, in the shop's database, as it stands. It yields `key` and `found` as text, or `target`, `key` and `found` where one rule
is about several tables. Rows whose key is null are told together as `(no key)`, which stays open until there are none.
`found` tells counts, sums and states, never whose they are: it is shown to everybody. All checks of a phase run in one
snapshot, in which mirror and shop belong together: they are exact while the stream goes on. They compare with legacy as long
as it is the store that is written to; after the cutover the new shop has rows of its own.

One check is every route's and no file: `privacy_erased`, severity `error`. No row of legacy, mirror or new shop holds what
[was erased](../howto/requests.md#a-store-that-was-restored-from-a-backup); if one does, `shopferry request reapply`.
"""


if __name__ == "__main__":
    print(render(Route.load("demo")), end="")
