"""The report's charts, as SVG that stands inside the page; drawn small, so that a telephone need not shrink the letters."""

from __future__ import annotations

import logging
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

from shopferry.pages.languages import DEFAULT, Language
from shopferry.report.standing import DifferenceSegment, Moment, PhaseStanding, Reason, Step
from shopferry.report.sums import Sum

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, SOFT, GRID = "#1b2433", "#5a6577", "#dde2ea"
LEGACY, SHOP, GOOD, LEFT, WAITING = "#9fb3c8", "#1f5fa8", "#2f8f5b", "#c9ced6", "#d9822b"
_WIDTH = 4.9  # inches: about 350 points, which is what a telephone has of pixels
_LONGEST = 26  # letters of a label's line
_FONT = "path"  # letters as drawings, so that nobody needs the font
_FORMS = ["%Y", "%m", "%d", "%H:%M", "%H:%M", "%S.%f"]
_OFFSETS = ["", "%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d %H:%M"]


@dataclass(frozen=True)
class Charts:
    """Draws the report's charts with their words in a language."""

    language: Language

    def draw_outcomes(self, phases: Sequence[PhaseStanding]) -> str:
        """Draw what became of each table's rows, in per cent; empty when nothing was counted yet."""
        tables = [t for p in phases for t in p.tables if t.legacy_rows]
        if not tables:
            return ""
        _ = self.language.gettext

        def draw(axes: Axes) -> None:
            names = [t.table for t in reversed(tables)]
            left = [0.0] * len(names)
            for label, colour, counts in (
                (_("in the new shop"), GOOD, [t.migrated for t in reversed(tables)]),
                (_("left out by rule"), LEFT, [sum(t.left_out.values()) for t in reversed(tables)]),
                (_("in quarantine"), WAITING, [t.quarantined for t in reversed(tables)]),
            ):
                shares = [100 * n / t.legacy_rows for n, t in zip(counts, reversed(tables), strict=True)]
                axes.barh(names, shares, left=left, color=colour, label=label, height=0.66)
                left = [a + b for a, b in zip(left, shares, strict=True)]
            axes.set_xlim(0, 100)
            axes.set_xlabel(_("per cent of the rows in legacy"))
            _draw_legend(axes, 3)

        title = _("What became of each table's rows, in per cent")
        return _draw_svg("outcomes", title, len(tables) * 0.3 + 1.1, draw)

    def draw_waiting(self, reasons: Sequence[Reason]) -> str:
        """Draw the most frequent reasons in quarantine; empty when it is."""
        by_reason: dict[str, int] = {}
        for one in reasons:
            by_reason[one.reason] = by_reason.get(one.reason, 0) + one.rows
        if not by_reason:
            return ""
        _ = self.language.gettext
        top = [(self._explain(r), n) for r, n in sorted(by_reason.items(), key=lambda r: r[1])[-10:]]
        return self._draw_bars("waiting", _("Entries in quarantine by reason"), top, WAITING, _("entries"))

    def draw_differing(self, differences: Sequence[DifferenceSegment]) -> str:
        """Differences by segment; empty when there are none."""
        still_open = [d for d in differences if d.state == "open"][:10]
        if not still_open:
            return ""
        _ = self.language.gettext
        top = [(f"{d.target} {self.language.word(d.kind, 'difference')}", d.rows) for d in reversed(still_open)]
        return self._draw_bars("differing", _("Open differences by segment"), top, "#b3261e", _("differences"))

    def draw_before_and_after(self, one: Sum) -> str:
        """Draw one sum, legacy beside new shop by segment; empty where legacy could not be asked."""
        lines = [x for x in one.lines if x.legacy is not None][::-1]
        if not lines:
            return ""
        _ = self.language.gettext
        title, measure = self.language.tell(one.title), self.language.word(one.measure)

        def draw(axes: Axes) -> None:
            at = range(len(lines))
            axes.barh(
                [a + 0.19 for a in at],
                [float(x.legacy or 0) for x in lines],
                height=0.36,
                color=LEGACY,
                label=_("legacy"),
            )
            axes.barh(
                [a - 0.19 for a in at], [float(x.shop) for x in lines], height=0.36, color=SHOP, label=_("new shop")
            )
            axes.set_yticks(list(at), [_shorten(self.language.tell(x.segment)) for x in lines])
            self._count_axis(axes)
            axes.set_xlabel(measure)
            _draw_legend(axes, 2)

        return _draw_svg(
            f"sum-{one.name}-{one.measure}",
            _("{title}: {measure}, legacy and new shop").format(title=title, measure=measure),
            len(lines) * 0.5 + 1.1,
            draw,
        )

    def draw_lag(self, moments: Sequence[Moment]) -> str:
        """Draw how far the new shop was behind, as time went on; empty when nothing was replayed lately."""
        if not moments:
            return ""
        _ = self.language.gettext

        def draw(axes: Axes) -> None:
            from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

            times: list[Any] = [m.at.astimezone(UTC) for m in moments]
            marker = "o" if len(moments) < 30 else ""
            axes.plot(
                times,
                [m.lag_ms_p99 for m in moments],
                color=LEGACY,
                label=_("slowest in a hundred"),
                marker=marker,
                ms=3,
            )
            axes.plot(
                times, [m.lag_ms_p50 for m in moments], color=SHOP, label=_("half of them within"), marker=marker, ms=3
            )
            axes.set_ylim(bottom=0)
            axes.set_xlim(times[0] - timedelta(seconds=10), times[-1] + timedelta(seconds=10))
            axes.set_ylabel(_("milliseconds"))
            locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
            axes.xaxis.set_major_locator(locator)
            # Its own forms have English names of months.
            forms = {} if self.language.code == DEFAULT else {"formats": _FORMS, "offset_formats": _OFFSETS}
            axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, **forms))  # type: ignore[no-untyped-call]
            axes.grid(axis="y", color=GRID, lw=0.8)
            _draw_legend(axes, 2)

        return _draw_svg("lag", _("From a change in legacy to the new shop"), 2.7, draw)

    def draw_downtime(self, steps: Sequence[Step]) -> str:
        """Draw the steps of the last cutover while no store took writes; empty before the first."""
        closed = [s for s in steps if s.closed]
        if not closed:
            return ""
        _ = self.language.gettext
        title = _("The cutover, step by step, while no store took writes")
        last = [(self.language.tell(s.step), s.ms) for s in closed if s.version == closed[-1].version]
        return self._draw_bars("downtime", title, last[::-1], SHOP, _("milliseconds"))

    def _draw_bars(self, name: str, title: str, values: Sequence[tuple[str, float]], colour: str, unit: str) -> str:
        labels = [_shorten(n) for n, _ in values]
        line = 0.46 if any("\n" in label for label in labels) else 0.32

        def draw(axes: Axes) -> None:
            at = range(len(values))  # two labels may be alike
            bars = axes.barh(at, [v for _, v in values], color=colour, height=0.62)
            axes.set_yticks(list(at), labels)
            axes.bar_label(bars, labels=[self._write(v) for _, v in values], padding=3, color=INK)
            axes.margins(x=0.16)
            self._count_axis(axes)
            axes.set_xlabel(unit)

        return _draw_svg(name, title, len(values) * line + 0.7, draw)

    def _explain(self, reason: str) -> str:
        """Name a reason: in English by its code, as the tables of the control schema do."""
        return reason if self.language.code == DEFAULT else self.language.word(reason)

    def _write(self, value: float) -> str:
        return f"{value:,.0f}" if self.language.code == DEFAULT else self.language.formats.number(value)

    def _count_axis(self, axes: Axes) -> None:
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: self._write(v)))


