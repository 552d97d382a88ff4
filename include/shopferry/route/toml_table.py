"""One table of a TOML file: each key is read as what it must be, or refused with what to write there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from shopferry.errors import ConfigError

_ENDLESS = 1e9


@dataclass(frozen=True)
class Table:
    """One table of a file: the file, the path in there and what it holds; its methods read keys or say what is wrong."""

    where: str
    path: str
    held: Mapping[str, Any]

    def make_error(self, key: str, what: str) -> ConfigError:
        """Make the error that a key is wrong; without a key, the table."""
        return ConfigError(f"{self.where}: {self._name(key)}: {what}")

    def _name(self, key: str) -> str:
        return ".".join(part for part in (self.path, key) if part)

    def require_known(self, *known: str) -> None:
        """Refuse every key that is none of these."""
        for key in self.held:
            if key not in known:
                listed = f"{', '.join(known[:-1])} and {known[-1]}"
                raise ConfigError(f"{self.where}: unknown key {self._name(key)!r}, known are {listed}")

    def read_text(self, key: str, wants: str = "") -> str:
        """Read a text that must be there."""
        value = self.held.get(key)
        if not isinstance(value, str) or not value.strip():
            raise ConfigError(
                f"{self.where}: {self._name(key)} is missing or no text: write " + (wants or f'`{key} = "…"`')
            )
        return value.strip()

    def read_texts(self, key: str) -> tuple[str, ...]:
        """Read a list of texts, each once; empty where there is none."""
        value = self.held.get(key, [])
        if not isinstance(value, list) or not all(isinstance(v, str) and v.strip() for v in value):
            raise self.make_error(key, f'it is a list of texts: write `{key} = ["…", "…"]`')
        if twice := [v for n, v in enumerate(value) if v in value[:n]]:
            raise self.make_error(key, f"{twice[0]!r} stands there twice: leave one")
        return tuple(value)

    def read_day(self, key: str) -> date:
        """Read a day that must be there."""
        value = self.held.get(key)
        if not isinstance(value, date) or isinstance(value, datetime):
            raise self.make_error(key, f"write a day without quotation marks, as `{key} = 2027-06-30`")
        return value

    def read_number(
        self, key: str, default: float | None, least: float, most: float = _ENDLESS, *, whole: bool = False
    ) -> float:
        """Read a number between two others; one without a default must be there."""
        value = self.held.get(key, default)
        right = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not right or not least <= float(value) <= most:
            kind = "a whole number" if whole else "a number"
            bounds = f"of {least:g} or more" if most == _ENDLESS else f"from {least:g} to {most:g}"
            raise self.make_error(key, f"write {kind} {bounds}, as `{key} = {least if default is None else default:g}`")
        return float(value)

    def read_table(self, key: str) -> Table:
        """Read a table within, empty where there is none."""
        value = self.held.get(key, {})
        if not isinstance(value, dict):
            raise self.make_error(key, f"it is a table: write it as `[{self._name(key)}]`, its keys below")
        return Table(self.where, self._name(key), value)

    def read_tables(self, key: str) -> list[Table]:
        """Read the tables of a list."""
        value = self.held.get(key, [])
        if not isinstance(value, list) or not all(isinstance(v, dict) for v in value):
            raise self.make_error(key, f"it is a list of tables: begin each with `[[{self._name(key)}]]`")
        return [Table(self.where, f"{self._name(key)}[{number}]", v) for number, v in enumerate(value, 1)]
