"""The destinations of activations, and what their files look like: Mailchimp, Brevo, Klaviyo, HubSpot, CSV, JSON lines, webhook.

Each takes three files: members to be imported, leavers to be taken out first, and suppressions, which its lists must never
hold. Where a tool takes hashes, nobody's address is in the last two.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Row:
    """One person as a destination gets them; `fields` are in the order of the columns, `basis` is consent or soft_opt_in."""

    customer_id: str
    address: str | None
    basis: str
    fields: tuple[Value, ...]


@dataclass(frozen=True)
class Leaver:
    """One person whom a destination must let go; the address is None where nobody knows it any more."""

    customer_id: str
    address: str | None


@dataclass(frozen=True)
class Sheet:
    """What the rows of an activation have in common: its columns but the customer's number, purpose and channel."""

    columns: tuple[str, ...]
    purpose: str
    channel: str


Encode = Callable[["Format", Sheet, Sequence[Row]], Iterator[bytes]]


@dataclass(frozen=True)
class Format:
    """One destination: which column holds whose address, how it calls the customer's number, and what it takes."""

    name: str
    address: Mapping[str, str]  # by channel; one by post has none
    number: str
    ending: str
    encode: Encode
    delimiter: str = ","
    longest: int | None = None  # bytes of a field
    most_rows: int = 1_000_000  # of a file
    most_bytes: int = 100_000_000  # of a file
    filled: tuple[str, ...] = ()  # columns that we fill
    hashed: bool = False  # leavers and suppressions are SHA-256 of addresses
    pushed: bool = False  # it has an address on the web, to which batches are posted

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels that it serves; what is sent by post needs no address of its own."""
        return (*self.address, "post") if self.hashed else tuple(self.address)

    def find_fault(self, channel: str, columns: Sequence[str]) -> str | None:
        """Say what is wrong with the columns of a file; None where nothing is."""
        needed = self.address.get(channel)
        if needed and needed not in columns:
            return f"{self.name} wants the address as column {needed!r}"
        for column in columns:
            if column in (*self.filled, self.number):
                return f"column {column!r} is filled by shopferry: leave it out"
        return None

    def find_too_long(self, columns: Sequence[str], row: Row) -> str | None:
        """Name the first field of a row that is longer than the destination takes."""
        if self.longest is None:
            return None
        for column, value in zip(columns, row.fields, strict=True):
            if len(as_text(value).encode()) > self.longest:
                return column
        return None

    def write_members(self, sheet: Sheet, rows: Sequence[Row]) -> list[bytes]:
        """Write the files of those who come in or have changed; none without rows."""
        return list(self.encode(self, sheet, rows)) if rows else []

    def write_leavers(self, channel: str, leavers: Sequence[Leaver]) -> bytes:
        """Write the file of those who must go, or must never come in."""
        key = "sha256" if self.hashed else self.address.get(channel)
        if key is None:
            return write_csv((self.number,), [(one.customer_id,) for one in leavers], self.delimiter)
        lines = [(hash_address(one.address) if self.hashed else one.address or "", one.customer_id) for one in leavers]
        return write_csv((key, self.number), lines, self.delimiter)


def write_csv(header: Sequence[Value], rows: Sequence[Sequence[Value]], delimiter: str) -> bytes:
    """Write rows as CSV in UTF-8."""
    made = io.StringIO(newline="")
    writer = csv.writer(made, delimiter=delimiter)
    writer.writerows([as_text(value) for value in row] for row in (header, *rows))
    return made.getvalue().encode()


def as_text(value: Value) -> str:
    """Write a value as a field of a CSV."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _encode_csv(form: Format, sheet: Sheet, rows: Sequence[Row]) -> Iterator[bytes]:
    header = (*sheet.columns, form.number, *form.filled)
    lines = [(*row.fields, row.customer_id, *_fill(form, sheet, row)) for row in rows]
    sizes = [len(write_csv(line, [], form.delimiter)) for line in lines]
    for start, end in _cut(sizes, form):
        yield write_csv(header, lines[start:end], form.delimiter)


