"""What the last rehearsal said, in a file: Airflow's forms are made where no database may be asked."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from shopferry import pages
from shopferry.settings import data_dir

if TYPE_CHECKING:  # reading the note alone needs no database driver
    from shopferry.control.rehearsals import Rehearsal

log = logging.getLogger(__name__)


def write(rehearsal: Rehearsal, route: str) -> None:
    """Note how the route's last rehearsal ended. What keeps the note from being written is logged: it only informs."""
    expected = sum(p["expected_s"] for p in rehearsal.phases)
    told = f"{rehearsal.customers:,} customers and the oddest ones, {rehearsal.told}"
    if rehearsal.green:
        takes = "may take" if rehearsal.is_measured else "takes at most"
        told += f"; all of legacy {takes} {pages.render_duration(expected)}"
    try:
        pages.write(told, _find_file(route))
    except OSError as error:
        log.warning("the last rehearsal is not noted for the forms: %s", error)


def read(route: str) -> str:
    """Read how the route's last rehearsal ended, in words."""
    try:
        return _find_file(route).read_text(encoding="utf-8")
    except OSError:
        return "none yet"


def _find_file(route: str) -> Path:
    return data_dir() / "rehearsals" / f"{route}.txt"
