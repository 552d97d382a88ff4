"""The book of what the shop has acknowledged: one line of JSON for each write that is committed."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Write:
    """One thing that the shop did, the key it has in the shop, and what must be seen of it from then on."""

    what: str  # account, password, deletion, address, order, state, payment, refund, shipping
    key: str
    values: dict[str, Any] = field(default_factory=dict)


class Ledger:
    """Appends to the file; each line is on its way before the next write begins."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def book(self, writes: list[Write]) -> None:
        """Note writes that are committed."""
        with self.file.open("a") as lines:
            for write in writes:
                line = {"what": write.what, "key": write.key, "values": write.values, "at": round(time.time(), 3)}
                lines.write(json.dumps(line, ensure_ascii=False) + "\n")
