"""The embedded broker as a child process: fetches what is missing, then becomes Java.

``python -m probestream.broker.run DATA PORT``. One process from the first jar to the last record, so whoever
started it has one thing to watch and to end. Lines for its parent begin with ``@``; exit code 2 means that a person
has to change something first.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from probestream.broker.jars import BrokerError
from probestream.broker.server import prepare
from probestream.data import DataFolder

FETCHED = "@fetched"
BOOTING = "@booting"
PROBLEM = "@problem"


def command(data: DataFolder, port: int) -> list[str]:
    """The command line of this module."""
    return [sys.executable, "-m", "probestream.broker.run", str(data.path), str(port)]


def _fetched(done: int, total: int, name: str) -> None:
    print(f"{FETCHED} {done} {total} {name}", flush=True)  # noqa: T201 - read by the supervisor


def main() -> int:
    """Run the broker in the data folder and on the port of the command line."""
    data, port = DataFolder(Path(sys.argv[1])), int(sys.argv[2])
    try:
        java = prepare(data, port, _fetched)
    except (BrokerError, OSError) as error:
        for line in str(error).splitlines():
            print(f"{PROBLEM} {line}", flush=True)  # noqa: T201
        return 2
    print(BOOTING, flush=True)  # noqa: T201
    return os.execv(java[0], java)  # noqa: S606 - our own command line, no shell


if __name__ == "__main__":
    sys.exit(main())
