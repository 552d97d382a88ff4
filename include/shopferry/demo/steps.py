"""What a demo tells people while it goes on."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from rich.console import Console


class Steps:
    """Prints each step with the time since the start."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, width=None if sys.stdout.isatty() else 150)
        self.started = time.monotonic()

    def __call__(self, text: str) -> None:
        self.console.print(f"[cyan]{time.monotonic() - self.started:6.1f} s[/] {text}")

    def judge(self, wrong: Sequence[str]) -> None:
        """Print the verdict: what is wrong, or that nothing was lost."""
        for line in wrong:
            self.console.print(f"[bold red]✗ {line}")
        if not wrong:
            self.console.print("[bold green]✓ nothing was lost")
