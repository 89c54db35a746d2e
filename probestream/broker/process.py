"""An embedded broker for as long as a `with` block lasts: for tests, notebooks and benchmarks."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from typing import TYPE_CHECKING

from probestream.broker.jars import BrokerError
from probestream.broker.server import HOST, answers, free_port, prepare
from probestream.processes import die_with_parent
from streams.kafka import KafkaSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from probestream.data import DataFolder

STOP_AFTER_S = 8.0


@contextlib.contextmanager
def running(data: DataFolder, port: int = 0) -> Iterator[str]:
    """Kafka on real sockets, its address as value; `port` 0 picks a free one. Raises BrokerError, DataError."""
    with data.locked():
        port = port or free_port()
        command = prepare(data, port)
        with (data.logs / "broker.out").open("ab") as out:
            process = subprocess.Popen(  # noqa: S603 - our own command line, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - one prctl call, safe after a fork
            )
        try:
            asyncio.run(_ready(process, f"{HOST}:{port}", data))
            yield f"{HOST}:{port}"
        finally:
            process.terminate()
            try:
                process.wait(STOP_AFTER_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


async def _ready(process: subprocess.Popen[bytes], bootstrap: str, data: DataFolder, timeout_s: float = 60.0) -> None:
    kafka = KafkaSettings(bootstrap=bootstrap)
    deadline = asyncio.get_running_loop().time() + timeout_s
    while await answers(kafka) is not None:
        if process.poll() is not None:
            raise BrokerError(f"Kafka ended with exit code {process.returncode}; see {data.logs / 'broker.log'}")
        if asyncio.get_running_loop().time() > deadline:
            raise BrokerError(f"Kafka does not answer after {timeout_s:.0f} s; see {data.logs / 'broker.log'}")
        await asyncio.sleep(0.05)
