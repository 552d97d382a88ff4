"""An erasure that dies at any of its steps goes on with the same command: the person is gone, and nothing else.

`make test-stack` tries a few cells; with SHOPFERRY_MATRIX set `pytest tests/crash/test_erasure_deaths.py` tries all.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import psutil
import pytest
from cells import ERASURE, ERASURES, SHORT_ERASURES, Cell
from erasing import count_places, find_somebody, grant_erasure
from ground import Ground
from shopferry import db
from shopferry.cutover import way_back
from test_matrix import WHOLE

pytestmark = pytest.mark.stack


@pytest.mark.parametrize("death", ERASURES if WHOLE else SHORT_ERASURES, ids=str)
def test_an_erasure_goes_on_where_it_died(land: Ground, death: Cell) -> None:
    way_back.arm(land.settings)  # so that its mirror, its verdicts and its topics hold the person, too
    person, mail = find_somebody(land.settings)
    with db.connect(land.settings.target_dsn, "test") as new:
        theirs = "SELECT legacy_customer_id FROM shop.customer_account WHERE customer_id = %s"
        accounts = [key for (key,) in new.execute(theirs, (person,)).fetchall()]
    number = grant_erasure(land.settings, f"shop:{person}")
    command = ("request", "run", str(number), "--who", "test")
    with land.writer() as book:
        with land.paused(ERASURE[death.point], *command) as run:
            run.reach()
            if death.signal == "SIGSTOP":
                run.go.touch()
                land.doze([psutil.Process(run.process.pid)])
                code = run.end()
            else:
                run.process.send_signal(getattr(signal, death.signal))
                code = run.end()
        expected = {"SIGKILL": -signal.SIGKILL, "SIGTERM": -signal.SIGTERM, "SIGSTOP": 0}
        assert code == expected[death.signal], run.log.read_text()
        done = subprocess.run(
            [sys.executable, "-m", "shopferry.cli", *command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["request"] == number
        require_gone(land, accounts, mail)
    land.check(book)
    require_gone(land, accounts, mail)


def require_gone(land: Ground, accounts: list[int], mail: str) -> None:
    """Their e-mail stands nowhere, unless somebody has registered with it since."""
    with db.connect(land.settings.source_dsn, "test") as legacy:
        anew = legacy.execute(
            "SELECT id FROM customers WHERE lower(btrim(email)) = lower(btrim(%s)) AND id <> ALL(%s)", (mail, accounts)
        ).fetchall()
    if not anew:
        assert count_places(land.settings, mail) == {}
