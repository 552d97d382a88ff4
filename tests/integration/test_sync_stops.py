"""The service ends when it is told to, also while it tries again for a fault that lasts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from shopferry.stack.state import choose_port, is_free
from waiting import until

AWAY = "postgresql://shopferry@127.0.0.1:{}/nowhere"


@pytest.mark.parametrize("what", ["a store is away", "nothing is installed"])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_told_to_end_it_waits_out_no_pause(
    direction: str, what: str, make_db: Callable[..., str], tmp_path: Path
) -> None:
    stores = (
        [AWAY.format(choose_port(set()))] * 2 if what == "a store is away" else [make_db("legacy"), make_db("shop")]
    )
    metrics = choose_port(set())
    environment = os.environ | {
        "SHOPFERRY_DATA": str(tmp_path),
        "SHOPFERRY_LEGACY_DSN": stores[0],
        "SHOPFERRY_SHOP_DSN": stores[1],
        "SHOPFERRY_KAFKA": f"127.0.0.1:{choose_port(set())}",
        "SHOPFERRY_METRICS": f"127.0.0.1:{metrics}",
    }
    log = tmp_path / "log"
    command = [str(Path(sys.executable).with_name("shopferry")), "sync", direction]
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        until(lambda: not is_free(metrics))
        if (what, direction) != ("nothing is installed", "reverse"):  # that waits for `arm`, and says nothing
            until(lambda: "attempt=6" in log.read_text())  # from here on a pause takes seconds
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
    assert "stopped" not in log.read_text()
