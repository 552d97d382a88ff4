"""The files that a recipient is handed: leavers, suppressions, members, numbered in the order in which they are imported.

Only the account that runs this may read them. They are complete before any of them has its name.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shopferry.db import Connection
from shopferry.errors import ConfigError
from shopferry.insight import suppression
from shopferry.insight.activation_file import Activation
from shopferry.insight.formats import Row, Sheet
from shopferry.insight.suppression import Key


@dataclass(frozen=True)
class Parcel:
    """What is handed over: the end of each file's name, and what it holds, in the order of their import."""

    files: Sequence[tuple[str, bytes]]


def pack(
    shop: Connection,
    activation: Activation,
    sheet: Sheet,
    rows: Sequence[Row],
    lost: Mapping[Key, str | None],
    suppressed: Mapping[Key, str | None],
    staying: Collection[str],
) -> Parcel:
    """Pack the files of one run. Without leavers and members there is the list of suppressions alone.

    `staying` are the customers whom the recipient has after it.
    """
    form, channel = activation.format, activation.channel
    files: list[tuple[str, bytes]] = []
    if lost:
        files.append(("1-leavers.csv", form.write_leavers(channel, suppression.list_leavers(shop, dict(lost)))))
    files.append(
        ("2-suppressed.csv", form.write_leavers(channel, suppression.list_suppressed(shop, suppressed, staying)))
    )
    parts = form.write_members(sheet, rows)
    for number, content in enumerate(parts, 1):
        part = f"-{number}" if len(parts) > 1 else ""
        files.append((f"3-members{part}.{form.ending}", content))
    return Parcel(files)


def write(parcel: Parcel, folder: Path, prefix: str) -> list[Path]:
    """Write the files into a folder, for the account that runs this and nobody else; returns them in their order.

    Raises ConfigError where the folder cannot be written to.
    """
    written: list[tuple[Path, Path]] = []
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for end, content in parcel.files:
            file = folder / f"{prefix}-{end}"
            unfinished = file.with_name(f".{file.name}.tmp")
            unfinished.unlink(missing_ok=True)
            with os.fdopen(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as raw:
                raw.write(content)
                raw.flush()
                os.fsync(raw.fileno())
            written.append((unfinished, file))
    except OSError as error:
        for unfinished, _ in written:
            unfinished.unlink(missing_ok=True)
        raise ConfigError(f"nothing was handed over: {folder} cannot be written to ({error.strerror})") from None
    for unfinished, file in written:
        unfinished.replace(file)
    return [file for _, file in written]
