"""What a fault of the drill is: how it is planted, how one sees it, what is right to do, and how one knows that it is mended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from shopferry.demo.drill.ground import Ground

CUTOVER = "docs/runbooks/cutover.md"


class Fault(Protocol):
    """One fault; texts are for the menu and the debrief, `runbook` is a page of this project with its section."""

    @property
    def title(self) -> str:
        """What is wrong, as the menu names it."""

    @property
    def shows(self) -> str:
        """Which command says so, and in which words."""

    @property
    def remedy(self) -> str:
        """The right action."""

    @property
    def runbook(self) -> str:
        """Where that stands."""

    def plant(self, ground: Ground) -> None:
        """Make the fault."""

    def is_seen(self, ground: Ground) -> bool:
        """Tell whether it shows by now where `shows` says."""

    def mend(self, ground: Ground) -> None:
        """Do what is right, by the commands of which `remedy` tells."""

    def is_gone(self, ground: Ground) -> bool:
        """Tell whether the fault itself is mended, and not only out of sight."""


def list_menu(faults: Sequence[Fault]) -> list[str]:
    """List the faults as people choose from them, by number."""
    return [f"{number:2}  {fault.title}" for number, fault in enumerate(faults, 1)]
