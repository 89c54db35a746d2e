"""How long `probestream up` takes until everything runs, the first time on a data folder and the second.

    python benchmarks/start.py [--quick] [--json]

Packages and jars must be there already (`make install`, and one start): their download is the network's time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import finish, options
from probestream.broker.server import free_port

READY = "everything runs"


def start(folder: str) -> tuple[float, float]:
    """Seconds from the command to everything running, and from Ctrl-C to the end."""
    env = {
        **os.environ,
        "PROBESTREAM__GATEWAY__PORT": str(free_port()),
        "PROBESTREAM__KAFKA__EMBEDDED_PORT": str(free_port()),
    }
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "probestream", "up", "--data", folder],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if READY in line:
            break
    else:
        raise RuntimeError("".join(lines))
    ready = time.perf_counter() - began
    began = time.perf_counter()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    return ready, time.perf_counter() - began


def main() -> None:
    args = options(str(__doc__).split("\n", 1)[0]).parse_args()
    again = 1 if args.quick else 5
    with tempfile.TemporaryDirectory() as folder:
        first, _ = start(folder)
        print(f"first start {first:.1f} s", flush=True)
        later = [start(folder) for _ in range(again)]
    second, stop = min(s for s, _ in later), max(s for _, s in later)
    print(f"a later start {second:.1f} s, a stop {stop:.1f} s at most ({again} times)")
    result = {
        "benchmark": "start",
        "unit": "s",
        "first": round(first, 2),
        "second": round(second, 2),
        "stop": round(stop, 2),
    }
    finish(result, as_json=args.json)


if __name__ == "__main__":
    main()
