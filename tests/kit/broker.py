"""A broker of a test's own, which it may kill."""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path

from probestream.broker.run import command
from probestream.broker.server import answers
from probestream.data import DataFolder
from streams.kafka import KafkaSettings
from tests.kit.ports import free_port
from tests.kit.role import PATIENCE_S


class Broker:
    """A broker of this test's own, on a fixed port."""

    def __init__(self, folder: Path) -> None:
        self.data, self.port = DataFolder(folder), free_port()
        self.kafka = KafkaSettings(bootstrap=f"127.0.0.1:{self.port}", prefix="b.", partitions=2)
        self.process: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    async def start(self) -> None:
        """Start, and wait until it answers."""
        with (self.data.logs / "test.out").open("ab") as out:
            self.process = subprocess.Popen(command(self.data, self.port), stdout=out, stderr=out)
        deadline = time.monotonic() + PATIENCE_S
        while await answers(self.kafka) is not None:
            assert self.process.poll() is None
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
