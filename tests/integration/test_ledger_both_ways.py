"""The writer's ledger after a cutover and a rollback without servers: every acknowledged write is where it must be."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import turns
from pair import Pair, read_dsn
from shopferry.demo import ledger, writer
from shopferry.settings import Settings
from waiting import until


def write(pair: Pair, path: Path, count: int) -> None:
    """Have one worker do so many more writes: what is written to a row by one hand has an order."""
    settings = Settings(read_dsn(pair.legacy), read_dsn(pair.shop), kafka="")
    enough = count + (len(ledger.read(path)) if path.exists() else 0)
    stop = threading.Event()
    thread = threading.Thread(
        target=writer.run, args=(settings, path), kwargs={"rate": 400.0, "stop": stop, "workers": 1}
    )
    thread.start()
    until(lambda: not thread.is_alive() or (path.exists() and len(ledger.read(path)) >= enough))
    stop.set()
    thread.join()


@pytest.mark.fresh
def test_every_acknowledged_write_is_found_after_a_rollback(filled: Pair, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    write(filled, path, 300)
    filled.sync()
    filled.pass_phases()
    with turns.armed(filled) as back:
        turns.cut_over(filled, back)
        write(filled, path, 500)
        back.sync()
        turns.roll_back(filled, back)
    write(filled, path, 200)
    filled.sync()
    told = ledger.check(path, filled.legacy, filled.shop)
    assert (told.missing, told.failed_for_the_user) == ([], 0)
    done = {(r["store"], r["kind"]) for r in ledger.read(path)}
    assert {(store, kind) for store in ("legacy", "shop") for kind in ("wish", "reward", "take_reward")} <= done
    filled.check()
