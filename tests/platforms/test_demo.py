"""The demo of the two applications, as people start it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from shopferry.demo.platforms.provision import Platforms

pytestmark = pytest.mark.stack


def test_the_demo_ends_with_nothing_lost_and_no_server_left(platforms: Platforms, run_home: Path) -> None:
    data = run_home / "demo"
    environment = os.environ | {"SHOPFERRY_DATA": str(data)}
    command = [sys.executable, "-m", "shopferry.cli", "demo", "oscar-medusa", "--customers", "12", "--exit"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "✓ nothing was lost" in done.stdout
    counts = re.findall(r"(\d+) compared by Medusa's Admin API, (\d+) values differ", done.stdout)
    assert counts and int(counts[0][0]) > 24 and counts[0][1] == "0", done.stdout
    assert re.search(r"\d+ writes acknowledged, 0 missing in Medusa", done.stdout), done.stdout
    assert list(data.glob("pg/*/postmaster.pid")) == []
