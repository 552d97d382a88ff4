"""The product with a pause point, attached from outside.

    python tests/crash/pausing.py --at shopferry.control.offsets:advance#after --flag FILE --go FILE -- sync forward

runs the command line as it is, but the first call of the named function touches the flag, before it begins or after it
has ended, and waits until the go file is there. With --replace MODULE:NAME=MODULE:NAME the second stands in the place of the
first.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import threading
import time
from functools import wraps
from pathlib import Path
from typing import Any

from shopferry import cli


def find(at: str) -> tuple[Any, str, str]:
    """Resolve `module:name#before` or `module:Class.name#after` to who holds the function, its name, and when.

    Raises ImportError or AttributeError if there is no such module or function.
    """
    module, _, rest = at.partition(":")
    path, _, when = rest.partition("#")
    owner: Any = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    getattr(owner, name)
    return owner, name, when


def attach(at: str, flag: Path, go: Path) -> None:
    """Wrap the function of a pause point, see `find`."""
    owner, name, when = find(at)
    original = getattr(owner, name)
    first = threading.Lock()

    def pause(moment: str) -> None:
        if moment == when and first.acquire(blocking=False):
            flag.touch()
            while not go.exists():
                time.sleep(0.02)

    @wraps(original)
    def paused(*args: Any, **kwargs: Any) -> Any:
        pause("before")
        result = original(*args, **kwargs)
        pause("after")
        return result

    setattr(owner, name, paused)


def replace(one: str, other: str) -> None:
    """Put what is called `other` in the place of `one`, each as `module:name`. Raises AttributeError if there is none."""
    module, _, name = one.partition(":")
    others, _, others_name = other.partition(":")
    owner = importlib.import_module(module)
    getattr(owner, name)
    setattr(owner, name, getattr(importlib.import_module(others), others_name))


def main() -> int:
    """Attach the pause point, run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at", required=True, help="module:function#before or #after")
    parser.add_argument("--flag", type=Path, required=True, help="touched when the point is reached")
    parser.add_argument("--go", type=Path, required=True, help="it goes on when this file exists")
    parser.add_argument("--replace", action="append", default=[], help="module:name=module:name")
    parser.add_argument("command", nargs="+", help="what follows shopferry on the command line")
    given = parser.parse_args()
    for pair in given.replace:
        replace(*pair.split("="))
    attach(given.at, given.flag, given.go)
    return cli.main(given.command)


if __name__ == "__main__":
    sys.exit(main())
