"""One supervised process: started, watched, restarted with growing pauses, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from probestream.processes import die_with_parent
from probestream.supervisor.logs import LogFile, pump

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
HEALTHY_AFTER_S = 60.0
_POLL_S = 0.05


class State(StrEnum):
    """Where a child is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    BACKOFF = "restarting"
    STOPPED = "stopped"


def pause(failures: int) -> float:
    """Seconds before the restart that follows `failures` failures in a row (1 or more): 1, 2, 4 … 30."""
    return float(min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(failures - 1, 10)))


def describe_exit(code: int) -> str:
    """A process's end for people: ``exit code 1``, ``SIGKILL``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


@dataclass(slots=True)
class Spec:
    """What to run, and how to tell that it takes input."""

    name: str
    command: Sequence[str]
    log: Path
    ready: Callable[[], Awaitable[bool]]
    env: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None
    on_line: Callable[[bytes], None] = lambda _: None
    log_of_interest: Path | None = None

    @property
    def see(self) -> Path:
        """The file in which a person would look for the reason of a failure."""
        return self.log_of_interest or self.log


class Child:
    """The process of a `Spec` and its history."""

    def __init__(self, spec: Spec, changed: Callable[[Child], None]) -> None:
        self.spec, self._changed = spec, changed
        self.state = State.WAITING
        self.restarts = 0
        self.last_exit: str | None = None
        self.pause_s = 0.0
        self.was_ready = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id, while it lives."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    def start(self) -> None:
        """Begin to keep it running."""
        if self._task is None and not self._stopping:
            self._task = asyncio.create_task(self._keep(), name=f"keep {self.spec.name}")

    def stop(self, term: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end and do not start it again; returns at once."""
        self._stopping = True
        if self.pid is not None:
            self._signal(term)
        elif self._task is not None:
            self._task.cancel()

    async def ended(self, within_s: float) -> bool:
        """Whether it is gone within `within_s` seconds."""
        if self._task is None:
            return True
        done, _ = await asyncio.wait({self._task}, timeout=max(within_s, 0))
        return bool(done)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def _to(self, state: State) -> None:
        self.state = state
        self._changed(self)

    async def _keep(self) -> None:
        failures = 0
        try:
            while not self._stopping:
                try:
                    lived_s, code = await self._once()
                    self.last_exit = describe_exit(code)
                except OSError as error:  # no memory, no file handles: as likely to pass as any other failure
                    lived_s, self.last_exit = 0.0, f"not started: {error.strerror}"
                if self._stopping:
                    break
                failures = 1 if lived_s >= HEALTHY_AFTER_S else failures + 1
                self.restarts += 1
                self.pause_s = pause(failures)
                self._to(State.BACKOFF)
                await asyncio.sleep(self.pause_s)
        except asyncio.CancelledError:
            if not self._stopping:
                raise
        finally:
            self._to(State.STOPPED)

    async def _once(self) -> tuple[float, int]:
        """Run it to its end; seconds it was ready, and its exit code."""
        loop = asyncio.get_running_loop()
        self.spec.before()
        log = LogFile(self.spec.log)

        def take(line: bytes) -> None:
            log.write(line)
            self.spec.on_line(line)

        self._process = process = await asyncio.create_subprocess_exec(
            *self.spec.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **self.spec.env},
            # Ctrl-C reaches this process alone, which then stops its children in order.
            start_new_session=True,
            preexec_fn=die_with_parent(),
        )
        assert process.stdout is not None
        self._to(State.STARTING)
        output = asyncio.create_task(pump(process.stdout, take))
        became_ready = asyncio.create_task(self._await_ready())
        ready_at = None
        try:
            ended = asyncio.create_task(process.wait())
            await asyncio.wait({ended, became_ready}, return_when=asyncio.FIRST_COMPLETED)
            if not ended.done() and not self._stopping:
                ready_at = loop.time()
                self._to(State.RUNNING)
                self.was_ready.set()
            code = await ended
            lived_s = loop.time() - ready_at if ready_at is not None else 0.0
            # A grandchild may hold the pipe open; what it says is not worth waiting for.
            await asyncio.wait({output}, timeout=1.0)
            return lived_s, code
        finally:
            became_ready.cancel()
            output.cancel()
            log.close()

    async def _await_ready(self) -> None:
        while not await self.spec.ready():  # noqa: ASYNC110 - a file or a port has no event
            await asyncio.sleep(_POLL_S)