def _fill(form: Format, sheet: Sheet, row: Row) -> tuple[str, ...]:
    """Fill HubSpot's columns about why a contact may be written to."""
    if not form.filled:
        return ()
    why = "has agreed" if row.basis == "consent" else "is a customer and has not objected"
    return _LEGAL[row.basis], f"The person {why} to {sheet.purpose} by {sheet.channel}."


def _encode_klaviyo(form: Format, sheet: Sheet, rows: Sequence[Row]) -> Iterator[bytes]:
    """Write bodies of bulk profile imports: they set no consent, and so bring nobody back whom Klaviyo suppresses."""
    profiles = []
    for row in rows:
        attributes: dict[str, object] = {"external_id": row.customer_id}
        properties: dict[str, object] = {}
        for column, value in zip(sheet.columns, row.fields, strict=True):
            if value is not None:
                (attributes if column in _KLAVIYO else properties)[column] = value
        profiles.append({"type": "profile", "attributes": attributes | {"properties": properties}})
    sizes = [len(json.dumps(p, ensure_ascii=False).encode()) + 2 for p in profiles]
    for start, end in _cut(sizes, form):
        body = {"type": "profile-bulk-import-job", "attributes": {"profiles": {"data": profiles[start:end]}}}
        yield json.dumps({"data": body}, ensure_ascii=False).encode()


def _encode_lines(form: Format, sheet: Sheet, rows: Sequence[Row]) -> Iterator[bytes]:
    yield "".join(json.dumps(make_object(form, sheet, row), ensure_ascii=False) + "\n" for row in rows).encode()


def make_object(form: Format, sheet: Sheet, row: Row) -> dict[str, Value]:
    """Make one person's row an object: the customer's number, the columns, and on which basis they may be written to."""
    return {form.number: row.customer_id, **dict(zip(sheet.columns, row.fields, strict=True)), "basis": row.basis}


def _cut(sizes: Sequence[int], form: Format) -> Iterator[tuple[int, int]]:
    """Cut rows of these sizes into files that are not too large."""
    start = size = 0
    for n, one in enumerate(sizes):
        if n > start and (n - start >= form.most_rows or size + one > form.most_bytes):
            yield start, n
            start, size = n, 0
        size += one
    yield start, len(sizes)


def hash_address(address: str | None) -> str:
    """Return the SHA-256 of an address, as recipients that take hashes know it; empty without one."""
    return hashlib.sha256(address.encode()).hexdigest() if address else ""


_KLAVIYO = {"email", "phone_number", "first_name", "last_name", "organization", "title", "locale", "image"}
_LEGAL = {
    "consent": "Freely given consent from contact",
    "soft_opt_in": "Legitimate interest - existing customer",
}
_PLAIN = {"email": "email", "sms": "phone", "phone": "phone"}
FORMATS: Mapping[str, Format] = {
    form.name: form
    for form in (
        Format("mailchimp", {"email": "Email Address"}, "CUSTOMER_ID", "csv", _encode_csv, longest=255),
        Format(
            "brevo", {"email": "EMAIL", "sms": "SMS"}, "EXT_ID", "csv", _encode_csv, delimiter=";", most_bytes=8_000_000
        ),
        Format(
            "klaviyo",
            {"email": "email", "sms": "phone_number"},
            "external_id",
            "json",
            _encode_klaviyo,
            longest=100_000,
            most_rows=10_000,
            most_bytes=4_500_000,
        ),
        Format(
            "hubspot",
            {"email": "Email", "sms": "Phone Number", "phone": "Phone Number"},
            "Customer ID",
            "csv",
            _encode_csv,
            longest=65_536,
            filled=("Legal basis for processing contact's data", "Legal basis explanation"),
        ),
        Format("csv", _PLAIN, "customer_id", "csv", _encode_csv, hashed=True),
        Format("jsonl", _PLAIN, "customer_id", "jsonl", _encode_lines, hashed=True),
        Format("webhook", _PLAIN, "customer_id", "jsonl", _encode_lines, hashed=True, pushed=True),
    )
}
