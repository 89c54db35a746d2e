"""`probestream` as a person types it, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import NamedTuple

from streams.kafka import KafkaSettings


class Done(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


class Cli:
    """Commands of a person called ada, on a cluster, in a folder with a configuration."""

    def __init__(self, kafka: KafkaSettings, folder: Path) -> None:
        self.folder, self.config = folder, folder / "probestream.yaml"
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("PROBESTREAM")} | {
            "PROBESTREAM_KAFKA": kafka.servers,
            "PROBESTREAM__KAFKA__PREFIX": kafka.prefix,
            "PROBESTREAM__KAFKA__PARTITIONS": str(kafka.partitions),
            "PROBESTREAM_CONFIG": str(self.config),
            "PROBESTREAM_ACTOR": "ada",
        }

    async def run(self, *arguments: str, given: bytes = b"", timeout: float = 150.0) -> Done:
        """Run a command to its end, with `given` on its standard input."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "probestream", *arguments), env=self.env, cwd=self.folder,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            out, err = await asyncio.wait_for(process.communicate(given), timeout)
        finally:
            if process.returncode is None:
                process.kill()
        return Done(process.returncode or 0, out.decode(), err.decode())

    async def __call__(self, *arguments: str, code: int = 0, given: str = "") -> str:
        """What the command prints, where it ends with `code`: on standard output, or of a failure on standard error."""
        done = await self.run(*arguments, given=given.encode())
        assert done.code == code, done
        assert "Traceback" not in done.err
        return done.out if code == 0 else done.err
