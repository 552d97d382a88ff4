"""Does anything that the stack wrote down tell about a customer? Every e-mail, phone and name is looked for in all of it.

Texts are cut into tokens once, and the tokens looked up. What counts, and what would only look like a find:

- e-mail: anything of the form `name@domain.zz`, known or not, but for masked ones (`xxx@xx.xx`); and every address of the
  shop that has another form (`jan@`), as a whole word of six characters or more.
- phone: a number's last nine digits, as a run of digits or in the groups people write. A run that is part of a longer one,
  of a hexadecimal word or of a decimal fraction is a timestamp, an offset or an address, and no number that was dialled.
- name: given and family name side by side, in either order and any case. Alone, a name counts when no other word could be
  meant: six letters or more, written as in the data (`Kowalska`, not `kowalska`), and no word of our own texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from psycopg.sql import SQL, Identifier

from shopferry.db import Connection
from shopferry.settings import PROJECT

_ADDRESS = re.compile(r"[\w.+%-]+ ?@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}")
_SHAPE = re.compile(r"[x9\W_]+")  # of an assessment's masked examples
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_BLANK = re.compile(r"[\s\"'`,;=<>|{}\[\]\\]+")
_DIGITS = re.compile(
    r"(?<![\w.:/+-])(?:\+|00)?(?:48[ -]?)?(\d{9}|\d{3}[ -]\d{3}[ -]\d{3}|\d{2} \d{3} \d{2} \d{2})(?![\w:/-]|\.\d)"
)
_NAMES = {"full_name", "ship_name", "given_name", "family_name", "recipient", "name"}
_NATIONAL = 9  # digits
_ALONE = 6  # letters


@dataclass(frozen=True)
class Personal:
    """What must not be found: addresses as written (lower case), last nine digits, pairs of names (lower case), names."""

    emails: frozenset[str] = frozenset()
    phones: frozenset[str] = frozenset()
    pairs: frozenset[tuple[str, str]] = frozenset()
    names: frozenset[str] = frozenset()

    def __or__(self, other: Personal) -> Personal:
        return Personal(
            self.emails | other.emails, self.phones | other.phones, self.pairs | other.pairs, self.names | other.names
        )

    def __len__(self) -> int:
        return len(self.emails) + len(self.phones) + len(self.pairs)


@dataclass(frozen=True)
class Find:
    """One find: where, and of which kind; never what."""

    where: str
    line: int
    kind: str

    def __str__(self) -> str:
        return f"{self.where}:{self.line}: {self.kind}"


def collect(rows: Iterable[dict[str, Any]]) -> Personal:
    """Collect what rows hold of e-mails, phones and names, by the names of their columns."""
    emails, phones, pairs, names = set(), set(), set(), set()
    for row in rows:
        for column, value in row.items():
            if not isinstance(value, str) or not value.strip():
                continue
            if column in {"email", "login", "email_key", "guest_email", "contact_email"}:
                emails.add(value.strip().lower())
            elif "phone" in column:
                digits = (re.sub(r"\D", "", part) for part in re.split(r"[,;/]", value))
                phones |= {d[-_NATIONAL:] for d in digits if len(d) >= _NATIONAL}
            elif column in _NAMES:
                words = _WORD.findall(value)
                pairs |= {(a.lower(), b.lower()) for a, b in pairwise(words) if min(len(a), len(b)) > 2}
                names |= {w for w in words if len(w) >= _ALONE and w[0].isupper()}
        if "given_name" in row and row.get("given_name") and row.get("family_name"):
            pairs.add((str(row["given_name"]).lower(), str(row["family_name"]).lower()))
    return Personal(frozenset(emails), frozenset(phones), frozenset(pairs), frozenset(names))


def collect_stored(conn: Connection, schema: str) -> Personal:
    """Collect what one store's tables hold of e-mails, phones and names, goods and rewards left aside."""
    found = Personal()
    columns: dict[str, list[str]] = {}
    for table, column in conn.execute(
        """SELECT table_name, column_name FROM information_schema.columns
           WHERE table_schema = %s AND (column_name ~ 'email|phone|login' OR column_name = ANY(%s))
             AND table_name !~ 'item|line|reward'""",
        (schema, sorted(_NAMES)),
    ).fetchall():
        columns.setdefault(table, []).append(column)
    for table, mine in columns.items():
        listed = SQL(", ").join(map(Identifier, mine))
        rows = conn.execute(SQL("SELECT {} FROM {}").format(listed, Identifier(schema, table))).fetchall()
        found |= collect(dict(zip(mine, row, strict=True)) for row in rows)
    return found


@cache
def _read_own_words() -> frozenset[str]:
    """Read the words of our own texts: a name that is one of them cannot be told from it."""
    texts = [p.read_text() for p in (PROJECT / "include" / "shopferry").rglob("*.py") if "demo" not in p.parts]
    return frozenset(word for text in texts for word in _WORD.findall(text))


def search(what: Personal, texts: Iterable[tuple[str, str]]) -> tuple[list[Find], int]:
    """Look for all of it in texts, given as (where, text); returns the finds and how many lines were searched."""
    names, odd = (
        what.names - _read_own_words(),
        {e for e in what.emails if not _ADDRESS.fullmatch(e) and len(e) >= _ALONE},
    )
    found, lines = [], 0
    for where, text in texts:
        for number, line in enumerate(text.splitlines(), 1):
            lines += 1
            found += [Find(where, number, kind) for kind in _find_kinds(line, what, names, odd)]
    return found, lines


def _find_kinds(line: str, what: Personal, names: frozenset[str], odd: set[str]) -> Iterator[str]:
    plain = "@" in line and any(not _SHAPE.fullmatch(address) for address in _ADDRESS.findall(line))
    if plain or not odd.isdisjoint(_BLANK.split(line.lower())):
        yield "e-mail"
    if any(re.sub(r"\D", "", digits) in what.phones for digits in _DIGITS.findall(line)):
        yield "phone"
    words = _WORD.findall(line)
    pairs = {pair for a, b in pairwise(w.lower() for w in words) for pair in ((a, b), (b, a))}
    if not what.pairs.isdisjoint(pairs) or not names.isdisjoint(words):
        yield "name"


def read_files(*folders: Path) -> Iterator[tuple[str, str]]:
    """Read every file below the folders, its name as a text of its own."""
    for folder in folders:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            name = str(file.relative_to(folder.parent))
            yield f"{name} (its name)", name
            yield name, file.read_text(errors="replace")


def read_rows(conn: Connection, query: str) -> Iterator[tuple[str, str]]:
    """Read what a query brings, each row as a text: from tables in which programs write down what they have to say."""
    for number, row in enumerate(conn.execute(query.encode()).fetchall(), 1):
        yield f"{query.split(' FROM ')[-1].split()[0]}[{number}]", " ".join(str(v) for v in row)


def read_own_tables(shop: Connection) -> Iterator[tuple[str, str]]:
    """Read what the ferry's own tables say to people: errors, evidence, details, keys in quarantine and of differences."""
    for query in (
        "SELECT consumer, stopped FROM ferry.consumer",
        "SELECT gate, evidence, remedy FROM ferry.gate",
        "SELECT step, who, detail FROM ferry.cutover_step",
        "SELECT entity, row_key, key, reasons, constraint_name FROM ferry.quarantine",
        "SELECT entity, row_key, key, reason FROM ferry.left_out",
        "SELECT layer, target, key, column_name, kind, expected, found, explanation, who FROM ferry.difference",
        "SELECT phase, accounting FROM ferry.verification",
        "SELECT phase, holder FROM ferry.phase",
    ):
        yield from read_rows(shop, query)