def _shorten(text: str) -> str:
    """Break a label into two lines at most."""
    return "\n".join(textwrap.wrap(text, _LONGEST, max_lines=2, placeholder="…"))


def _draw_legend(axes: Axes, columns: int) -> None:
    axes.figure.legend(
        loc="outside upper left",
        ncols=columns,
        frameon=False,
        fontsize=10.5,
        borderaxespad=0.2,
        handlelength=1,
        columnspacing=1.1,
        handletextpad=0.4,
    )


def _draw_svg(name: str, title: str, height: float, draw: Callable[[Axes], None]) -> str:
    """Draw one chart without display, file or name of its own outside the page."""
    # Drawing takes a second to load: only who makes a page pays for it.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    look: dict[str, Any] = {
        "svg.hashsalt": name,
        "svg.fonttype": _FONT,
        "font.family": "DejaVu Sans",
        "font.size": 11,
        "text.color": INK,
        "axes.edgecolor": GRID,
        "axes.labelcolor": SOFT,
        "xtick.color": SOFT,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.labelsize": 10.5,
        "ytick.left": False,
    }
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # it tells of every font
    with rc_context(look):  # type: ignore[arg-type]
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        axes.grid(axis="x", color=GRID, lw=0.8)
        draw(axes)
        out = StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Several charts share one page: what they refer to must be their own.
    prefix = re.sub(r"\W", "-", name)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{prefix}-", text)
    label = title.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
