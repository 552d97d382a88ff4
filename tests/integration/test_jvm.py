"""The connector's Java and the cache of its classes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from shopferry.stack import connector

_PROCESS = """
import sys
from pathlib import Path
from shopferry.stack import connector, jvm
kept = jvm.start(connector._list_jars(), caches=Path(sys.argv[1]))
import jpype
jpype.JClass("io.debezium.engine.DebeziumEngine")
print(*jpype.JClass("java.lang.management.ManagementFactory").getRuntimeMXBean().getInputArguments(), flush=True)
jvm.end(kept)
"""


def _run(caches: Path) -> str:
    """One process with Java, from its start to its end in order; returns the options that Java had."""
    done = subprocess.run(
        [sys.executable, "-c", _PROCESS, str(caches)], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout


def test_the_second_start_uses_what_the_first_has_kept(tmp_path: Path) -> None:
    caches = tmp_path / "caches"
    assert "AOTCacheOutput" in _run(caches)
    [cache] = caches.iterdir()  # nothing unfinished beside it
    assert f"-XX:AOTCache={cache}" in _run(caches)


def test_a_cache_that_java_cannot_read_does_no_harm(tmp_path: Path) -> None:
    _run(tmp_path)
    [cache] = tmp_path.iterdir()
    os.truncate(cache, 4096)
    assert f"-XX:AOTCache={cache}" in _run(tmp_path)


def test_a_place_where_nothing_can_be_kept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "AOT" not in _run(tmp_path / "file" / "caches")


def test_the_jars_are_debeziums_in_an_order_that_stays() -> None:
    names = [jar.name for jar in connector._list_jars()]
    assert any(name.startswith("debezium-connector-postgres-") for name in names)
    assert names == sorted(names)
