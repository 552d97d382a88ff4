"""The log-in provider that the route oscar-medusa ships, by its own test in Node."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PROVIDER = Path(__file__).parents[2] / "include" / "sql" / "oscar-medusa" / "auth-provider"
NODE = shutil.which("node")


@pytest.mark.skipif(not NODE, reason="node is missing here: the log-in provider is JavaScript")
def test_the_log_in_provider_honours_djangos_hashes() -> None:
    """bcrypt's are tried where bcryptjs is installed, which is in `make test-platforms`."""
    done = subprocess.run([NODE or "", "--test"], cwd=PROVIDER, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"^# pass (\d+)$", done.stdout, re.MULTILINE)
    assert passed and int(passed[1]) >= 6, done.stdout
