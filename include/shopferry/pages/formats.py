"""How numbers, sizes, durations and days are written: in English as on the command line, else as the language does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from babel import Locale
from babel.dates import format_date, format_time, get_datetime_format
from babel.numbers import format_decimal
from babel.units import format_unit


class Formats:
    """English: thousands apart by narrow blanks, days as in ISO 8601."""

    def number(self, value: float) -> str:
        """Write a count with its thousands apart, by blanks that do not break."""
        return f"{value:,.0f}".replace(",", "\u202f")

    def decimal(self, value: float, digits: int) -> str:
        """Write a number with so many decimals."""
        return f"{value:,.{digits}f}"

    def money(self, value: float) -> str:
        """Write an amount with two decimals."""
        return self.decimal(value, 2).replace(",", "\u202f")

    def share(self, value: float, digits: int = 2) -> str:
        """Write a share that is given in per cent."""
        return f"{self.decimal(value, digits)} %"

    def size(self, count: float) -> str:
        """Write bytes as people read them."""
        for unit in ("B", "kB", "MB", "GB"):
            if abs(count) < 1000:
                return f"{self.decimal(count, 0 if unit == 'B' else 1)} {unit}"
            count /= 1024
        return f"{self.decimal(count, 1)} TB"

    def duration(self, seconds: float) -> str:
        """Write seconds as people read them."""
        if seconds < 90:
            return f"{seconds:.0f} s" if seconds >= 1 else "under 1 s"
        if seconds < 5400:
            return f"{seconds / 60:.0f} min"
        return f"{seconds / 3600:.1f} h"

    def day(self, at: date) -> str:
        """Write a day."""
        return f"{at:%Y-%m-%d}"

    def moment(self, at: datetime, *, seconds: bool = False) -> str:
        """Write a day with the time, to the minute or the second."""
        return f"{at:%Y-%m-%d %H:%M:%S}" if seconds else f"{at:%Y-%m-%d %H:%M}"


@dataclass(frozen=True)
class LocalFormats(Formats):
    """Any other language, as the Common Locale Data Repository has it."""

    locale: Locale

    def number(self, value: float) -> str:
        """Write a count as the language groups its digits."""
        return format_decimal(value, "#,##0", locale=self.locale)

    def decimal(self, value: float, digits: int) -> str:
        """Write a number with so many decimals, after the language's own mark."""
        return format_decimal(value, f"#,##0.{'0' * digits}" if digits else "#,##0", locale=self.locale)

    def money(self, value: float) -> str:
        """Write an amount with two decimals."""
        return self.decimal(value, 2)

    def share(self, value: float, digits: int = 2) -> str:
        """Write a share that is given in per cent, its sign where the language has it."""
        return f"{self.decimal(value, digits)}{self.locale.percent_formats[None].suffix[0]}"

    def duration(self, seconds: float) -> str:
        """Write seconds, minutes or hours with the language's short words."""
        if seconds < 1:
            return f"< {self._measure(1, 'second')}"
        if seconds < 90:
            return self._measure(seconds, "second")
        if seconds < 5400:
            return self._measure(seconds / 60, "minute")
        return self._measure(seconds / 3600, "hour", "#,##0.0")

    def _measure(self, value: float, unit: str, pattern: str = "#,##0") -> str:
        return format_unit(value, f"duration-{unit}", length="short", format=pattern, locale=self.locale)

    def day(self, at: date) -> str:
        """Write a day with the short name of its month."""
        return format_date(at, "medium", locale=self.locale)

    def moment(self, at: datetime, *, seconds: bool = False) -> str:
        """Write a day with the time, joined as the language joins them."""
        time = format_time(at, "HH:mm:ss" if seconds else "HH:mm", locale=self.locale)
        joined = str(get_datetime_format("medium", locale=self.locale))
        return joined.replace("{1}", self.day(at)).replace("{0}", time)
