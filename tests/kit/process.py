"""Processes of their own, so that a test can kill them: a role as people run it, and a module of the kit."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.kit.role import PATIENCE_S, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streams.kafka import KafkaSettings


class RoleProcess:
    """`probestream run ROLE` with the configuration at `config`; its output goes to a file beside it."""

    def __init__(
        self, role: str, config: Path, kafka: KafkaSettings, data: Path, environment: dict[str, str] | None = None
    ) -> None:
        self.role, self.config, self.kafka, self.data = role, config, kafka, data
        self.environment = environment or {}
        self.log = data / f"{role}.log"
        self._ready = data / f"{role}.ready"
        self.process: asyncio.subprocess.Process | None = None
        self.starts = 0

    async def start(self, *, wait: bool = True) -> None:
        self._ready.unlink(missing_ok=True)
        self.starts += 1
        self.data.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "probestream", "run", self.role, "--config", str(self.config), "--data", str(self.data),
                env={
                    **os.environ, "PROBESTREAM_KAFKA": self.kafka.servers, "PROBESTREAM_READY_FILE": str(self._ready),
                    **self.environment,
                },
                stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip
        if wait:
            await self.ready()

    async def ready(self) -> None:
        await until(
            lambda: self._ready.exists() or self.process.returncode is not None, why=f"{self.role} is not ready"
        )
        assert self.process.returncode is None, self.log.read_text()[-4000:]

    async def kill(self) -> None:
        """SIGKILL: no chance to tidy up."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()

    async def stop(self) -> int:
        """SIGTERM, and the exit code."""
        if self.process is None:
            return 0
        if self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), PATIENCE_S)
            except TimeoutError:
                await self.kill()
                raise AssertionError(f"{self.role} did not stop:\n{self.log.read_text()[-4000:]}") from None
        return self.process.returncode


@asynccontextmanager
async def role_process(role: str, config: Path, kafka: KafkaSettings, data: Path) -> AsyncIterator[RoleProcess]:
    """The role, ready; killed at the end, whatever happened."""
    process = RoleProcess(role, config, kafka, data)
    try:
        await process.start()
        yield process
    finally:
        await process.kill()


class Child:
    """`python -m MODULE`: it is told `config` on its standard input, and says `ready` on its standard output."""

    def __init__(self, module: str, config: dict[str, Any]) -> None:
        self.module, self.config = module, config
        self.environment: dict[str, str] = {}
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, timeout: float = PATIENCE_S) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", self.module), env={**os.environ, **self.environment},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(self.config).encode() + b"\n")
        line = await asyncio.wait_for(self.process.stdout.readline(), timeout)
        assert line == b"ready\n", line

    def signal(self, number: int) -> None:
        """Stop it, let it go on."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, now."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()

    async def gone(self) -> int:
        """Wait until it is no more; the exit code."""
        assert self.process is not None
        return await asyncio.wait_for(self.process.wait(), PATIENCE_S)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()
        await self.gone()
