"""Read files of opt-outs as mail tools export them. No address leaves this module: only marks and line numbers do.

Each format names its columns; a file without them is refused. What is wrong is told by line and kind of fault, never by value.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from shopferry.control.optouts import CHANNELS, REASONS, OptOut
from shopferry.engine import marks
from shopferry.engine.standardize import standardize
from shopferry.errors import ConfigError

_NAMED = 10  # faulty lines that are named
_EARLIEST = datetime(1995, 1, 1, tzinfo=UTC)
_YES = {"true", "yes", "1", "blocklisted", "blacklisted", "unsubscribed"}
_NO = {"", "false", "no", "0", "subscribed", "never subscribed"}
_MARKS_OF_ORDER = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
Line = Mapping[str, str]  # the fields of a line by column, without blanks around


class _FaultError(Exception):
    """What is wrong with a line, without a value of it."""


@dataclass(frozen=True)
class Reader:
    """One tool's export: what separates its fields, which columns it must have, how a line is read.

    Of each group of columns one must be there.
    """

    delimiter: str
    columns: tuple[tuple[str, ...], ...]
    read: Callable[[Line], Iterator[OptOut]]


@dataclass(frozen=True)
class OptOutFile:
    """What a file says: its SHA-256, its lines without the header, and each opt-out once, with its latest time."""

    sha256: str
    lines: int
    optouts: tuple[OptOut, ...]


def read(content: bytes, name: str, form: str) -> OptOutFile:
    """Read a whole file of one of the READERS; `name` is how errors call it.

    Raises ConfigError when it is not UTF-8, lacks a column, or holds a line that cannot be read.
    """
    rows = csv.reader(io.StringIO(_decode(content, name), newline=""), delimiter=READERS[form].delimiter, strict=True)
    header = _read_header(rows, name, form)
    latest: dict[tuple[str, str, str], OptOut] = {}
    faults: list[str] = []
    lines = 0
    for number, fields in _number(rows, faults):
        lines += 1
        try:
            if len(fields) != len(header):
                raise _FaultError(f"{len(fields)} fields, and the header has {len(header)}")
            line = {column: field.strip() for column, field in zip(header, fields, strict=True)}
            for found in READERS[form].read(line):
                key = (found.mark, found.channel, found.reason)
                if key not in latest or _order(found) > _order(latest[key]):
                    latest[key] = found
        except _FaultError as fault:
            faults.append(f"line {number}: {fault}")
    if faults:
        more = f"; and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
        raise ConfigError(
            f"{name}: nothing of the file was taken, since {len(faults)} of its lines cannot be read: "
            f"{'; '.join(faults[:_NAMED])}{more}. Correct them, or take them out"
        )
    return OptOutFile(hashlib.sha256(content).hexdigest(), lines, tuple(latest.values()))


def _decode(content: bytes, name: str) -> str:
    if other := _MARKS_OF_ORDER.get(content[:2]):
        raise ConfigError(f"{name} is {other}: save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{name}: line {line} is not UTF-8 (Latin-1, or a Windows code page?): save it as UTF-8"
        ) from None


def _read_header(rows: Iterator[list[str]], name: str, form: str) -> list[str]:
    try:
        header = [field.strip() for field in next(rows, [])]
    except csv.Error:
        header = []
    missing = [" or ".join(group) for group in READERS[form].columns if not any(c in header for c in group)]
    if missing:
        raise ConfigError(
            f"{name}: the first line is not the header of a file from {form}: it lacks {', '.join(missing)} "
            f"(columns are parted by {READERS[form].delimiter!r})"
        )
    if twice := sorted({c for group in READERS[form].columns for c in group if header.count(c) > 1}):
        raise ConfigError(f"{name}: the header names {twice[0]} twice: take one of these columns out")
    return header


def _number(rows: Iterator[list[str]], faults: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line's end and its fields; a line that is no CSV is a fault. Empty lines are passed over."""
    while True:
        try:
            fields = next(rows, None)
        except csv.Error:
            faults.append(f"line {rows.line_num}: its quotation marks do not match")  # type: ignore[attr-defined]
            continue
        if fields is None:
            return
        if any(field.strip() for field in fields):
            yield rows.line_num, fields  # type: ignore[attr-defined]


def _order(found: OptOut) -> float:
    return found.at.timestamp() if found.at else float("inf")


# -- fields -------------------------------------------------------------------------------------------------------


def _mark(kind: str, raw: str) -> str:
    """Make the mark of an address. Raises _FaultError with its problem when it is not exactly one valid address."""
    if kind == "phone" and not raw.startswith(("+", "00")):
        raise _FaultError("the phone number does not begin with + and the country's code")
    verdict = standardize(kind, f"|{raw}" if kind == "phone" else raw)
    if verdict.problem or verdict.value is None:
        raise _FaultError(f"{verdict.problem}")
    return marks.make(verdict.value)


def _read_time(written: str) -> datetime | None:
    """Read an ISO 8601 date or time, of UTC where no offset stands there; None for an empty field."""
    if not written:
        return None
    try:
        at = datetime.fromisoformat(re.sub(r"\s*UTC$", "+00:00", written))
    except ValueError:
        raise _FaultError("the time is not written as 2026-11-29 or 2026-11-29 14:30:00") from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if not _EARLIEST <= at <= datetime.now(UTC):
        raise _FaultError("the time lies before 1995 or in the future")
    return at


