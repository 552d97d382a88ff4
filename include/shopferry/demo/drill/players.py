"""Who plays a drill: a person at the terminal, or the book, which does what each fault says and so tries the drill itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from shopferry.demo.drill.fault import Fault, list_menu
from shopferry.demo.drill.ground import Ground, await_true
from shopferry.errors import StackError

_SEEN_S, _GONE_S = 120.0, 120.0  # how long the book waits until a fault shows, and until it is gone
GIVE_UP = "g"


class Player(Protocol):
    """Somebody who finds faults and mends them."""

    def name(self, menu: Sequence[Fault], planted: Fault, ground: Ground) -> Fault | None:
        """Say which of the menu's faults it is; None gives up. The planted one is for the book alone."""

    def mend(self, planted: Fault, ground: Ground) -> bool:
        """Mend the fault; False gives up."""

    def cut_over(self, ground: Ground) -> None:
        """Cut the shop over, or do not."""


@dataclass(frozen=True)
class Person:
    """Somebody at this terminal, who looks and mends in another one; `read` asks for a line."""

    read: Callable[[str], str]

    def name(self, menu: Sequence[Fault], planted: Fault, ground: Ground) -> Fault | None:
        while True:
            answer = self._ask(f"what is it? (1 to {len(menu)}, m: the menu, {GIVE_UP}: give up) ")
            if answer == GIVE_UP:
                return None
            if answer.isdecimal() and 1 <= int(answer) <= len(menu):
                return menu[int(answer) - 1]
            for line in list_menu(menu):
                ground.say(line)

    def mend(self, planted: Fault, ground: Ground) -> bool:
        while True:
            answer = self._ask(f"that is it. Mend it, then press Enter ({GIVE_UP}: give up) ")
            if answer == GIVE_UP:
                return False
            if planted.is_gone(ground):
                return True
            ground.say("not yet: it is still there")

    def cut_over(self, ground: Ground) -> None:
        self._ask("all gates are met. `shopferry cutover --who NAME` in the other terminal, then press Enter ")

    def _ask(self, prompt: str) -> str:
        try:
            return self.read(prompt).strip().lower()
        except EOFError:
            raise StackError("nobody answers any more: the drill wants a person at its terminal, or --auto") from None


@dataclass(frozen=True)
class Book:
    """Plays by the book: names each fault once it shows where it is said to, and mends it by the commands that it names."""

    def name(self, menu: Sequence[Fault], planted: Fault, ground: Ground) -> Fault | None:
        if not await_true(lambda: planted.is_seen(ground), _SEEN_S):
            raise StackError(f"a fault does not show after {_SEEN_S:.0f} s: {planted.title} ({planted.shows})")
        return planted

    def mend(self, planted: Fault, ground: Ground) -> bool:
        planted.mend(ground)
        if not await_true(lambda: planted.is_gone(ground), _GONE_S):
            raise StackError(f"a fault is not mended by what its runbook says: {planted.title} ({planted.remedy})")
        return True

    def cut_over(self, ground: Ground) -> None:
        ground.run("cutover", "--who", "drill")
