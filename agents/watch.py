"""Each role's own numbers, in Prometheus's text format, from a port of its own.

A role that runs on its own is scraped at that port. Those that share a data folder find each other there: each leaves
a note of its port, and the gateway's /metrics has the numbers of all of them, with the labels `role` and `worker`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from collections import Counter as Counts
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from prometheus_client import Metric

log = logging.getLogger("probestream.watch")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PATIENCE_S = 2.0
_MOST_REQUEST = 16 * 1024
LAG = Gauge(
    "probestream_consumer_lag_records",
    "Records of a partition that this worker has not read yet.",
    ["topic", "partition"],
)


class _Ends(Collector):
    """Why this role ended by itself, counted over its restarts: a file keeps what the process cannot."""

    def __init__(self) -> None:
        self.file: Path | None = None
        self.counts: Counts[str] = Counts()

    def open(self, file: Path) -> None:
        """Go on from what `file` has."""
        self.file = file
        with contextlib.suppress(OSError, ValueError, TypeError):
            self.counts = Counts({str(k): int(v) for k, v in json.loads(file.read_text()).items()})

    def add(self, reason: str) -> None:
        """Count once more."""
        self.counts[reason] += 1
        if self.file is not None:
            with contextlib.suppress(OSError):  # a full disk must not keep a role from starting again
                _replace(self.file, json.dumps(self.counts))

    def collect(self) -> Iterable[Metric]:
        family = CounterMetricFamily(
            "probestream_gave_up", "How often the role ended itself to begin anew from its state", labels=["reason"]
        )
        for reason in sorted({"watchdog", *self.counts}):
            family.add_metric([reason], self.counts[reason])
        yield family


_ends = _Ends()
REGISTRY.register(_ends)
folder: Path | None = None
"""Where the roles of this data folder leave their notes; None while this process serves none."""


def gave_up(reason: str) -> None:
    """Count that this role ends to begin anew; `reason` is one word."""
    _ends.add(reason)


@contextlib.asynccontextmanager
async def serving(notes: Path, role: str, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[int]:
    """Answer GET /metrics on `host`, and leave a note of it in the folder `notes`; yields the port.

    A port that is taken, or a folder that cannot be written, is logged: a role works without being watched.
    """
    global folder
    folder = notes
    worker = _worker(notes, role)
    _ends.open(notes / f"{role}-{worker}.ends")
    try:
        server = await asyncio.start_server(_answer, host, port, limit=_MOST_REQUEST)
    except OSError as error:
        log.warning("no metrics of %s: %s:%d cannot be listened on: %s", role, host, port, error.strerror)
        yield 0
        return
    note, took = notes / f"{role}-{worker}.json", server.sockets[0].getsockname()[1]
    said = {"role": role, "worker": str(worker), "pid": os.getpid(), "host": host, "port": took}
    try:
        _replace(note, json.dumps(said))
    except OSError as error:
        log.warning("the gateway will not find the metrics of %s: %s: %s", role, note, error.strerror)
    try:
        yield int(took)
    finally:
        server.close()
        if _pid(note) == os.getpid():
            note.unlink(missing_ok=True)


def _worker(notes: Path, role: str) -> int:
    """The least number that no living process of this role has."""
    with contextlib.suppress(OSError):
        notes.mkdir(parents=True, exist_ok=True)
    number = 1
    while (pid := _pid(notes / f"{role}-{number}.json")) is not None and _lives(pid):
        number += 1
    return number


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return pid != os.getpid()


def _pid(note: Path) -> int | None:
    """The process that left a note."""
    try:
        return int(json.loads(note.read_text())["pid"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _replace(file: Path, text: str) -> None:
    part = file.with_name(f".{file.name}.{os.getpid()}")
    part.write_text(text)
    part.replace(file)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One request a connection."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            line, *_ = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        good = line.split(b" ")[:2] == [b"GET", b"/metrics"]
        body = generate_latest(REGISTRY) if good else b"GET /metrics is all there is\n"
        status = "200 OK" if good else "404 Not Found"
        kind = CONTENT_TYPE if good else "text/plain"
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
    writer.close()