def _is_set(line: Line, column: str) -> bool:
    written = line.get(column, "").lower()
    if written in _YES:
        return True
    if written in _NO:
        return False
    raise _FaultError(f"{column} is neither yes nor no")


def _choose(line: Line, column: str, known: tuple[str, ...]) -> str:
    if line[column].lower() not in known:
        raise _FaultError(f"{column} is none of {', '.join(known)}")
    return line[column].lower()


# -- formats ------------------------------------------------------------------------------------------------------


def _read_mailchimp(line: Line) -> Iterator[OptOut]:
    """Read a line of unsubscribed_….csv or of cleaned_….csv, in which every line is an opt-out."""
    mark = _mark("email", line["Email Address"])
    if "CLEAN_TIME" in line:
        yield OptOut(mark, "email", "email", "bounced", _read_time(line["CLEAN_TIME"]))
    else:
        spam = re.search("spam|abuse", line.get("UNSUB_REASON", ""), re.IGNORECASE)
        reason = "complained" if spam else "unsubscribed"
        yield OptOut(mark, "email", "email", reason, _read_time(line["UNSUB_TIME"]))


def _read_brevo(line: Line) -> Iterator[OptOut]:
    """Read a contact; one that is blocklisted for SMS is known by the number, without one by the e-mail."""
    if _is_set(line, "EMAIL_MARKETING"):
        yield OptOut(_mark("email", line["EMAIL"]), "email", "email", "unsubscribed", None)
    if _is_set(line, "SMS_MARKETING"):
        number = line.get("SMS", "")
        if number:
            number = number if number.startswith(("+", "00")) else f"+{number}"  # Brevo leaves the sign out
            yield OptOut(_mark("phone", number), "phone", "sms", "unsubscribed", None)
        else:
            yield OptOut(_mark("email", line["EMAIL"]), "email", "sms", "unsubscribed", None)


_KLAVIYO: Final = {
    "HARD_BOUNCE": "bounced",
    "SOFT_BOUNCE": "bounced",
    "INVALID_EMAIL": "bounced",
    "SPAM_COMPLAINT": "complained",
    "UNSUBSCRIBE": "unsubscribed",
    "USER_SUPPRESSED": "unsubscribed",
}


def _read_klaviyo(line: Line) -> Iterator[OptOut]:
    reason = _KLAVIYO.get(line["Suppression Reason"].upper().replace(" ", "_"))
    if reason is None:
        raise _FaultError(f"Suppression Reason is none of {', '.join(_KLAVIYO)}")
    yield OptOut(_mark("email", line["Email"]), "email", "email", reason, _read_time(line["Suppression Timestamp"]))


_HUBSPOT_BOUNCES = ("Email hard bounce reason", "Portal Bounce", "Global Bounce")
_HUBSPOT_COMPLAINT = "Portal Spam Report"
_HUBSPOT_ALL = ("Unsubscribed from all email", "Portal Unsubscribe")
_HUBSPOT_TYPE = "Opted out of email:"  # one column for each type of mail; who refuses one has refused e-mail


def _read_hubspot(line: Line) -> Iterator[OptOut]:
    """Read a contact of an export of contacts, or a line of the export of unsubscribes and bounces."""
    refusing = [c for c in line if c in _HUBSPOT_ALL or c.startswith(_HUBSPOT_TYPE) or c == "Marketing Information"]
    refused = [c for c in refusing if _is_set(line, c)]  # all are read: each may be faulty
    reasons = {"unsubscribed"} if refused else set()
    if any(line.get(c, "").lower() not in _NO for c in _HUBSPOT_BOUNCES):
        reasons.add("bounced")
    if _is_set(line, _HUBSPOT_COMPLAINT):
        reasons.add("complained")
    for reason in sorted(reasons):
        yield OptOut(_mark("email", line["Email"]), "email", "email", reason, None)


def _read_csv(line: Line) -> Iterator[OptOut]:
    """Read a line of our own format; channel `all` refuses each of them."""
    channel = _choose(line, "channel", (*CHANNELS, "all"))
    reason, at = _choose(line, "reason", REASONS), _read_time(line.get("at", ""))
    addresses = [(kind, line[kind]) for kind in ("email", "phone") if line.get(kind)]
    if not addresses:
        raise _FaultError("neither email nor phone")
    for kind, raw in addresses:
        mark = _mark(kind, raw)
        for refused in CHANNELS if channel == "all" else (channel,):
            yield OptOut(mark, kind, refused, reason, at)


READERS: Final[dict[str, Reader]] = {
    "mailchimp": Reader(",", (("Email Address",), ("UNSUB_TIME", "CLEAN_TIME")), _read_mailchimp),
    "brevo": Reader(";", (("EMAIL",), ("EMAIL_MARKETING", "SMS_MARKETING")), _read_brevo),
    "klaviyo": Reader(",", (("Email",), ("Suppression Reason",), ("Suppression Timestamp",)), _read_klaviyo),
    "hubspot": Reader(",", (("Email",), (*_HUBSPOT_ALL, *_HUBSPOT_BOUNCES)), _read_hubspot),
    "csv": Reader(",", (("email", "phone"), ("channel",), ("reason",)), _read_csv),
}
