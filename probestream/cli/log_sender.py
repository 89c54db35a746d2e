"""Lines of files or of standard input on their way to the `logs` topic."""

from __future__ import annotations

import asyncio
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from aiokafka import AIOKafkaProducer

from schemas import encode
from streams.kafka import producer_options
from streams.log_lines import MOST_LINES, Line, LineError, batches, from_object, plain
from streams.partition import partition_of
from streams.topics import LOGS, full_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from streams.kafka import KafkaSettings

_LINGER_S = 0.2  # lines that come together go together
_MOST_WAITING = 20_000
_MOST_BYTES = 65_536


@dataclass(slots=True)
class Sent:
    """How many lines went, and how many of them were to be JSON and were not."""

    lines: int = 0
    bad: int = 0


class Sender:
    """Sends each line of its inputs to `target`; a line counts as sent when the broker has it."""

    def __init__(self, kafka: KafkaSettings, target: str, *, as_json: bool) -> None:
        self._kafka, self._target, self._as_json = kafka, target, as_json
        self._sent = Sent()

    async def run(self, files: Sequence[Path]) -> Sent:
        """Send until the end of every file, or of standard input. Raises what aiokafka raises."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[bytes | None] = asyncio.Queue(_MOST_WAITING)
        # A thread that nobody waits for: one that reads a terminal cannot be stopped otherwise.
        threading.Thread(target=_read, args=(files, loop, waiting), daemon=True).start()
        producer = AIOKafkaProducer(**producer_options(self._kafka, "logs-send"))
        await producer.start()
        try:
            ended = False
            while not ended:
                raw, ended = await _some(waiting)
                await self._send(producer, [self._line(r) for r in raw])
        finally:
            await producer.stop()
        return self._sent

    def _line(self, raw: bytes) -> Line:
        text = raw.decode("utf-8", "replace")
        if self._as_json:
            try:
                value = orjson.loads(text)
                if isinstance(value, dict):
                    return from_object(value)
            except (orjson.JSONDecodeError, LineError):
                pass
            self._sent.bad += 1
        return plain(text)

    async def _send(self, producer: AIOKafkaProducer, lines: Sequence[Line]) -> None:
        topic = full_name(self._kafka, LOGS)
        partition = partition_of(self._target, self._kafka.partitions)
        for batch in batches(self._target, lines):
            await producer.send_and_wait(topic, encode(batch), key=self._target.encode(), partition=partition)
            self._sent.lines += len(batch.message)


async def _some(waiting: asyncio.Queue[bytes | None]) -> tuple[list[bytes], bool]:
    """The lines that are there, and those that come in the next moment; whether that was the end."""
    first = await waiting.get()
    if first is None:
        return [], True
    found = [first]
    deadline = asyncio.get_running_loop().time() + _LINGER_S
    while len(found) < MOST_LINES:
        try:
            async with asyncio.timeout_at(deadline):
                line = await waiting.get()
        except TimeoutError:
            break
        if line is None:
            return found, True
        found.append(line)
    return found, False


def _read(files: Sequence[Path], loop: asyncio.AbstractEventLoop, waiting: asyncio.Queue[bytes | None]) -> None:
    """Put every line into `waiting`, then None; what is over the limit in one line is left out."""
    try:
        if not files:
            _lines_of(sys.stdin.buffer, loop, waiting)
        for file in files:
            with file.open("rb") as stream:
                _lines_of(stream, loop, waiting)
    finally:
        _put(None, loop, waiting)


def _lines_of(stream: Any, loop: asyncio.AbstractEventLoop, waiting: asyncio.Queue[bytes | None]) -> None:
    whole = True
    while part := stream.readline(_MOST_BYTES):
        if whole and part.strip():
            _put(part, loop, waiting)
        whole = part.endswith(b"\n")


def _put(line: bytes | None, loop: asyncio.AbstractEventLoop, waiting: asyncio.Queue[bytes | None]) -> None:
    try:
        asyncio.run_coroutine_threadsafe(waiting.put(line), loop).result()
    except RuntimeError:  # the loop is closed: nobody waits for lines any more
        sys.exit(0)
