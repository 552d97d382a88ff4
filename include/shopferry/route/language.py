"""The language of a route's pages: `language` in its route.toml, and the route's own messages beside it, in `locale/`."""

from __future__ import annotations

from pathlib import Path

from shopferry.pages import languages
from shopferry.pages.languages import Language
from shopferry.route import settings
from shopferry.route.route import find_folder
from shopferry.settings import REVERSE

FOLDER = "locale"


def load(route: str, root: Path | None = None) -> Language:
    """Load the language in which a route's pages are; the way back has that of its route.

    Raises ConfigError for a route.toml that is wrong, and for a catalogue of the route's that is none.
    """
    name = route.removesuffix(REVERSE)
    return languages.load(settings.load(name, root).language, find_folder(name, root) / FOLDER)
