"""The drill: all ten faults in one evening by the book, on a stack of its own, and a person who is wrong, gives up, or goes."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from live import Flow
from shopferry.demo.drill import debrief, evening
from shopferry.demo.drill.debrief import Debrief, Played
from shopferry.demo.drill.fault import Fault
from shopferry.demo.drill.ground import Ground
from shopferry.demo.drill.paper_faults import AcceptanceStale, BackupTooOld
from shopferry.demo.drill.players import Person
from shopferry.errors import ConfigError, StackError
from shopferry.settings import PROJECT

pytestmark = pytest.mark.stack
MENU = evening.list_faults()


def test_all_ten_faults_show_where_they_are_said_to_and_go_by_what_their_page_says(run_home: Path) -> None:
    """`--auto` names a fault once it shows there, and mends it by the commands of its runbook alone."""
    home = run_home / "drill-data"
    command = [
        str(Path(sys.executable).with_name("shopferry")),
        "drill",
        "--auto",
        "--faults",
        "10",
        "--seed",
        "5",
        "--json",
    ]
    done = subprocess.run(command, env=os.environ | {"SHOPFERRY_DATA": str(home)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert {f["fault"] for f in told["faults"]} == {f.title for f in MENU} and len(told["faults"]) == 10
    for one in told["faults"]:
        assert one["noticed_s"] is not None and one["mended_s"] is not None and one["wrong_answers"] == 0, one
        assert one["right_action"] and one["shows"] and one["runbook"].startswith("docs/")
    assert told["cut_over"] and told["acknowledged_writes"] > 100 and told["lost_writes"] == 0
    assert not (home / "drill" / "stack.json").exists(), "the stack is gone"


@dataclass
class Lines:
    """What a person types, line by line."""

    typed: list[str]
    asked: list[str] = field(default_factory=list)

    def __call__(self, prompt: str) -> str:
        self.asked.append(prompt)
        if not self.typed:
            raise EOFError
        return self.typed.pop(0)


def play(ground: Ground, drawn: Sequence[Fault], lines: Lines) -> list[Played]:
    return evening.play(ground, MENU, drawn, Person(lines), random.Random(1))


@pytest.fixture
def ground(ready: Flow, monkeypatch: pytest.MonkeyPatch) -> Ground:
    monkeypatch.setattr(evening, "_CALM_S", (0.0, 0.0))
    return Ground(ready.settings, ready.state, lambda text: None)


def test_a_person_who_is_wrong_first_and_mends_only_later_gets_fewer_points(ready: Flow, ground: Ground) -> None:
    fault = next(f for f in MENU if isinstance(f, BackupTooOld))
    right = str(MENU.index(fault) + 1)

    @dataclass
    class Typing(Lines):
        def __call__(self, prompt: str) -> str:
            if "press Enter" in prompt and len(self.typed) == 1:  # the second time: meanwhile it was mended
                fault.mend(ground)
            return super().__call__(prompt)

    [one] = play(ground, [fault], Typing(["1", "nonsense", "99", right, "", ""]))
    assert one.wrong == 1, "what is no number of the menu is no answer"
    assert one.noticed_s is not None and one.mended_s is not None
    assert one.points == debrief.FULL - 1
    assert fault.is_gone(ground)


def test_what_is_given_up_is_mended_by_the_book_and_the_evening_goes_on(ready: Flow, ground: Ground) -> None:
    fault = next(f for f in MENU if isinstance(f, BackupTooOld))
    [unnamed] = play(ground, [fault], Lines(["g"]))
    assert (unnamed.noticed_s, unnamed.mended_s, unnamed.points) == (None, None, 0)
    assert fault.is_gone(ground)
    [unmended] = play(ground, [fault], Lines([str(MENU.index(fault) + 1), "", "g"]))
    assert unmended.mended_s is None and unmended.points == debrief.FULL - debrief.MENDED
    assert fault.is_gone(ground)
    made = Debrief(5, (unnamed, unmended), cut_over=True, acknowledged=7, lost=0)
    assert not made.passed and debrief.as_json(made)["of"] == 2 * debrief.FULL


def test_a_terminal_that_is_gone_ends_the_drill(ready: Flow, ground: Ground) -> None:
    fault = next(f for f in MENU if isinstance(f, BackupTooOld))
    try:
        with pytest.raises(StackError, match="nobody answers any more"):
            play(ground, [fault], Lines([]))
    finally:
        fault.mend(ground)


def test_more_faults_than_there_are_is_refused_before_anything_starts() -> None:
    with pytest.raises(ConfigError, match="from 1 to 10"):
        evening.run(Person(Lines([])), seed=1, count=11, say=print)


def test_no_variable_of_a_real_move_leads_the_faults_to_its_stores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("SHOPFERRY_")]:
        monkeypatch.delenv(name)
    for name in ("DATA", "ROUTE", "ROUTES", "LEGACY_DSN", "SHOP_DSN", "KAFKA", "HOOK"):
        monkeypatch.setenv(f"SHOPFERRY_{name}", "postgresql://production/shop")
    foreign = evening._move_to(tmp_path)
    assert foreign == ["SHOPFERRY_HOOK", "SHOPFERRY_KAFKA", "SHOPFERRY_LEGACY_DSN", "SHOPFERRY_SHOP_DSN"]
    assert "production" not in str({n: v for n, v in os.environ.items() if n.startswith("SHOPFERRY_")})
    assert evening._tell_environment(tmp_path, foreign).startswith("unset SHOPFERRY_HOOK SHOPFERRY_KAFKA")


def test_the_same_seed_draws_the_same_faults() -> None:
    titles = [[f.title for f in random.Random(7).sample(evening.list_faults(), 3)] for _ in range(2)]
    assert titles[0] == titles[1] and len(set(titles[0])) == 3


@pytest.mark.parametrize("fault", MENU, ids=lambda f: type(f).__name__)
def test_each_fault_names_a_page_and_a_section_that_are_there(fault: Fault) -> None:
    page, _, anchor = fault.runbook.partition("#")
    text = (PROJECT / page).read_text()
    headings = {
        re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-") for h in re.findall(r"^#+ (.+)$", text, re.M)
    }
    assert not anchor or anchor in headings, fault.runbook


def test_points_fall_with_the_time_to_notice() -> None:
    fault = AcceptanceStale()
    points = [Played(fault, 0, seconds, 1.0).points for seconds in (60.0, 200.0, 500.0, 5000.0)]
    assert points == [10, 9, 8, 7]
    assert Played(fault, 9, 60.0, None).points == 3
