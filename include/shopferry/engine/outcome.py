"""What a merge did, in rows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Merged:
    """What a merge did to one entity, in rows."""

    keys: int = 0
    written: int = 0
    deleted: int = 0
