"""A recipient of activations: it imports the files of each run in their order, and knows nothing but what they say."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shopferry.insight.formats import FORMATS, Format


@dataclass
class Recipient:
    """Its list: the customer's number by address; and the addresses or hashes, and numbers, that it must never hold."""

    destination: str
    channel: str
    held: dict[str, str] = field(default_factory=dict)
    suppressed: set[str] = field(default_factory=set)
    suppressed_numbers: set[str] = field(default_factory=set)  # of lines without an address
    members: int = 0  # of the last run
    leavers: int = 0

    @property
    def form(self) -> Format:
        """What its files look like."""
        return FORMATS[self.destination]

    def take(self, files: Sequence[Path]) -> None:
        """Import the files of one run."""
        self.members = self.leavers = 0
        for file in files:
            assert file.stat().st_mode & 0o777 == 0o600
            if "-1-leavers" in file.name:
                for line in self.read(file):
                    self.leavers += 1
                    self.let_go(line)
            elif "-2-suppressed" in file.name:
                lines = self.read(file)
                self.suppressed = {line[next(iter(line))] for line in lines}
                self.suppressed_numbers = {line[self.form.number] for line in lines if not line[next(iter(line))]}
            else:
                self.add(file)

    def read(self, file: Path) -> list[dict[str, str]]:
        """Read a CSV as this tool reads it."""
        return list(csv.DictReader(io.StringIO(file.read_text(), newline=""), delimiter=self.form.delimiter))

    def let_go(self, line: dict[str, str]) -> None:
        """Take somebody out, by the address or its hash; where the file has neither, by the number."""
        named, number = line[next(iter(line))], line[self.form.number]
        for address, holder in list(self.held.items()):
            known = hashlib.sha256(address.encode()).hexdigest() if self.form.hashed else address
            if known == named or (not named and holder == number):
                del self.held[address]

    def add(self, file: Path) -> None:
        """Import members; one that is there is overwritten."""
        column = self.form.address[self.channel]
        if self.destination == "klaviyo":
            body = json.loads(file.read_text())
            lines = [p["attributes"] for p in body["data"]["attributes"]["profiles"]["data"]]
        else:
            lines = self.read(file)
        for line in lines:
            self.members += 1
            self.held[line[column]] = line[self.form.number]

    def knows_as_suppressed(self, number: str, address: str) -> bool:
        """Tell whether its list of suppressions names this member."""
        named = hashlib.sha256(address.encode()).hexdigest() if self.form.hashed else address
        return named in self.suppressed or number in self.suppressed_numbers
