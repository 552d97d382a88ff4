"""The report's charts, as SVG that stands inside the page; drawn small, so that a telephone need not shrink the letters."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from datetime import UTC, timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

from shopferry.report.standing import DifferenceSegment, Moment, PhaseStanding, Reason, Step
from shopferry.report.sums import Sum

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, SOFT, GRID = "#1b2433", "#5a6577", "#dde2ea"
LEGACY, SHOP, GOOD, LEFT, WAITING = "#9fb3c8", "#1f5fa8", "#2f8f5b", "#c9ced6", "#d9822b"
_WIDTH = 4.9  # inches: about 350 points, which is what a telephone has of pixels
_LONGEST = 26  # letters of a label


def draw_outcomes(phases: Sequence[PhaseStanding]) -> str:
    """Draw what became of each table's rows, in per cent; empty when nothing was counted yet."""
    tables = [t for p in phases for t in p.tables if t.legacy_rows]
    if not tables:
        return ""

    def draw(axes: Axes) -> None:
        names = [t.table for t in reversed(tables)]
        left = [0.0] * len(names)
        for label, colour, counts in (
            ("in the new shop", GOOD, [t.migrated for t in reversed(tables)]),
            ("left out by rule", LEFT, [sum(t.left_out.values()) for t in reversed(tables)]),
            ("in quarantine", WAITING, [t.quarantined for t in reversed(tables)]),
        ):
            shares = [100 * n / t.legacy_rows for n, t in zip(counts, reversed(tables), strict=True)]
            axes.barh(names, shares, left=left, color=colour, label=label, height=0.66)
            left = [a + b for a, b in zip(left, shares, strict=True)]
        axes.set_xlim(0, 100)
        axes.set_xlabel("per cent of the rows in legacy")
        _draw_legend(axes, 3)

    return _draw_svg("outcomes", "What became of each table's rows, in per cent", len(tables) * 0.3 + 1.1, draw)


def draw_waiting(reasons: Sequence[Reason]) -> str:
    """Draw the most frequent reasons in quarantine; empty when it is."""
    by_reason: dict[str, int] = {}
    for one in reasons:
        by_reason[one.reason] = by_reason.get(one.reason, 0) + one.rows
    top = sorted(by_reason.items(), key=lambda r: r[1])[-10:]
    return _draw_bars("waiting", "Entries in quarantine by reason", top, WAITING, "entries") if top else ""


def draw_differing(differences: Sequence[DifferenceSegment]) -> str:
    """Differences by segment; empty when there are none."""
    top = [(f"{d.target} {d.kind}", d.rows) for d in differences if d.state == "open"][:10]
    return _draw_bars("differing", "Open differences by segment", top[::-1], "#b3261e", "differences") if top else ""


def draw_before_and_after(one: Sum) -> str:
    """Draw one sum, legacy beside new shop by segment; empty where legacy could not be asked."""
    lines = [x for x in one.lines if x.legacy is not None][::-1]
    if not lines:
        return ""

    def draw(axes: Axes) -> None:
        at = range(len(lines))
        axes.barh(
            [a + 0.19 for a in at], [float(x.legacy or 0) for x in lines], height=0.36, color=LEGACY, label="legacy"
        )
        axes.barh([a - 0.19 for a in at], [float(x.shop) for x in lines], height=0.36, color=SHOP, label="new shop")
        axes.set_yticks(list(at), [_shorten(x.segment) for x in lines])
        _count_axis(axes)
        axes.set_xlabel(one.measure)
        _draw_legend(axes, 2)

    return _draw_svg(
        f"sum-{one.name}-{one.measure}",
        f"{one.title}: {one.measure}, legacy and new shop",
        len(lines) * 0.5 + 1.1,
        draw,
    )


def draw_lag(moments: Sequence[Moment]) -> str:
    """Draw how far the new shop was behind, as time went on; empty when nothing was replayed lately."""
    if not moments:
        return ""

    def draw(axes: Axes) -> None:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        times: list[Any] = [m.at.astimezone(UTC) for m in moments]
        marker = "o" if len(moments) < 30 else ""
        axes.plot(
            times, [m.lag_ms_p99 for m in moments], color=LEGACY, label="slowest in a hundred", marker=marker, ms=3
        )
        axes.plot(times, [m.lag_ms_p50 for m in moments], color=SHOP, label="half of them within", marker=marker, ms=3)
        axes.set_ylim(bottom=0)
        axes.set_xlim(times[0] - timedelta(seconds=10), times[-1] + timedelta(seconds=10))
        axes.set_ylabel("milliseconds")
        locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        axes.grid(axis="y", color=GRID, lw=0.8)
        _draw_legend(axes, 2)

    return _draw_svg("lag", "From a change in legacy to the new shop", 2.7, draw)


def draw_downtime(steps: Sequence[Step]) -> str:
    """Draw the steps of the last cutover while no store took writes; empty before the first."""
    closed = [s for s in steps if s.closed]
    if not closed:
        return ""
    last = [(s.step, s.ms) for s in closed if s.version == closed[-1].version]
    return _draw_bars(
        "downtime", "The cutover, step by step, while no store took writes", last[::-1], SHOP, "milliseconds"
    )


def _draw_bars(name: str, title: str, values: Sequence[tuple[str, float]], colour: str, unit: str) -> str:
    def draw(axes: Axes) -> None:
        bars = axes.barh([_shorten(n) for n, _ in values], [v for _, v in values], color=colour, height=0.62)
        axes.bar_label(bars, labels=[f"{v:,.0f}" for _, v in values], padding=3, color=INK)
        axes.margins(x=0.16)
        _count_axis(axes)
        axes.set_xlabel(unit)

    return _draw_svg(name, title, len(values) * 0.32 + 0.7, draw)


def _count_axis(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


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
        "svg.fonttype": "path",
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
