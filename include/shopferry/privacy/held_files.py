"""What the move keeps of people in files: backups, reports, exports."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from shopferry.control import backups
from shopferry.control.backups import Backup
from shopferry.db import Connection
from shopferry.privacy.held import Held
from shopferry.route.settings import Retention
from shopferry.settings import data_dir

BACKUPS, REPORTS, EXPORTS = "backups", "reports", "exports"
REQUESTS = "requests"  # the folder of what people got who asked
_EXPORT_FOLDERS = (REQUESTS, "exports")
_UNFINISHED = timedelta(days=1)  # so long a dump may take


def find_backups(shop: Connection, route: str, terms: Retention) -> Iterator[Held]:
    """Find the backups that are booked, and what else lies beside them; of each store the newest proven one stays."""
    taken = [b for b in backups.list_all(shop, route) if b.removed is None]
    newest = {b.store: b.id for b in reversed(taken) if b.restorable and Path(b.file).exists()}
    for backup in taken:
        last = newest.get(backup.store) == backup.id
        yield Held(
            BACKUPS,
            f"backup {backup.id} of store {backup.store}",
            1,
            backup.taken,
            None if last else backup.keep_until,
            f"a newer one was restored without a problem, at the earliest {backup.keep_until:%Y-%m-%d}" if last else "",
            remove=partial(_remove_backup, shop, backup),
        )
    yield from find_unbooked(route, terms, {b.file for b in taken})


def _remove_backup(shop: Connection, backup: Backup) -> int:
    """Remove a backup's file and what its command has said; 0 where its folder is not on this machine."""
    file = Path(backup.file)
    if not file.parent.is_dir():
        return 0
    remove_dump(file)
    with shop.transaction():
        backups.book_removal(shop, backup.id)
    return 1


def remove_dump(file: Path) -> None:
    """Remove a dump, and what its command has printed, which may quote rows; it is no error when they are gone."""
    file.unlink(missing_ok=True)
    file.with_suffix(".log").unlink(missing_ok=True)


def find_unbooked(route: str, terms: Retention, booked: Collection[str]) -> Iterator[Held]:
    """Find dumps of this route that no row is about, unfinished ones of killed commands, and what those have printed."""
    ours = re.compile(rf"{re.escape(route)}-(legacy|shop)-\d{{8}}T\d+\.(dump|part|log)")
    for file in _list_files(BACKUPS):
        if ours.fullmatch(file.name) and str(file.with_suffix(".dump")) not in booked:
            period = _UNFINISHED if file.suffix == ".part" else timedelta(days=terms.backups)
            yield _hold(BACKUPS, file, period)


def find_papers(terms: Retention) -> Iterator[Held]:
    """Find reports, and what was handed to people who asked for their data."""
    for file in _list_files(REPORTS):
        yield _hold(REPORTS, file, timedelta(days=terms.reports))
    for folder in _EXPORT_FOLDERS:
        for file in _list_files(folder):
            yield _hold(EXPORTS, file, timedelta(days=terms.exports))


def _list_files(folder: str) -> list[Path]:
    return sorted(f for f in (data_dir() / folder).rglob("*") if f.is_file() or f.is_symlink())


def _hold(place: str, file: Path, period: timedelta) -> Held:
    since = datetime.fromtimestamp(file.lstat().st_mtime, UTC)
    return Held(place, file.name, 1, since, since + period, remove=_make_removal(file))


def _make_removal(file: Path) -> Callable[[], int]:
    def remove() -> int:
        file.unlink(missing_ok=True)
        return 1

    return remove
