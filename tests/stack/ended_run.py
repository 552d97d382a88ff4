"""A run of tests that starts every kind of server and then waits to be ended: `test_guardian.py` runs it.

It is no test by its name, so that no other run collects it.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import bouncer
import pytest
from guardian import MARK, marked
from live import Flow
from shopferry.stack import postgres


@pytest.mark.skipif("ENDED_RUN" not in os.environ, reason="test_guardian.py runs it")
def test_waits_to_be_ended(cluster: postgres.Cluster, request: pytest.FixtureRequest) -> None:
    homes, wanted = [str(cluster.directory)], os.environ["ENDED_RUN"]
    legacy = cluster.dsn()
    with bouncer.running(legacy, legacy):
        if "stack" in wanted:
            flow: Flow = request.getfixturevalue("empty")
            homes.append(str(flow.directory))
        servers = [s for p in marked(os.environ[MARK]) for s in (p, *p.children(recursive=True))]
        told = {"homes": homes, "servers": sorted({(p.pid, p.name()) for p in servers})}
        file = Path(os.environ["ENDED_RUN_FILE"])
        file.with_suffix(".new").write_text(json.dumps(told))
        file.with_suffix(".new").rename(file)
        while True:
            time.sleep(1)
