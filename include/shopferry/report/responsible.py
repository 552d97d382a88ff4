"""Who answers for a route: the small file `route.toml` beside its mappings."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from shopferry.errors import ConfigError
from shopferry.settings import routes_dir

FILE = "route.toml"
_KNOWN = ("owner", "contact")


@dataclass(frozen=True)
class Responsible:
    """Whom people may ask, and how to reach them; both empty where the route has no such file."""

    owner: str = ""
    contact: str = ""


def load(route: str, root: Path | None = None) -> Responsible:
    """Read the route's route.toml. Raises ConfigError that says which line or key is wrong."""
    file = (root or routes_dir()) / route / FILE
    if not file.exists():
        return Responsible()
    where = f"{route}/{FILE}"
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f'{where} is no TOML: {error}; it wants `owner = "…"` and `contact = "…"`') from None
    for key in found:
        if key not in _KNOWN:
            raise ConfigError(f"{where}: unknown key {key!r}, known are {' and '.join(_KNOWN)}")
    for key in _KNOWN:
        if not isinstance(found.get(key), str) or not found[key].strip():
            raise ConfigError(f'{where}: {key} is missing or no text: write `{key} = "…"`')
    return Responsible(found["owner"].strip(), found["contact"].strip())
