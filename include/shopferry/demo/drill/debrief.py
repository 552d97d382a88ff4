"""What a drill comes to: each fault with how it shows, how long it took, what is right to do, and the points."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from shopferry.demo.drill.fault import Fault

NAMED, MENDED = 3, 4
NOTICED = ((120.0, 3), (300.0, 2), (600.0, 1))  # within so many seconds, so many points
FULL = NAMED + MENDED + NOTICED[0][1]


@dataclass(frozen=True)
class Played:
    """One fault as it was played: seconds from its beginning to its right name, and from there until it was gone."""

    fault: Fault
    wrong: int  # answers before the right one
    noticed_s: float | None  # None: given up
    mended_s: float | None

    @property
    def points(self) -> int:
        """Points of the fault, at most `FULL`: for its name, for the time to notice, for the right action."""
        if self.noticed_s is None:
            return 0
        fast = next((points for limit, points in NOTICED if self.noticed_s <= limit), 0)
        return max(0, NAMED - self.wrong) + fast + (MENDED if self.mended_s is not None else 0)


@dataclass(frozen=True)
class Debrief:
    """The whole evening; `lost` are acknowledged writes that are in neither store, None where no cutover was made."""

    seed: int
    played: tuple[Played, ...]
    cut_over: bool
    acknowledged: int = 0
    lost: int | None = None

    @property
    def points(self) -> int:
        """All points."""
        return sum(one.points for one in self.played)

    @property
    def passed(self) -> bool:
        """Whether each fault was named and mended, and the shop was cut over with nothing lost."""
        return self.cut_over and not self.lost and all(one.mended_s is not None for one in self.played)


def as_json(made: Debrief) -> dict[str, object]:
    """Return the debrief as plain values."""
    return {
        "seed": made.seed,
        "points": made.points,
        "of": FULL * len(made.played),
        "cut_over": made.cut_over,
        "acknowledged_writes": made.acknowledged,
        "lost_writes": made.lost,
        "faults": [
            {
                "fault": one.fault.title,
                "shows": one.fault.shows,
                "right_action": one.fault.remedy,
                "runbook": one.fault.runbook,
                "wrong_answers": one.wrong,
                "noticed_s": None if one.noticed_s is None else round(one.noticed_s, 1),
                "mended_s": None if one.mended_s is None else round(one.mended_s, 1),
                "points": one.points,
            }
            for one in made.played
        ],
    }


def show(made: Debrief, console: Console) -> None:
    """Print the debrief."""
    console.print(f"\ndebrief, seed {made.seed}")
    for number, one in enumerate(made.played, 1):
        lines = (
            f"{number}. {one.fault.title}",
            f"   shows:        {one.fault.shows}",
            f"   noticed:      {_render(one.noticed_s)}" + (f", after {one.wrong} wrong answers" if one.wrong else ""),
            f"   mended:       {_render(one.mended_s)}",
            f"   right action: {one.fault.remedy}",
            f"   runbook:      {one.fault.runbook}",
            f"   points:       {one.points} of {FULL}",
        )
        for line in lines:
            console.print(Text(line), soft_wrap=True)
    if made.cut_over:
        console.print(f"the shop was cut over; of {made.acknowledged:,} acknowledged writes {made.lost or 'none'} lost")
    else:
        console.print("the shop was not cut over")
    console.print(f"score: {made.points} of {FULL * len(made.played)} points")


def _render(seconds: float | None) -> str:
    return "given up" if seconds is None else f"after {seconds:.0f} s"
